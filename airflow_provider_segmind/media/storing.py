"""Storing outputs where a pipeline wants them: whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.exceptions import OutputNotStoredError, SegmindError
from airflow_provider_segmind.media.places import place

_LOCAL = ("", "file", "local")

_BLOCK = 8 * 1024 * 1024
"""Bytes that a storage may gather before it sends them on: s3fs by itself takes 50 MiB, more than once."""

Fetch = Callable[[str, Download, str], Iterator[bytes]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredOutput:
    """
    A file that has been stored.

    :param path: Where.
    :param size: Bytes.
    :param sha256: The digest of its content, in hexadecimal.
    """

    path: str
    size: int
    sha256: str
    content_type: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return what ``as_json`` described."""
        return cls(**document)


class OutputStore:
    """
    Where the outputs of one request go.

    :param output_path: Of a file; or of a folder, with a slash at its end, in which a file gets the request's id
        as its name. Of several files, each gets a number.
    :param conn_id: The Airflow connection to the storage; None for the storage's default.
    :param most_bytes: The most that a file may have.
    :param fetch: How a file is fetched, as ``SegmindHook.fetch``.
    """

    def __init__(self, output_path: str, conn_id: str | None, most_bytes: int, fetch: Fetch) -> None:
        self._output_path = output_path
        self._conn_id = conn_id
        self._most_bytes = most_bytes
        self._fetch = fetch

    def store(
        self,
        urls: Sequence[str],
        request_id: str,
        stored_before: Sequence[StoredOutput] = (),
        keep: Callable[[Sequence[StoredOutput]], object] = lambda _: None,
    ) -> list[StoredOutput]:
        """
        Fetch and store all files of a request.

        :param stored_before: Files of this request that an earlier try has stored: they are not fetched again, if
            they are still there.
        :param keep: Is told after each file what is stored by then.
        :raises OutputError: If one cannot be fetched or stored. What is stored of it is removed.
        """
        targets = [
            self._target(url, request_id, number if len(urls) > 1 else None)
            for number, url in enumerate(urls, start=1)
        ]
        known = {each.path: each for each in stored_before if each.path in targets}
        for url, target in zip(urls, targets, strict=True):
            with _told(target, request_id):
                if target in known and self._is_there(known[target]):
                    log.info("%s is stored already", without_login(target))
                    continue
                known[target] = self._stored(url, target, request_id)
            log.info("Stored %s: %d bytes", without_login(target), known[target].size)
            keep(list(known.values()))
        return [known[target] for target in targets]

    def _target(self, url: str, request_id: str, number: int | None) -> str:
        extension = PurePosixPath(urlsplit(url).path).suffix
        folder = self._output_path.endswith("/")
        path = f"{self._output_path}{request_id}{extension}" if folder else self._output_path
        if number is None:
            return path
        stem, dot, suffix = path.rpartition(".")
        if not dot or "/" in suffix:
            return f"{path}-{number}{extension}"
        return f"{stem}-{number}.{suffix}"

    def _is_there(self, stored: StoredOutput) -> bool:
        try:
            return bool(self._at(stored.path).stat().st_size == stored.size)
        except FileNotFoundError:
            return False

    def _stored(self, url: str, path: str, request_id: str) -> StoredOutput:
        target = self._at(path)
        if target.protocol in _LOCAL:
            target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f".{target.name}.{request_id}.part"
        download, digest = Download(self._most_bytes, request_id), hashlib.sha256()
        try:
            # Not the path's own open(), which tells lineage of each write: of a file that will not be there.
            with partial.fs.open(partial.path, "wb", block_size=_BLOCK) as file:
                for piece in self._fetch(url, download, request_id):
                    digest.update(piece)
                    file.write(piece)
            target.fs.mv(partial.path, target.path)
        except BaseException:
            with suppress(Exception):
                partial.unlink()
            raise
        return StoredOutput(path, download.received, digest.hexdigest(), download.content_type)

    def _at(self, path: str) -> Any:
        return place(path, self._conn_id)


@contextmanager
def _told(path: str, request_id: str) -> Iterator[None]:
    """Tell which output it was that a storage did not take: storages raise whatever they like."""
    try:
        yield
    except SegmindError:
        raise
    except Exception as error:
        words = f"{path}: {type(error).__name__}: {error}"
        raise OutputNotStoredError(without_login(words), request_id=request_id) from error
