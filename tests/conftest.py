"""What all tests share: an Airflow of their own, in a folder that is thrown away."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxy. With REQUEST_METHOD in it, Python would take no notice of HTTP_PROXY."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
