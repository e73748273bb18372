"""The two Segminds of the demo: the emulator, and with LIVE=1 the real one."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import requests

from airflow_provider_segmind.emulator.running import connection
from demo.airflow_home import EXAMPLE_DAGS, clean_environment
from demo.failure import DemoError
from demo.telling import detail, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo.processes import Processes
    from demo.waiting import Waiting

CLIP_SECONDS = 145
CLIP_PRICE = 0.91

_IMAGES = EXAMPLE_DAGS / "images"
_TIME_SCALE = 0.16
_SECONDS_PER_CALL = 10.0
_LISTENING = re.compile(r"listening on (http://\S+)")


class Segmind(Protocol):
    """Where the clip is made."""

    time_limit: float
    costs_money: bool
    pace: str
    images: Sequence[Path]
    """What clips are made of."""

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Make it ready."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables that tell Airflow where it is."""

    def conf(self, images: Path, clips: Path) -> Mapping[str, Any]:
        """Return the parameters of the DAG run, for two folders."""

    def charged(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """
        Say what was charged.

        :param paid: The metrics of each request.
        """


class EmulatedSegmind:
    """The emulator, which makes clips six times as fast, and charges nobody."""

    time_limit = 240.0
    costs_money = False
    pace = f" (at its real speed {CLIP_SECONDS} s each)"
    images = tuple(sorted(_IMAGES.glob("*.jpg")))

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

    def conf(self, images: Path, clips: Path) -> dict[str, Any]:
        """Say how fast clips are made here."""
        expected = CLIP_SECONDS * _TIME_SCALE
        return {"images": str(images), "clips": str(clips), "expected_duration": expected}

    def charged(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """
        Ask the emulator's ledger.

        :raises DemoError: If there is not exactly one charge for each request.
        """
        ledger = self._ask("GET", "/__emulator__/ledger")
        charges = sorted(each["request_id"] for each in ledger["charges"] if each["charged"])
        if charges != sorted(paid):
            raise DemoError(f"the emulator should have charged {sorted(paid)} once each, but it charged {charges}")
        return f"{len(charges)} charges, {ledger['total']:.2f} USD of play money (the emulator's ledger)"

    def _ask(self, method: str, path: str) -> Any:
        headers = {"x-api-key": connection(self._url)["password"]}
        try:
            response = self._session.request(
                method, f"{self._url}{path}", headers=headers, timeout=_SECONDS_PER_CALL
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
    images = (_IMAGES / "mug.jpg",)

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Say what it costs."""
        say(f"Using Segmind itself with your key: a clip costs about {CLIP_PRICE} USD and takes {CLIP_SECONDS} s.")
        detail("", "Until the DAG is triggered, Ctrl-C stops the demo before anything is charged.")

    def environment(self) -> dict[str, str]:
        """Return the key, which serves where there is no connection."""
        return {"SEGMIND_API_KEY": self._api_key}

    def conf(self, images: Path, clips: Path) -> dict[str, Any]:
        """Leave all but the folders as it is in the DAG."""
        return {"images": str(images), "clips": str(clips)}

    def charged(self, paid: Mapping[str, Mapping[str, Any]]) -> str:
        """Read the cost from the results."""
        told = [
            f"{each.get('cost', '?')} USD, {each.get('remaining_credits', '?')} USD left" for each in paid.values()
        ]
        return f"{'; '.join(told)} (Segmind's metrics)"


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
