"""What all tests share: an Airflow in a folder that is thrown away, and an emulated Segmind."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_segmind.emulator.running import RunningEmulator

# A machine that is busy with other things makes examples slowly, and is not at fault.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_home = tempfile.mkdtemp(prefix="segmind-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)

# Airflow reads its environment when it is first imported, so this stands at import time.
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
_examples = Path(__file__).parents[1] / "example_dags"
os.environ["AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS"] = f"{tempfile.gettempdir()},{_examples / 'images'}"
for _name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[_name]
for _name in ("SEGMIND_API_KEY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def _segmind() -> Iterator[RunningEmulator]:
    from airflow_provider_segmind.emulator.running import running_emulator

    with running_emulator(latency=0.3) as running:
        yield running


@pytest.fixture
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers fire at once, where there is no scheduler that has to hear of a deferral first."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setattr("airflow_provider_segmind.triggers.deferral.DEFERRAL_REPORT_TIME", 0.0)


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A submit without a request is given up within a second, as on a Segmind whose history is never late."""
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.HISTORY_LAG", 0.5)
    monkeypatch.setattr("airflow_provider_segmind.durability.submission.latest_usual_duration", lambda *_: 0.0)
    monkeypatch.setattr("airflow_provider_segmind.api.history_search.FIRST_PAUSE", 0.1)


@pytest.fixture
def nothing_learned(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the rate of a key is shared: nowhere that another test has written."""
    from airflow_provider_segmind.hooks import shared_files, worker_turns

    folder = tmp_path_factory.mktemp("rates") / "shared"
    monkeypatch.setattr(shared_files, "shared_folder", lambda: folder)
    monkeypatch.setattr(worker_turns, "_loop", None)
    yield folder
    if worker_turns._loop is not None:
        worker_turns._loop.call_soon_threadsafe(worker_turns._loop.stop)


@pytest.fixture
def emulator(
    _segmind: RunningEmulator, no_scheduler: None, nothing_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> RunningEmulator:
    """A Segmind whose jobs take 0.3 s, without a past, and the default connection to it."""
    _segmind.reset()
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(_segmind.connection()))
    monkeypatch.setattr("airflow_provider_segmind.hooks.driving._early_results", {})  # of another world
    monkeypatch.setattr("airflow_provider_segmind.hooks.catalogue._catalogues", {})
    return _segmind


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxy. With REQUEST_METHOD in it, Python would take no notice of HTTP_PROXY."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return all that was logged or printed since the last call: versions of Airflow differ in where that goes."""

    def all_of_it() -> str:
        text = caplog.text + "".join(capfd.readouterr())
        caplog.clear()
        return text

    return all_of_it
