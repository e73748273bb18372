"""Databases for Airflow: in PostgreSQL, or SQLite files."""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.failure import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTGRES = os.environ.get("HARNESS_POSTGRES", "postgres@127.0.0.1:5432")
"""User, host and port of a PostgreSQL that needs no password."""

_CONNECT_SECONDS = 3
_ABANDONED = "20s"


@dataclass(frozen=True)
class Database:
    """
    A database for Airflow.

    :param kind: `postgresql` or `sqlite`.
    :param name: Its name, or the path of its file.
    :param url: As SQLAlchemy and Airflow write it.
    """

    kind: str
    name: str
    url: str

    @property
    def product(self) -> str:
        """Its kind, as a reader would write it."""
        return {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[self.kind]


@contextmanager
def temporary_database(
    kind: str | None, folder: Path, name: str = "airflow", *, template: Database | None = None
) -> Iterator[Database]:
    """
    Create a database for the length of a `with` block.

    :param kind: `postgresql` or `sqlite`. None takes PostgreSQL if it answers, else SQLite.
    :param folder: Where SQLite keeps its file.
    :param name: The name of that file, and a part of the name of a database.
    :param template: Another one of that kind, which nothing is connected to: the database starts as its copy.

    :raises HarnessError: If PostgreSQL is asked for and does not answer.
    """
    if kind == "sqlite" or (kind is None and not postgres_answers()):
        path = folder / f"{name}.db"
        if template is not None:
            shutil.copyfile(template.name, path)
        yield Database("sqlite", str(path), f"sqlite:///{path}")
        return
    unique = f"segmind_{name}_{secrets.token_hex(4)}".replace("-", "_")
    _execute(f"CREATE DATABASE {unique}{f' TEMPLATE {template.name}' if template else ''}")
    try:
        # The workers of a scheduler that is killed have inherited its socket. While they run, its transaction and
        # the locks of it would last, too.
        _execute(f"ALTER DATABASE {unique} SET idle_in_transaction_session_timeout = '{_ABANDONED}'")
        yield Database("postgresql", unique, f"postgresql+psycopg2://{POSTGRES}/{unique}")
    finally:
        _execute(f"DROP DATABASE IF EXISTS {unique} WITH (FORCE)")


def postgres_answers() -> bool:
    """Return whether Airflow could use a PostgreSQL: both drivers are installed, and it answers."""
    try:
        check_postgres()
    except HarnessError:
        return False
    return True


def check_postgres() -> None:
    """
    See that Airflow could use a PostgreSQL.

    :raises HarnessError: If a driver is not installed, or PostgreSQL does not answer.
    """
    _connect().close()


def _execute(statement: str) -> None:
    """Have PostgreSQL do something outside of any transaction."""
    connection = _connect()
    try:
        connection.autocommit = True
        connection.cursor().execute(statement)
    finally:
        connection.close()


def _connect() -> Any:
    try:
        importlib.import_module("asyncpg")
        driver = importlib.import_module("psycopg2")
    except ImportError as missing:
        raise HarnessError(f"PostgreSQL needs {missing.name}, which is not installed") from missing
    try:
        return driver.connect(f"postgresql://{POSTGRES}/postgres", connect_timeout=_CONNECT_SECONDS)
    except driver.Error as error:
        raise HarnessError(
            f"no PostgreSQL answers at {POSTGRES} without a password (HARNESS_POSTGRES=user@host:port names "
            f"another one): {error}"
        ) from error
