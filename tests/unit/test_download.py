"""Fetching an output: from where, what to ask for next, and when it is all there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.media_url import MediaRules
from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputGoneError,
    OutputRefusedError,
    OutputTooLargeError,
)

PUBLIC = MediaRules()
EMULATED = MediaRules(loopback=True)
PRIVATE = MediaRules(private=True)


@pytest.mark.parametrize(
    ("rules", "url"),
    [
        (PUBLIC, "https://images.segmind.com/a.mp4"),
        (PUBLIC, "https://8.8.8.8/a.mp4"),
        (PUBLIC, "https://[2001:4860:4860::8888]/a.mp4"),
        (EMULATED, "http://127.0.0.1:8088/a.mp4"),
        (EMULATED, "http://localhost:8088/a.mp4"),
        (EMULATED, "http://[::1]:8088/a.mp4"),
        (PRIVATE, "https://10.0.0.8/a.mp4"),
    ],
)
def test_what_may_be_fetched(rules: MediaRules, url: str) -> None:
    assert rules.checked(url) == url


@pytest.mark.parametrize(
    ("rules", "url"),
    [
        (PUBLIC, "http://images.segmind.com/a.mp4"),
        (PUBLIC, "http://127.0.0.1/a.mp4"),
        (PUBLIC, "https://127.0.0.1/a.mp4"),
        (PUBLIC, "https://10.0.0.8/a.mp4"),
        (PUBLIC, "https://169.254.169.254/latest/meta-data"),
        (PUBLIC, "https://[fe80::1%25eth0]/a.mp4"),
        (PUBLIC, "https://[::ffff:10.0.0.8]/a.mp4"),
        (PUBLIC, "https://[::1]/a.mp4"),
        (PUBLIC, "https://224.0.0.1/a.mp4"),
        (PUBLIC, "https://0.0.0.0/a.mp4"),
        (PUBLIC, "https://user:secret@images.segmind.com/a.mp4"),
        (PUBLIC, "file:///etc/passwd"),
        (PUBLIC, "ftp://images.segmind.com/a.mp4"),
        (PUBLIC, "https:///a.mp4"),
        (PUBLIC, "https://images.segmind.com:0/a.mp4"),
        (PUBLIC, "https://images.segmind.com:99999/a.mp4"),
        (PUBLIC, "nonsense"),
        (EMULATED, "http://images.segmind.com/a.mp4"),
        (EMULATED, "https://10.0.0.8/a.mp4"),
        (PRIVATE, "http://10.0.0.8/a.mp4"),
    ],
)
def test_what_is_refused_says_so_with_the_request(rules: MediaRules, url: str) -> None:
    with pytest.raises(OutputRefusedError, match="req-1") as caught:
        rules.checked(url, "req-1")
    assert "secret" not in str(caught.value)


def test_a_signature_in_an_address_is_not_shown() -> None:
    with pytest.raises(OutputRefusedError) as caught:
        PUBLIC.checked("http://bucket.s3.amazonaws.com/a.mp4?X-Amz-Signature=cafe", "req-1")
    assert "cafe" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["http://images.segmind.com/b.mp4", "https://10.0.0.8/", "//169.254.169.254/x", ""]
)
def test_a_redirect_leads_nowhere_that_is_refused(location: str) -> None:
    if location:
        with pytest.raises(OutputRefusedError):
            PUBLIC.redirected("https://images.segmind.com/a.mp4", location)
    else:
        assert (
            PUBLIC.redirected("https://images.segmind.com/a.mp4", location) == "https://images.segmind.com/a.mp4"
        )


def begun(most_bytes: int = 100, status: int = 200, **headers: str) -> Download:
    download = Download(most_bytes, "req-1")
    download.begin(status, {"content-type": "video/mp4", **headers})
    return download


def test_a_whole_file_in_one_go() -> None:
    download = begun(**{"content-length": "6"})
    assert "Range" not in Download(100, "r").headers()
    assert download.taken(b"abc") + download.taken(b"def") == b"abcdef"
    download.ended()
    assert (download.received, download.content_type) == (6, "video/mp4")


def test_what_broke_off_is_taken_up_where_it_did() -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"'})
    download.taken(b"abc")
    with pytest.raises(DownloadError, match="3 of 6") as caught:
        download.ended()
    assert caught.value.may_resume
    assert download.headers()["Range"] == "bytes=3-"
    assert download.headers()["If-Range"] == '"v1"'
    download.begin(206, {"content-range": "bytes 3-5/6", "etag": '"v1"', "content-type": "video/mp4"})
    assert download.taken(b"def") == b"def"
    download.ended()


def test_a_host_that_knows_no_ranges_sends_it_all_again() -> None:
    download = begun(**{"content-length": "6"})
    download.taken(b"abc")
    download.begin(200, {"content-length": "6", "content-type": "video/mp4"})
    assert [download.taken(piece) for piece in (b"ab", b"cd", b"ef")] == [b"", b"d", b"ef"]
    download.ended()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"content-range": "bytes 0-5/6"}),
        (206, {"content-range": "bytes 3-5/9"}),
        (206, {}),
        (200, {"content-length": "6", "etag": '"v2"'}),
        (200, {"content-length": "9"}),
    ],
)
def test_another_file_in_the_middle_is_not_taken_for_the_rest(status: int, headers: dict[str, str]) -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"'})
    download.taken(b"abc")
    with pytest.raises(DownloadError) as caught:
        download.begin(status, headers)
    assert not caught.value.may_resume


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_gone_says_so(status: int) -> None:
    with pytest.raises(OutputGoneError, match=r"seven days|req-1"):
        begun(status=status)


@pytest.mark.parametrize("status", [204, 416, 429, 500, 503])
def test_other_answers_may_pass(status: int) -> None:
    with pytest.raises(DownloadError) as caught:
        begun(status=status)
    assert caught.value.may_resume


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", "TEXT/plain"])
def test_a_page_is_no_video(content_type: str) -> None:
    with pytest.raises(DownloadError, match="not media"):
        begun(**{"content-type": content_type})


def test_a_file_that_is_too_large_is_not_begun() -> None:
    with pytest.raises(OutputTooLargeError, match="max_output_bytes is 100"):
        begun(**{"content-length": "101"})


def test_a_body_without_end_is_cut_off() -> None:
    download = begun()
    for _ in range(10):
        download.taken(b"x" * 10)
    with pytest.raises(OutputTooLargeError):
        download.taken(b"x" * 10)
    assert download.received <= 110


def test_nothing_is_no_file() -> None:
    with pytest.raises(DownloadError, match="empty"):
        begun().ended()


def test_errors_carry_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Any] = [Download(1, "req-1").broken("x"), Download(1, "req-1").broken("x", final=True)]
    assert all("request_id=req-1" in str(error) for error in errors)
