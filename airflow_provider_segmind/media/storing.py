"""Storing outputs in an object store or on a disk: whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.file_names import partial_name, safe_name, shorten, split_suffix
from airflow_provider_segmind.api.locations import Location, output_location
from airflow_provider_segmind.api.output import output_text, output_urls
from airflow_provider_segmind.api.text import safe_text
from airflow_provider_segmind.exceptions import (
    DownloadError,
    InvalidParameterError,
    OutputNotStoredError,
    OutputTooLargeError,
    SegmindError,
    UnwritableOutputError,
)
from airflow_provider_segmind.media.content_type import HEAD, WrongContentError, check_type, is_suffix, suffix_of
from airflow_provider_segmind.media.output_folders import NewFileTerms, OutputFolder, output_folder
from airflow_provider_segmind.media.storages import is_final, is_login_trouble, words_of
from airflow_provider_segmind.media.stored import ExistingOutput, StoredOutput

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport

_LIKELY_ID = "0" * 36
"""As long as the ids of Segmind's requests, which are not known before the submit."""

_LIKELY_TYPE = "video/mp4"

Fetch = Callable[[str, Download, str], Iterator[bytes]]

log = logging.getLogger(__name__)


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
            location = self._locate(_LIKELY_ID, None)
            if self._name is not None and len(f"{location.stem}.mp4".encode()) > self._folder.longest_name:
                # It must not be cut: a DAG looks for the output by this name, and would make it again and again.
                raise InvalidParameterError(
                    "name_output_after",
                    f"the name is too long for a file in {safe_text(at.uri)}: {safe_text(self._name)}",
                )
            if len(location.name(_LIKELY_TYPE).encode()) > self._folder.longest_name:
                raise InvalidParameterError("output_path", f"is too long for a file in it: {safe_text(at.uri)}")
            if at.name and self._folder.is_folder(at.name):
                raise InvalidParameterError(
                    "output_path", f"{safe_text(at.uri)} is a folder: end it with a slash to store files in it"
                )
            partial = partial_name(f"check\0{at.uri}")
            self._folder.check_writable(location.name(_LIKELY_TYPE), partial, _LIKELY_TYPE)
        except SegmindError:
            raise
        except Exception as error:
            raise _unwritable_error(at, error) from error

    def find_existing(
        self,
        kinds: tuple[str, ...] = ("",),
        stored_before: Sequence[StoredOutput] = (),
        request_id: str = "",
    ) -> list[ExistingOutput]:
        """
        Return the outputs that are there already, as far as their names are known before the request.

        How many outputs there will be is known only to a task that has stored them before.

        :param kinds: Beginnings of the media types that an output can have. They decide which suffixes count,
            where the content decides the suffix.
        :param stored_before: Files that an earlier request of the task has stored. They count if all are there.
        :param request_id: After which a file in a folder is named, if nothing else names it.
        :raises InvalidParameterError: If the path is wrong, or may not be looked at. It names ``output_path`` or
            ``output_conn_id``.
        :raises UnwritableOutputError: If the storage has some other trouble, which may pass.
        """
        at = self._location
        try:
            return self._find_all_stored(stored_before) or self._find_by_name(kinds, request_id)
        except SegmindError:
            raise
        except Exception as error:
            raise _unlisted_error(at, error) from error

    def store_result(
        self, result: RequestReport, stored_before: Sequence[StoredOutput] = (), produced_at: float | None = None
    ) -> Iterator[StoredOutput]:
        """Store the outputs of a request, whether files or a text: as ``store``, with the same errors."""
        text = output_text(result)
        if text is not None:
            return self.store_text(text, result.request_id, stored_before)
        return self.store(output_urls(result), result.request_id, stored_before, produced_at)

    def store(
        self,
        urls: Sequence[str],
        request_id: str,
        stored_before: Sequence[StoredOutput] = (),
        produced_at: float | None = None,
    ) -> Iterator[StoredOutput]:
        """
        Fetch and store the files of a request one after the other, and yield each as soon as it is stored.

        :param stored_before: Files of this request that an earlier attempt has stored. One that is still there is
            yielded as it is, and not fetched again.
        :param produced_at: When the request was submitted, in seconds since the epoch, if that is known: only old
            outputs can be gone.
        :raises OutputError: If one cannot be fetched or stored, or is not what it should be. What is stored of it
            is removed.
        """
        stored: list[StoredOutput] = []
        for number, url in enumerate(urls, start=1):
            with _naming_output(self._output_path, request_id):
                location = self._locate(request_id, number if len(urls) > 1 else None)
            with _naming_output(location, request_id):
                before = self._find_stored_before(location, stored_before)
                output = before or self._write(url, location, request_id, stored, produced_at)
            stored.append(output)
            if before is None:
                log.info("Stored %s: %d bytes", safe_text(output.path), output.size)
            else:
                log.info("%s is already stored", safe_text(output.path))
            yield output

    def store_text(
        self, text: str, request_id: str, stored_before: Sequence[StoredOutput] = ()
    ) -> Iterator[StoredOutput]:
        """
        Store what a language model has written, as if it were a file: the same parameters and errors.

        :param text: In a folder it is called ``….txt``, or by its content, such as ``….json``.
        """

        def pieces(url: str, download: Download, request_id: str) -> Iterator[bytes]:
            download.content_type = "text/plain"
            yield download.take(text.encode())

        file = OutputStore(self._output_path, self._conn_id, self._most_bytes, pieces, name=self._name)
        return file.store([""], request_id, stored_before)

    @cached_property
    def _location(self) -> Location:
        return output_location(self._output_path, self._conn_id)

    @cached_property
    def _folder(self) -> OutputFolder:
        return output_folder(self._location)

    def _locate(self, request_id: str, number: int | None) -> _OutputLocation:
        folder, name = self._location.folder, self._location.name
        if number is not None:
            stem, suffix = split_suffix(name)
        else:
            stem, suffix = name, ""
        if not name:
            stem = safe_name(self._name or request_id)
        by_content = not name or (number is not None and not suffix)
        end = "" if number is None else f"-{number}"
        return _OutputLocation(folder, stem, end, None if by_content else suffix, self._folder.longest_name)

    def _find_stored(
        self, location: _OutputLocation, stored_before: Sequence[StoredOutput]
    ) -> StoredOutput | None:
        """Return what an earlier attempt has stored of an output, if it is there."""
        for each in stored_before:
            name = location.name(each.content_type)
            if each.path == (location.folder / name).uri:
                return each if self._folder.size_of(name) == each.size else None
        return None

    def _find_stored_before(
        self, location: _OutputLocation, stored_before: Sequence[StoredOutput]
    ) -> StoredOutput | None:
        """Return the same; None where the connection may write and not look: the output is fetched once more."""
        try:
            return self._find_stored(location, stored_before)
        except PermissionError as error:
            words = "Storing %s again: the connection may not look whether it is there (%s)"
            log.info(words, safe_text(str(location)), type(error).__name__)
            return None

    def _find_all_stored(self, stored_before: Sequence[StoredOutput]) -> list[ExistingOutput]:
        found = []
        for number in range(1, len(stored_before) + 1):
            location = self._locate("", number if len(stored_before) > 1 else None)
            each = self._find_stored(location, stored_before)
            if each is None:
                return []
            found.append(ExistingOutput(each.path, each.size, each.sha256, each.content_type))
        return found

    def _find_by_name(self, kinds: tuple[str, ...], request_id: str) -> list[ExistingOutput]:
        folder, name = self._location.folder, self._location.name
        names = [name]
        if not name:
            stem = safe_name(self._name or request_id)
            found = self._folder.names_beginning_with(f"{stem}.")
            names = sorted(each for each in found if is_suffix(each.removeprefix(stem), kinds))
        for each in names:
            size = self._folder.size_of(each)
            if size is not None:
                return [ExistingOutput((folder / each).uri, size)]
        return []

    def _write(
        self,
        url: str,
        location: _OutputLocation,
        request_id: str,
        before: Sequence[StoredOutput],
        produced_at: float | None,
    ) -> StoredOutput:
        used = sum(each.size for each in before)
        age = 0.0 if produced_at is None else time.time() - produced_at
        download = Download(max(self._most_bytes - used, 0), request_id, age=age)
        partial = partial_name(f"{request_id}\0{location}")
        try:
            pieces = self._fetch(url, download, request_id)
            head = _read_head(pieces)  # it says what the file is, and with that its name
            names = [str(location), _url_name(url)]
            media_type = _media_type(head[:HEAD], download.content_type, names, request_id)
            name = location.name(media_type)
            digest, size = hashlib.sha256(), 0
            with self._folder.new_file(NewFileTerms(name, partial, media_type, self._most_bytes)) as file:
                for piece in chain((head,), pieces):
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.publish(size)
        except OutputTooLargeError as error:
            raise _too_large_error(error, used, self._most_bytes) from error
        return StoredOutput((location.folder / name).uri, size, digest.hexdigest(), media_type)


@dataclass(frozen=True)
class _OutputLocation:
    """
    Where one file goes.

    :param folder: The folder.
    :param stem: The beginning of its name.
    :param end: The number of one of several files, after the stem.
    :param suffix: With its dot; None for that of its content.
    :param longest: Bytes that the name may have.
    """

    folder: Location
    stem: str
    end: str
    suffix: str | None
    longest: int

    def name(self, media_type: str) -> str:
        """Return the name of the file. One that the user has given stays as it is."""
        end = self.end + (suffix_of(media_type) if self.suffix is None else self.suffix)
        return shorten(self.stem, self.longest - len(end.encode())) + end if end else self.stem

    def __str__(self) -> str:
        return f"{self.folder}{self.stem}{self.end}{self.suffix or ''}"


def _read_head(pieces: Iterator[bytes]) -> bytes:
    """Return the first pieces of a file, until they say what it is."""
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) >= HEAD:
            break
    return bytes(head)


def _media_type(head: bytes, declared: str, names: Sequence[str], request_id: str) -> str:
    try:
        if not head:
            raise WrongContentError("it is empty")
        return check_type(head, declared, names)
    except WrongContentError as error:
        raise DownloadError(f"{error}. It was not stored", request_id=request_id, may_resume=False) from error


def _url_name(url: str) -> str:
    """Return the last part of a URL's path: its suffix may say what is there. It is not used as a name."""
    try:
        return PurePosixPath(urlsplit(url).path).name
    except ValueError:
        return ""


def _too_large_error(error: OutputTooLargeError, used: int, most_bytes: int) -> OutputTooLargeError:
    if not used:
        return error
    return OutputTooLargeError(
        f"all files together exceed max_output_bytes ({most_bytes}): those before this one have {used} bytes",
        request_id=error.request_id,
    )


def _unwritable_error(at: Location, error: Exception) -> SegmindError:
    where, words = safe_text(at.uri), words_of(error)
    if not is_final(error):
        return UnwritableOutputError(f"output_path: {where}: {words}")
    if isinstance(error, PermissionError) or is_login_trouble(error):
        name = "output_path" if at.is_local else "output_conn_id"
        return InvalidParameterError(name, f"{where} may not be written to: {words}")
    if isinstance(error, FileNotFoundError) and not at.is_local:
        return InvalidParameterError("output_path", f"there is no bucket {safe_text(at.bucket)}: {words}")
    return InvalidParameterError("output_path", f"{where} cannot be written to: {words}")


def _unlisted_error(at: Location, error: Exception) -> SegmindError:
    where, words = safe_text(at.uri), words_of(error)
    if not is_final(error):
        return UnwritableOutputError(f"output_path: {where}: {words}")
    if isinstance(error, PermissionError) or is_login_trouble(error):
        name = "output_path" if at.is_local else "output_conn_id"
        return InvalidParameterError(name, f"if_output_exists must look at {where}, but may not: {words}")
    return InvalidParameterError("output_path", f"{where} cannot be looked at: {words}")


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
        raise OutputNotStoredError(f"{safe_text(str(path))}: {words_of(error)}", request_id=request_id) from error
