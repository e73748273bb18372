"""The summary of a request in XCom: small, whatever Segmind and users write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.delivery import Memory, task_failure
from airflow_provider_segmind.exceptions import OutputTooLargeError
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.lineage.summary import SUMMARY_LIMIT, summary_of
from airflow_provider_segmind.media.storing import StoredOutput

METRICS = {"cost": 0.91, "queue_time": 2.5, "inference_time": 140.0, "total_time": 142.5}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=3000)


def delivered(body: dict[str, Any], *stored: StoredOutput, model: str | None = "m") -> Delivered:
    return Delivered(model, RequestReport("req-1", "COMPLETED", {"metrics": METRICS, **body}), None, stored)


def stored(path: str) -> StoredOutput:
    return StoredOutput(path, 1000, "ca" * 32, "image/png")


def test_a_summary_names_each_file_with_its_url() -> None:
    urls = ["https://x/1.png", "https://x/2.png"]
    assert summary_of(delivered({"output": urls}, stored("/a-1.png"), stored("/a-2.png"))) == {
        "request_id": "req-1",
        "model": "m",
        "remaining_credits": None,
        **METRICS,
        "file_count": 2,
        "files": [
            {
                "url": url,
                "output_path": f"/a-{number}.png",
                "bytes": 1000,
                "sha256": "ca" * 32,
                "content_type": "image/png",
            }
            for number, url in enumerate(urls, 1)
        ],
    }


def test_text_has_no_file_until_it_is_stored() -> None:
    summary = summary_of(delivered({"output": "Words. " * 10_000}))
    assert (summary["file_count"], summary["files"]) == (0, [])
    (file,) = summary_of(delivered({"output": "Words."}, stored("/a.txt")))["files"]
    assert "url" not in file


def test_a_hundred_files_are_counted_and_as_many_listed_as_there_is_room_for() -> None:
    summary = summary_of(delivered({"output": [f"https://x/{number}/{'y' * 500}" for number in range(100)]}))
    assert summary["file_count"] == 100
    assert 20 < len(summary["files"]) < 40
    assert len(json.dumps(summary)) <= SUMMARY_LIMIT


@pytest.mark.parametrize("letter", ["y", "ü", "🦊"])
def test_the_first_file_has_room_however_long_its_texts_are(letter: str) -> None:
    longest = stored("/" + letter * 8000)
    summary = summary_of(delivered({"output": "https://x/" + letter * 8000}, longest, model=letter * 8000))
    assert len(json.dumps(summary)) <= SUMMARY_LIMIT
    (file,) = summary["files"]
    assert file["output_path"].endswith("…")
    assert summary["model"].endswith("…")
    assert file["url"].endswith("…") is (letter != "y")


@given(TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=9))
def test_no_text_makes_it_larger(model: str, files: list[tuple[str, str]]) -> None:
    body = {"output": [f"https://x/{url}" for url, _ in files]}
    summary = summary_of(delivered(body, *(stored(path) for _, path in files), model=model))
    assert len(json.dumps(summary)) <= SUMMARY_LIMIT
    assert summary["files"] or not files


@pytest.mark.parametrize(
    ("memory", "summarized", "words"),
    [
        (Memory.CLEARS, True, "The cleared task continues with it and pays nothing more."),
        (
            Memory.OUTPUT,
            True,
            "nothing more, as long as output_path names the same folder, which has the task's record.",
        ),
        (Memory.RETRIES, True, "if you keep its state (keep_task_state); otherwise it would pay for a new one."),
        (Memory.NONE, True, "the URL of this one is in the XCom `summary`."),
        (Memory.NONE, False, "this one is in Segmind's history."),
    ],
)
def test_a_failure_says_where_the_output_is(memory: Memory, summarized: bool, words: str) -> None:
    failure = task_failure(OutputTooLargeError("too large"), memory=memory, summarized=summarized)
    assert f"{words} See https://" in str(failure)
