"""The triggerers' databases: PostgreSQL if one is at hand, else SQLite. One is migrated, the others are copies."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.e2e.crash.database import SERVER, execute, postgres


class Databases(Protocol):
    """Where databases are made."""

    kind: str

    def url(self, name: str) -> str:
        """Return the address of a database for Airflow."""

    def create(self, name: str) -> None:
        """Make an empty one."""

    def copy(self, template: str, name: str) -> None:
        """Make one like another that nobody is connected to."""


@contextmanager
def databases(folder: Path) -> Iterator[Databases]:
    """Yield where to make databases; those that were made are gone in the end."""
    driver = postgres()
    if driver is None:
        yield _Files(folder)
        return
    made = _Postgres(driver)
    try:
        yield made
    finally:
        made.drop()


class _Postgres:
    kind = "PostgreSQL"

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._prefix = f"segmind_bench_{secrets.token_hex(4)}"
        self._made: list[str] = []

    def url(self, name: str) -> str:
        return f"postgresql+psycopg2://{SERVER}/{self._prefix}_{name}"

    def create(self, name: str) -> None:
        self._make(name, "")

    def copy(self, template: str, name: str) -> None:
        self._make(name, f" TEMPLATE {self._prefix}_{template}")

    def drop(self) -> None:
        for name in self._made:
            with suppress(self._driver.Error):
                execute(self._driver, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _make(self, name: str, how: str) -> None:
        self._made.append(f"{self._prefix}_{name}")
        execute(self._driver, f"CREATE DATABASE {self._prefix}_{name}{how}")


class _Files:
    kind = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        return f"sqlite:///{self._path(name)}"

    def create(self, name: str) -> None:
        self._path(name).touch()

    def copy(self, template: str, name: str) -> None:
        shutil.copyfile(self._path(template), self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.db"
