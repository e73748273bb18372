"""The record of a task instance's request, as attempts read and write it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.forms import MAPPING, MOMENT, Form
from airflow_provider_segmind.api.output import MOST_OUTPUTS
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.delivery import Memory
from airflow_provider_segmind.durability.backends import OPTION, Backend, Backends, choose_backends
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.record_file import facts_of_parameters, moment_of
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.lineage.metrics import COUNTED_KEY

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.durability.expense import Expense
    from airflow_provider_segmind.lineage.delivered import Delivered

KEY = "segmind_request"
UPLOADS_KEY = "segmind_uploads"
OUTPUTS_KEY = "segmind_outputs"
EXPENSES_KEY = "segmind_expenses"
UPLOADS_VERSION = 1
OUTPUT_VERSION = 1
"""Of the forms that are kept under these keys; see docs/upgrades.md. The record has its own."""

UPLOADS_LAST = 6 * 24 * 3600.0
"""Seconds for which an upload is used again. How long Segmind keeps one is not documented; outputs, seven days."""

log = logging.getLogger(__name__)


class RecordStore:
    """
    The record of one task instance. ``backends.choose_backends`` says where it is.

    What is written before a submit must be there: an error costs nothing then. Once a request is paid for, an
    error is logged, and the task continues: its output matters more.

    :param durable: False to remember nothing.
    :param output_path: The task's, if it stores its output.
    :param output_conn_id: The Airflow connection to that storage.
    """

    def __init__(
        self,
        context: Context,
        *,
        durable: bool,
        output_path: object = None,
        output_conn_id: str | None = None,
    ) -> None:
        self._durable = durable
        self._context = context
        self._ti = context["ti"]
        self._output = (output_path, output_conn_id)

    @cached_property
    def _backends(self) -> Backends:
        return choose_backends(self._context, *self._output) if self._durable else Backends(Memory.NONE)

    @property
    def _backend(self) -> Backend | None:
        """What is written, as far as that is known: once a request is paid for, a wrong option stops nothing."""
        try:
            return self._backends.current
        except SegmindError:
            return None

    def log_what_is_missing(self) -> None:
        """Log what another attempt would cost, if that is not what the user asked for."""
        if not self._durable:
            return
        if self.memory is Memory.NONE:
            log.info(
                "This Airflow has no task state store (3.3 and later have one): another attempt would "
                "submit again, and be charged again. To prevent that, set the option %s, or output_path.",
                OPTION,
            )
        elif self.memory is Memory.RETRIES:
            log.info(
                "A retry continues with the same request. A cleared task would submit again, because this "
                "Airflow deletes the state of a task that is cleared, unless you keep it. To prevent that, set "
                "the option %s, or output_path.",
                OPTION,
            )

    @property
    def memory(self) -> Memory:
        """For how long the task knows its request. ``NONE`` also if where the record is cannot be found out."""
        try:
            return self._backends.memory
        except SegmindError:
            return Memory.NONE

    @property
    def remembers(self) -> bool:
        """Whether what is written here is there for the next attempt."""
        return self.memory is not Memory.NONE

    def read(self) -> RequestRecord | None:
        """
        Return the record of earlier attempts, if there is one.

        :raises SegmindError: If there is one that this version cannot read: submitting might pay twice.
        """
        for backend in (self._backends.current, self._backends.former):
            if backend is None:
                continue
            backend.refresh()
            document = backend.read(KEY)
            if document is None:
                continue
            try:
                return RequestRecord.from_json(document)
            except SegmindError as error:
                raise SegmindError(
                    f"{error.detail}. To pay for a new request, delete {KEY!r} from {backend.where}",
                    request_id=error.request_id,
                ) from error
        return None

    def read_undelivered_id(self) -> str | None:
        """Return the id of a request that is paid for, or will be, and not delivered; None if none is known."""
        try:
            record = self.read()
        except Exception:
            log.exception("Cannot read the record of the task's request")
            return None
        return record.request_id if record is not None and record.state is RecordState.SUBMITTED else None

    def read_unresolved_name(self) -> str | None:
        """Return by what a user names a submit without a known request; None if the record has none."""
        record = self._read_quietly("of an unresolved submit")
        unresolved = record is not None and record.state is RecordState.SUBMITTING
        return record.undelivered_name if record is not None and unresolved else None

    def read_submitted_at(self, request_id: str) -> float | None:
        """Return when a request was submitted, in seconds since the epoch; None if nothing is known of it."""
        record = self._read_quietly(request_id)
        return record.sent_at if record is not None and record.request_id == request_id else None

    def describe_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Have the record show a model's parameters, where it is a file. They are written with the next record."""
        if self._backend is not None and self._backend.shows_facts:
            self._backend.describe(parameters=facts_of_parameters(parameters))

    def write(self, record: RequestRecord) -> None:
        """
        Write a record in place of the one before it.

        :raises Exception: If an intent cannot be written: there must be no submit then.
        """
        backend = self._backends.current if record.state is RecordState.SUBMITTING else self._backend
        if backend is None:
            return
        if backend.shows_facts:
            facts: dict[str, Any] = {
                "model": record.model,
                "request_id": record.request_id,
                "state": str(record.state),
                "submitted_at": moment_of(record.sent_at),
            }
            if record.state is RecordState.SUBMITTING:
                facts |= {"delivered_at": None, "cost": None, "outputs": []}
            backend.describe(**facts)
        if record.state is RecordState.SUBMITTING:
            backend.write(KEY, record.as_json())
        else:
            self._write_quietly(KEY, record.as_json(), record.request_id)

    def mark_delivered(self, request_id: str, max_tries: int, delivered: Delivered | None = None) -> None:
        """
        Write down that the task has what it will get of a request: only a clear may submit another.

        :param max_tries: The task's of this moment, which a clear changes and a retry does not.
        :param delivered: What the task got; None if it got nothing.
        """
        record = self._read_quietly(request_id)
        if record is None or record.request_id != request_id or self._backend is None:
            return
        if record.max_tries is not None and record.max_tries > max_tries:
            # The task was cleared meanwhile, and its new attempts continue with this request: they deliver it.
            log.info("Request %s: leaving its record to the attempts of the cleared task", one_line(request_id))
            return
        if delivered is not None:
            self._backend.describe(
                delivered_at=moment_of(time.time()),
                cost=delivered.figure("cost"),
                outputs=[each.as_json() for each in delivered.stored],
            )
        self.write(replace(record, state=RecordState.DELIVERED, max_tries=max_tries))

    def forget(self) -> None:
        """Delete the record: there is no request, and none is searched for."""
        if self._backend is not None:
            self._delete_quietly(KEY, self._backends.current)
            self._delete_quietly(KEY, self._backends.former)

    def read_expenses(self) -> tuple[Expense, ...]:
        """
        Return what this task has spent and reserved, if its spending is limited.

        :raises SegmindError: If that cannot be read: another submit might exceed the limit.
        """
        from airflow_provider_segmind.durability.expense import read_expenses  # most tasks have no limit

        for backend in (self._backends.current, self._backends.former):
            if backend is None:
                continue
            backend.refresh()
            document = backend.read(EXPENSES_KEY)
            if document is not None:
                try:
                    return read_expenses(document)
                except SegmindError as error:
                    remedy = f"To count from the beginning, delete {EXPENSES_KEY!r} from {backend.where}"
                    raise SegmindError(f"{error.detail}. {remedy}", request_id=error.request_id) from error
        return ()

    def write_expenses(self, expenses: Sequence[Expense]) -> None:
        """
        Write down what this task has spent and reserved.

        :raises Exception: If that is not possible.
        """
        if self._backends.current is not None:
            self._backends.current.write(EXPENSES_KEY, [each.as_json() for each in expenses])

    def read_counted(self) -> object:
        """Return the id of the last request whose cost was counted; None if there is none."""
        return self._backend.read(COUNTED_KEY) if self._backend is not None else None

    def write_counted(self, request_id: str) -> None:
        """Write down that the cost of a request is about to be counted."""
        if self._backend is not None:
            self._backend.write(COUNTED_KEY, request_id)

    def read_uploads(self) -> dict[str, str]:
        """Return the URLs of files that were uploaded, by the digest of their content."""
        since = time.time() - UPLOADS_LAST
        return {digest: each["url"] for digest, each in self._read_uploads().items() if each["at"] > since}

    def keep_uploads(self, urls: Mapping[str, str]) -> None:
        """Add the URLs of files that have just been uploaded. Without a store they are kept for this attempt."""
        now = time.time()
        new = {digest: {"url": url, "at": now} for digest, url in urls.items()}
        uploads = {"version": UPLOADS_VERSION, **self._read_uploads(), **new}
        if self._backend is not None:
            self._write_quietly(UPLOADS_KEY, uploads)
        else:
            self._ti.xcom_push(key=UPLOADS_KEY, value=uploads)

    def forget_uploads(self) -> None:
        """Have the files uploaded again."""
        self._delete_quietly(UPLOADS_KEY, self._backend)

    def _read_uploads(self) -> dict[str, dict[str, Any]]:
        """Return what is known of uploads. What cannot be read is left out: another upload is free."""
        kept = (
            self._backend.read(UPLOADS_KEY)
            if self._backend is not None
            else self._ti.xcom_pull(task_ids=self._ti.task_id, key=UPLOADS_KEY, map_indexes=self._ti.map_index)
        )
        entries = kept.items() if isinstance(kept, dict) else ()
        return {digest: dict(each) for digest, each in entries if isinstance(digest, str) and _is_upload(each)}

    def read_outputs(self, request_id: str) -> list[dict[str, Any]]:
        """
        Return what is known of the outputs of a request that were stored, in the order of their numbers.

        What cannot be read is left out: the output is fetched once more, which is free.
        """
        from airflow_provider_segmind.media.stored import StoredOutput  # only a task that stores its output

        found: list[dict[str, Any]] = []
        for number in range(1, MOST_OUTPUTS + 1):
            kept = self._read_output(number, request_id)
            if not isinstance(kept, dict) or kept.get("request_id") != request_id:
                break
            try:
                output = Form(kept, "it cannot be read", OUTPUT_VERSION).required("output", MAPPING)
                StoredOutput.from_json(output)
            except SegmindError as error:
                words = "What is known of output %d of request %s is not used: %s"
                log.warning(words, number, one_line(request_id), error.detail)
                continue
            found.append(dict(output))
        return found

    def keep_output(self, request_id: str, number: int, output: Mapping[str, Any]) -> None:
        """
        Write down that an output of a request is stored. Each has a key, or 400 would be written 400 times.

        :param number: From 1, and in this order: what was kept after a gap is not found.
        """
        kept = {"version": OUTPUT_VERSION, "request_id": request_id, "output": dict(output)}
        self._write_quietly(f"{OUTPUTS_KEY}_{number}", kept, request_id)

    def _read_output(self, number: int, request_id: str) -> Any:
        try:
            return self._backend.read(f"{OUTPUTS_KEY}_{number}") if self._backend is not None else None
        except Exception:
            log.exception("Request %s: cannot read which outputs are stored already", one_line(request_id))
            return None

    def _read_quietly(self, request_id: str) -> RequestRecord | None:
        """Return the record; None, and a line in the log, if it cannot be read. For a request that is paid for."""
        try:
            return self.read()
        except Exception:
            log.exception("Request %s: cannot read the task's record of it", one_line(request_id))
            return None

    def _write_quietly(self, key: str, value: Any, request_id: str | None = None) -> None:
        """Write what a task can do without, or log that it could not be written."""
        if self._backend is None:
            return
        try:
            self._backend.write(key, value)
        except Exception:
            about = "" if request_id is None else f"Request {one_line(request_id)}: "
            log.exception("%sContinuing, although %s could not be written to %s", about, key, self._backend.where)

    @staticmethod
    def _delete_quietly(key: str, backend: Backend | None) -> None:
        """Delete a value, or log that it is still there. The next attempt then looks for what is not there."""
        try:
            if backend is not None:
                backend.delete(key)
        except Exception:
            log.exception("Continuing, although %s could not be deleted", key)


def _is_upload(kept: object) -> bool:
    return isinstance(kept, dict) and is_web_address(kept.get("url")) and MOMENT.read(kept.get("at")) is not None
