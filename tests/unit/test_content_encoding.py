"""Undoing a content encoding: one, whole, and within bounds."""

from __future__ import annotations

import gzip
import zlib

import pytest

from airflow_provider_segmind.api.content_encoding import ContentDecoder, UndecodableError

TEXT = b"some words " * 1000


def decoded(encoding: str, body: bytes, most: int = 10**6, step: int = 7) -> bytes:
    decoder = ContentDecoder(encoding)
    pieces = [decoder.decode(body[at : at + step], most) for at in range(0, len(body), step)]
    decoder.finish()
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("aws-chunked", TEXT),
        ("UTF-8", TEXT),
        ("none", TEXT),
        ("gzip", gzip.compress(TEXT)),
        (" GZip ", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),
    ],
    ids=[
        "none",
        "identity",
        "of an uploader",
        "a charset",
        "no name",
        "gzip",
        "spaces and capitals",
        "two members",
        "deflate",
        "raw deflate",
    ],
)
def test_one_encoding_is_undone(encoding: str, body: bytes) -> None:
    assert decoded(encoding, body) == TEXT
    assert decoded(encoding, body, step=len(body)) == TEXT
    assert decoded(encoding, body, step=1) == TEXT


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip;x", "x" * 10_000])
def test_another_one_is_not(encoding: str) -> None:
    with pytest.raises(UndecodableError, match="not supported"):
        ContentDecoder(encoding)


@pytest.mark.parametrize(
    "body",
    [gzip.compress(TEXT)[:-9], b"no gzip at all", gzip.compress(TEXT)[:40] + b"\0" * 40],
    ids=["cut short", "something else", "broken"],
)
def test_a_broken_one_is_no_content(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decoded("gzip", body)


def test_what_becomes_too_large_is_not_kept() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(UndecodableError, match="too large"):
        decoded("gzip", bomb, most=1000, step=len(bomb))
