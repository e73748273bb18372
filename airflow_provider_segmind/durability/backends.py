"""What keeps the record between attempts: Airflow's task state store, or a file of the task instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_provider_segmind.api.locations import Location, output_location
from airflow_provider_segmind.compat import conf, does_clear_forget
from airflow_provider_segmind.delivery import Memory
from airflow_provider_segmind.durability.record_file import RecordFile
from airflow_provider_segmind.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context

SECTION, PATH_OPTION, CONNECTION_OPTION = "segmind", "records_path", "records_conn_id"
OPTION = f"[{SECTION}] {PATH_OPTION}"

FOLDER = ".segmind/"
"""Next to the output: the folder of the records, if there is no other."""


class Backend(Protocol):
    """JSON values of one task instance, by their keys."""

    where: str
    """As in "delete it from …"."""

    shows_facts: bool
    """Whether people look at the record, so that ``describe`` has a use."""

    def refresh(self) -> None:
        """Have the next ``read`` see what others have written since."""

    def read(self, key: str) -> Any:
        """Return what was written last; None if nothing was."""

    def write(self, key: str, value: Any) -> None:
        """Write a value in place of the one before it."""

    def delete(self, key: str) -> None:
        """Delete a value, if there is one."""

    def describe(self, **facts: Any) -> None:
        """Add facts for people who look at the record. They are written with the next value."""


class TaskStateBackend:
    """
    Airflow's task state store, from 3.3 on. It survives retries, crashes and deferrals.

    :param store: ``context["task_state_store"]``.
    """

    where = "the task's task state store"
    shows_facts = False

    def __init__(self, store: Any) -> None:
        self._store = store

    def refresh(self) -> None:
        """Do nothing: each ``read`` asks Airflow."""

    def read(self, key: str) -> Any:
        """Return what was written last."""
        return self._store.get(key)

    def write(self, key: str, value: Any) -> None:
        """Write a value."""
        self._store.set(key, value)

    def delete(self, key: str) -> None:
        """Delete a value."""
        self._store.delete(key)

    def describe(self, **facts: Any) -> None:
        """Do nothing: nobody looks there."""


class Backends(NamedTuple):
    """
    Where the record of a task is.

    :param memory: For how long.
    :param current: What is written; None if nothing is remembered.
    :param former: What is read if ``current`` has no record: a task may have begun before the records had a path,
        or before Airflow was upgraded.
    """

    memory: Memory
    current: Backend | None = None
    former: Backend | None = None


def choose_backends(context: Context, output_path: object, output_conn_id: str | None) -> Backends:
    """
    Return where the record of a task is.

    That is ``[segmind] records_path``, if the deployment sets it. If not: on Airflow 3.3 the task state store; on
    other versions a folder next to the output, if the task stores one; else the task state store, if there is one.

    :raises InvalidParameterError: If a location is wrong.
    """
    stored = context.get("task_state_store")
    task_state = TaskStateBackend(stored) if stored is not None else None
    folder = records_folder()
    if folder is not None:
        return Backends(Memory.CLEARS, RecordFile(context["ti"], folder, OPTION, administrators=True), task_state)
    if task_state is not None and not does_clear_forget():
        return Backends(Memory.CLEARS, task_state)
    if output_path not in (None, "", "None"):
        at = output_location(output_path, output_conn_id).folder / FOLDER
        return Backends(Memory.OUTPUT, RecordFile(context["ti"], at, "output_path"), task_state)
    return Backends(Memory.RETRIES, task_state) if task_state is not None else Backends(Memory.NONE)


def records_folder() -> Location | None:
    """
    Return the folder of ``[segmind] records_path``; None if the deployment does not set it.

    :raises InvalidParameterError: If it cannot be used.
    """
    path = (conf.get(SECTION, PATH_OPTION, fallback="") or "").strip()
    if not path:
        return None
    conn_id = (conf.get(SECTION, CONNECTION_OPTION, fallback="") or "").strip() or None
    try:
        return output_location(path if path.endswith("/") else f"{path}/", conn_id, OPTION)
    except InvalidParameterError as error:
        problem = error.problem.replace("output_conn_id", f"[{SECTION}] {CONNECTION_OPTION}")
        raise InvalidParameterError(OPTION, problem) from error
