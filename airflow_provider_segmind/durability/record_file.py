"""The record of a task instance as a JSON file, which no Airflow clears, and which people and DuckDB can read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_segmind.api.fingerprint import without_signature
from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.api.text import safe_text, without_login
from airflow_provider_segmind.compat import redact
from airflow_provider_segmind.durability.storage_errors import naming_storage
from airflow_provider_segmind.exceptions import RecordUnavailableError, SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.media.small_files import SmallFile

VERSION = 1
"""Of the form of the file; see docs/upgrades.md."""

STORED_KEY = "stored"
"""In the file: what the provider reads again. All else is for people."""

MOST_BYTES = 4 * 1024 * 1024
LONGEST_VALUE = 2048
"""Characters of a parameter in the file: it may be a whole image, as a data URL."""

_IDENTITY = ("dag_id", "task_id", "run_id", "map_index")
_LOOP_IDENTITY = ("region_id", "region_index")
"""Of an iteration of a task loop (Airflow 3.4): several instances of a run have the same map index."""


class RecordFile:
    """
    One file of one task instance, named after the hash of its DAG, run, task and map index.

    :param ti: The task instance.
    :param folder: Where the file is.
    :param option: The parameter or option that names the folder, for messages.
    :param administrators: Whether that is an option of the deployment.
    """

    shows_facts = True

    def __init__(self, ti: Any, folder: Location, option: str, *, administrators: bool = False) -> None:
        self._identity = identity_of(ti)
        self._location = folder / f"{file_stem(self._identity)}.json"
        self._option = option
        self._administrators = administrators
        self._document: dict[str, Any] | None = None
        self._facts: dict[str, Any] = {}
        self.where = safe_text(self._location.uri)

    def refresh(self) -> None:
        """Have the next ``read`` see what others have written since."""
        self._document = None

    def read(self, key: str) -> Any:
        """
        Return what was written last; None if nothing was.

        :raises RecordUnavailableError: If the storage has trouble that may pass.
        :raises SegmindError: If the file is not a record of this task, or may not be read.
        """
        return self._loaded()[STORED_KEY].get(key)

    def write(self, key: str, value: Any) -> None:
        """
        Write a value in place of the one before it.

        :raises RecordUnavailableError: If the storage has trouble that may pass.
        :raises InvalidParameterError: If it may not be written to.
        """
        document = self._reloaded()
        document[STORED_KEY][key] = value
        self._save(document)

    def delete(self, key: str) -> None:
        """Delete a value, if there is one; the same errors."""
        document = self._reloaded()
        if document[STORED_KEY].pop(key, None) is None:
            return
        if document[STORED_KEY]:
            self._save(document)
            return
        with self._naming_file("written to"):
            self._file.remove()
        self._document = None

    def describe(self, **facts: Any) -> None:
        """Add facts for people, to be written with the next value."""
        self._facts |= facts

    @cached_property
    def _file(self) -> SmallFile:
        # Storages take long to import, and most records are in Airflow's store. The first read is before a submit.
        from airflow_provider_segmind.media.small_files import small_file

        conn_name = "[segmind] records_conn_id" if self._administrators else "output_conn_id"
        return small_file(
            self._location, name=self._option, conn_name=conn_name, always_allowed=self._administrators
        )

    def _loaded(self) -> dict[str, Any]:
        if self._document is None:
            self._document = self._load()
        return self._document

    def _reloaded(self) -> dict[str, Any]:
        """
        Return what the file has by now, to change one value of it.

        An attempt that Airflow took for dead may write next to the one that followed it: neither may put back what
        it read minutes ago. A storage that cannot be read just now may still be written to.
        """
        known, self._document = self._document, None
        try:
            return self._loaded()
        except RecordUnavailableError:
            if known is None:
                raise
            self._document = known
            return known

    def _load(self) -> dict[str, Any]:
        with self._naming_file("read"):
            content = self._file.read(MOST_BYTES + 1)
        if content is None:
            return {"version": VERSION, **self._identity, STORED_KEY: {}}
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._unusable("it is not JSON") from error
        if not isinstance(document, dict) or not isinstance(document.get(STORED_KEY), dict):
            raise self._unusable("it has another shape")
        if any(document.get(name) != own for name, own in self._identity.items()):
            raise self._unusable("it is of another task")
        return document

    def _unusable(self, problem: str) -> SegmindError:
        return SegmindError(
            f"{self._option}: the record of this task's request, {self.where}, cannot be used: {problem}. Nothing "
            "was submitted. Look in Segmind's request history for what was paid for; to pay for a new request, "
            "delete the file"
        )

    def _save(self, document: dict[str, Any]) -> None:
        document |= {**self._facts, "updated_at": _moment(datetime.now(UTC))}
        content = json.dumps(_readable_order(document), indent=1).encode()
        with self._naming_file("written to"):
            self._file.write(content)

    def _naming_file(self, done: str) -> AbstractContextManager[None]:
        return naming_storage(self._option, f"the record of this task's request, {self.where}, cannot be {done}")


def identity_of(ti: Any) -> dict[str, Any]:
    """Return what tells a task instance from all others."""
    identity = {name: getattr(ti, name) for name in _IDENTITY}
    region = getattr(ti, "region_id", None)
    if isinstance(region, UUID) and region.int:
        identity |= {name: _plain(getattr(ti, name, None)) for name in _LOOP_IDENTITY}
    return identity


def _plain(value: object) -> int | str:
    return value if isinstance(value, int) else str(value)


def file_stem(identity: Mapping[str, Any]) -> str:
    """Return the name of a task instance's file, without ``.json``."""
    parts = list(identity.values())
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def facts_of_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a model's parameters, fit for a file that others can read.

    Without logins and signatures in addresses, without what Airflow masks in logs; long values are cut.
    """
    shown = {str(name): _shown(value) for name, value in parameters.items()}
    masked: dict[str, Any] = redact(shown)
    return {name: _cut(value) for name, value in masked.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return without_login(without_signature(value[: 2 * LONGEST_VALUE]))
    if isinstance(value, Mapping):
        return {str(name): _shown(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(part) for part in value]
    return value if value is None or isinstance(value, (bool, int, float)) else _shown(str(value))


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _readable_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with what the provider reads at its end."""
    return {
        **{key: value for key, value in document.items() if key != STORED_KEY},
        STORED_KEY: document[STORED_KEY],
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(seconds: float) -> str:
    """Return a moment as ISO 8601, in UTC. ``seconds``: since the epoch."""
    return _moment(datetime.fromtimestamp(seconds, UTC))
