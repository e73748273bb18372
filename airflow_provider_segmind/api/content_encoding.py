"""
Undoing the content encoding of an answer, within bounds.

The provider asks for ``identity`` and undoes at most one gzip or deflate that comes unasked. HTTP libraries undo
any number of encodings, and old ones without a bound: a few kilobytes of ``gzip, gzip`` become gigabytes.
"""

from __future__ import annotations

import zlib

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
NO_ENCODING = ("", "identity", "none", "binary", "utf-8", "aws-chunked")
"""
Names under which a body comes as it is. Storages repeat what an uploader said: ``aws-chunked`` is how Amazon's
libraries send a body, not how it is kept.
"""


class UndecodableError(ValueError):
    """The content encoding is unknown, repeated, broken, or its content larger than allowed."""


class ContentDecoder:
    """
    Undoes one content encoding, piece by piece.

    :param encoding: The header ``Content-Encoding``; empty for none.
    :raises UndecodableError: If it is another one than gzip and deflate, or several at once.
    """

    def __init__(self, encoding: str = "") -> None:
        name = encoding.strip().lower()
        if name not in (*NO_ENCODING, "gzip", "x-gzip", "deflate"):
            raise UndecodableError(f"the content encoding {name[:40]!r} is not supported")
        self.identity = name in NO_ENCODING
        self._may_be_raw = name == "deflate"
        self._held_back = b""
        self._inflater = None if self.identity else zlib.decompressobj(_GZIP_OR_ZLIB)

    def decode(self, piece: bytes, most: int) -> bytes:
        """
        Return what a piece of the body stands for.

        :param most: Bytes that it may become; one more is enough to know that it is too much.
        :raises UndecodableError: If it is broken, or becomes more than that.
        """
        if self._inflater is None:
            return piece
        if self._may_be_raw:
            piece, self._held_back = self._held_back + piece, b""
            if len(piece) < 2:  # it takes two bytes to see that there is no header of zlib
                self._held_back = piece
                return b""
        decoded = bytearray()
        while piece:
            try:
                decoded += self._inflater.decompress(piece, most + 1 - len(decoded))
            except zlib.error as error:
                if not self._may_be_raw:
                    raise UndecodableError(f"its content encoding is broken: {error}") from None
                self._inflater = zlib.decompressobj(_RAW)  # what some servers send as "deflate"
                self._may_be_raw = False
                continue
            self._may_be_raw = False
            if len(decoded) > most:
                raise UndecodableError("it is too large once its content encoding is undone")
            piece = self._inflater.unconsumed_tail
            if self._inflater.eof:
                piece = self._inflater.unused_data
                if piece:
                    self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)  # a gzip file may have several members
        return bytes(decoded)

    def finish(self) -> None:
        """
        Check that a body which has ended was all of it.

        :raises UndecodableError: If the encoded content is cut short.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise UndecodableError("its content encoding is cut short")
