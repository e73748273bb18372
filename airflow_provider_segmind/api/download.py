"""Getting a file whole over connections that break: what to ask for next, and what an answer says. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputGoneError,
    OutputTooLargeError,
    SegmindError,
)

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_GONE = (403, 404, 410)
_TEXT = ("text/", "application/json", "application/xml", "application/xhtml+xml")


class Download:
    """
    One file on its way.

    :param most_bytes: More than these are not fetched.
    :param request_id: Whose output it is, for messages.
    """

    def __init__(self, most_bytes: int, request_id: str) -> None:
        self.received = 0
        self.content_type = ""
        self._most_bytes = most_bytes
        self._request_id = request_id
        self._total: int | None = None
        self._tag: str | None = None
        self._skip = 0

    def headers(self) -> dict[str, str]:
        """Return what to ask with: for the rest, if something has been received."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self.received:
            headers["Range"] = f"bytes={self.received}-"
            if self._tag:
                headers["If-Range"] = self._tag
        return headers

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """
        Take note of an answer before its body is read.

        :param headers: With lower-case names.
        :raises OutputGoneError: If the file is not there, or no longer.
        :raises OutputTooLargeError: If it is larger than allowed.
        :raises DownloadError: If this is not (the rest of) the file.
        """
        if status in _GONE:
            raise OutputGoneError(f"its media host answers HTTP {status}", request_id=self._request_id)
        if status not in (200, 206):
            raise self.broken(f"HTTP {status}")
        tag, total = headers.get("etag"), self._announced(status, headers)
        if self.received and (_differ(tag, self._tag) or _differ(total, self._total)):
            raise self.broken("the file has changed meanwhile", final=True)
        self._tag, self._total = tag or self._tag, total if total is not None else self._total
        self._skip = self.received if status == 200 else 0
        self.content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.content_type.startswith(_TEXT):
            raise self.broken(f"it is {self.content_type}, not media", final=True)
        if self._total is not None and self._total > self._most_bytes:
            raise self._too_large(f"it has {self._total} bytes")

    def taken(self, chunk: bytes) -> bytes:
        """
        Return what is new of a piece of the body.

        :raises OutputTooLargeError: If it makes the file larger than allowed.
        """
        new = chunk[self._skip :]
        self._skip = max(self._skip - len(chunk), 0)
        self.received += len(new)
        if self.received > self._most_bytes:
            raise self._too_large("it goes on")
        return new

    def ended(self) -> None:
        """
        Check that a body which has ended was all of it.

        :raises DownloadError: If there is more to come.
        """
        if self._total is not None and self.received != self._total:
            raise self.broken(f"the body ended after {self.received} of {self._total} bytes")
        if not self.received:
            raise self.broken("it is empty", final=True)

    def broken(self, cause: str, *, final: bool = False) -> DownloadError:
        """
        Return the error of a download that broke off.

        :param final: Whether going on cannot help in this try.
        """
        return DownloadError(
            f"{cause} (after {self.received} bytes)", request_id=self._request_id, may_resume=not final
        )

    def _announced(self, status: int, headers: Mapping[str, str]) -> int | None:
        if status == 206:
            match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
            if match is None or int(match[1]) != self.received:
                raise self.broken(f"asked for the rest, and got {headers.get('content-range')!r}", final=True)
            return int(match[3])
        length = headers.get("content-length", "")
        return int(length) if length.isdigit() else None

    def _too_large(self, how: str) -> SegmindError:
        return OutputTooLargeError(
            f"{how}, and max_output_bytes is {self._most_bytes}", request_id=self._request_id
        )


def _differ(now: object, before: object) -> bool:
    return now is not None and before is not None and now != before
