"""What `docs/compose.yaml` says is something that Airflow, and this provider, can read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow import __version__ as airflow_version
from airflow.cli import cli_parser
from airflow.configuration import conf
from packaging.version import Version

from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.hooks.connection import EXTRA_KEYS
from airflow_provider_segmind.hooks.names import CONNECTION_TYPE

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs" / "compose.yaml").read_text())
AIRFLOWS = {name: each for name, each in COMPOSE["services"].items() if "AIRFLOW__CORE__EXECUTOR" in str(each)}
SETTINGS = COMPOSE["x-airflow"]["environment"]

pytestmark = pytest.mark.skipif(
    Version(airflow_version) < Version("3.3"), reason="the file is for Airflow 3.3; the tests run there, too"
)


def test_there_are_two_of_what_may_die() -> None:
    copies = {name: each.get("deploy", {}).get("replicas", 1) for name, each in AIRFLOWS.items()}
    assert copies == {
        "migrate": 1,
        "api-server": 1,
        "dag-processor": 1,
        "scheduler": 2,
        "triggerer": 2,
        "worker": 2,
    }


@pytest.mark.parametrize("variable", [name for name in SETTINGS if name.startswith("AIRFLOW__")])
def test_each_setting_is_one_of_airflow_or_of_this_provider(variable: str) -> None:
    section, option = variable.removeprefix("AIRFLOW__").lower().split("__")
    if section == "celery":
        pytest.importorskip("airflow.providers.celery", reason="the newest Airflow is tested with it")
    ours = get_provider_info()["config"].get(section, {}).get("options", {})
    known = conf.configuration_description.get(section, {}).get("options", {})
    assert option in ours or option in known, variable


@pytest.mark.parametrize("name", AIRFLOWS)
def test_each_command_is_one_of_airflow(name: str) -> None:
    command = AIRFLOWS[name]["command"]
    if command[0] == "celery":
        pytest.importorskip("airflow.providers.celery", reason="the newest Airflow is tested with it")
    cli_parser.get_parser().parse_args(command)


def test_the_connection_has_known_keys_only() -> None:
    document = json.loads(re.sub(r"\$\{\w+:\?\}", "key", SETTINGS["AIRFLOW_CONN_SEGMIND_DEFAULT"]))
    assert document["conn_type"] == CONNECTION_TYPE
    assert document["extra"].keys() <= set(EXTRA_KEYS)
    assert f"AIRFLOW_CONN_{document['extra']['rate_limit_conn_id'].upper()}" in SETTINGS
