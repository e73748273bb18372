"""The configuration of the triggerers: Airflow's defaults, and nothing of the user's."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_segmind.emulator.running import connection
from benchmarks.triggerer.kinds import CONN_ID
from demo.airflow_home import clean_environment

REPOSITORY = Path(__file__).parents[2]
SPARE_CAPACITY = 10
FERNET_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Home:
    """The folder of one triggerer, and what its process has to know."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def trigger_logs(self) -> Path:
        """Where each trigger that has started has a log file."""
        return self.folder / "tasks"


def home(folder: Path, database: str, capacity: int) -> Home:
    """Return the home of a triggerer in a folder."""
    settings = {
        "CORE__LOAD_EXAMPLES": False,
        "CORE__FERNET_KEY": FERNET_KEY,
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "LOGGING__BASE_LOG_FOLDER": folder / "tasks",
        "TRIGGERER__CAPACITY": capacity + SPARE_CAPACITY,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    environment = {
        **clean_environment(),
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
    }
    return Home(folder, environment)


def reaching(environment: Mapping[str, str], url: str, bundle: str) -> dict[str, str]:
    """Return an environment with the connection to Segmind, and its CA where each HTTP client looks for it."""
    defined = connection(url)
    defined["extra"]["verify"] = bundle
    return {**environment, f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(defined), "SSL_CERT_FILE": bundle}
