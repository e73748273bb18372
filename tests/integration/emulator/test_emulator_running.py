"""Starting and stopping: as a command, inside a test, as an aiohttp application."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp.test_utils import TestClient, TestServer

from airflow_provider_segmind.emulator import Settings, create_app, running_emulator, stand_in

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    import trustme
    from conftest import Start

KLING = {"prompt": "x", "start_image_url": "https://example.com/a.png"}
KEY = {"x-api-key": "SG_0123456789abcdef"}


@contextmanager
def command(*arguments: str, directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The emulator as a subprocess, and the address on its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_segmind.emulator", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(directory)},
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().rstrip("\n")
            assert first.startswith("Segmind emulator listening on http://127.0.0.1:"), first
            yield process, first.removeprefix("Segmind emulator listening on ")
        finally:
            process.kill()


def rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What is left of the output and of the log. Not `communicate`: it misses what `readline` has buffered."""
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdout.read(), process.stderr.read()


def test_command_line(tmp_path: Path) -> None:
    with (
        command("--latency", "0", "--fault", "on=submit,status=503,count=1", directory=tmp_path) as (
            process,
            url,
        ),
        httpx.Client(base_url=url, headers=KEY, trust_env=False) as http,
    ):
        assert http.post("/v2/kling-o1-image-to-video", json=KLING).status_code == 503
        job = http.post("/v2/kling-o1-image-to-video", json=KLING).json()
        assert http.get(job["status_url"]).json()["status"] == "COMPLETED"
        http.post("/upload-asset", json={"data_urls": ["data:image/png;base64,AA=="]})
        assert len(list(tmp_path.glob("segmind-emulator-*/assets/*.png"))) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        output, log = rest(process)
    assert list(tmp_path.iterdir()) == []
    exported = next(line for line in output.splitlines() if "AIRFLOW_CONN_SEGMIND_DEFAULT" in line)
    connection = json.loads(exported.partition("=")[2].strip("'"))
    assert connection["conn_type"] == "segmind"
    assert connection["host"] == connection["extra"]["platform_url"] == url
    assert "POST /v2/kling-o1-image-to-video 503" in log
    assert "Traceback" not in log


def test_quiet_and_interrupt(tmp_path: Path) -> None:
    with command("--quiet", "--model", "my-model=text", directory=tmp_path) as (process, url):
        assert httpx.post(f"{url}/v2/my-model", json={}, headers=KEY, trust_env=False).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        assert rest(process) == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "on=submit"],
        ["--fault", "submit"],
        ["--fault", "{"],
        ["--model", "x=poem"],
        ["--time-scale", "-1"],
        ["--requests-per-minute", "0"],
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_segmind.emulator.__main__ import main

    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_port_in_use() -> None:
    from airflow_provider_segmind.emulator.__main__ import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
        with pytest.raises(RuntimeError), running_emulator(port=port):
            pass


def test_running_emulator(start: Start) -> None:
    client = start(models=(stand_in("my-video", "video", price=0.2, latency=1),))
    client.submitted("my-video", prompt="x")
    emulator = client.emulator
    assert emulator.ledger()["total"] == 0.2
    assert emulator.requests()["endpoints"]["submit"] == 1
    assert emulator.requests()["log"][0]["model"] == "my-video"
    assert emulator.connection()["extra"] == {"platform_url": emulator.url, "storage_url": emulator.url}
    (name, value), *_ = emulator.environment("other").items()
    assert (name, json.loads(value)) == ("AIRFLOW_CONN_OTHER", emulator.connection())
    emulator.faults("on=any,status=500")
    emulator.clear_faults()
    assert emulator.faults() == []
    emulator.reset()
    assert emulator.ledger()["charges"] == []


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, None),
        ({"latency": 0.2}, 0.2),
        ({"latency": 10, "time_scale": 0.1}, 1.0),
        ({"time_scale": 0.1}, 14.45),
        ({"time_scale": 0.01, "models": (stand_in("slow", "video", latency=600),)}, 6.0),
        ({"time_scale": 0}, 0.05),
        ({"latency": 0}, 0.05),
    ],
)
def test_the_connection_to_a_fast_emulator_says_how_fast_it_is(
    settings: dict[str, Any], seconds: float | None
) -> None:
    with running_emulator(**settings) as emulator:
        (definition,) = emulator.environment().values()
    assert json.loads(definition)["extra"].get("expected_duration") == seconds


def test_settings_and_overrides_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="not both"), running_emulator(Settings(), seed=1):
        pass
    with pytest.raises(ValueError, match="rate_window"):
        Settings(rate_window=0)


def test_over_tls(segmind_tls: ssl.SSLContext, authority: trustme.CA) -> None:
    import ssl

    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with running_emulator(ssl_context=segmind_tls) as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        answer = httpx.post(
            f"{emulator.url}/v2/kling-o1-image-to-video", json=KLING, headers=KEY, verify=trust, trust_env=False
        )
        assert answer.json()["status_url"].startswith(f"{emulator.url}/v2/requests/")


async def test_as_an_aiohttp_application() -> None:
    async with TestClient(TestServer(create_app(Settings(latency=0.0)))) as client:
        submitted = await (await client.post("/v2/kling-o1-image-to-video", json=KLING, headers=KEY)).json()
        result = await client.get(f"/v2/requests/{submitted['request_id']}", headers=KEY)
        assert (await result.json())["status"] == "COMPLETED"
        advanced = await client.post("/__emulator__/clock", json={"advance": -1})
        assert advanced.status == 400
        assert (await client.get("/__emulator__/nothing")).status == 404


def test_it_stands_alone() -> None:
    script = (
        "import sys, airflow_provider_segmind.emulator.__main__\n"
        "print(*{name.split('.')[0] for name in sys.modules} & {'airflow', 'requests', 'segmind', 'pendulum'})\n"
        "print(*[name for name in sys.modules if name.startswith('airflow_provider_segmind.')\n"
        "        and not name.startswith('airflow_provider_segmind.emulator')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout == "\n\n"
