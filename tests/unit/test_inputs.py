"""Images on their way to Segmind: what is read, what is refused, and what makes two inputs the same."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.locations import check_location, check_locations, is_location
from airflow_provider_segmind.exceptions import InvalidParameterError, UnreadableInputError
from airflow_provider_segmind.media import reading
from airflow_provider_segmind.media.inputs import Inputs
from airflow_provider_segmind.media.reading import image_type, read_image

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
NOBODY = 65534


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s3://bucket/a.png", True),
        ("gs://bucket/a b/ü.png", True),
        ("file:///data/a.png", True),
        ("/data/../a.png", True),
        ("https://example.com/a.png", False),
        ("http://example.com/a.png", False),
        ("//example.com/a.png", False),
        ("data://a", False),
        ("a.png", False),
        ("s3://", False),
        ("look: this://is no place", False),
        (None, False),
        (5, False),
    ],
)
def test_a_location_is_what_segmind_cannot_fetch(value: Any, expected: bool) -> None:
    assert is_location(value) is expected


@pytest.mark.parametrize(
    "value", ["a.png", "", None, "ftp:/a", "http://", "//example.com/a.png", "data:image/png;base64,"]
)
def test_what_is_not_a_location_is_reported_with_the_name_of_the_parameter(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="start_image_url"):
        check_location("start_image_url", value)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [({"image": "a.png"}, r"parameters\['image'\]"), ({"img": "s3://b/a"}, "no parameter 'image'")],
)
def test_what_is_to_be_uploaded_has_to_be_there(parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidParameterError, match=match):
        check_locations(parameters, ["image"])


def test_places_may_be_in_a_list_and_may_be_left_out() -> None:
    parameters = {"image": ["s3://b/a.png", "https://example.com/b.png"], "mask": None}
    assert check_locations(parameters, ["image", "mask"]) == parameters
    assert check_locations({"image": " s3://b/a.png\n", "prompt": " x "}, ["image"]) == {
        "image": "s3://b/a.png",
        "prompt": " x ",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x1cftypavif", "image/avif"),
        (b"\x00\x00\x00\x1cftypisom", None),
        (b"<!DOCTYPE html><title>Not Found</title>", None),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"", None),
    ],
)
def test_the_kind_of_an_image_is_reported_by_its_content(content: bytes, expected: str | None) -> None:
    assert image_type(content) == expected


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "ein Bild für .. uns.html"
    path.write_bytes(PNG)
    return path


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_image_is_read_from_a_disk(image: Path, scheme: str) -> None:
    file = read_image("image", f"{scheme}{image}", None)
    assert (file.content, file.media_type) == (PNG, "image/png")
    assert file.data_url() == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def test_what_cannot_be_used_is_reported_with_its_parameter_and_location(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 2 * 2**20)
    for name, content in (("page.png", b"<html>"), ("empty.png", b""), ("large.png", PNG + bytes(2 * 2**20))):
        (tmp_path / name).write_bytes(content)
    wrong = {
        "page.png": "is not an image",
        "empty.png": "is empty",
        "large.png": "larger than 2 MiB",
        "missing.png": "does not exist",
        "": "is a folder",
        f"{image.name}/a.png": "cannot be read|does not exist",
    }
    for name, words in wrong.items():
        location = f"{tmp_path}/{name}"
        with pytest.raises(InvalidParameterError, match=words) as caught:
            read_image("start_image_url", location, None)
        assert str(caught.value).startswith(f"Invalid parameter: start_image_url: {location}")


def test_what_is_in_a_file_that_is_no_image_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("SG_0123456789abcdef")
    with pytest.raises(InvalidParameterError, match="is not an image: its content is text") as caught:
        read_image("image", f"{tmp_path}/key", None)
    assert "SG_" not in str(caught.value)


def test_a_login_in_a_location_is_not_shown() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read_image("image", "nothing-of-this-name://user:secret@host/a.png", None)
    assert "secret" not in str(caught.value)


def test_a_uri_in_place_of_the_id_of_a_connection_is_not_repeated() -> None:
    with pytest.raises(InvalidParameterError, match="input_conn_id: there is no Airflow connection") as caught:
        read_image("image", "s3://bucket/a.png", "aws://AKIA:hunter2/x@")
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__ or error.__context__


def test_files_may_not_be_larger_than_allowed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.media.inputs.MOST_TOGETHER", 2 * len(PNG))
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(PNG)
    locations = [f"{tmp_path}/{name}.png" for name in "abc"]
    assert len(Inputs("m", {"images": locations[:2]}, ["images"]).files) == 2
    with pytest.raises(InvalidParameterError, match="together"):
        _ = Inputs("m", {"images": locations}, ["images"]).files


def test_what_may_not_be_read_is_reported(image: Path) -> None:
    image.chmod(0)
    with _nobody(), pytest.raises(InvalidParameterError, match="may not be read"):
        read_image("image", str(image), None)


@contextmanager
def _nobody() -> Iterator[None]:
    """Be somebody else for a moment: root may read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("location", ["nothing-of-this-name://b/a.png", "abfss://b/a.png"])
def test_a_storage_that_is_not_installed_is_reported(location: str) -> None:
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        read_image("image", location, None)


def test_trouble_that_may_pass_may_be_tried_again(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(location: str, conn_id: str | None) -> bytes:
        raise ConnectionResetError("the storage went away")

    monkeypatch.setattr(reading, "_read_content", down)
    with pytest.raises(UnreadableInputError, match=r"image: .*went away") as caught:
        read_image("image", str(image), None)
    assert caught.value.can_retry


def test_the_fingerprint_is_that_of_the_content_and_not_of_the_name(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.png", "same.png", "other.png"))
    for path in (one, same):
        path.write_bytes(PNG)
    other.write_bytes(PNG + b"!")
    prints = [Inputs("m", {"image": str(path)}, ["image"]) for path in (one, same, other)]
    assert prints[0].fingerprint == prints[1].fingerprint != prints[2].fingerprint
    assert len({each.given for each in prints}) == 3
    assert Inputs("m", {"image": str(one)}).fingerprint == prints[0].given, "unless it is to be uploaded"


def test_the_same_file_is_read_once_and_its_url_stands_wherever_it_stood(image: Path) -> None:
    where = str(image)
    parameters = {"first": where, "more": [where, "https://example.com/b.png"], "prompt": where}
    inputs = Inputs("m", parameters, ["first", "more"])
    ((location, file),) = inputs.files.items()
    image.unlink()
    url = "https://images/a.png"
    assert location == where
    assert inputs.with_urls({file.sha256: url}) == {
        "first": url,
        "more": [url, "https://example.com/b.png"],
        "prompt": where,
    }
    assert parameters["first"] == where
