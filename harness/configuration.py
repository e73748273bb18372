"""The configuration of a cluster's Airflow: complete, and without anything of the user's."""

from __future__ import annotations

import base64
import configparser
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.airflow_api import AIRFLOW_2

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
PROCESS = "HARNESS_PROCESS"
PRELOADED = "HARNESS_PRELOADED"
PLUGINS = Path(__file__).parent / "plugins"
_REPOSITORY = Path(__file__).parents[1]
_RETRY_SECONDS = 2

NOTICE_DEATHS_SOON = {
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
    "SCHEDULER__JOB_HEARTBEAT_SEC": 2,
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 60,
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 10,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 50,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 3,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 8,
    "WORKERS__MIN_HEARTBEAT_INTERVAL": 3,
}
if AIRFLOW_2:
    NOTICE_DEATHS_SOON |= {
        "SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": 3,
        "SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": 50,
        "SCHEDULER__ZOMBIE_DETECTION_INTERVAL": 30,  # until the DAGs are read, a death is reported each time
    }
"""Settings with which Airflow notices a death after seconds instead of minutes. What follows is the same."""


def write_configuration(home: Path, logs: Path) -> None:
    """
    Write the `airflow.cfg` that all processes of a cluster share.

    :param home: AIRFLOW_HOME.
    :param logs: The folder for the logs of tasks.
    """
    worker_log_port, trigger_log_port = free_ports(2)
    sections: dict[str, dict[str, object]] = {
        "core": {
            "load_examples": False,
            # Only a DAG that is run gets unpaused: with a real key, any other would cost money.
            "dags_are_paused_at_creation": True,
            "default_task_retry_delay": _RETRY_SECONDS,
            "simple_auth_manager_all_admins": True,
            "hostname_callable": "process_name.process_name",
            "plugins_folder": PLUGINS,
            "lazy_load_plugins": False,
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        },
        "database": {"check_migrations": False},  # it has only just been created
        "api": {
            "host": LOOPBACK,
            "workers": 1,
            "secret_key": secrets.token_hex(),
            "auth_backends": "airflow.api.auth.backend.default",
        },
        "api_auth": {"jwt_secret": secrets.token_hex(), "jwt_issuer": "harness"},
        "webserver": {
            "web_server_host": LOOPBACK,
            "workers": 1,
            "secret_key": secrets.token_hex(),
            # On a busy machine, it takes more than the two minutes after which it gives itself up.
            "web_server_master_timeout": 600,
        },
        "logging": {
            "base_log_folder": logs,
            # Nothing listens there, as all logs are at hand. But another Airflow may use the default ports.
            "worker_log_server_port": worker_log_port,
            "trigger_log_server_port": trigger_log_port,
        },
        "usage_data_collection": {"enabled": False},
    }
    written = configparser.ConfigParser(interpolation=None)
    written.read_dict(
        {
            section: {name: str(value).replace("%", "%%") for name, value in options.items()}
            for section, options in sections.items()
        }
    )
    with (home / "airflow.cfg").open("w") as file:
        written.write(file)
    # In Airflow 2, this file says what a user may do without a login.
    (home / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\nWTF_CSRF_ENABLED = False\n')


def variables_of(settings: Mapping[str, object]) -> dict[str, str]:
    """Return settings such as `CORE__PARALLELISM` as the environment variables that Airflow reads."""
    return {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}


def clean_environment() -> dict[str, str]:
    """Return the environment without the user's Airflow, without their key, and without a proxy to loopback."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW_") and name != "SEGMIND_API_KEY"
    }
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK)))
    return {
        **kept,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "NO_COLOR": "1",
        "SCARF_ANALYTICS": "false",
        "PYTHONPATH": str(_REPOSITORY),
        # Some executors of Airflow 2 start `airflow` by its name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nothing listens on."""
    listening = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in listening]
    for each in listening:
        each.close()
    return ports
