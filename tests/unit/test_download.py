"""Fetching an output: from where, what to ask for next, and when it is all there."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.media_url import MediaRules
from airflow_provider_segmind.exceptions import (
    DownloadError,
    OutputGoneError,
    OutputRefusedError,
    OutputTooLargeError,
    SegmindError,
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
    assert rules.check_url(url) == url


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
        rules.check_url(url, "req-1")
    assert "secret" not in str(caught.value)


def test_a_signature_in_an_address_is_not_shown() -> None:
    with pytest.raises(OutputRefusedError) as caught:
        PUBLIC.check_url("http://bucket.s3.amazonaws.com/a.mp4?X-Amz-Signature=cafe", "req-1")
    assert "cafe" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["http://images.segmind.com/b.mp4", "https://10.0.0.8/", "//169.254.169.254/x", ""]
)
def test_a_redirect_leads_nowhere_that_is_refused(location: str) -> None:
    if location:
        with pytest.raises(OutputRefusedError):
            PUBLIC.check_redirect("https://images.segmind.com/a.mp4", location)
    else:
        assert (
            PUBLIC.check_redirect("https://images.segmind.com/a.mp4", location)
            == "https://images.segmind.com/a.mp4"
        )


def begun(most_bytes: int = 100, status: int = 200, **headers: str) -> Download:
    download = Download(most_bytes, "req-1")
    download.begin(status, {"content-type": "video/mp4", **headers})
    return download


def test_a_whole_file_in_one_go() -> None:
    download = begun(**{"content-length": "6"})
    assert "Range" not in Download(100, "r").headers()
    assert download.take(b"abc") + download.take(b"def") == b"abcdef"
    download.end_body()
    assert (download.received, download.content_type) == (6, "video/mp4")


def test_what_broke_off_is_taken_up_where_it_did() -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"'})
    download.take(b"abc")
    with pytest.raises(DownloadError, match="3 of 6") as caught:
        download.end_body()
    assert caught.value.may_resume
    assert download.headers()["Range"] == "bytes=3-"
    assert download.headers()["If-Range"] == '"v1"'
    download.begin(206, {"content-range": "bytes 3-5/6", "etag": '"v1"', "content-type": "video/mp4"})
    assert download.take(b"def") == b"def"
    download.end_body()


def test_a_host_that_knows_no_ranges_sends_it_all_again() -> None:
    download = begun(**{"content-length": "6"})
    download.take(b"abc")
    download.begin(200, {"content-length": "6", "content-type": "video/mp4"})
    assert [download.take(piece) for piece in (b"ab", b"cd", b"ef")] == [b"", b"d", b"ef"]
    download.end_body()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"content-range": "bytes 4-5/6"}),
        (206, {"content-range": "bytes 0-2/6"}),
        (206, {"content-range": "bytes 3-5/9"}),
        (206, {"content-range": "bytes 3-5/5"}),
        (206, {"content-range": "bytes 5-3/6"}),
        (206, {"content-range": "bytes 3-5/6", "content-length": "2"}),
        (206, {"content-range": "bytes 3-5/6", "content-type": "multipart/byteranges; boundary=x"}),
        (206, {"content-range": "bytes \u0663-5/6"}),
        (206, {"content-range": "bytes 3-5/6", "content-encoding": "gzip"}),
        (206, {"content-range": "bytes 3-5/6", "etag": 'W/"v2"'}),
        (206, {}),
        (200, {"content-length": "6", "etag": '"v2"'}),
        (200, {"content-length": "9"}),
    ],
)
def test_another_file_in_the_middle_is_not_taken_for_the_rest(status: int, headers: dict[str, str]) -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"'})
    download.take(b"abc")
    with pytest.raises(DownloadError, match="req-1") as caught:
        download.begin(status, headers)
    assert not caught.value.may_resume


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_gone_says_so(status: int) -> None:
    for days in (9, 365):
        download = Download(100, "req-1", age=days * 86400)
        with pytest.raises(OutputGoneError, match="req-1") as caught:
            download.begin(status, {})
        assert caught.value.status == status


@pytest.mark.parametrize("days", [None, -300, -1, 0, 1, 6.5, 7.5])
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_may_still_be_there_is_not_said_to_be_gone(status: int, days: float | None) -> None:
    age = 0.0 if days is None else days * 86400
    with pytest.raises(DownloadError) as caught:
        Download(100, "req-1", age=age).begin(status, {})
    assert caught.value.may_resume
    assert (caught.value.status, caught.value.request_id) == (status, "req-1")
    assert f"HTTP {status}" in str(caught.value)
    assert "request_id=req-1" in str(caught.value)


@pytest.mark.parametrize("status", [204, 300, 304, 305, 306, 400, 401, 407, 416, 429, 451, 500, 503, 599])
def test_other_answers_may_pass(status: int) -> None:
    with pytest.raises(DownloadError) as caught:
        Download(100, "req-1", age=1.0e9).begin(status, {})
    assert caught.value.may_resume


PAGES = ["text/html; charset=utf-8", "TEXT/HTML", "application/xhtml+xml", "text/html, text/html"]


@pytest.mark.parametrize("content_type", PAGES)
@pytest.mark.parametrize("url", ["", "https://a.test/a.mp4", "https://a.test/?a.html", "https://a.test/html"])
def test_a_page_is_no_video(content_type: str, url: str) -> None:
    with pytest.raises(DownloadError, match="not media"):
        Download(100, "req-1").begin(200, {"content-type": content_type}, url=url)


@pytest.mark.parametrize("content_type", PAGES)
@pytest.mark.parametrize("url", ["https://a.test/a.html?b", "https://a.test/b/A.HTM", "https://a.test/a.xhtml#c"])
def test_a_page_is_an_output_if_its_url_says_so(content_type: str, url: str) -> None:
    assert Download(100, "req-1").begin(200, {"content-type": content_type}, url=url)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/vtt", "text/csv", "application/json", "image/svg+xml", "application/xml", "model/obj"],
)
def test_what_is_not_media_is_an_output_too(content_type: str) -> None:
    download = begun(**{"content-type": f"{content_type.upper()}; charset=utf-8", "content-length": "1"})
    assert download.content_type == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "video",
        "video/",
        "/mp4",
        "video/mp4/x",
        "vid eo/mp4",
        "video/mp4\x1b[31m",
        "v\xefdeo/mp4",
        "a/" + "b" * 200,
        "",
        ";",
        "<script>/x",
        "video/mp4\nx: y",
        "x" * 100_000 + "/y",
        "\u202evideo/mp4",
    ],
)
def test_a_content_type_that_is_none_is_not_kept(content_type: str) -> None:
    assert begun(**{"content-type": content_type}).content_type == ""


def test_a_file_that_is_too_large_is_not_begun() -> None:
    with pytest.raises(OutputTooLargeError, match="max_output_bytes is 100"):
        begun(**{"content-length": "101"})


def test_a_body_without_end_is_cut_off() -> None:
    download = begun()
    for _ in range(10):
        download.take(b"x" * 10)
    with pytest.raises(OutputTooLargeError):
        download.take(b"x" * 10)
    assert download.received <= 110


def test_nothing_is_no_file() -> None:
    with pytest.raises(DownloadError, match="empty"):
        begun().end_body()
    with pytest.raises(DownloadError, match="empty") as caught:
        begun(**{"content-length": "0"}).end_body()
    assert not caught.value.may_resume


@pytest.mark.parametrize("length", ["6, 6", "6,6, 06", " 6 ", "006"])
def test_equal_lengths_are_one(length: str) -> None:
    download = begun(**{"content-length": length})
    assert download.next_read(100) == 6
    assert download.take(b"abcdefg") == b"abcdef"
    assert (download.next_read(100), download.end_body()) == (0, True)


@pytest.mark.parametrize(
    "length",
    [
        "6, 7",
        "-6",
        "+6",
        "\u00b2",
        "\u0663",
        "6.0",
        "1_0",
        "0x6",
        "six",
        "",
        ",",
        "6,",
        "9" * 5000 + "x",
        "\x1b[2J",
    ],
)
def test_a_length_that_cannot_be_read_is_an_answer_that_may_pass(length: str) -> None:
    with pytest.raises(DownloadError, match="req-1") as caught:
        begun(**{"content-length": length})
    assert caught.value.may_resume
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("digits", [3, 19, 20, 25, 5000])
def test_a_huge_length_is_too_large(digits: int) -> None:
    with pytest.raises(OutputTooLargeError) as caught:
        begun(**{"content-length": "9" * digits})
    assert len(str(caught.value)) < 400


def test_chunks_count_and_not_the_length_beside_them() -> None:
    download = begun(**{"content-length": "2", "transfer-encoding": "Chunked"})
    assert download.take(b"abcdef") == b"abcdef"
    assert download.end_body()


@pytest.mark.parametrize(
    "coding", ["gzip", "gzip, chunked", "chunked, chunked", "chunked ", "identity", "x" * 9999]
)
def test_other_transfer_encodings_are_refused(coding: str) -> None:
    with pytest.raises(DownloadError, match="transfer encoding") as caught:
        begun(**{"transfer-encoding": coding})
    assert len(str(caught.value)) < 400


def test_a_range_that_begins_earlier_is_skipped_up_to_the_rest() -> None:
    download = begun(**{"content-length": "6"})
    download.take(b"abc")
    assert download.begin(206, {"content-range": "bytes 1-5/6"})
    assert [download.take(b"b"), download.take(b"cd"), download.take(b"ef")] == [b"", b"d", b"ef"]
    assert download.end_body()


def test_a_range_that_was_not_asked_for_is_taken_from_the_start() -> None:
    download = Download(100, "req-1")
    assert download.begin(206, {"content-range": "Bytes 0-2/6", "content-type": "video/mp4"})
    assert download.take(b"abc") == b"abc"
    assert not download.end_body()
    assert download.headers()["Range"] == "bytes=3-"


@pytest.mark.parametrize("total", ["*", "9"])
def test_a_file_in_parts_is_asked_for_until_its_end(total: str) -> None:
    download = begun(**{"transfer-encoding": "chunked"})
    download.take(b"abc")
    for start, part in ((3, b"def"), (6, b"ghi")):
        assert download.begin(206, {"content-range": f"bytes {start}-{start + 2}/{total}"})
        assert download.take(part) == part
        whole = download.end_body()
    assert whole is (total == "9")
    if not whole:
        assert not download.begin(416, {"content-range": "bytes */9"})
    assert download.received == 9


def test_a_chunked_answer_of_which_only_the_end_was_lost_is_complete() -> None:
    download = begun(**{"transfer-encoding": "chunked"})
    download.take(b"abcdef")
    assert not download.begin(416, {"content-range": "bytes */6"})
    assert download.received == 6


@pytest.mark.parametrize("content_range", ["bytes */7", "bytes */*", "", "nonsense", "bytes 0-5/6", "x" * 9999])
def test_no_rest_although_there_must_be_one_is_looked_at_from_the_start(content_range: str) -> None:
    download = begun(**{"transfer-encoding": "chunked"})
    download.take(b"abcdef")
    with pytest.raises(DownloadError, match="416") as caught:
        download.begin(416, {"content-range": content_range})
    assert caught.value.may_resume
    assert len(str(caught.value)) < 400
    assert "Range" not in download.headers()
    assert download.begin(200, {"transfer-encoding": "chunked"})
    assert download.take(b"abcdef") == b""
    assert download.end_body()
    assert download.received == 6


@pytest.mark.parametrize(("total", "shorter"), [("6", "bytes */3"), ("6", "bytes */2"), (None, "bytes */2")])
def test_a_file_that_has_become_shorter_has_changed(total: str | None, shorter: str) -> None:
    download = begun(**({"content-length": total} if total else {}))
    download.take(b"abc")
    with pytest.raises(DownloadError, match="changed during") as caught:
        download.begin(416, {"content-range": shorter})
    assert not caught.value.may_resume


def test_a_second_answer_that_ends_before_the_first_one_has_changed() -> None:
    download = begun(**{"transfer-encoding": "chunked"})
    download.take(b"abcdef")
    download.begin(200, {"transfer-encoding": "chunked"})
    download.take(b"abc")
    with pytest.raises(DownloadError, match="changed during"):
        download.end_body()


@pytest.mark.parametrize("framing", [{}, {"transfer-encoding": "chunked"}])
def test_a_whole_answer_that_is_shorter_than_the_file_is_not_the_next_part(framing: dict[str, str]) -> None:
    download = Download(100, "req-1")
    download.begin(206, {"content-range": "bytes 0-2/6"})
    download.take(b"abc")
    assert not download.end_body()
    download.begin(200, framing)
    download.take(b"abcd")
    with pytest.raises(DownloadError) as caught:
        download.end_body()
    assert caught.value.may_resume is not bool(framing)


@pytest.mark.parametrize("tag", ['W/"v1"', '"v1', "v1", '"v\r\n1"', '"' + "x" * 9999 + '"', '"v\xe91"', ""])
def test_a_tag_that_does_not_promise_equal_bytes_is_not_asked_with(tag: str) -> None:
    download = begun(**{"content-length": "6", "etag": tag})
    download.take(b"abc")
    assert "If-Range" not in download.headers()
    assert download.headers()["Range"] == "bytes=3-"


def test_a_tag_that_becomes_weak_is_the_same_one() -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"'})
    download.take(b"abc")
    assert download.begin(206, {"content-range": "bytes 3-5/6", "etag": 'W/"v1"'})


def test_a_host_that_has_sent_nothing_yet_may_change_its_mind() -> None:
    download = begun(**{"content-length": "6", "etag": '"v1"', "content-encoding": "gzip"})
    assert download.begin(200, {"content-length": "3", "etag": '"v2"', "content-type": "video/mp4"})
    assert download.take(b"abc") == b"abc"
    assert download.end_body()


CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw"])
@pytest.mark.parametrize("cuts", [(), (1,), (7, 30, 31), (150,)])
def test_an_encoding_that_was_not_asked_for_is_undone_across_breaks(encoding: str, cuts: tuple[int, ...]) -> None:
    encoded = {"deflate": zlib.compress(CONTENT), "raw": zlib.compress(CONTENT)[2:-4]}.get(
        encoding, gzip.compress(CONTENT)
    )
    name = "deflate" if encoding == "raw" else encoding
    download, received = Download(len(CONTENT), "req-1"), b""
    for start, end in zip((0, *cuts), (*cuts, len(encoded)), strict=True):
        rest = {"content-range": f"bytes {start}-{len(encoded) - 1}/{len(encoded)}", "content-encoding": name}
        first = {"content-length": str(len(encoded)), "content-encoding": name, "content-type": "video/mp4"}
        download.begin(206 if start else 200, rest if start else first)
        for place in range(start, end, 50):
            received += download.take(encoded[place : min(place + 50, end)])
        if end < len(encoded):
            with pytest.raises(DownloadError) as caught:
                download.end_body()
            assert caught.value.may_resume
            assert download.headers()["Range"] == f"bytes={end}-"
    assert download.end_body()
    assert (received, download.received) == (CONTENT, len(CONTENT))


def test_a_host_that_encodes_again_need_not_do_it_alike() -> None:
    first, second = gzip.compress(CONTENT, 9, mtime=1), gzip.compress(CONTENT, 1, mtime=2)
    download = Download(len(CONTENT), "req-1")
    headers = {"content-encoding": "gzip", "transfer-encoding": "chunked"}
    download.begin(200, headers)
    received = download.take(first[:200])
    assert 0 < len(received) < len(CONTENT)
    download.begin(200, headers)
    received += download.take(second[:100])
    download.begin(206, {**headers, "content-range": f"bytes 100-{len(second) - 1}/{len(second)}"})
    received += download.take(second[100:])
    assert download.end_body()
    assert received == CONTENT


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, identity", "x" * 9999, "\x1b[2J"]
)
def test_an_encoding_that_cannot_be_undone_is_an_error(encoding: str) -> None:
    with pytest.raises(DownloadError, match="content encoding") as caught:
        begun(**{"content-encoding": encoding})
    assert not caught.value.may_resume
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "encoded",
    [b"....ftypisom", gzip.compress(b"x")[:-1] + b"\x01", gzip.compress(b"x") + b"yyyyyy"],
    ids=["none", "wrong length", "more behind"],
)
def test_a_broken_encoding_is_an_error(encoded: bytes) -> None:
    download = begun(**{"content-encoding": "gzip", "content-length": str(len(encoded))})
    with pytest.raises(DownloadError, match="content encoding"):
        download.take(encoded)


def test_an_encoding_that_is_cut_short_is_an_error() -> None:
    encoded = gzip.compress(CONTENT)[:-3]
    download = Download(len(CONTENT), "req-1")
    download.begin(200, {"content-encoding": "gzip", "content-length": str(len(encoded))})
    download.take(encoded)
    with pytest.raises(DownloadError, match="cut short") as caught:
        download.end_body()
    assert not caught.value.may_resume


def test_what_becomes_too_large_when_it_is_decoded_is_cut_off() -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    download = Download(1_000_000, "req-1")
    download.begin(200, {"content-encoding": "gzip", "content-length": str(len(bomb))})
    pieces = [bomb[place : place + 100] for place in range(0, len(bomb), 100)]
    with pytest.raises(OutputTooLargeError, match="max_output_bytes is 1000000"):
        list(map(download.take, pieces))
    assert download.received < 1_300_000


def test_an_encoding_without_content_is_cut_off() -> None:
    empty = gzip.compress(b"")
    download = Download(1000, "req-1")
    download.begin(200, {"content-encoding": "gzip"})
    with pytest.raises(OutputTooLargeError):
        list(map(download.take, [empty] * 200))


def test_what_cannot_be_compressed_may_be_larger_on_the_way() -> None:
    content = hashlib.shake_128(b"").digest(100_000)
    encoded = gzip.compress(content)
    assert len(encoded) > len(content)
    download = Download(len(content), "req-1")
    download.begin(200, {"content-encoding": "gzip", "content-length": str(len(encoded))})
    assert download.take(encoded) == content
    assert download.end_body()


WORDS = [
    "bytes 0-3/9",
    "bytes 2-8/9",
    "bytes 4-8/*",
    "bytes */9",
    "bytes */4",
    "9",
    "4",
    "gzip",
    '"a"',
    "\xb2",
    "",
]
NAMES = ["content-range", "content-length", "content-encoding", "transfer-encoding", "etag", "content-type"]
ANSWERS = st.tuples(
    st.sampled_from([200, 206, 206, 416, 404]),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS), max_size=3),
    st.lists(st.binary(max_size=9), max_size=3),
)


@given(st.lists(ANSWERS, max_size=5))
def test_no_answer_makes_anything_but_an_error_of_ours(
    answers: list[tuple[int, dict[str, str], list[bytes]]],
) -> None:
    download, handed_out = Download(20, "req-1"), 0
    for status, headers, pieces in answers:
        assert all(value.isascii() and value.isprintable() for value in download.headers().values())
        with suppress(SegmindError):
            if download.begin(status, headers):
                for piece in pieces:
                    assert download.next_read(5) in range(6)
                    handed_out += len(download.take(piece))
                download.end_body()
    assert download.received >= handed_out


def test_errors_carry_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Any] = [
        Download(1, "req-1").broken_error("x"),
        Download(1, "req-1").broken_error("x", final=True),
    ]
    assert all("request_id=req-1" in str(error) for error in errors)
