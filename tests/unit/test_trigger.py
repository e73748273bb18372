"""The trigger as Airflow stores it, and the events that it sends."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_segmind.api.answers import DATABASE_LIMIT, RequestReport
from airflow_provider_segmind.api.follow import Wait
from airflow_provider_segmind.api.history_search import search_history
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import RateLimitedError, RequestFailedError, SegmindError
from airflow_provider_segmind.triggers.events import (
    LargeResult,
    completed_event,
    error_event,
    read_event,
)
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger

TRIGGER = SegmindRequestTrigger("req-1", "segmind_default", 1000.5, 1900.5, 7.5)


def test_a_trigger_is_rebuilt_from_what_was_stored() -> None:
    path, kwargs = json.loads(json.dumps(TRIGGER.serialize()))
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**kwargs)
    assert type(again) is SegmindRequestTrigger
    assert again.serialize() == TRIGGER.serialize()


def test_events_are_json_and_carry_the_request_id() -> None:
    result = RequestReport("req-1", "COMPLETED", {"status": "COMPLETED", "output": "x"}, from_history=True)
    done = json.loads(json.dumps(completed_event(result)))
    failed = json.loads(json.dumps(error_event("req-1", RequestFailedError("blocked", status=422))))
    assert done["request_id"] == failed["request_id"] == failed["error"]["request_id"] == "req-1"
    assert read_event(done) == result
    with pytest.raises(RequestFailedError, match=r"blocked.*req-1"):
        read_event(failed)


def test_a_large_result_is_left_for_the_worker_to_fetch() -> None:
    result = RequestReport("req-1", "COMPLETED", {"status": "COMPLETED", "output": "x" * DATABASE_LIMIT})
    event = completed_event(result)
    assert len(json.dumps(event)) < 1000
    assert read_event(event) == LargeResult("req-1")


@pytest.mark.parametrize("event", [None, {}, "done", {"request_id": "r"}, {"result": {}}, {"error": "text"}])
def test_what_is_no_event_is_reported(event: Any) -> None:
    with pytest.raises(SegmindError, match="the event of the trigger cannot be read"):
        read_event(event)


async def test_on_kill_says_that_the_request_is_still_running(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    await SegmindRequestTrigger("req-1", "segmind_default", 1000.5, 1900.5).on_kill()
    said = caplog.text + "".join(capfd.readouterr())
    assert "req-1" in said
    assert "cannot cancel" in said
    assert "charges it" in said


@pytest.mark.parametrize("late", [-60, 0, 600])
def test_airflow_does_not_end_a_search_that_a_triggerer_begins_late(late: float) -> None:
    """The key's budget is short: the history can be read only at the end of the search."""
    submit = UnresolvedSubmit("m", "f", sent_at=1000, accepted_by=1030, search_from=1000, search_until=1120)
    moment = submit.search_until + late
    search = search_history(submit, lambda: moment)

    def go_on(step: Any) -> Any:
        nonlocal moment
        if not isinstance(step, Wait):
            return search.throw(RateLimitedError("slow down"))
        moment += step.seconds
        return search.send(None)

    step: Any = next(search)
    with suppress(StopIteration):
        while True:
            step = go_on(step)
    assert moment <= SegmindUnresolvedSubmitTrigger(submit=submit.as_json()).latest_end
