"""Videos to where a pipeline wants them: whole or not at all, and never paid for again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.output import output_text
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    DownloadError,
    InvalidParameterError,
    OutputNotStoredError,
    OutputRefusedError,
    OutputTooLargeError,
)
from airflow_provider_segmind.hooks import downloads
from airflow_provider_segmind.hooks.connection import SegmindConnection, read_connection
from airflow_provider_segmind.hooks.downloads import fetch_file
from airflow_provider_segmind.media.storing import Fetch, OutputStore, StoredOutput
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

Run = Callable[..., dict[str, Any]]
REMEMBERS = Version(airflow_version) >= Version("3.3")
KEY = "SG_0123456789abcdef"


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
def test_a_video_is_stored_and_reported(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, deferrable: bool
) -> None:
    target = tmp_path / "new folder" / "clip.mp4"
    clip = run_dag("kling", output_path=str(target), deferrable=deferrable)["clip"]
    content = target.read_bytes()
    assert (clip.state, content[4:8]) == ("success", b"ftyp")
    assert clip.value.endswith(f"{clip.xcoms['request_id']}.mp4")
    assert clip.file["output_path"] == str(target)
    assert clip.file["bytes"] == len(content)
    assert clip.file["sha256"] == hashlib.sha256(content).hexdigest()
    assert clip.file["content_type"] == "video/mp4"
    assert [path.name for path in target.parent.iterdir()] == ["clip.mp4"]


def test_in_a_folder_it_is_called_by_its_request(emulator: RunningEmulator, run_dag: Run, tmp_path: Path) -> None:
    clip = run_dag("kling", output_path=f"file://{tmp_path}/")["clip"]
    assert [path.name for path in tmp_path.iterdir()] == [f"{clip.xcoms['request_id']}.mp4"]


@pytest.mark.parametrize(
    ("text", "suffix", "content_type"),
    [
        ("Once upon a time\n🦊\x1b", ".txt", "text/plain"),
        ('{"a": "https://example.com"}', ".json", "application/json"),
        ("<p>Once</p> upon a time, https://example.com", ".txt", "text/plain"),
        ("1\n00:00:01,000 --> 00:00:02,000\nhello", ".srt", "application/x-subrip"),
    ],
    ids=["text", "json", "markup", "subtitles"],
)
def test_a_text_is_stored_as_what_it_is(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, text: str, suffix: str, content_type: str
) -> None:
    emulator.faults({"on": "result", "json": {"status": "COMPLETED", "output": text}})
    task = run_dag("pictures", output_path=f"{tmp_path}/")["pictures"]
    assert (task.state, task.file["content_type"]) == ("success", content_type)
    assert [path.name for path in tmp_path.iterdir()] == [f"{task.xcoms['request_id']}{suffix}"]
    assert Path(task.file["output_path"]).read_text() == text


@pytest.mark.parametrize("output", ["https://example.com/a b.mp4", "data:image/png;base64,AAAA", "", " \n"])
def test_what_is_meant_as_an_address_is_not_stored_as_text(output: str) -> None:
    assert output_text(RequestReport("r", "COMPLETED", {"output": output})) is None


def test_a_video_is_stored_in_s3(emulator: RunningEmulator, run_dag: Run, bucket: Any) -> None:
    path = "s3://products/out/clip ü.mp4"
    clip = run_dag("kling", output_path=path, output_conn_id="storage")["clip"]
    stored = {each.key: each.get()["Body"].read() for each in bucket.objects.filter(Prefix="out/")}
    assert clip.state == "success"
    assert list(stored) == ["out/clip ü.mp4"], "nothing else is left there"
    assert clip.file["sha256"] == hashlib.sha256(stored["out/clip ü.mp4"]).hexdigest()


def test_a_download_that_breaks_off_goes_on_where_it_did(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path
) -> None:
    emulator.faults({"on": "media", "drop": "midway", "count": 2})
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    assert (clip.state, clip.try_number, emulator.requests()["endpoints"]["media"]) == ("success", 1, 3)
    assert clip.file["bytes"] == (tmp_path / "clip.mp4").stat().st_size


def test_a_download_that_fails_is_tried_again_and_not_paid_for_again(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults({"on": "media", "status": 503, "count": downloads.ATTEMPTS})
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    expected = ("success", 2) if REMEMBERS else ("failed", 1)
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == (*expected, 1)
    assert [path.name for path in tmp_path.iterdir()] == (["clip.mp4"] if REMEMBERS else [])


@pytest.mark.skipif(not REMEMBERS, reason="only Airflow 3.3 and later remember; the tests run there too")
def test_what_is_stored_of_several_files_is_not_fetched_by_the_next_attempt(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults({"on": "media", "status": 503, "skip": 1, "count": downloads.ATTEMPTS})
    pictures = run_dag("pictures", output_path=str(tmp_path / "fox.png"))["pictures"]
    assert (pictures.state, pictures.try_number) == ("success", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fox-1.png", "fox-2.png", "fox-3.png"]
    assert emulator.requests()["endpoints"]["media"] == 3 + downloads.ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"on": "media", "body": "html"}, "not media"),
        ({"on": "media", "status": 404}, "the media host returned HTTP 404"),
    ],
)
def test_what_is_no_video_is_reported_and_not_stored(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults(fault)
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    assert (clip.state, emulator.ledger()["submits"]) == ("failed", 1)
    log = said()
    assert words in log
    assert emulator.ledger()["charges"][0]["request_id"] in log
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_its_host_shows_a_moment_later_is_stored_by_the_same_attempt(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    emulator.faults({"on": "media", "status": 404, "count": 2})
    clip = run_dag("kling", output_path=str(tmp_path / "clip.mp4"))["clip"]
    assert (clip.state, clip.try_number, emulator.ledger()["submits"]) == ("success", 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("durable", [True, False], ids=["remembered", "forgotten"])
def test_a_storage_that_does_not_take_it_is_reported_with_the_request(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    tmp_path: Path,
    durable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with a file that gets in the way after the check before the submit."""
    monkeypatch.setattr(OutputStore, "check", lambda _: None)
    (tmp_path / "file").touch()
    clip = run_dag("kling", output_path=str(tmp_path / "file" / "clip.mp4"), durable=durable)["clip"]
    remembered = REMEMBERS and durable
    assert (clip.state, clip.try_number) == ("failed", 3 if remembered else 1)
    assert emulator.ledger()["submits"] == 1
    log = said()
    where = "Clearing the task would pay for a new one; the URL of this one is in the XCom `summary`"
    assert (where in log) is not remembered
    assert clip.file == {"url": f"{emulator.url}/outputs/{clip.xcoms['request_id']}.mp4"}
    request_id = emulator.ledger()["charges"][0]["request_id"]
    assert f"The output could not be stored: {tmp_path}/file/clip.mp4: " in log
    assert f"(request_id={request_id})" in log
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"output_path": "clip.mp4"}, "output_path"),
        ({"output_path": "https://example.com/clip.mp4"}, "output_path"),
        ({"output_path": "/clips/a.mp4", "wait_for_completion": False}, "output_path"),
        ({"output_path": "/clips/a.mp4", "max_output_bytes": 0}, "max_output_bytes"),
        ({"output_path": "/clips/a.mp4", "max_output_bytes": "much"}, "max_output_bytes"),
    ],
)
def test_a_wrong_literal_fails_when_the_dag_is_parsed(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        KlingImageToVideoOperator(
            task_id="clip", prompt="zoom", start_image_url="https://example.com/a.png", **arguments
        )


@dataclass
class Host:
    """A media host that answers as it is set up."""

    url: str
    asked: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"....ftypisom"


@contextmanager
def media_host() -> Iterator[Host]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(host.status)
            for name, value in {"Content-Type": "video/mp4", **host.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(host.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    host = Host(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    with media_host() as running:
        yield running


def connection(gateway: str | None = None, **extra: Any) -> SegmindConnection:
    return read_connection("c", password=KEY, host=gateway, extra=extra)


def content(url: str, by: SegmindConnection, most_bytes: int = 1000) -> bytes:
    return b"".join(fetch_file(url, Download(most_bytes, "req-1"), by, "req-1"))


def fetching_from(host: Host) -> Fetch:
    return lambda url, download, request_id: fetch_file(url, download, connection(host.url), request_id)


def test_the_key_does_not_go_to_a_media_host(host: Host) -> None:
    assert content(f"{host.url}/a.mp4", connection(host.url)) == host.body
    assert KEY not in str(host.asked)


@pytest.mark.parametrize(
    "location", ["http://10.0.0.8/a", "https://169.254.169.254/a", "http://example.com/a", "file:///a"]
)
def test_a_redirect_to_where_nothing_may_be_fetched_is_refused_before_anything_connects(
    host: Host, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    host.status, host.headers = 302, {"Location": location}
    connected: list[Any] = []
    real = downloads.HTTPConnection._new_conn
    monkeypatch.setattr(
        downloads.HTTPConnection, "_new_conn", lambda self: connected.append(self.host) or real(self)
    )
    with pytest.raises(OutputRefusedError, match="req-1"):
        content(f"{host.url}/a.mp4", connection(host.url))
    assert connected == ["127.0.0.1"]


def test_a_name_of_a_private_address_is_refused_before_anything_connects(host: Host) -> None:
    """The gateway is the public one here, so that this machine is as private as any other."""
    port = host.url.rpartition(":")[2]
    with pytest.raises(OutputRefusedError, match=r"127\.0\.0\.1|::1"):
        content(f"https://localhost:{port}/a.mp4", connection())
    with pytest.raises(DownloadError, match="SSLError"):
        content(f"https://localhost:{port}/a.mp4", connection(allow_private_media=True))


def test_redirects_are_followed_but_not_for_ever(host: Host) -> None:
    host.status, host.headers = 302, {"Location": "/again"}
    with pytest.raises(DownloadError, match="redirects"):
        content(f"{host.url}/a.mp4", connection(host.url))
    assert len(host.asked) == downloads.MOST_REDIRECTS + 1


def test_a_body_that_is_shorter_than_it_says_is_no_file(host: Host) -> None:
    host.headers = {"Content-Length": "500"}
    with pytest.raises(DownloadError, match="req-1"):
        content(f"{host.url}/a.mp4", connection(host.url))
    assert [each.get("range") for each in host.asked[:2]] == [None, f"bytes={len(host.body)}-"]


def test_a_body_that_is_longer_than_it_says_is_cut_there(host: Host) -> None:
    host.headers = {"Content-Length": "8"}
    assert content(f"{host.url}/a.mp4", connection(host.url)) == host.body[:8]


def test_a_body_without_a_length_may_not_be_larger_than_allowed_and_leaves_nothing(
    host: Host, tmp_path: Path
) -> None:
    host.body += b"x" * 5_000_000

    store = OutputStore(f"{tmp_path}/a.mp4", None, 3_000_000, fetching_from(host))
    with pytest.raises(OutputTooLargeError):
        list(store.store([f"{host.url}/a.mp4"], "req-1"))
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there_is_reported_with_the_request(bucket: Any, host: Host) -> None:
    store = OutputStore("s3://no-such-bucket/clip.mp4", "storage", 2**20, fetching_from(host))
    with pytest.raises(OutputNotStoredError, match=r"s3://no-such-bucket/clip.mp4: \w+Error: ") as caught:
        list(store.store([f"{host.url}/a.mp4"], "7d1c"))
    assert caught.value.request_id == "7d1c"


def test_several_files_get_numbers_and_are_not_fetched_again(host: Host, tmp_path: Path) -> None:
    urls = [f"{host.url}/{name}.png" for name in ("one", "two", "three")]
    store = OutputStore(f"{tmp_path}/pictures/a.png", None, 1000, fetching_from(host))
    stored = list(store.store(urls, "req-1"))
    names = ["a-1.png", "a-2.png", "a-3.png"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    assert [Path(each.path).name for each in stored] == names
    (tmp_path / "pictures" / "a-2.png").unlink()
    assert list(store.store(urls, "req-1", stored)) == stored
    assert len(host.asked) == 4


def test_what_is_stored_of_several_files_is_known_when_the_next_one_fails(host: Host, tmp_path: Path) -> None:
    stored: list[StoredOutput] = []
    urls = [f"{host.url}/one.png", "http://127.0.0.1:1/two.png", f"{host.url}/three.png"]
    store = OutputStore(f"{tmp_path}/", None, 1000, fetching_from(host))
    with pytest.raises(DownloadError):
        stored.extend(store.store(urls, "req-1"))
    assert [Path(each.path).name for each in stored] == ["req-1-1.mp4"]

    urls[1] = f"{host.url}/two.png"
    names = [Path(each.path).name for each in store.store(urls, "req-1", stored)]
    assert names == ["req-1-1.mp4", "req-1-2.mp4", "req-1-3.mp4"]
    assert len(host.asked) == 3, "the first is not fetched again"
