"""Outputs where they belong: under exactly their name, as what they are, and known before anything is paid."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.api.file_names import name_after
from airflow_provider_segmind.exceptions import (
    DownloadError,
    InvalidParameterError,
    OutputNotStoredError,
    OutputTooLargeError,
    UnreadableInputError,
    UnwritableOutputError,
)
from airflow_provider_segmind.hooks.connection import read_connection
from airflow_provider_segmind.hooks.downloads import fetch_file
from airflow_provider_segmind.media import storages
from airflow_provider_segmind.media.content_type import HEAD
from airflow_provider_segmind.media.reading import read_image
from airflow_provider_segmind.media.storing import Fetch, OutputStore, StoredOutput
from harness.storage import DOWN, S3
from tests.raw_server import RawServer, answer_of, raw_server, trickle

MP4 = b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2mp41" + bytes(2000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
REQUEST = "7d1c0f7e-0000-4000-8000-000000000001"
LIMIT = 2**20

NAMES = [
    "clip[1].mp4",
    "what?.mp4",
    "a?b=c&d.mp4",
    "*.mp4",
    "**",
    "{a}.mp4",
    "#1.mp4",
    "a%20b.mp4",
    "%2e%2e%2fa.mp4",
    "a+b;c&d=e,f.mp4",
    "with some spaces .mp4",
    ".hidden.mp4",
    "dot at end.",
    "space at end ",
    unicodedata.normalize("NFC", "ü.mp4"),
    unicodedata.normalize("NFD", "ü.mp4"),
    "日本語🎬.mp4",
    "a|b.mp4",
    "\"quotes\" and 'more'.mp4",
    "back\\slash.mp4",
    "{{ ds }}.mp4",
    "a::b.mp4",
    "user@host.mp4",
    "~",
    "...",
    "-rf",
    "x" * 251 + ".mp4",
    "ü" * 127,
]


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., RawServer]]:
    running = []

    def serving(body: bytes, content_type: str = "video/mp4") -> RawServer:
        server = raw_server(answer_of(body, f"Content-Type: {content_type}"))
        running.append(server)
        return server.__enter__()

    yield serving
    for server in running:
        server.__exit__(None, None, None)


def fetching(server: RawServer) -> Fetch:
    connection = read_connection("c", password="SG_0123456789abcdef", host=server.url, extra={})
    return lambda url, download, request_id: fetch_file(url, download, connection, request_id)


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def no_fetch(url: str, download: Download, request_id: str) -> Iterator[bytes]:
    raise AssertionError("nothing is fetched here")


def check(path: object, conn_id: str | None = None, **more: Any) -> None:
    OutputStore(path, conn_id, LIMIT, no_fetch, **more).check()


def stored(
    server: RawServer, path: object, conn_id: str | None = None, url: str = "/a.mp4", **more: Any
) -> StoredOutput:
    store = OutputStore(path, conn_id, LIMIT, fetching(server), **more)
    store.check()
    (output,) = store.store([f"{server.url}{url}"], REQUEST)
    return output


@pytest.mark.parametrize("name", NAMES)
def test_a_file_on_a_disk_has_exactly_its_name(serve: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "bystander 1.mp4").write_bytes(b"stays")
    output = stored(serve(MP4), f"{tmp_path}/{name}")
    assert names_in(tmp_path) == sorted([name, "bystander 1.mp4"])
    assert (tmp_path / name).read_bytes() == MP4
    assert output == StoredOutput(f"{tmp_path}/{name}", len(MP4), hashlib.sha256(MP4).hexdigest(), "video/mp4")


@pytest.mark.parametrize("name", [*NAMES, "x" * 1010 + ".mp4", "deep/" * 202 + "a.mp4", "//two//slashes"])
def test_an_object_has_exactly_its_name(serve: Any, storage: S3, name: str) -> None:
    for each in storage.bucket.objects.filter(Prefix="exactly/"):
        each.delete()
    storage.bucket.put_object(Key="exactly/bystander 1.mp4", Body=b"stays")
    output = stored(serve(MP4), f"s3://products/exactly/{name}", "storage")
    assert storage.contents("exactly/") == {name: MP4, "bystander 1.mp4": b"stays"}
    assert output.path == f"s3://products/exactly/{name}"


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_any_name_is_read(storage: S3, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PNG)
    storage.bucket.put_object(Key=f"any/{name}", Body=PNG)
    assert read_image("image", f"{tmp_path}/{name}", None).content == PNG
    assert read_image("image", f"s3://products/any/{name}", "storage").content == PNG


def test_the_longest_key_of_all_is_stored(serve: Any, storage: S3) -> None:
    key = "f" * 1022 + "/a"
    stored(serve(MP4), f"s3://products/{key}", "storage")
    assert storage.contents("f" * 1022) == {"/a": MP4}
    storage.bucket.Object(key).delete()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/data/a\0.mp4", "characters"),
        ("/data/a\n.mp4", "control characters"),
        ("/data/" + "x" * 256, "255 bytes"),
        ("/data/" + "ü" * 128, "255 bytes"),
        ("/data/" + "x" * 256 + "/a.mp4", "255 bytes"),
        ("s3://products/" + "x" * 1025, "1024 bytes"),
        ("s3://products/" + "ü" * 513, "1024 bytes"),
        ("s3://products/a.mp4?versionId=3", "version"),
        ("s3://products", "end it with a slash"),
        ("s3:///a.mp4", "no bucket"),
        ("s3://products/\ud800.mp4", "characters"),
    ],
)
def test_a_name_that_a_storage_cannot_hold_is_refused_before_anything_is_paid(path: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words) as caught:
        check(path, "storage")
    assert caught.value.name == "output_path"


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_what_is_checked_before_the_submit_leaves_nothing(storage: S3, tmp_path: Path, where: str) -> None:
    if where == "disk":
        check(f"{tmp_path}/not/there/yet/clip.mp4")
        check(f"{tmp_path}/not/there/yet/")
        assert list(tmp_path.iterdir()) == []
    else:
        check("s3://products/checked/clip.mp4", "storage")
        check("s3://products/checked/", "storage")
        assert storage.contents("checked/") == {}


def test_a_folder_without_a_slash_is_refused(storage: S3, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    storage.bucket.put_object(Key="afolder/a.mp4", Body=b"a")
    for path, conn_id in (
        (f"{tmp_path}/clips", None),
        (f"{tmp_path}/link", None),
        (tmp_path / "clips", None),
        ("s3://products/afolder", "storage"),
    ):
        with pytest.raises(InvalidParameterError, match=r"output_path: .*is a folder: end it with a slash"):
            check(path, conn_id)


@pytest.mark.parametrize(
    ("path", "conn_id", "name", "words"),
    [
        ("s3://no-such-bucket/a.mp4", "storage", "output_path", "no bucket"),
        ("s3://No_Such_Bucket!/a.mp4", "storage", "output_path", "cannot be written to"),
        (
            "s3://products/a.mp4",
            "no_such_connection",
            "output_conn_id",
            "no Airflow connection 'no_such_connection'",
        ),
        ("s3://products/a.mp4", "web", "output_conn_id", "type 'http'"),
        ("s3://products/a.mp4", None, "output_conn_id", "no credentials"),
        ("nosuch://products/a.mp4", None, "output_path", "Install Airflow's provider for nosuch"),
        ("abfs://products/a.mp4", None, "output_path", "Install Airflow's provider for abfs"),
    ],
)
def test_what_no_retry_can_help_is_known_before_the_submit(
    storage: S3,
    airflow_db: None,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    conn_id: str | None,
    name: str,
    words: str,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "example.com"}))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InvalidParameterError, match=words) as caught:
        check(path, conn_id)
    assert caught.value.name == name
    assert not caught.value.can_retry


@pytest.mark.parametrize("name", ["file/clip.mp4", "file/deeper/clip.mp4", "file/"])
def test_a_file_where_a_folder_is_needed_is_known_before_the_submit(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"a file")
    with pytest.raises(InvalidParameterError, match=r"output_path: .*cannot be written to: NotADirectoryError"):
        check(f"{tmp_path}/{name}")
    assert (tmp_path / "file").read_bytes() == b"a file"


def test_a_storage_that_is_down_may_be_tried_again(storage: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", json.dumps(DOWN))
    began = time.monotonic()
    with pytest.raises(UnwritableOutputError, match=r"output_path: s3://products/a\.mp4: ") as caught:
        check("s3://products/a.mp4", "down")
    assert caught.value.can_retry
    assert time.monotonic() - began < 60


def test_a_storage_that_does_not_answer_is_not_waited_for_long(
    storage: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "CALL_TIMEOUT", 0.5)
    with raw_server(trickle(b"", b"")) as server:
        extra = {"endpoint_url": server.url, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SILENT", json.dumps(connection))
        with pytest.raises(UnwritableOutputError, match="no answer in time"):
            check("s3://products/a.mp4", "silent")
        with pytest.raises(UnreadableInputError, match="no answer in time"):
            read_image("image", "s3://products/a.png", "silent")


def test_without_a_login_s3_is_asked_for_images_only(storage: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public bucket, in a storage for which the connection has no endpoint, such as Amazon S3."""
    storage.bucket.put_object(Key="public/a.png", Body=PNG, ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.connection["extra"]["endpoint_url"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AIRFLOW_CONN_PUBLIC", json.dumps({"conn_type": "aws"}))
    assert read_image("image", "s3://products/public/a.png", "public").content == PNG
    with pytest.raises(InvalidParameterError, match=r"does not exist\. .* without credentials; input_conn_id"):
        read_image("image", "s3://products/public/missing.png", "public")
    with pytest.raises(InvalidParameterError, match=r"output_conn_id: there are no credentials"):
        check("s3://products/public/a.mp4", "public")


@contextmanager
def refusing_storage() -> Iterator[str]:
    """An S3 server that allows nothing."""

    class Refusal(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # for 100-continue

        def do_HEAD(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_DELETE = do_HEAD  # noqa: N815 - as the library calls them

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_rejected_key_is_reported_with_the_connection(storage: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_storage() as url:
        extra = {"endpoint_url": url, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_REJECTED", json.dumps(connection))
        with pytest.raises(InvalidParameterError, match="may not be written to") as caught:
            check("s3://products/a.mp4", "rejected")
    assert caught.value.name == "output_conn_id"


@pytest.mark.parametrize(
    ("body", "content_type", "url", "words"),
    [
        (b"<!DOCTYPE html><title>404</title>", "video/mp4", "/a.mp4", "a web page"),
        (b"\xef\xbb\xbf\n <!-- x --><HTML>", "application/octet-stream", "/a", "a web page"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "video/mp4", "/a.mp4", "a program"),
        (b"MZ\x90\x00" + bytes(100), "application/octet-stream", "/a.exe", "a program"),
        (b"#!/bin/sh\nrm -rf /", "video/mp4", "/a.mp4", "a script"),
        (b"<?php echo 1;", "application/octet-stream", "/a.php", "a script"),
        (b'{"error": "expired"}', "video/mp4", "/a", "JSON, not video/mp4"),
        (b"<?xml version='1.0'?><Error/>", "application/octet-stream", "/a.mp4", "XML, not video/mp4"),
        (b"Not found", "image/png", "/a", "text, not image/png"),
        (b"Not found", "audio/mpeg", "/a", "text, not audio/mpeg"),
        (b"", "video/mp4", "/a.mp4", "empty"),
    ],
)
@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_is_no_output_is_not_stored(
    serve: Any, tmp_path: Path, where: str, body: bytes, content_type: str, url: str, words: str
) -> None:
    path = f"{tmp_path}/out/" + ("clip.mp4" if where == "file" else "")
    with pytest.raises(DownloadError, match=words) as caught:
        stored(serve(body, content_type), path, url=url)
    assert caught.value.request_id == REQUEST
    assert not caught.value.may_resume
    assert not (tmp_path / "out").exists()


def test_what_is_no_output_is_not_stored_in_s3(serve: Any, storage: S3) -> None:
    with pytest.raises(DownloadError, match="a web page"):
        stored(serve(b"<html>"), "s3://products/page/a.mp4", "storage")
    assert storage.contents("page/") == {}


@pytest.mark.parametrize(
    ("body", "content_type", "url", "name", "media_type"),
    [
        (MP4, "application/octet-stream", "/a.php", ".mp4", "video/mp4"),
        (MP4, "image/png", "/a.exe", ".mp4", "video/mp4"),
        (MP4, "video/mp4", "/a." + "x" * 300, ".mp4", "video/mp4"),
        (MP4, "video/mp4", "/..%2f..%2fa/../b.mp4", ".mp4", "video/mp4"),
        (PNG, "video/mp4", "/a.mp4", ".png", "image/png"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "", "/a", ".webm", "video/webm"),
        (b"glTF\x02\x00\x00\x00" + bytes(50), "application/octet-stream", "/a", ".glb", "model/gltf-binary"),
        (b"PK\x03\x04" + bytes(50), "application/zip", "/a", ".zip", "application/zip"),
        (b"\x01\x02\x03\x04", "application/octet-stream", "/a.xyz", ".bin", "application/octet-stream"),
        (b"v 1 2 3\n", "application/octet-stream", "/mesh.obj", ".obj", "model/obj"),
        (
            b"1\n00:00:00,000 --> 00:00:01,000\nhi\n",
            "application/octet-stream",
            "/a",
            ".srt",
            "application/x-subrip",
        ),
    ],
)
def test_in_a_folder_the_suffix_is_that_of_the_content(
    serve: Any, tmp_path: Path, body: bytes, content_type: str, url: str, name: str, media_type: str
) -> None:
    output = stored(serve(body, content_type), f"{tmp_path}/", url=url)
    assert names_in(tmp_path) == [f"{REQUEST}{name}"]
    assert output.content_type == media_type


def test_a_name_that_the_user_gave_stays_whatever_the_content_is(serve: Any, tmp_path: Path) -> None:
    output = stored(serve(MP4, "image/png"), f"{tmp_path}/clip.PNG")
    assert (names_in(tmp_path), output.content_type) == (["clip.PNG"], "video/mp4")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("s3://products/images/mug.jpg", "mug.jpg.mp4"),
        ("https://example.com/a%20b.png?signature=secret", "a b.png.mp4"),
        ("/data/{{ ds }} [1]?.png", "{{ ds }} [1]?.png.mp4"),
    ],
)
def test_a_file_in_a_folder_may_be_called_after_its_image(
    serve: Any, tmp_path: Path, image: str, name: str
) -> None:
    stored(serve(MP4), f"{tmp_path}/", name=name_after(image))
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["../../a", "a/b", "..", "", "a\0b"])
def test_a_name_cannot_leave_its_folder(serve: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    stored(serve(MP4), f"{tmp_path}/out/", name=name)
    assert names_in(tmp_path) == ["out"]
    assert len(names_in(tmp_path / "out")) == 1


def test_a_name_that_is_too_long_is_refused_before_the_submit_and_not_cut(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="name_output_after: the name is too long"):
        OutputStore(f"{tmp_path}/", None, LIMIT, lambda *_: iter(()), name="x" * 252).check()
    OutputStore(f"{tmp_path}/", None, LIMIT, lambda *_: iter(()), name="x" * 251).check()


def test_several_files_in_a_folder_get_numbers(serve: Any, tmp_path: Path) -> None:
    server = serve(PNG, "image/png")
    store = OutputStore(f"{tmp_path}/", None, LIMIT, fetching(server), name="mug.jpg")
    outputs = list(store.store([f"{server.url}/a"] * 3, REQUEST))
    names = ["mug.jpg-1.png", "mug.jpg-2.png", "mug.jpg-3.png"]
    assert [Path(each.path).name for each in outputs] == names_in(tmp_path) == names
    assert list(store.store([f"{server.url}/a"] * 3, REQUEST, outputs)) == outputs
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", ["x" * 251 + ".png", ".env", "noend", "ü" * 127, "a.b.c"])
def test_numbers_fit_into_any_name(serve: Any, tmp_path: Path, name: str) -> None:
    server = serve(PNG, "image/png")
    list(OutputStore(f"{tmp_path}/{name}", None, LIMIT, fetching(server)).store([f"{server.url}/a"] * 12, REQUEST))
    found = names_in(tmp_path)
    assert len({each.lower() for each in found}) == 12
    assert all(each.startswith(name[:1]) and each.endswith((".png", ".c")) for each in found)


def test_the_limit_is_that_of_all_files_together(serve: Any, tmp_path: Path) -> None:
    server = serve(PNG, "image/png")
    store = OutputStore(f"{tmp_path}/", None, 2 * len(PNG) + 1, fetching(server))
    stored: list[str] = []
    with pytest.raises(
        OutputTooLargeError, match=rf"together .*\({2 * len(PNG) + 1}\): .* have {2 * len(PNG)}"
    ) as caught:
        stored.extend(each.path[-6:] for each in store.store([f"{server.url}/a"] * 3, REQUEST))
    assert caught.value.request_id == REQUEST
    assert stored == ["-1.png", "-2.png"]
    assert len(names_in(tmp_path)) == 2


def test_what_went_wrong_after_the_submit_names_the_request(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(MP4)
    store = OutputStore(f"{tmp_path}/a.mp4", None, LIMIT, fetching(server))
    monkeypatch.setenv("AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS", "/nowhere")
    with pytest.raises(OutputNotStoredError, match="allowed_local_paths") as caught:
        list(store.store([f"{server.url}/a.mp4"], REQUEST))
    assert caught.value.request_id == REQUEST


@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_symbolic_link_at_the_final_path_is_replaced_and_not_followed(
    serve: Any, tmp_path: Path, target: str
) -> None:
    (tmp_path / "file").write_bytes(b"stays")
    (tmp_path / "clip.mp4").symlink_to(tmp_path / target)
    stored(serve(MP4), f"{tmp_path}/clip.mp4")
    assert not (tmp_path / "clip.mp4").is_symlink()
    assert (tmp_path / "clip.mp4").read_bytes() == MP4
    assert (tmp_path / "file").read_bytes() == b"stays"
    assert names_in(tmp_path) == ["clip.mp4", "file"]


def test_a_link_at_the_temporary_path_is_not_followed(serve: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"stays")
    out = tmp_path / "out"
    out.mkdir()
    (partial,) = _partial_names(serve, out)
    for obstacle in (lambda: (out / partial).symlink_to(victim), lambda: os.link(victim, out / partial)):
        obstacle()
        stored(serve(MP4), f"{out}/clip.mp4")
        assert victim.read_bytes() == b"stays"
        assert names_in(out) == ["clip.mp4"]
        (out / "clip.mp4").unlink()


def test_what_a_killed_attempt_has_left_is_replaced(serve: Any, tmp_path: Path) -> None:
    (partial,) = _partial_names(serve, tmp_path)
    assert partial.startswith(".")
    assert partial.endswith(".part")
    (tmp_path / partial).write_bytes(b"half a video")
    stored(serve(MP4), f"{tmp_path}/clip.mp4")
    assert names_in(tmp_path) == ["clip.mp4"]


def _partial_names(serve: Any, folder: Path) -> list[str]:
    """Return the names in a folder while a file is written there."""
    server, seen = serve(MP4), []

    def fetch(url: str, download: Download, request_id: str) -> Iterator[bytes]:
        yield from fetching(server)(url, download, request_id)
        yield bytes(HEAD)
        seen.extend(names_in(folder))

    list(OutputStore(f"{folder}/clip.mp4", None, LIMIT, fetch).store([f"{server.url}/a.mp4"], REQUEST))
    (folder / "clip.mp4").unlink()
    return seen


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_two_attempts_at_the_same_time_do_not_spoil_each_other(
    serve: Any, storage: S3, tmp_path: Path, where: str
) -> None:
    """One stops in the middle; the other runs from start to end; then the first one goes on."""
    path, conn_id = (
        (f"{tmp_path}/clip.mp4", None) if where == "disk" else ("s3://products/two/clip.mp4", "storage")
    )
    half, on, long = threading.Event(), threading.Event(), MP4 + bytes(HEAD)

    def slow(url: str, download: Download, request_id: str) -> Iterator[bytes]:
        yield long[:HEAD]
        yield long[HEAD:-1]
        half.set()
        assert on.wait(60)
        yield long[-1:]

    outcome: list[Any] = []

    def first() -> None:
        try:
            outcome.extend(OutputStore(path, conn_id, LIMIT, slow).store(["http://x/a.mp4"], REQUEST))
        except OutputNotStoredError as error:
            outcome.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert half.wait(60)
    second = stored(serve(long), path, conn_id)
    assert _content(storage, tmp_path, where) == {"clip.mp4": long}
    on.set()
    thread.join(60)
    assert outcome == [second]
    assert _content(storage, tmp_path, where) == {"clip.mp4": long}


def _content(storage: S3, folder: Path, where: str) -> dict[str, bytes]:
    if where == "s3":
        return storage.contents("two/")
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.startswith(".")}


def test_permissions_follow_the_umask(serve: Any, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        stored(serve(MP4), f"{tmp_path}/new/clip.mp4")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "clip.mp4").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o750


def test_a_path_that_names_its_own_connection(serve: Any, storage: S3) -> None:
    path = ObjectStoragePath("s3://products/own/clip [1].mp4", protocol="s3", conn_id="storage")
    output = stored(serve(MP4), path)
    assert output.path == "s3://products/own/clip [1].mp4"
    assert storage.contents("own/") == {"clip [1].mp4": MP4}
    assert stored(serve(MP4), str(path), "storage").path == output.path, "as str() of it, with the same connection"
    for location, conn_id in ((str(path), None), (str(path), "web"), (path, "web")):
        with pytest.raises(InvalidParameterError, match="output_conn_id"):
            check(location, conn_id)


def test_a_pathlib_path_is_a_location(serve: Any, tmp_path: Path) -> None:
    assert stored(serve(MP4), tmp_path / "clip.mp4").path == f"{tmp_path}/clip.mp4"


def test_an_image_of_a_path_with_its_own_connection_is_read(storage: S3) -> None:
    storage.bucket.put_object(Key="own/a [1].png", Body=PNG)
    path = ObjectStoragePath("s3://products/own/a [1].png", protocol="s3", conn_id="storage")
    assert read_image("image", path, None).content == PNG
    assert read_image("image", str(path), "storage").content == PNG
    with pytest.raises(InvalidParameterError, match="input_conn_id"):
        read_image("image", str(path), None)


@pytest.mark.parametrize(
    ("conn_id", "name", "words"),
    [
        ("no_such_connection", "input_conn_id", "no Airflow connection"),
        ("web", "input_conn_id", "type 'http'"),
    ],
)
def test_a_wrong_connection_of_an_image_is_reported(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch, conn_id: str, name: str, words: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "example.com"}))
    with pytest.raises(InvalidParameterError, match=words) as caught:
        read_image("start_image_url", "s3://products/a.png", conn_id)
    assert caught.value.name == name
