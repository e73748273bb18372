"""
An Airflow database that is thrown away.

Airflow reads most of its settings when it is first imported, which a test's file has done before any fixture runs.
So its connection to the database is made again here, and the former one afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

_ADDRESS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_LONGEST_MIGRATION = 300.0


def make_database(folder: Path) -> str:
    """
    Make a database in a folder, as ``airflow db migrate`` does, and return its address.

    A separate process does it: what the migration imports and configures would otherwise stay in this process.
    """
    import os

    address = f"sqlite:///{folder / 'airflow.db'}"
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**os.environ, _ADDRESS: address, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        capture_output=True,
        text=True,
        timeout=_LONGEST_MIGRATION,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"`airflow db migrate` failed:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return address


@contextmanager
def using_database(address: str, dags_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Let Airflow use a database, and an empty folder of DAGs, for the length of a ``with`` block.

    :param dags_folder: Airflow 3.3 reads all DAGs of this folder at each run.
    """
    settings: Any = import_module("airflow.settings")
    with monkeypatch.context() as patch:
        patch.setenv(_ADDRESS, address)
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dags_folder))
        _connect(settings)
        try:
            yield
        finally:
            settings.dispose_orm()
            patch.undo()
            _connect(settings)


def _connect(settings: Any) -> None:
    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()
