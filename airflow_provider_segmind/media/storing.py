"""Storing outputs where a pipeline wants them: whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.file_names import safe_name, shortened, split_suffix
from airflow_provider_segmind.api.forms import SIZE, TEXT, Form
from airflow_provider_segmind.api.location_rules import quotable
from airflow_provider_segmind.api.locations import Location, output_location
from airflow_provider_segmind.exceptions import (
    DownloadError,
    InvalidParameterError,
    OutputNotStoredError,
    OutputTooLargeError,
    SegmindError,
    UnwritableOutputError,
)
from airflow_provider_segmind.media.content_type import HEAD, WrongContentError, checked_type, suffix_of
from airflow_provider_segmind.media.output_folders import OutputFolder, output_folder
from airflow_provider_segmind.media.trouble import is_final, is_login_trouble, words_of

_LIKELY_ID = "0" * 36
"""As long as the ids of Segmind's requests, which are not known before the submit."""

Fetch = Callable[[str, Download, str], Iterator[bytes]]
Keep = Callable[["StoredOutput", int], object]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredOutput:
    """
    A file that has been stored.

    :param path: Where, without a login.
    :param size: Bytes.
    :param sha256: The digest of its content, in hexadecimal.
    :param content_type: Its media type, by its content; as announced, where the content does not say.
    """

    path: str
    size: int
    sha256: str
    content_type: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "what is known of a stored output cannot be read", 1)
        return cls(
            path=form.required("path", TEXT),
            size=form.required("size", SIZE),
            sha256=form.required("sha256", TEXT),
            content_type=form.required("content_type", TEXT),
        )


class OutputStore:
    """
    Where the outputs of one request go.

    :param output_path: Of a file; or of a folder, with a slash at its end, in which a file gets the request's id
        as its name and a suffix by its content. Of several files, each gets a number. Text, a ``pathlib.Path`` or
        an ObjectStoragePath.
    :param conn_id: The Airflow connection to the storage; None for the storage's default.
    :param most_bytes: The most that all files of a request may have together.
    :param fetch: How a file is fetched, as ``SegmindHook.fetch``.
    :param name: What a file in a folder is called, in place of the request's id: as from ``name_after``.
    """

    def __init__(
        self, output_path: object, conn_id: str | None, most_bytes: int, fetch: Fetch, *, name: str | None = None
    ) -> None:
        self._output_path = output_path
        self._conn_id = conn_id
        self._most_bytes = most_bytes
        self._fetch = fetch
        self._name = name

    def check(self) -> None:
        """
        Check before the submit that an output can be stored: write a small file to the folder and remove it.

        :raises InvalidParameterError: If the path is wrong, is that of a folder, or may not be written to: no
            retry can help. It names ``output_path`` or ``output_conn_id``.
        :raises UnwritableOutputError: If the storage has some other trouble, which may pass.
        """
        at = self._location
        try:
            target = self._target(_LIKELY_ID, None)
            if self._name is not None and len(f"{target.stem}.mp4".encode()) > self._folder.longest_name:
                # It must not be cut: a DAG looks for the output by this name, and would make it again and again.
                raise InvalidParameterError(
                    "name_output_after",
                    f"the name is too long for a file in {quotable(at.uri)}: {quotable(self._name)}",
                )
            if len(target.name("video/mp4").encode()) > self._folder.longest_name:
                raise InvalidParameterError("output_path", f"is too long for a file in it: {quotable(at.uri)}")
            if at.name and self._folder.is_folder(at.name):
                raise InvalidParameterError(
                    "output_path", f"{quotable(at.uri)} is a folder: end it with a slash to store files in it"
                )
            self._folder.check_writable(_partial_name("check", at.uri))
        except SegmindError:
            raise
        except Exception as error:
            raise _unwritable(at, error) from error

    def store(
        self,
        urls: Sequence[str],
        request_id: str,
        stored_before: Sequence[StoredOutput] = (),
        keep: Keep = lambda stored, number: None,
        produced_at: float | None = None,
    ) -> list[StoredOutput]:
        """
        Fetch and store all files of a request.

        :param stored_before: Files of this request that an earlier attempt has stored: they are not fetched
            again, if they are still there.
        :param keep: Is called with each file that has been stored, and with its number, from 1.
        :param produced_at: When the request was submitted, in seconds since the epoch, if that is known: only old
            outputs can be gone.
        :raises OutputError: If one cannot be fetched or stored, or is not what it should be. What is stored of it
            is removed.
        """
        stored: list[StoredOutput] = []
        for number, url in enumerate(urls, start=1):
            with _naming_output(self._output_path, request_id):
                target = self._target(request_id, number if len(urls) > 1 else None)
            with _naming_output(target, request_id):
                before = self._still_there(target, stored_before)
                output = before or self._store(url, target, request_id, stored, produced_at)
            stored.append(output)
            if before is None:
                log.info("Stored %s: %d bytes", quotable(output.path), output.size)
                keep(output, number)
            else:
                log.info("%s is stored already", quotable(output.path))
        return stored

    def store_text(
        self,
        text: str,
        request_id: str,
        stored_before: Sequence[StoredOutput] = (),
        keep: Keep = lambda stored, number: None,
    ) -> list[StoredOutput]:
        """
        Store what a language model has written, as if it were a file: the same parameters and errors.

        :param text: In a folder it is called ``….txt``, or by its content, such as ``….json``.
        """

        def pieces(url: str, download: Download, request_id: str) -> Iterator[bytes]:
            download.content_type = "text/plain"
            yield download.taken(text.encode())

        file = OutputStore(self._output_path, self._conn_id, self._most_bytes, pieces, name=self._name)
        return file.store([""], request_id, stored_before, keep)

    @cached_property
    def _location(self) -> Location:
        return output_location(self._output_path, self._conn_id)

    @cached_property
    def _folder(self) -> OutputFolder:
        return output_folder(self._location)

    def _target(self, request_id: str, number: int | None) -> _Target:
        folder, name = self._location.folder, self._location.name
        if number is not None:
            stem, suffix = split_suffix(name)
        else:
            stem, suffix = name, ""
        if not name:
            stem = safe_name(self._name or request_id)
        by_content = not name or (number is not None and not suffix)
        end = "" if number is None else f"-{number}"
        return _Target(folder, stem, end, None if by_content else suffix, self._folder.longest_name)

    def _still_there(self, target: _Target, stored_before: Sequence[StoredOutput]) -> StoredOutput | None:
        """Return what an earlier attempt has stored of an output, if it is there."""
        for each in stored_before:
            name = target.name(each.content_type)
            if each.path == (target.location / name).uri:
                return each if self._folder.size_of(name) == each.size else None
        return None

    def _store(
        self,
        url: str,
        target: _Target,
        request_id: str,
        before: Sequence[StoredOutput],
        produced_at: float | None,
    ) -> StoredOutput:
        used = sum(each.size for each in before)
        download = Download(max(self._most_bytes - used, 0), request_id, produced_at=produced_at)
        digest, head, size = hashlib.sha256(), bytearray(), 0
        with self._folder.partial(_partial_name(request_id, str(target))) as file:
            try:
                for piece in self._fetch(url, download, request_id):
                    digest.update(piece)
                    head += piece[: HEAD - len(head)]
                    size += len(piece)
                    file.write(piece)
            except OutputTooLargeError as error:
                raise _too_large(error, used, self._most_bytes) from error
            media_type = _media_type(bytes(head), download.content_type, [str(target), _name_in(url)], request_id)
            name = target.name(media_type)
            file.move_to(name, size)
        return StoredOutput((target.location / name).uri, size, digest.hexdigest(), media_type)


@dataclass(frozen=True)
class _Target:
    """
    Where one file goes.

    :param location: The folder.
    :param stem: The beginning of its name.
    :param end: The number of one of several files, after the stem.
    :param suffix: With its dot; None for that of its content.
    :param longest: Bytes that the name may have.
    """

    location: Location
    stem: str
    end: str
    suffix: str | None
    longest: int

    def name(self, media_type: str) -> str:
        """Return the name of the file. One that the user has given stays as it is."""
        end = self.end + (suffix_of(media_type) if self.suffix is None else self.suffix)
        return shortened(self.stem, self.longest - len(end.encode())) + end if end else self.stem

    def __str__(self) -> str:
        return f"{self.location}{self.stem}{self.end}{self.suffix or ''}"


def _media_type(head: bytes, declared: str, names: Sequence[str], request_id: str) -> str:
    try:
        if not head:
            raise WrongContentError("it is empty")
        return checked_type(head, declared, names)
    except WrongContentError as error:
        raise DownloadError(f"{error}. It was not stored", request_id=request_id, may_resume=False) from error


def _name_in(url: str) -> str:
    """Return the last part of a URL's path: its suffix may say what is there. It is not used as a name."""
    try:
        return PurePosixPath(urlsplit(url).path).name
    except ValueError:
        return ""


def _too_large(error: OutputTooLargeError, used: int, most_bytes: int) -> OutputTooLargeError:
    if not used:
        return error
    return OutputTooLargeError(
        f"all files together have more than max_output_bytes, {most_bytes}: those before this one have {used}",
        request_id=error.request_id,
    )


def _partial_name(request_id: str, path: str) -> str:
    """
    Return a temporary name that no other request and no other file has.

    It is the same in each attempt, so that what a killed one has left is replaced; and shorter than disks allow.
    """
    digest = hashlib.sha256(f"{request_id}\0{path}".encode()).hexdigest()
    return f".{digest[:32]}.part"


def _unwritable(at: Location, error: Exception) -> SegmindError:
    where, words = quotable(at.uri), words_of(error)
    if not is_final(error):
        return UnwritableOutputError(f"output_path: {where}: {words}")
    if isinstance(error, PermissionError) or is_login_trouble(error):
        name = "output_path" if at.is_local else "output_conn_id"
        return InvalidParameterError(name, f"{where} may not be written to: {words}")
    if isinstance(error, FileNotFoundError) and not at.is_local:
        return InvalidParameterError("output_path", f"there is no bucket {quotable(at.bucket)}: {words}")
    return InvalidParameterError("output_path", f"{where} cannot be written to: {words}")


@contextmanager
def _naming_output(path: object, request_id: str) -> Iterator[None]:
    """Turn the errors of storages into one that names the output and its request."""
    try:
        yield
    except InvalidParameterError as error:  # of a setting that was changed after the submit
        raise OutputNotStoredError(error.detail, request_id=request_id) from error
    except SegmindError:
        raise
    except Exception as error:
        raise OutputNotStoredError(f"{quotable(str(path))}: {words_of(error)}", request_id=request_id) from error
