"""The database of the campaign's Airflow, and of the benchmarks': PostgreSQL if one is at hand, else SQLite."""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

SERVER = os.environ.get("CRASH_POSTGRES", "postgres@127.0.0.1:5432")
"""User, host and port of a PostgreSQL that trusts us."""

ABANDONED = "20s"


@contextmanager
def database() -> Iterator[tuple[str, Mapping[str, str]]]:
    """Create a database and drop it in the end; yield its kind and what tells Airflow of it."""
    server = postgres()
    if server is None:
        yield "SQLite", {}
        return
    name = f"segmind_crash_{secrets.token_hex(4)}"
    execute(server, f"CREATE DATABASE {name}")
    # The workers of a scheduler that is killed have inherited its socket: while they live, its transaction and the
    # locks of it would, too.
    execute(server, f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '{ABANDONED}'")
    try:
        yield "PostgreSQL", {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{SERVER}/{name}"}
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def postgres() -> Any:
    """Return the driver, if Airflow could use it and the server answers; None if not."""
    try:
        driver = importlib.import_module("psycopg2")
        importlib.import_module("asyncpg")
        driver.connect(f"postgresql://{SERVER}/postgres", connect_timeout=3).close()
    except Exception:  # noqa: BLE001 - then there is none
        return None
    return driver


def execute(driver: Any, statement: str) -> None:
    """Have the server do something outside of any transaction."""
    connection = driver.connect(f"postgresql://{SERVER}/postgres", connect_timeout=3)
    try:
        connection.autocommit = True
        connection.cursor().execute(statement)
    finally:
        connection.close()
