"""Keeping the instances of a mapped task from going on with the same request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api.forms import REQUEST_ID, SIZE, Form
from airflow_provider_segmind.delivery import REQUEST_ID_KEY, push_request_id
from airflow_provider_segmind.exceptions import SegmindError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

CLAIM_KEY = "segmind_claim"
CLAIM_VERSION = 1
"""Of the form that is pushed under this key; see docs/upgrades.md."""

SETTLING = 2.0
"""Seconds between a claim and the look at the others' claims: longer than a claim takes to be written."""

log = logging.getLogger(__name__)


class Claims:
    """
    Which requests the other instances of the same mapped task have, by the ids that they pushed to XCom.

    Two instances that lost the answers to submits with identical parameters find the same requests in the
    history. Each claims one by pushing its id, gives the others time to do the same, and looks: of two that
    claimed the same, the one with the higher map index takes another.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ti = context["ti"]

    def taken(self) -> set[str]:
        """Return the ids that the other instances of the task have."""
        if not self.mapped:
            return set()
        ids = self._pulled(REQUEST_ID_KEY)
        own = self._ti.xcom_pull(task_ids=self._ti.task_id, key=REQUEST_ID_KEY, map_indexes=self._ti.map_index)
        if own in ids:
            ids.remove(own)
        return set(map(str, ids))

    def claimed_by_another(self, request_id: str) -> bool:
        """
        Whether another instance took this request for the one whose answer it had lost.

        It has been paid for: so if the claims cannot be read, it is kept.
        """
        try:
            return self.mapped and bool(self._claimants(request_id))
        except Exception:
            log.exception("Cannot see which requests other instances have; keeping request %s", request_id)
            return False

    def claimed(self, request_ids: Iterable[str]) -> str | None:
        """Return the first of these ids that no other instance has, and push it; None if there is none."""
        for request_id in request_ids:
            if request_id in self.taken():
                continue
            push_request_id(self._context, request_id)
            if not self.mapped or self._kept(request_id):
                return request_id
        return None

    @property
    def mapped(self) -> bool:
        """Whether there are other instances of the task."""
        return self._ti.map_index is not None and self._ti.map_index >= 0

    def _kept(self, request_id: str) -> bool:
        claim = {"version": CLAIM_VERSION, "map_index": self._ti.map_index, "request_id": request_id}
        self._context["ti"].xcom_push(key=CLAIM_KEY, value=claim)
        time.sleep(SETTLING)
        claimants = self._claimants(request_id)
        if self._pulled(REQUEST_ID_KEY).count(request_id) > len(claimants):
            return False  # another instance has it by the answer to its own submit, or its claim cannot be read
        own = int(self._ti.map_index or 0)
        return all(map_index >= own for map_index in claimants)

    def _claimants(self, request_id: str) -> list[int]:
        """Return the map indexes of the instances that claim a request, this one included."""
        claimants = []
        for claim in self._pulled(CLAIM_KEY):
            try:
                form = Form(claim, "an instance's claim of a request cannot be read", CLAIM_VERSION)
                claimed, map_index = form.required("request_id", REQUEST_ID), form.required("map_index", SIZE)
            except SegmindError as error:
                log.warning("%s", error)
            else:
                claimants += [map_index] if claimed == request_id else []
        return claimants

    def _pulled(self, key: str) -> list[Any]:
        """Return a value of each instance that has one: one alone comes without a list around it."""
        pulled = self._ti.xcom_pull(task_ids=self._ti.task_id, key=key)
        values = [pulled] if isinstance(pulled, (str, dict)) else list(pulled or ())
        return [value for value in values if value is not None]
