"""What a location may be, before anything is read: its text, or a path with a connection."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from upath import UPath

from airflow_provider_segmind.api.file_names import name_after, safe_name
from airflow_provider_segmind.api.locations import (
    Location,
    check_location,
    check_locations,
    check_output_path,
    input_location,
    output_location,
)
from airflow_provider_segmind.api.text import without_login
from airflow_provider_segmind.compat import ObjectStoragePath
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.media.reading import read_image
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

REFUSED = [
    "file://host/data/a.png",
    "file://10.0.0.1/data/a.png",
    "file:/data/a.png",
    "file:data/a.png",
    "FILE:///data/a.png",
    "File:///data/a.png",
    "file://./a.png",
    "file://data",
    "file://login@/data/a.png",
    "local://data/a.png",
    "local:///data/a.png",
    "memory://a.png",
    "memory:///a.png",
    "simplecache::s3://bucket/a.png",
    "filecache::file:///data/a.png",
    "blockcache::/data/a.png",
    "zip://a.png::/data/a.zip",
    "zip://a.png",
    "tar://a.png",
    "dir://data/a.png",
    "reference://a.png",
    "ftp://host/a.png",
    "smb://host/share/a.png",
    "git://a.png",
    "github://org:repo@main/a.png",
    "jupyter://host/a.png",
    "generic://a.png",
    "LOCAL:///data/a.png",
    "/data/../etc/passwd",
    "/data/./a.png",
    "/..",
    "file:///data/../a.png",
    "file://localhost/../a.png",
    "s3://bucket/a/../b.png",
    "s3://bucket/./b.png",
    "s3://bucket/..",
    "gs://bucket/a/..",
    "s3:///a.png",
    "s3://bucket/a.png?versionId=1",
    "s3://key:secret@bucket/a.png",
    "s3://key:sec/ret@bucket/a.png",
    "s3://key:se@cret@bucket/a.png",
    "/data/a\0.png",
    "s3://bucket/\0",
    "/data/\udcff.png",
]


@pytest.mark.parametrize("location", REFUSED)
def test_what_hides_where_it_leads_is_refused(location: str) -> None:
    for read in (
        lambda: check_location("image", location),
        lambda: check_output_path("image", location),
        lambda: input_location("image", location),
        lambda: output_location(location, name="image"),
        lambda: read_image("image", location, None),
    ):
        with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: image: ") as caught:
            read()
        assert "secret" not in str(caught.value)
        assert "ret@" not in str(caught.value)


@pytest.mark.parametrize("location", REFUSED)
def test_what_is_refused_fails_when_the_dag_is_parsed(location: str) -> None:
    kling = {"task_id": "clip", "prompt": "zoom", "start_image_url": "https://example.com/a.png"}
    for wrong in (
        lambda: KlingImageToVideoOperator(**{**kling, "start_image_url": location}),
        lambda: KlingImageToVideoOperator(**kling, output_path=location),
        lambda: SegmindInferenceOperator(task_id="m", model="m", parameters={"a": [location]}, upload=["a"]),
    ):
        with pytest.raises(InvalidParameterError):
            wrong()


@pytest.mark.parametrize(
    "location", ["http://example.com/a.mp4", "https://example.com/a.mp4", "data:a", "a.mp4", ""]
)
def test_an_output_does_not_go_to_a_url(location: str) -> None:
    with pytest.raises(InvalidParameterError, match="output_path"):
        check_output_path("output_path", location)


@pytest.mark.parametrize(
    ("location", "bucket", "key"),
    [
        ("/data/a.png", "", "/data/a.png"),
        ("file:///data/a b%20.png", "", "/data/a b%20.png"),
        ("file://localhost/data/a?b#c.png", "", "/data/a?b#c.png"),
        ("/data/...", "", "/data/..."),
        ("/data/..a/b..", "", "/data/..a/b.."),
        ("/data/user@host/a::b.png", "", "/data/user@host/a::b.png"),
        ("s3://bucket/a?b#c%2F..%2F+&;.png", "bucket", "a?b#c%2F..%2F+&;.png"),
        ("s3://bucket//a//b", "bucket", "/a//b"),
        ("s3://bucket/user:name@host.png", "bucket", "user:name@host.png"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/x/a@b", "arn:aws:s3:eu-west-1:1:accesspoint", "x/a@b"),
        ("S3://bucket/A", "bucket", "A"),
        ("sftp:///folder/a.png", "", "folder/a.png"),
    ],
)
def test_a_name_is_taken_literally(location: str, bucket: str, key: str) -> None:
    at = input_location("image", location)
    assert (at.bucket, at.key) == (bucket, key)
    assert check_location("image", location) == location


@pytest.mark.parametrize("control", list("\n\r\t\x1b\x7f\x85\u2028"))
def test_control_characters_are_for_names_of_inputs_only(control: str) -> None:
    location = f"s3://bucket/a{control}b.mp4"
    with pytest.raises(InvalidParameterError, match="control characters") as caught:
        check_output_path("image", location)
    assert control not in str(caught.value)
    assert input_location("image", location).key == f"a{control}b.mp4"


def test_a_connection_is_named_in_an_argument_and_not_in_text() -> None:
    assert output_location("s3://bucket/a", "admin") == Location("s3://bucket/a", "admin")
    assert output_location("s3://admin@bucket/a", "admin") == Location("s3://bucket/a", "admin"), (
        "as str() of a path"
    )
    for conn_id in (None, "mine"):
        with pytest.raises(InvalidParameterError, match=r"output_path.*name the connection in output_conn_id"):
            output_location("s3://admin@bucket/a", conn_id)
        with pytest.raises(InvalidParameterError, match=r"image.*name the connection in input_conn_id"):
            input_location("image", "s3://admin@bucket/a", conn_id)


def test_a_path_may_have_its_own_connection() -> None:
    path = ObjectStoragePath("gs://bucket/a ?b#%20.png", protocol="gs", conn_id="mine")
    assert output_location(path) == output_location(path, "mine") == Location("gs://bucket/a ?b#%20.png", "mine")
    assert input_location("image", check_location("image", path)) == output_location(path)
    with pytest.raises(InvalidParameterError, match=r"output_conn_id: is 'other'.*'mine'"):
        output_location(path, "other")
    without = ObjectStoragePath("gs://bucket/a.png", protocol="gs")
    assert output_location(without, "mine") == Location("gs://bucket/a.png", "mine")


@pytest.mark.parametrize(
    "path",
    [
        Path("/data/a b.png"),
        PurePosixPath("/data/a b.png"),
        UPath("/data/a b.png"),
        UPath("file:///data/a b.png"),
        ObjectStoragePath("/data/a b.png"),
        ObjectStoragePath("file:///data/a b.png", protocol="file"),
    ],
    ids=lambda path: type(path).__name__,
)
def test_paths_on_a_disk_are_places(path: Any) -> None:
    assert input_location("image", path).key == "/data/a b.png"
    assert output_location(path).key == "/data/a b.png"
    assert check_location("image", path) == "/data/a b.png"


@pytest.mark.parametrize("path", [Path("data/a.png"), Path("/data/../a.png"), 5, b"/data/a.png", ["/data/a.png"]])
def test_not_every_path_is_a_location(path: Any) -> None:
    for check in (check_location, check_output_path):
        with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: image: "):
            check("image", path)


def test_a_path_with_a_login_is_refused_without_repeating_it() -> None:
    path = UPath("s3://bucket/a.png", key="AKIA", secret="hush")
    with pytest.raises(InvalidParameterError, match="Airflow connection") as caught:
        check_location("image", path)
    assert "hush" not in str(caught.value)
    assert "AKIA" not in str(caught.value)


def test_paths_among_the_parameters_of_a_model_become_text() -> None:
    one, other = (
        ObjectStoragePath("s3://bucket/a.png", protocol="s3", conn_id=conn_id) for conn_id in ("one", "other")
    )
    task = SegmindInferenceOperator(
        task_id="m", model="m", parameters={"images": [one, other, Path("/data/a.png")]}, upload=["images"]
    )
    images = task.model_parameters()["images"]
    assert images[2] == "/data/a.png"
    assert [input_location("images", each).conn_id for each in images] == ["one", "other", None]
    assert Inputs("m", {"images": images[:1]}).given != Inputs("m", {"images": images[1:2]}).given


def test_parameters_that_are_no_dict_are_reported() -> None:
    with pytest.raises(InvalidParameterError, match=r"^Invalid parameter: parameters: must be a dict"):
        check_locations([("image", "/a")], ["image"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:secret@bucket/a", "s3://***@bucket/a"),
        ("s3://key:sec/ret@bucket/a", "s3://***@bucket/a"),
        ("s3://key:se@c/r@et@bucket/a", "s3://***@bucket/a"),
        ("see https://u:p@h/x and ftp://v:q@i.", "see https://***@h/x and ftp://***@i."),
        ("//u:p@h/x", "//***@h/x"),
        ("a,http://x/b,http://u:p@h", "a,http://x/b,http://***@h"),
        ("s3://token@bucket", "s3://***@bucket"),
        ("s3://bucket/a@b.png", "s3://bucket/a@b.png"),
        ("http://host:8080/a@b.png", "http://host:8080/a@b.png"),
        ("/data/me@home/a.png", "/data/me@home/a.png"),
        ("mail me@example.com", "mail me@example.com"),
        ("no address at all", "no address at all"),
    ],
)
def test_a_login_is_not_shown(text: str, shown: str) -> None:
    assert without_login(text) == shown


def test_hiding_logins_takes_no_longer_for_odd_texts() -> None:
    for odd in ("//" * 100_000 + "@", "//a:" * 50_000, "@" * 200_000 + "//", "//a@" * 50_000):
        assert len(without_login(odd)) <= len(odd) + 4


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("s3://products/images/mug.jpg", "mug.jpg"),
        ("/data/images/mug.jpg", "mug.jpg"),
        ("file:///data/mug.jpg", "mug.jpg"),
        ("https://example.com/images/mug.jpg?signature=1&x=/y.png#top", "mug.jpg"),
        ("https://example.com/a%20b%C3%BC.jpg", "a bü.jpg"),
        ("HTTPS://example.com/mug.jpg", "mug.jpg"),
        ("s3://products/a%20b?c#d[1]{{ e }}*.jpg", "a%20b?c#d[1]{{ e }}*.jpg"),
        ("s3://products/folder/", "folder"),
        ("s3://products/.hidden", ".hidden"),
        ("s3://products/a. ", "a. "),
        ("s3://products/日本語.jpg", "日本語.jpg"),
        ("s3://products/a\\b.jpg", "a\\b.jpg"),
        ("s3://products/two\nlines.jpg", "two\nlines.jpg"),
        ("https://example.com/a%0Ab.png", "a\nb.png"),
        ("s3://bucket/" + "x" * 900 + ".png", "x" * 900 + ".png"),
        ("mug.jpg", "mug.jpg"),
    ],
)
def test_an_output_is_called_after_its_image(location: str, name: str) -> None:
    assert name_after(location) == name


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "s3://bucket/..",
        "s3://bucket/.",
        "s3://bucket/...",
        "https://example.com",
        "https://example.com/",
        "https://example.com/..%2f..%2fetc%2fpasswd",
        "https://example.com/%2e%2e",
        "https://example.com/%00",
        "https://[broken/a.png",
        "s3://bucket/\udcff.png",
    ],
)
def test_a_name_is_safe_whatever_it_is_made_from(location: str) -> None:
    name = name_after(location)
    assert name.strip(".")
    assert "/" not in name
    assert "\0" not in name
    assert safe_name(name) == name


def test_names_that_had_to_be_changed_stay_different() -> None:
    pairs = [
        ("a/b.png", "a\0b.png"),
        (".", ".."),
        ("a/b.png", "a_b.png"),
    ]
    for one, other in pairs:
        assert safe_name(one) != safe_name(other)
    assert safe_name("a/b.png").endswith(".png")
