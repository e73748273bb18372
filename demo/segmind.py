"""The two Segminds of the demo: the emulator, and with LIVE=1 the real one."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import requests

from airflow_provider_segmind.emulator.running import connection
from demo.airflow_home import clean_environment
from demo.failure import DemoError
from demo.telling import detail, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.processes import Processes
    from demo.waiting import Waiting

CLIP_SECONDS = 145
CLIP_PRICE = 0.91

_IMAGES = Path(__file__).parent / "images"
_TIME_SCALE = 0.08
_SECONDS_PER_CALL = 10.0
_LISTENING = re.compile(r"listening on (http://\S+)")


class Segmind(Protocol):
    """Where the clip is made."""

    time_limit: float
    costs_money: bool
    pace: str

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Make it ready."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables that tell Airflow where it is."""

    def conf(self) -> Mapping[str, Any]:
        """Return the parameters of the DAG run."""

    def charged(self, request_id: str, metrics: Mapping[str, Any]) -> str:
        """Say what the request was charged."""


class EmulatedSegmind:
    """The emulator, which makes clips twelve times as fast, and charges nobody."""

    time_limit = 240.0
    costs_money = False
    pace = f" (at its real speed {CLIP_SECONDS} s)"

    def __init__(self) -> None:
        self._url = ""
        self._session = requests.Session()
        self._session.trust_env = False

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Start the emulator on a free port."""
        say(
            f"Starting the emulator, a local Segmind: a clip takes {CLIP_SECONDS * _TIME_SCALE:.0f} s here, "
            f"not {CLIP_SECONDS} s, and costs nothing"
        )
        process = processes.start(
            "emulator",
            [
                *(sys.executable, "-m", "airflow_provider_segmind.emulator", "--port", "0"),
                *("--time-scale", str(_TIME_SCALE), "--latency", str(CLIP_SECONDS)),
            ],
            clean_environment(),
        )
        self._url = waiting.until("the emulator", lambda: _LISTENING.search(process.log.read_text()))[1]
        detail("emulator", self._url)

    def environment(self) -> dict[str, str]:
        """Return the connection to the emulator."""
        return {"AIRFLOW_CONN_SEGMIND_DEFAULT": json.dumps(connection(self._url))}

    def conf(self) -> dict[str, Any]:
        """Upload two pictures of one landscape, and ask for a clip from one to the other."""
        pictures = [(_IMAGES / name).read_bytes() for name in ("day.png", "night.png")]
        uploads = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
        start, end = self._ask("POST", "/upload-asset", {"data_urls": uploads})["file_urls"]
        return {
            "prompt": "Night falls over the hills",
            "start_image_url": start,
            "end_image_url": end,
            "expected_duration": CLIP_SECONDS * _TIME_SCALE,
        }

    def charged(self, request_id: str, metrics: Mapping[str, Any]) -> str:
        """
        Ask the emulator's ledger.

        :raises DemoError: If there is not exactly one charge, for this request.
        """
        ledger = self._ask("GET", "/__emulator__/ledger")
        charges = [each["request_id"] for each in ledger["charges"] if each["charged"]]
        if charges != [request_id]:
            raise DemoError(f"the emulator should have charged {request_id} once, but it charged {charges}")
        return f"1 charge, {ledger['total']:.2f} USD of play money, for this request (the emulator's ledger)"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"x-api-key": connection(self._url)["password"]}
        try:
            response = self._session.request(
                method, f"{self._url}{path}", json=body, headers=headers, timeout=_SECONDS_PER_CALL
            )
            response.raise_for_status()
            return response.json()
        except requests.RequestException as error:
            raise DemoError(f"the emulator did not answer {method} {path}: {error}") from error


class LiveSegmind:
    """Segmind itself, with the user's key and at the user's cost."""

    time_limit = 1200.0
    costs_money = True
    pace = ""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Say what it costs."""
        say(f"Using Segmind itself with your key: a clip costs about {CLIP_PRICE} USD and takes {CLIP_SECONDS} s.")
        detail("", "Until `submitted` is printed, Ctrl-C stops the demo before anything is charged.")

    def environment(self) -> dict[str, str]:
        """Return the key, which serves where there is no connection."""
        return {"SEGMIND_API_KEY": self._api_key}

    def conf(self) -> dict[str, Any]:
        """Leave the DAG its own example: Segmind could not fetch pictures from here."""
        return {}

    def charged(self, request_id: str, metrics: Mapping[str, Any]) -> str:
        """Read the cost from the result."""
        return (
            f"{metrics.get('cost', '?')} USD, {metrics.get('remaining_credits', '?')} USD left (Segmind's metrics)"
        )


def chosen_segmind() -> Segmind:
    """
    Return the one that the environment asks for.

    :raises DemoError: If that is the real one, but there is no key.
    """
    if os.environ.get("LIVE") != "1":
        return EmulatedSegmind()
    api_key = os.environ.get("SEGMIND_API_KEY", "").strip()
    if not api_key:
        raise DemoError(
            f"LIVE=1 makes one clip with Segmind itself, for about {CLIP_PRICE} USD, and needs your key in "
            "SEGMIND_API_KEY. Without LIVE=1 the demo uses the emulator.",
            exit_code=2,
        )
    return LiveSegmind(api_key)
