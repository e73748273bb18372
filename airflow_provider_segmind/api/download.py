"""Downloading a file over connections that break: what to request next, and what an answer means. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from airflow_provider_segmind.api.content_encoding import NO_ENCODING, ContentDecoder, UndecodableError
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputGoneError,
    OutputTooLargeError,
    SegmindError,
)

RETENTION = 7 * 24 * 3600.0
"""Seconds for which Segmind keeps an output."""

CLOCK_MARGIN = 24 * 3600.0
"""Seconds by which a clock may be wrong before an output is taken for gone that was paid for and is there."""

_CONTENT_RANGE = re.compile(r"bytes +([0-9]+)-([0-9]+)/([0-9]+|\*)", re.IGNORECASE)
_UNSATISFIED_RANGE = re.compile(r"bytes +\*/([0-9]+)", re.IGNORECASE)
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]{0,500}"')
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_NOT_THERE = (403, 404, 410)
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_PAGE_SUFFIXES = (".html", ".htm", ".xhtml")

_PIECE = 1024
"""Encoded bytes to decode at once: gzip makes at most a thousand times as many of them."""

_ENCODED_READ = 8 * 1024
_ENOUGH = 4 * 1024 * 1024


class Download:
    """
    The download of one file.

    :param most_bytes: More than these are not fetched.
    :param request_id: Whose output it is, for messages; None if that is not known.
    :param age: Seconds since its request was submitted; 0 if that is not known. A missing output counts as deleted
        only if it is old.
    """

    def __init__(self, most_bytes: int, request_id: str | None, *, age: float = 0.0) -> None:
        self.received = 0
        """Bytes that were handed out, without a content encoding."""
        self.content_type = ""
        self._most_bytes = most_bytes
        self._request_id = request_id
        self._age = age
        self._tag: str | None = None
        self._total: int | None = None  # of the file as it is encoded
        self._encoding = ""
        self._restart()
        self._from_start = False
        self._skip = 0
        self._left: int | None = None
        self._ends_surely = True
        self._is_part = False

    def _restart(self) -> None:
        self._decoder = ContentDecoder(self._encoding)
        self._on_wire = 0  # encoded bytes that the decoder got
        self._decoded = 0  # bytes that it made of them: fewer than received, where a host begins again

    def headers(self) -> dict[str, str]:
        """Return the headers of the next request: for the rest of the file, if some has been received."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self._asks_for_rest():
            headers["Range"] = f"bytes={self._on_wire}-"
            if self._tag and _STRONG_TAG.fullmatch(self._tag):  # a weak one promises no equal bytes
                headers["If-Range"] = self._tag
        return headers

    def begin(self, status: int, headers: Mapping[str, str], *, url: str = "") -> bool:
        """
        Read the head of an answer, and return whether its body has to be read: not if the file is complete.

        :param headers: With lower-case names.
        :param url: Where the output is, as its result says: a web page is an output only if it says so.
        :raises OutputGoneError: If the file is not there, and older than Segmind keeps one.
        :raises OutputTooLargeError: If it is larger than allowed.
        :raises DownloadError: If this is not (the rest of) the file.
        """
        if status == 416 and self._asks_for_rest():
            return self._begin_behind_the_end(headers.get("content-range", "").strip())
        if status not in (200, 206):
            raise self._not_served_error(status)
        self._check_type(status, headers.get("content-type", ""), url)
        start, length, total = self._read_extent(status, headers)
        self._check_version(headers.get("etag"), total, headers.get("content-encoding", ""))
        if status == 200 and not self._decoder.identity:
            self._restart()  # what a server encodes twice need not be the same bytes
        self._from_start = False
        self._skip, self._left = self._on_wire - start, length
        self._ends_surely = length is not None or "transfer-encoding" in headers
        self._is_part = status == 206
        if self._total is not None and self._total > self._most_on_wire():
            raise self._too_large_error(f"{self._total} bytes")
        return True

    def next_read(self, most: int) -> int:
        """Return how many bytes of the body to read next: up to ``most``; 0 if all announced bytes are there."""
        most = most if self._decoder.identity else min(most, _ENCODED_READ)
        return most if self._left is None else min(most, self._left)

    def take(self, chunk: bytes) -> bytes:
        """
        Take a piece of the body, and return the new part of it without its content encoding.

        :raises OutputTooLargeError: If it makes the file larger than allowed.
        :raises DownloadError: If its content encoding is broken.
        """
        if self._left is not None:
            chunk = chunk[: self._left]  # what follows is not of this body
            self._left -= len(chunk)
        sent = chunk[self._skip :]
        self._skip = max(self._skip - len(chunk), 0)
        self._on_wire += len(sent)
        if self._on_wire > self._most_on_wire():
            raise self._too_large_error("more bytes than allowed")
        return sent and self._decode(sent)

    def end_body(self) -> bool:
        """
        End a body, and return whether the file is complete: if not, request the next part.

        :raises DownloadError: If the body broke off, or the file is empty.
        """
        if self._left:
            raise self._cut_error()
        if self._skip:
            raise self._changed_error() if self._ends_surely else self._cut_error()
        short = self._total is not None and self._on_wire < self._total
        if short and not self._is_part:
            raise self._changed_error() if self._ends_surely else self._cut_error()
        if short or (self._is_part and self._total is None):
            return False
        # Without a length and without chunks, the end of the connection is the only end there is. HTTP/1.0 hosts
        # send all their files like that, so that it is taken for one.
        self._finish()
        return True

    def broken_error(self, cause: str, *, final: bool = False) -> DownloadError:
        """
        Return the error of a download that broke off.

        :param final: Whether resuming cannot help in this attempt.
        """
        return DownloadError(
            f"{cause} (after {self.received} bytes)", request_id=self._request_id, may_resume=not final
        )

    def _asks_for_rest(self) -> bool:
        return self._on_wire > 0 and not self._from_start

    def _not_served_error(self, status: int) -> SegmindError:
        # Storage may answer 404 or 403 for a file that it shows a moment later, so that only its age tells.
        if status in _NOT_THERE and self._age >= RETENTION + CLOCK_MARGIN:
            return OutputGoneError(
                f"the media host returned HTTP {status}, {self._age / 86400:.0f} days after the submit",
                status=status,
                request_id=self._request_id,
            )
        return DownloadError(
            f"the media host returned HTTP {status} (after {self.received} bytes)",
            status=status,
            request_id=self._request_id,
            may_resume=True,
        )

    def _begin_behind_the_end(self, content_range: str) -> bool:
        """Read an answer that nothing is left to send: the end of a chunked answer may be all that was lost."""
        end = _UNSATISFIED_RANGE.fullmatch(content_range)
        total = _read_digits(end[1]) if end else None
        if total is not None and (total < self._on_wire or _differ(total, self._total)):
            raise self._changed_error()
        if total == self._on_wire:
            self._ends_surely = True
            self._finish()
            return False
        self._from_start = True
        raise self.broken_error(f"HTTP 416 with Content-Range {one_line(content_range, 80)!r}")

    def _check_type(self, status: int, header: str, url: str) -> None:
        content_type = re.split("[;,]", header[:500])[0].strip(" \t").lower()
        if status == 206 and content_type == "multipart/byteranges":
            raise self.broken_error("the host sent several ranges in place of one", final=True)
        page = content_type in _PAGE_TYPES
        if page and not PurePosixPath(urlsplit(url).path).name.lower().endswith(_PAGE_SUFFIXES):
            raise self.broken_error(f"its content is {content_type}, not media", final=True)
        if _MEDIA_TYPE.fullmatch(content_type) and not (self.received and self.content_type):
            self.content_type = content_type

    def _read_extent(self, status: int, headers: Mapping[str, str]) -> tuple[int, int | None, int | None]:
        """Return where a body begins in the file, its length, and the file's; None for what is not known."""
        length = self._read_length(headers)
        if status == 200:
            return 0, length, length
        content_range = headers.get("content-range", "")
        match = _CONTENT_RANGE.fullmatch(content_range.strip())
        start, last = (_read_digits(match[1]), _read_digits(match[2])) if match else (-1, -1)
        total = None if match is None or match[3] == "*" else _read_digits(match[3])
        fits = 0 <= start <= self._on_wire <= last and (total is None or last < total)
        if not fits or length not in (None, last - start + 1):
            shown = one_line(content_range, 80)
            raise self.broken_error(
                f"asked for the bytes from {self._on_wire} on, but got Content-Range {shown!r}", final=True
            )
        return start, last - start + 1, total

    def _read_length(self, headers: Mapping[str, str]) -> int | None:
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise self.broken_error(f"its transfer encoding {one_line(coding, 40)!r} is not supported", final=True)
        header = headers.get("content-length")
        if header is None or coding is not None:  # chunks say where they end, whatever the length is said to be
            return None
        numbers = [each.strip(" \t") for each in header.split(",")]
        values = {_read_digits(each) if re.fullmatch("[0-9]+", each) else -1 for each in numbers}
        if len(values) > 1 or -1 in values:
            raise self.broken_error(f"its Content-Length {one_line(header, 80)!r} cannot be read")
        return values.pop()

    def _check_version(self, tag: str | None, total: int | None, encoding: str) -> None:
        encoding = _encoding_name(encoding)
        if self._on_wire or self.received:
            if _differ(_opaque(tag), _opaque(self._tag)) or _differ(total, self._total):
                raise self._changed_error()
            if encoding != self._encoding:
                raise self._changed_error()
            self._tag = tag or self._tag
            self._total = self._total if total is None else total
            return
        self._tag, self._total, self._encoding = tag, total, encoding
        try:
            self._restart()
        except UndecodableError as error:
            self._encoding = ""
            raise self.broken_error(str(error), final=True) from None

    def _decode(self, sent: bytes) -> bytes:
        if self._decoder.identity:
            self._decoded += len(sent)
            return self._take_new(sent)
        new = bytearray()
        for start in range(0, len(sent), _PIECE):
            try:
                decoded = self._decoder.decode(sent[start : start + _PIECE], _ENOUGH)
            except UndecodableError as error:
                raise self.broken_error(str(error), final=True) from None
            self._decoded += len(decoded)
            new += self._take_new(decoded)
        return bytes(new)

    def _take_new(self, decoded: bytes) -> bytes:
        new = decoded[-(self._decoded - self.received) :] if self._decoded > self.received else b""
        self.received += len(new)
        if self.received > self._most_bytes:
            raise self._too_large_error("more bytes than allowed")
        return new

    def _finish(self) -> None:
        try:
            self._decoder.finish()
        except UndecodableError as error:
            raise self.broken_error(str(error), final=self._ends_surely) from None
        if self._decoded < self.received:
            raise self._changed_error()
        if not self.received:
            raise self.broken_error("it is empty", final=self._ends_surely)

    def _cut_error(self) -> DownloadError:
        of = "" if self._total is None else f" of {self._total}"
        return self.broken_error(f"the body ended after {self._on_wire}{of} bytes")

    def _changed_error(self) -> DownloadError:
        return self.broken_error("the file changed during the download", final=True)

    def _most_on_wire(self) -> int:
        """Return the bytes that may be read: what cannot be compressed becomes a little larger by its encoding."""
        return self._most_bytes if self._decoder.identity else self._most_bytes + self._most_bytes // 100 + 1024

    def _too_large_error(self, size: str) -> SegmindError:
        return OutputTooLargeError(
            f"it has {size}; max_output_bytes is {self._most_bytes}", request_id=self._request_id
        )


def _read_digits(digits: str) -> int:
    """Return a number; one of so many digits that it is too large in any case may become another such one."""
    return int((digits.lstrip("0") or "0")[:20])


def _encoding_name(header: str) -> str:
    name = header.strip(" \t").lower()
    return "" if name in NO_ENCODING else {"x-gzip": "gzip"}.get(name, name)


def _opaque(tag: str | None) -> str | None:
    """Return a tag without its mark as a weak one, which hosts add when they compress."""
    return tag.removeprefix("W/") if tag else None


def _differ(now: object, before: object) -> bool:
    return now is not None and before is not None and now != before
