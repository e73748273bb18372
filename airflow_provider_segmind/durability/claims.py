"""Keeping the instances of a mapped task from continuing with the same request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.forms import REQUEST_ID, SIZE, Form
from airflow_provider_segmind.api.request_ids import canonical_id
from airflow_provider_segmind.delivery import REQUEST_ID_KEY, push_request_id
from airflow_provider_segmind.exceptions import SegmindError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context

CLAIM_KEY = "segmind_claim"
CLAIM_VERSION = 1
"""Of the form that is pushed under this key; see docs/upgrades.md."""

CLAIM_WRITE_TIME = 2.0
"""Seconds that another instance may need to write its claim. A claim is read back only after them."""

log = logging.getLogger(__name__)


class Claims:
    """
    Which requests the other instances of the same mapped task have, by the ids that they pushed to XCom.

    Two instances that got no answers to submits with identical parameters find the same requests in the
    history. Each claims one by pushing its id, gives the others time to do the same, and looks: of two that
    claimed the same, the one with the higher map index takes another.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ti = context["ti"]

    def read_taken_ids(self) -> set[str]:
        """Return the ids that the other instances of the task have."""
        if not self.is_mapped:
            return set()
        ids = self._pull(REQUEST_ID_KEY)
        own = self._ti.xcom_pull(task_ids=self._ti.task_id, key=REQUEST_ID_KEY, map_indexes=self._ti.map_index)
        if own in ids:
            ids.remove(own)
        return set(map(str, ids))

    def is_claimed_by_another(self, request_id: str) -> bool:
        """
        Whether another instance took this request for its own unresolved submit.

        It has been paid for: so if the claims cannot be read, it is kept.
        """
        try:
            return self.is_mapped and bool(self._read_claimants(request_id))
        except Exception:
            log.exception("Cannot see which requests other instances have; keeping request %s", request_id)
            return False

    def free(self, request_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those of these ids that no other instance has."""
        taken = set(map(canonical_id, self.read_taken_ids()))
        return tuple(request_id for request_id in request_ids if canonical_id(request_id) not in taken)

    def claim_first_free(self, request_ids: Iterable[str]) -> str | None:
        """Return the first of these ids that no other instance has, and claim it; None if there is none."""
        for request_id in request_ids:
            if not self.free([request_id]):
                continue
            if not self.is_mapped:
                return request_id
            push_request_id(self._context, request_id)
            if self._claim_exclusively(request_id):
                return request_id
            self._ti.xcom_push(key=REQUEST_ID_KEY, value=None)  # or its owner would take it for another's
        return None

    @property
    def is_mapped(self) -> bool:
        """Whether there are other instances of the task."""
        return self._ti.map_index is not None and self._ti.map_index >= 0

    def _claim_exclusively(self, request_id: str) -> bool:
        """Push a claim, wait until those of the others are written, and say whether this one wins."""
        claim = {"version": CLAIM_VERSION, "map_index": self._ti.map_index, "request_id": request_id}
        self._context["ti"].xcom_push(key=CLAIM_KEY, value=claim)
        time.sleep(CLAIM_WRITE_TIME)
        claimants = self._read_claimants(request_id)
        holders = list(map(canonical_id, map(str, self._pull(REQUEST_ID_KEY)))).count(canonical_id(request_id))
        if holders > len(claimants):
            return False  # another instance has it by the answer to its own submit, or its claim cannot be read
        own = int(self._ti.map_index or 0)
        return all(map_index >= own for map_index in claimants)

    def _read_claimants(self, request_id: str) -> list[int]:
        """Return the map indexes of the instances that claim a request, this one included."""
        claimants = []
        for claim in self._pull(CLAIM_KEY):
            try:
                form = Form(claim, "an instance's claim of a request cannot be read", CLAIM_VERSION)
                claimed, map_index = form.required("request_id", REQUEST_ID), form.required("map_index", SIZE)
            except SegmindError as error:
                log.warning("%s", error.facts)
            else:
                claimants += [map_index] if canonical_id(claimed) == canonical_id(request_id) else []
        return claimants

    def _pull(self, key: str) -> list[Any]:
        """Return a value of each instance that has one: one alone comes without a list around it."""
        pulled = self._ti.xcom_pull(task_ids=self._ti.task_id, key=key)
        several = isinstance(pulled, Iterable) and not isinstance(pulled, (str, dict))
        values = list(pulled) if several else [pulled]
        return [value for value in values if value is not None]
