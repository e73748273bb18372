"""Clips to store in an object store, stores that get them, and what may go wrong in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.exceptions import DownloadError, OutputNotStoredError
from airflow_provider_segmind.media.publishing import MIB
from airflow_provider_segmind.media.storing import OutputStore, StoredOutput

REQUEST = "7d1c0f7e-0000-4000-8000-000000000001"
START = b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2mp41"
SMALL = START + bytes(3000)
LARGE = START + bytes(20 * MIB)
CONTENT = {"small": SMALL, "large": LARGE}

FAILURES_IN_THE_MIDDLE = pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (DownloadError("broken off", request_id=REQUEST), DownloadError),
        (OSError("a bug"), OutputNotStoredError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(1), SystemExit),
    ],
    ids=["download", "error", "interrupt", "exit"],
)


def store_at(uri: str, conn_id: str, content: bytes, failure: BaseException | None = None) -> OutputStore:
    """Return a store that gets content piece by piece, and a failure at its end."""

    def fetch(url: str, download: Download, request_id: str) -> Iterator[bytes]:
        download.content_type = "video/mp4"
        for start in range(0, len(content), MIB):
            yield content[start : start + MIB]
        if failure is not None:
            raise failure

    return OutputStore(uri, conn_id, 2 * 1024 * MIB, fetch)


def store(outputs: OutputStore, *before: StoredOutput) -> StoredOutput:
    """Store the one output of a request, and return where it is."""
    (output,) = outputs.store(["https://example.com/a"], REQUEST, before)
    return output
