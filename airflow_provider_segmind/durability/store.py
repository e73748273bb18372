"""Where the record is kept: Airflow's task state store, which survives retries, crashes and deferrals."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.forms import MAPPING, MOMENT, Form
from airflow_provider_segmind.api.output import MOST_OUTPUTS
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.web_address import is_web_address
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.media.storing import StoredOutput

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

KEY = "segmind_request"
UPLOADS_KEY = "segmind_uploads"
OUTPUTS_KEY = "segmind_outputs"
UPLOADS_VERSION = 1
OUTPUT_VERSION = 1
"""Of the forms that are kept under these keys; see docs/upgrades.md. The record has its own."""

UPLOADS_LAST = 6 * 24 * 3600.0
"""Seconds for which an upload is used again. How long Segmind keeps one is not documented; outputs, seven days."""

log = logging.getLogger(__name__)


class RecordStore:
    """
    The record of one task instance.

    Airflow has the store from 3.3. Below it, and if it is switched off, nothing is remembered: a try then submits
    once, and the next one anew.

    :param durable: False to remember nothing.
    """

    def __init__(self, context: Context, *, durable: bool) -> None:
        self._durable = durable
        self._ti = context["ti"]
        self._store: Any = context.get("task_state_store") if durable else None

    def say_what_is_missing(self) -> None:
        """Log that nothing will be remembered, if that is not what the user asked for."""
        if self._durable and self._store is None:
            log.info(
                "This Airflow has no task state store (3.3 and later have): another try of this task would submit "
                "anew, and be charged again."
            )

    @property
    def remembers(self) -> bool:
        """Whether what is written here is there for the next try."""
        return self._store is not None

    def read(self) -> RequestRecord | None:
        """
        Return the record of earlier tries, if there is one.

        :raises SegmindError: If there is one that this version cannot read: submitting might pay twice.
        """
        document = self._store.get(KEY) if self._store is not None else None
        if document is None:
            return None
        try:
            return RequestRecord.read(document)
        except SegmindError as error:
            raise SegmindError(
                f"{error.detail}. To pay for a new request, delete {KEY!r} from the task's task state store",
                request_id=error.request_id,
            ) from error

    def undelivered(self) -> str | None:
        """Return the id of a request that is paid for, or will be, and not delivered; None if none is known."""
        try:
            record = self.read()
        except Exception:
            log.exception("Cannot read the record of the task's request")
            return None
        return record.request_id if record is not None and record.state is RecordState.SUBMITTED else None

    def submitted_at(self, request_id: str) -> float | None:
        """Return when a request was submitted, in seconds since the epoch; None if nothing is remembered of it."""
        record = self.read()
        return record.at if record is not None and record.request_id == request_id else None

    def write(self, record: RequestRecord) -> None:
        """Keep a record in place of the one before it."""
        if self._store is not None:
            self._store.set(KEY, record.as_json())

    def end(self, request_id: str, max_tries: int) -> None:
        """
        Write down that the task has what it will get of a request: only a clear may submit another.

        :param max_tries: The task's of this moment, which a clear changes and a retry does not.
        """
        record = self.read()
        if record is not None and record.request_id == request_id:
            self.write(replace(record, state=RecordState.DELIVERED, max_tries=max_tries))

    def put_back(self, record: RequestRecord | None) -> None:
        """
        Undo what was written before a submit that was certainly not accepted.

        :param record: What holds again; None if there is no request, and none is looked for.
        """
        if record is not None:
            self.write(record)
        elif self._store is not None:
            self._store.delete(KEY)

    def uploads(self) -> dict[str, str]:
        """Return the URLs of files that were uploaded, by the digest of their content."""
        since = time.time() - UPLOADS_LAST
        return {digest: each["url"] for digest, each in self._kept_uploads().items() if each["at"] > since}

    def keep_uploads(self, urls: Mapping[str, str]) -> None:
        """Add the URLs of files that have just been uploaded. Without a store they are kept for this try."""
        now = time.time()
        new = {digest: {"url": url, "at": now} for digest, url in urls.items()}
        uploads = {"version": UPLOADS_VERSION, **self._kept_uploads(), **new}
        if self._store is not None:
            self._store.set(UPLOADS_KEY, uploads)
        else:
            self._ti.xcom_push(key=UPLOADS_KEY, value=uploads)

    def forget_uploads(self) -> None:
        """Have the files uploaded again."""
        if self._store is not None:
            self._store.delete(UPLOADS_KEY)

    def _kept_uploads(self) -> dict[str, dict[str, Any]]:
        """Return what is known of uploads. What cannot be read is left out: another upload is free."""
        kept = (
            self._store.get(UPLOADS_KEY)
            if self._store is not None
            else self._ti.xcom_pull(task_ids=self._ti.task_id, key=UPLOADS_KEY, map_indexes=self._ti.map_index)
        )
        entries = kept.items() if isinstance(kept, dict) else ()
        return {digest: dict(each) for digest, each in entries if isinstance(digest, str) and _is_upload(each)}

    def outputs(self, request_id: str) -> list[dict[str, Any]]:
        """
        Return what is known of the outputs of a request that were stored, in the order of their numbers.

        What cannot be read is left out: the output is fetched once more, which is free.
        """
        found: list[dict[str, Any]] = []
        for number in range(1, MOST_OUTPUTS + 1):
            kept = self._store.get(f"{OUTPUTS_KEY}_{number}") if self._store is not None else None
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
        if self._store is not None:
            kept = {"version": OUTPUT_VERSION, "request_id": request_id, "output": dict(output)}
            self._store.set(f"{OUTPUTS_KEY}_{number}", kept)


def _is_upload(kept: object) -> bool:
    return isinstance(kept, dict) and is_web_address(kept.get("url")) and MOMENT.read(kept.get("at")) is not None
