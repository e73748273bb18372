"""The files: playable videos, of the size announced, in ranges."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from airflow_provider_segmind.emulator import media

if TYPE_CHECKING:
    from conftest import Client, Start


def picture(red: int, green: int, blue: int, size: tuple[int, int] = (320, 180)) -> bytes:
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    pixels[:] = (red, green, blue)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = size[0], size[1], "rgb24"
    encoder.time_base = 1
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def uploaded(client: Client, *pictures: bytes) -> list[str]:
    data_urls = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in pictures]
    return list(client.http.post("/upload-asset", json={"data_urls": data_urls}).json()["file_urls"])


def frames(video: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def download(client: Client, **parameters: object) -> bytes:
    request_id = client.submitted(**client.kling(**parameters))
    return client.http.get(client.result(request_id).json()["output"], headers={"x-api-key": ""}).content


def test_video_fades_from_the_start_to_the_end_image(start: Start) -> None:
    client = start(latency=0.0)
    first, last = uploaded(client, picture(220, 20, 20), picture(20, 20, 220))
    decoded = frames(download(client, start_image_url=first, end_image_url=last))
    assert len(decoded) == 5 * 12
    assert decoded[0].shape == (270, 480, 3)
    assert decoded[0].mean(axis=(0, 1)) == pytest.approx([220, 20, 20], abs=12)
    assert decoded[30].mean(axis=(0, 1)) == pytest.approx([120, 20, 120], abs=20)
    assert decoded[-1].mean(axis=(0, 1)) == pytest.approx([20, 20, 220], abs=12)


def test_one_image_and_portrait(start: Start) -> None:
    client = start(latency=0.0)
    (tall,) = uploaded(client, picture(20, 200, 20, (180, 320)))
    decoded = frames(download(client, start_image_url=tall, duration=10))
    assert len(decoded) == 10 * 12
    assert decoded[0].shape == (480, 270, 3)
    assert decoded[60].mean(axis=(0, 1)) == pytest.approx([20, 200, 20], abs=12)


def test_images_are_fetched_from_loopback_only(start: Start) -> None:
    client = start(latency=0.0)
    host = start(latency=0.0)
    (elsewhere,) = uploaded(host, picture(220, 20, 20))
    decoded = frames(download(client, start_image_url=elsewhere))
    assert decoded[0].mean(axis=(0, 1)) == pytest.approx([220, 20, 20], abs=12)
    assert host.emulator.requests()["endpoints"]["media"] == 1


def test_unreadable_images_become_a_gradient(start: Start) -> None:
    client = start(latency=0.0)
    (broken,) = uploaded(client, b"not a picture at all")
    for url in (broken, "https://192.0.2.1/a.png", "data:image/png;base64,AA==", "http://[::1/a.png"):
        assert len(frames(download(client, start_image_url=url))) == 60


def test_without_the_extra_a_clip_from_the_package_is_served(tmp_path: Path) -> None:
    # A fresh interpreter in which PyAV cannot be imported, as on an installation without the extra.
    package = Path(media.__file__).parents[1]
    shutil.copytree(package / "emulator", tmp_path / "airflow_provider_segmind" / "emulator")
    (tmp_path / "airflow_provider_segmind" / "__init__.py").touch()
    (tmp_path / "av.py").write_text("raise ImportError('no av here')\n")
    script = tmp_path / "serve.py"
    script.write_text(
        "import urllib.request, json\n"
        "from airflow_provider_segmind.emulator import running_emulator\n"
        "with running_emulator(latency=0.0) as emulator:\n"
        "    body = json.dumps({'prompt': 'x', 'start_image_url': 'https://e.com/a.png'}).encode()\n"
        "    headers = {'x-api-key': emulator.api_key, 'Content-Type': 'application/json'}\n"
        "    url = emulator.url + '/v1/kling-o1-image-to-video'\n"
        "    video = urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()\n"
        "    open('video.mp4', 'wb').write(video)\n"
    )
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True, timeout=30)
    video = (tmp_path / "video.mp4").read_bytes()
    assert len(frames(video)) == 60
    assert len(video) == 5 * media.BYTES_PER_SECOND
    assert media.PLACEHOLDER.stat().st_size < 50_000


def test_ranges_and_head(start: Start) -> None:
    client = start(latency=0.0)
    request_id = client.submitted()
    path = f"/outputs/{request_id}.mp4"
    size = client.result(request_id).json()["video"]["file_size"]
    head = client.http.head(path)
    assert (head.status_code, int(head.headers["content-length"]), head.content) == (200, size, b"")
    assert head.headers["accept-ranges"] == "bytes"
    whole = client.http.get(path)
    assert whole.headers["content-type"] == "video/mp4"
    assert len(whole.content) == size
    part = client.http.get(path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 100-199/{size}"
    assert part.content == whole.content[100:200]
    tail = client.http.get(path, headers={"Range": "bytes=-10"})
    assert tail.content == whole.content[-10:]
    beyond = client.http.get(path, headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"


def test_the_index_stands_before_the_frames(start: Start) -> None:
    client = start(latency=0.0)
    video = download(client)
    assert 0 < video.index(b"moov") < video.index(b"mdat")


def test_files_that_do_not_exist(start: Start) -> None:
    client = start(latency=10.0)
    request_id = client.submitted()
    (url,) = uploaded(client, b"a picture")
    picture_name = url.rpartition("/")[2]
    assert client.http.get(f"/assets/{picture_name}").content == b"a picture"
    for path in (
        f"/outputs/{request_id}.mp4",
        f"/outputs/{request_id}.png",
        "/outputs/x.mp4",
        "/assets/x.png",
        f"/assets/..%2Fassets%2F{picture_name}",
        "/assets/..%2F..%2Fetc%2Fpasswd",
    ):
        assert client.http.get(path).status_code == 404
