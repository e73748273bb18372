"""An emulated Segmind: the package's emulator, as a process."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_segmind.emulator.running import connection
from airflow_provider_segmind.emulator.settings import DEFAULT_API_KEY
from harness.configuration import clean_environment
from harness.failure import HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.processes import Processes
    from harness.waiting import Waiting

_LISTENING = re.compile(r"listening on (http://\S+)")
_SECONDS_PER_CALL = 10.0


class EmulatedSegmind:
    """
    An emulator, from outside. A cluster that is given one starts it.

    :param options: Those of `python -m airflow_provider_segmind.emulator`, such as `latency=5.0`. A list stands
        for an option that is repeated, and `True` or `False` for a switch.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._session = requests.Session()
        self._session.trust_env = False  # or a proxy might be asked for 127.0.0.1
        self.url = ""

    def start(self, processes: Processes, waiting: Waiting) -> None:
        """Start it on a free port, and return when it listens."""
        command = [sys.executable, "-m", "airflow_provider_segmind.emulator", "--port", "0", *self._arguments()]
        process = processes.start("emulator", command, clean_environment())
        found = waiting.until("the emulator", lambda: _LISTENING.search(process.log.read_text()), log=process.log)
        self.url = found[1]

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection to it, as the dictionary behind its JSON form."""
        return connection(self.url)

    def environment(self, conn_id: str = "segmind_default") -> dict[str, str]:
        """Return the environment variable that defines that connection."""
        return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(self.connection())}

    def ledger(self) -> dict[str, Any]:
        """Return `charges`, `refunds`, `count`, `total`, `submits` and `balance`. Money is USD."""
        return dict(self.ask("GET", "/__emulator__/ledger"))

    def charged_ids(self, model: str | None = None) -> list[str]:
        """
        Return the id of the request behind each charge that was not refunded, in order.

        :param model: Only of requests to this model.
        """
        charges = [each for each in self.ledger()["charges"] if each["charged"]]
        return [each["request_id"] for each in charges if model in (None, each["model"])]

    def requests(self) -> dict[str, Any]:
        """Return `total`, `endpoints` and `statuses` (counters), and `log` (the last requests one by one)."""
        return dict(self.ask("GET", "/__emulator__/requests"))

    def advance(self, seconds: float) -> None:
        """Let jobs, retention and rate limits age without waiting."""
        self.ask("POST", "/__emulator__/clock", {"advance": seconds})

    def arm_faults(self, *rules: Mapping[str, Any]) -> None:
        """Let something go wrong from now on."""
        self.ask("POST", "/__emulator__/faults", list(rules))

    def change_world(self, **changes: Any) -> None:
        """Be another Segmind from now on, with these fields of `airflow_provider_segmind.emulator.World`."""
        self.ask("POST", "/__emulator__/world", changes)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """
        Send a request with its key, and return the JSON of the answer.

        :raises HarnessError: If there is none.
        """
        try:
            response = self._session.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers={"x-api-key": DEFAULT_API_KEY},
                timeout=_SECONDS_PER_CALL,
            )
            response.raise_for_status()
            return response.json()
        except requests.RequestException as error:
            raise HarnessError(f"the emulator did not answer {method} {path}: {error}") from error

    def _arguments(self) -> list[str]:
        arguments = []
        for name, value in self._options.items():
            option = name.replace("_", "-")
            for each in value if isinstance(value, list) else [value]:
                switch = f"--{option}" if each else f"--no-{option}"
                arguments += [switch] if isinstance(each, bool) else [f"--{option}", str(each)]
        return arguments
