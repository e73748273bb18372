"""The configuration of the demo's Airflow: its own, and nothing of the user's."""

from __future__ import annotations

import base64
import configparser
import os
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.folder import DemoFolder

EXAMPLE_DAGS = Path(__file__).parents[1] / "example_dags"
_OF_THE_EXAMPLE = (EXAMPLE_DAGS / "images", Path(tempfile.gettempdir()) / "segmind_clips")
WORKER_SLOTS = 4
_RETRY_SECONDS = 5
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class AirflowHome:
    """A configured AIRFLOW_HOME."""

    environment: Mapping[str, str]
    url: str


def configured_home(folder: DemoFolder, segmind: Mapping[str, str]) -> AirflowHome:
    """
    Write the configuration, and return what its processes need.

    :param segmind: Environment variables that tell Airflow where Segmind is.
    """
    api_port, worker_log_port, trigger_log_port = _free_ports(3)
    url = f"http://{LOOPBACK}:{api_port}"
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": EXAMPLE_DAGS,
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": WORKER_SLOTS,
            # Only the DAG that is shown gets unpaused: with a real key, any other would cost money.
            "dags_are_paused_at_creation": True,
            "default_task_retry_delay": _RETRY_SECONDS,
            "simple_auth_manager_all_admins": True,
            "execution_api_server_url": f"{url}/execution/",
            "hostname_callable": "socket.gethostname",
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{folder.airflow_home / 'airflow.db'}",
            "check_migrations": False,  # it has only just been created
        },
        "api": {
            "host": LOOPBACK,
            "port": api_port,
            "base_url": url,
            "workers": 1,
            "secret_key": secrets.token_hex(),
        },
        "api_auth": {"jwt_secret": secrets.token_hex(), "jwt_issuer": url},
        "logging": {
            "base_log_folder": folder.logs / "tasks",
            # Nothing listens there, as all logs are at hand; but the default ports may be another Airflow's.
            "worker_log_server_port": worker_log_port,
            "trigger_log_server_port": trigger_log_port,
        },
        "usage_data_collection": {"enabled": False},
        # The folders of the demo, and those that the example DAG has by default.
        "segmind": {"allowed_local_paths": ",".join(map(str, (folder.images, folder.clips, *_OF_THE_EXAMPLE)))},
    }
    written = configparser.ConfigParser(interpolation=None)
    written.read_dict(
        {
            section: {name: str(value).replace("%", "%%") for name, value in options.items()}
            for section, options in sections.items()
        }
    )
    with (folder.airflow_home / "airflow.cfg").open("w") as file:
        written.write(file)
    return AirflowHome({**clean_environment(), "AIRFLOW_HOME": str(folder.airflow_home), **segmind}, url)


def clean_environment() -> dict[str, str]:
    """Return the environment without the user's Airflow, without their key, and without a proxy to loopback."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW_") and name != "SEGMIND_API_KEY"
    }
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK)))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct, "NO_COLOR": "1", "SCARF_ANALYTICS": "false"}


def _free_ports(count: int) -> list[int]:
    listening = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in listening]
    for each in listening:
        each.close()
    return ports
