"""
What a DAG run has spent and reserved: one small file for each submit, in a folder that all workers share.

All that a sum needs is in the names of the files, so that one listing has it. A task first writes the file of its
own submit, and then lists the folder. So of all tasks that submit, the one that wrote last has seen the files of
all others, and found that all are within the limit together. That needs no lock and no conditional write, only a
storage whose listings show what was written before: S3, Google Cloud Storage, Azure and local disks do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.documents import Allowance, read_text
from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.api.text import safe_text
from airflow_provider_segmind.durability.expense import MICRO, Expense, compact
from airflow_provider_segmind.durability.record_file import file_stem, identity_of
from airflow_provider_segmind.durability.storage_errors import naming_storage
from airflow_provider_segmind.exceptions import SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.media.small_files import SmallFile

FOLDER = "spending/"
"""Below ``[segmind] records_path``: a folder for each DAG run."""

MOST_BYTES = 64 * 1024

_NAME = re.compile(r"([0-9]{8}T[0-9]{12}Z)-([0-9a-f]{16})-([0-9a-f]{8})-([0-9]{1,15})-(reserved|charged)\.json")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _File:
    """What the name of a file says."""

    name: str
    submit: str
    instance: str
    kind: str
    micro: int
    is_final: bool


@dataclass(frozen=True)
class NamedExpense(Expense):
    """An expense as the name of its file has it: without the model, whose ``kind`` is known."""

    known_kind: str = ""

    @property
    def kind(self) -> str:
        """What requests of the same price have in common."""
        return self.known_kind


def instance_of(ti: Any) -> str:
    """Return sixteen characters that tell a task instance from all others."""
    return file_stem(identity_of(ti))[:16]


class RunExpenses:
    """
    The expenses of one DAG run, as one of its task instances reads and writes them.

    :param ti: The task instance.
    :param records: The folder of ``[segmind] records_path``.
    :param option: The option that names it, for messages.
    """

    def __init__(self, ti: Any, records: Location, option: str) -> None:
        identity = identity_of(ti)
        run = hashlib.sha256(json.dumps([identity["dag_id"], identity["run_id"]]).encode()).hexdigest()
        self._folder = records / f"{FOLDER}{run}/"
        self._run = {name: identity[name] for name in ("dag_id", "run_id")}
        self._instance = instance_of(ti)
        self._option = option

    def read(self) -> list[Expense]:
        """
        Return all expenses of the run, as the names of the files have them.

        :raises RecordUnavailableError: If the storage has trouble that may pass.
        """
        return [self._named(file) for file in self._files()]

    def read_whole(self, last: int) -> list[Expense]:
        """Return the same, the last ones as their files describe them, if these can be read; for a message."""
        files = self._files()
        expenses: list[Expense] = [self._named(file) for file in files]
        for index in range(max(len(files) - last, 0), len(files)):
            with suppress(SegmindError):
                expenses[index] = self._load(files[index]) or expenses[index]
        return expenses

    def read_own(self) -> list[Expense]:
        """Return those of this task instance, with their request ids; the same errors."""
        own = (self._load(file) for file in self._files() if file.instance == self._instance)
        return [each for each in own if each is not None]

    def find(self, is_it: Callable[[Expense], bool], mine: Expense | None) -> list[Expense]:
        """
        Return those of this task instance for which something holds; the same errors.

        What this process has written itself needs no listing: if another attempt has replaced it by what Segmind
        charged, that has another name, and goes before it.
        """
        return list(filter(is_it, self.read_own())) if mine is None else [mine]

    def put(self, expense: Expense, before: Expense | None = None) -> None:
        """
        Write an expense; the same errors.

        :param before: The one in whose place it is: of the same submit.
        """
        name = self._name_of(expense)
        with self._naming("written to"):
            content = json.dumps({**self._run, **expense.as_json()}, indent=1).encode()
            self._file(name).write(content)
            if before is not None and (former := self._name_of(before)) != name:
                self._file(former).remove()

    def remove(self, expense: Expense) -> None:
        """Remove what is there of an expense; the same errors."""
        submit = compact(expense.submit)
        for file in self._all_files():
            if (file.submit, file.instance) == (submit, self._instance):
                with self._naming("written to"):
                    self._file(file.name).remove()

    def _name_of(self, expense: Expense) -> str:
        state = "charged" if expense.is_final else "reserved"
        return f"{compact(expense.submit)}-{self._instance}-{expense.kind}-{expense.micro}-{state}.json"

    def _files(self) -> list[_File]:
        """Return one file for each submit: while one is replaced, of both the one that is charged."""
        chosen: dict[tuple[str, str], _File] = {}
        for file in self._all_files():
            other = chosen.get((file.submit, file.instance))
            if other is None or (other.is_final, other.micro) < (file.is_final, file.micro):
                chosen[file.submit, file.instance] = file
        return [chosen[key] for key in sorted(chosen)]

    def _all_files(self) -> list[_File]:
        from airflow_provider_segmind.media.small_files import names_in

        with self._naming("listed"):
            names = names_in(self._folder, name=self._option, conn_name="[segmind] records_conn_id")
        found = ((name, _NAME.fullmatch(name)) for name in names)
        return [
            _File(name, match[1], match[2], match[3], int(match[4]), match[5] == "charged")
            for name, match in found
            if match is not None
        ]

    def _named(self, file: _File) -> NamedExpense:
        return NamedExpense(
            file.submit,
            "",
            "",
            usd=file.micro / MICRO,
            is_final=file.is_final,
            instance=file.instance,
            known_kind=file.kind,
        )

    def _load(self, file: _File) -> Expense | None:
        """Return what a file describes; None if it was replaced meanwhile."""
        with self._naming("read"):
            content = self._file(file.name).read(MOST_BYTES)
        if content is None:
            return None
        try:
            # As a whole: without the id of its request, a submit would count as one that was never sent.
            document = read_text(content.decode(), Allowance())
        except ValueError as error:
            raise SegmindError(f"{safe_text(self._folder.uri + file.name)} is not JSON") from error
        return replace(Expense.from_json(document), usd=file.micro / MICRO, is_final=file.is_final)

    def _file(self, name: str) -> SmallFile:
        from airflow_provider_segmind.media.small_files import small_file

        return small_file(
            self._folder / name, name=self._option, conn_name="[segmind] records_conn_id", always_allowed=True
        )

    def _naming(self, done: str) -> AbstractContextManager[None]:
        what = f"the folder with what this DAG run has spent, {safe_text(self._folder.uri)}, cannot be {done}"
        return naming_storage(self._option, what)
