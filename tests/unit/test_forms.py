"""
The forms in which this provider writes down what another version of it may read: see docs/upgrades.md.

``forms/`` holds each as it is written today. A test that fails here means that tasks which are deferred during an
upgrade are affected: change a form only as docs/upgrades.md says. ``WRITE_FORMS=1`` writes the files.
"""

from __future__ import annotations

import asyncio
import copy
import enum
import importlib
import inspect
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_segmind.api.answers import DATABASE_LIMIT, RequestReport
from airflow_provider_segmind.api.history_search import Confidence, HistoryMatches
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.compat import AirflowFailException, TaskDeferred
from airflow_provider_segmind.durability.claims import CLAIM_KEY, Claims
from airflow_provider_segmind.durability.expense import Expense
from airflow_provider_segmind.durability.record import RecordState, RequestRecord
from airflow_provider_segmind.durability.store import EXPENSES_KEY, KEY, OUTPUTS_KEY, UPLOADS_KEY, RecordStore
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    RateLimitedError,
    RequestFailedError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.media.storing import StoredOutput
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.pixelflow import SegmindPixelFlowOperator
from airflow_provider_segmind.sensors.request import SegmindRequestSensor
from airflow_provider_segmind.triggers.deferral import deferral_timeout
from airflow_provider_segmind.triggers.events import LargeResult, completed_event, error_event, read_event
from airflow_provider_segmind.triggers.rate_limit import SegmindRateLimitTrigger
from airflow_provider_segmind.triggers.request import SegmindRequestTrigger
from airflow_provider_segmind.triggers.submit_events import (
    rate_limit_event,
    read_rate_limit_event,
    read_search_event,
    search_event,
)
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger
from tests.task_instance import Ti

FORMS = Path(__file__).parent / "forms"

NAMES: list[tuple[str, dict[str, Any] | None, type, str]] = [
    # What Airflow's database holds while a task is deferred: the trigger's class path, and the method that takes
    # the task up again. Between them: what happens to the submit, and which task it belongs to.
    (
        "airflow_provider_segmind.triggers.request.SegmindRequestTrigger",
        None,
        SegmindInferenceOperator,
        "execute_complete",
    ),
    (
        "airflow_provider_segmind.triggers.unresolved_submit.SegmindUnresolvedSubmitTrigger",
        {"on": "submit", "drop": "after"},
        SegmindInferenceOperator,
        "execute_after_search",
    ),
    (
        "airflow_provider_segmind.triggers.rate_limit.SegmindRateLimitTrigger",
        {"on": "submit", "status": 429, "reset_in": 2},
        SegmindInferenceOperator,
        "execute_after_rate_limit",
    ),
    (
        "airflow_provider_segmind.triggers.request.SegmindRequestTrigger",
        None,
        KlingImageToVideoOperator,
        "execute_complete",
    ),
    (
        "airflow_provider_segmind.triggers.request.SegmindRequestTrigger",
        None,
        SegmindPixelFlowOperator,
        "execute_complete",
    ),
    (
        "airflow_provider_segmind.triggers.unresolved_submit.SegmindUnresolvedSubmitTrigger",
        {"on": "submit", "drop": "after"},
        SegmindPixelFlowOperator,
        "execute_after_search",
    ),
    (
        "airflow_provider_segmind.triggers.request.SegmindRequestTrigger",
        None,
        SegmindRequestSensor,
        "execute_complete",
    ),
]
KEYS = ("segmind_request", "segmind_uploads", "segmind_outputs", "segmind_expenses", "segmind_claim")
"""In Airflow's task state store, and in XCom."""

REQUEST = "7d1c0b6e-1111-4222-8333-944445555666"
AT = 1795435200.25
NOW = AT + 60
EARLIEST = AT + 10
DIGEST = "5" * 64
UNRESOLVED = UnresolvedSubmit(
    "some-model",
    "f" * 64,
    AT,
    AT + 90,
    AT + 1,
    AT + 120,
    ignored_ids=("other",),
    earlier_sent_at=(AT - 300,),
    submits=2,
    sent_digests={"prompt": "5" * 12, "image": "6" * 12},
    sent_media={"image": "https://x.example/"},
    is_given_up=True,
)
TURN = RateLimitedSubmit(AT + 30, AT + 900, refusals=3, replaces=UNRESOLVED)
BODY = {"status": "COMPLETED", "output": "https://x/y.mp4", "metrics": {"cost": 0.91}}
DEEP: Any = []
for _ in range(2000):
    DEEP = [DEEP]
STORED = StoredOutput("s3://clips/y.mp4", 12345, "ca" * 32, "video/mp4")


def record(state: RecordState, **fields: Any) -> RequestRecord:
    return RequestRecord(
        state,
        "some-model",
        "f" * 64,
        AT,
        max_tries=3,
        written_fingerprint="e" * 64,
        sent_fingerprint="d" * 64,
        sent_digests={"prompt": "5" * 12, "image": "6" * 12},
        sent_media={"image": "https://x.example/"},
        **fields,
    )


def read_arguments(trigger: Any) -> dict[str, Any]:
    """Return the arguments of a trigger as it understands them."""
    if trigger.trouble is not None:
        raise trigger.trouble
    return {name: value for name, value in trigger.serialize()[1].items() if name != "version"}


def store_of(documents: Mapping[str, Any]) -> RecordStore:
    context: Any = {"task_state_store": Kept(documents), "ti": Ti()}
    return RecordStore(context, durable=True)


def read_found(event: Any) -> dict[str, Any]:
    submit, matches = read_search_event(event)
    trouble = matches.trouble
    return {
        "submit": asdict(submit),
        "request_ids": matches.request_ids,
        "error": trouble and str(trouble),
        "confidence": matches.confidence,
    }


def written_by_store(key: str, write: Callable[[RecordStore], object]) -> Any:
    context: Any = {"task_state_store": Kept(), "ti": Ti()}
    write(RecordStore(context, durable=True))
    return context["task_state_store"][key]


class Kept(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class MappedTi(Ti):
    """One instance of a mapped task, and what the others have pushed."""

    map_index = 1

    def __init__(self, **others: list[Any]) -> None:
        super().__init__()
        self.others = others

    def xcom_pull(self, key: str, map_indexes: int | None = None, **_: Any) -> Any:
        own = self.xcoms.get(key)
        return (
            own if map_indexes is not None else [*self.others.get(key, ()), *([own] if key in self.xcoms else ())]
        )


@dataclass(frozen=True)
class Case:
    """
    One form.

    :param write: Writes it, as the provider does.
    :param read: Reads it; what it returns can be compared.
    :param optional: The default of each key that may be missing, as ``read`` returns it.
    :param missing: All that ``read`` returns without a key, where more than that key changes.
    :param forms: The keys that hold forms as well.
    :param named: Whether an error about it names the request.
    :param may_submit: Whether a submit can follow from it.
    """

    write: Callable[[], Any]
    read: Callable[[Any], Any]
    optional: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, Any] = field(default_factory=dict)
    forms: tuple[str, ...] = ()
    named: bool = False
    may_submit: bool = False


CASES: dict[str, Case] = {
    "trigger_request": Case(
        lambda: SegmindRequestTrigger(
            REQUEST,
            "segmind_eu",
            AT,
            AT + 900,
            7.5,
            "some-model",
            144.5,
            exponential_backoff=True,
            max_wait=60.0,
            earliest_event=EARLIEST,
            variant="duration=10",
            attempt=2,
        ).serialize()[1],
        lambda document: read_arguments(SegmindRequestTrigger(**document)),
        {
            "segmind_conn_id": "segmind_default",
            "submitted_at": NOW,
            "deadline": AT + 3600,
            "poll_interval": None,
            "model": None,
            "expected_duration": None,
            "earliest_event": 0.0,
            "exponential_backoff": False,
            "max_wait": None,
            "variant": None,
            "attempt": 0,
        },
        named=True,
    ),
    "trigger_unresolved_submit": Case(
        lambda: SegmindUnresolvedSubmitTrigger(
            "segmind_eu", UNRESOLVED.as_json(), earliest_event=EARLIEST, attempt=2
        ).serialize()[1],
        lambda document: read_arguments(SegmindUnresolvedSubmitTrigger(**document)),
        {"segmind_conn_id": "segmind_default", "earliest_event": 0.0, "attempt": 0},
        forms=("submit",),
    ),
    "trigger_rate_limit": Case(
        lambda: SegmindRateLimitTrigger(
            "segmind_eu", TURN.as_json(), earliest_event=EARLIEST, attempt=2
        ).serialize()[1],
        lambda document: read_arguments(SegmindRateLimitTrigger(**document)),
        {"segmind_conn_id": "segmind_default", "earliest_event": 0.0, "attempt": 0},
        forms=("submit",),
    ),
    "unresolved_submit": Case(
        UNRESOLVED.as_json,
        lambda document: asdict(UnresolvedSubmit.from_json(document)),
        {
            "ignored_ids": (),
            "earlier_sent_at": (),
            "submits": 1,
            "sent_digests": {},
            "sent_media": {},
            "is_given_up": False,
        },
        may_submit=True,
    ),
    "expense": Case(
        Expense(
            "2026-11-23T10:00:00.250000Z", "clip[7]", "some-model", "duration=10", 0.91, True, REQUEST, "1" * 16
        ).as_json,
        lambda document: asdict(Expense.from_json(document)),
        {"variant": "", "usd": None, "is_final": False, "request_id": None, "instance": ""},
        named=True,
        may_submit=True,
    ),
    "rate_limited_submit": Case(
        TURN.as_json,
        lambda document: asdict(RateLimitedSubmit.from_json(document)),
        {"refusals": 1, "replaces": None},
        forms=("replaces",),
        may_submit=True,
    ),
    "event_completed": Case(
        lambda: completed_event(RequestReport(REQUEST, "COMPLETED", BODY, from_history=True)),
        lambda event: asdict(read_event(event)),
        {"state": "COMPLETED", "from_history": False},
        missing={"result": {"request_id": REQUEST}},
        named=True,
    ),
    "event_large": Case(
        lambda: completed_event(RequestReport(REQUEST, "COMPLETED", {"output": "x" * DATABASE_LIMIT})),
        lambda event: asdict(read_event(event)),
        {"from_history": None},
        named=True,
    ),
    "event_search": Case(
        lambda: search_event(UNRESOLVED, HistoryMatches((REQUEST,), confidence=Confidence.LIKELY)),
        read_found,
        {"error": None, "confidence": "certain"},
        forms=("submit",),
        may_submit=True,
    ),
    "event_search_trouble": Case(
        lambda: search_event(UNRESOLVED, HistoryMatches(trouble=ServerError("down", status=503))),
        read_found,
        {"confidence": "certain"},
        forms=("submit", "error"),
        may_submit=True,
    ),
    "event_rate_limit": Case(
        lambda: rate_limit_event(TURN, None),
        lambda event: asdict(read_rate_limit_event(event)),
        {"error": None},
        forms=("submit",),
        may_submit=True,
    ),
    "record_submitting": Case(
        record(
            RecordState.SUBMITTING, previous_id="r0", earlier_sent_at=(AT - 300,), digests={"prompt": "abc"}
        ).as_json,
        lambda document: asdict(RequestRecord.from_json(document)),
        {
            **dict.fromkeys(("max_tries", "previous_id", "written_fingerprint", "sent_fingerprint", "request_id")),
            "earlier_sent_at": (),
            **{key: {} for key in ("digests", "sent_digests", "sent_media")},
        },
        may_submit=True,
    ),
    **{
        f"record_{state}": Case(
            record(state, request_id=REQUEST).as_json,
            lambda document: asdict(RequestRecord.from_json(document)),
            {
                **dict.fromkeys(("max_tries", "previous_id", "written_fingerprint", "sent_fingerprint")),
                "earlier_sent_at": (),
                **{key: {} for key in ("digests", "sent_digests", "sent_media")},
            },
            named=True,
            may_submit=True,
        )
        for state in (RecordState.SUBMITTED, RecordState.DELIVERED)
    },
    "stored_output": Case(STORED.as_json, lambda document: asdict(StoredOutput.from_json(document))),
}
ERRORS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], type[SegmindError]]] = {
    "event_error": (
        lambda: error_event(REQUEST, RequestFailedError("blocked", status=422)),
        read_event,
        RequestFailedError,
    ),
    "event_rate_limit_timeout": (
        lambda: rate_limit_event(TURN, TURN.timeout_error()),
        read_rate_limit_event,
        RateLimitedError,
    ),
}
STORE: dict[str, tuple[str, Callable[[RecordStore], object]]] = {
    "uploads": (UPLOADS_KEY, lambda store: store.keep_uploads({DIGEST: "https://x/1.png"})),
    "output": (f"{OUTPUTS_KEY}_1", lambda store: store.keep_output(REQUEST, 1, STORED.as_json())),
}


def written_claim() -> Any:
    ti = MappedTi()
    assert Claims({"ti": ti}).claim_first_free([REQUEST]) == REQUEST
    return ti.xcoms[CLAIM_KEY]


WRITERS: dict[str, Callable[[], Any]] = {
    **{name: case.write for name, case in CASES.items()},
    **{name: write for name, (write, _, _) in ERRORS.items()},
    "claim": written_claim,
    **{name: lambda key=key, write=write: written_by_store(key, write) for name, (key, write) in STORE.items()},
}
SUBMITTING = [name for name, case in CASES.items() if case.may_submit]


def golden(name: str) -> Any:
    return json.loads((FORMS / f"{name}.json").read_text())


def with_unknown_keys(document: Any, forms: tuple[str, ...]) -> Any:
    """Return a form as a later version may write it, with more keys in it and in the forms that it holds."""
    more = {"novelty": {"version": 7, "why": ["x"]}, "another": None}
    inner = {
        key: with_unknown_keys(document[key], ("replaces",))
        for key in forms
        if isinstance(document.get(key), dict)
    }
    return {**document, **inner, **more}


def without(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def keys_of(names: Mapping[str, Any]) -> list[Any]:
    return [pytest.param(name, key, id=f"{name}-{key}") for name in names for key in golden(name)]


def check_unreadable(name: str, document: Any) -> SegmindError:
    with pytest.raises(SegmindError) as caught:
        CASES[name].read(document)
    if CASES[name].named and isinstance(document, dict) and isinstance(document.get("request_id"), str):
        assert caught.value.request_id == document["request_id"]
    return caught.value


@pytest.mark.parametrize("name", WRITERS)
def test_a_form_is_written_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.store.time.time", lambda: AT)
    monkeypatch.setattr("airflow_provider_segmind.durability.claims.CLAIM_WRITE_TIME", 0.0)
    written = json.loads(json.dumps(WRITERS[name](), allow_nan=False))
    if os.environ.get("WRITE_FORMS"):
        (FORMS / f"{name}.json").write_text(json.dumps(written, indent=2) + "\n")
    assert written == golden(name), "read docs/upgrades.md before you change a form"


def test_every_file_is_a_form_that_is_written() -> None:
    assert {path.stem for path in FORMS.iterdir()} == set(WRITERS)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "stored_output"])
def test_every_form_says_its_version(name: str) -> None:
    assert golden(name)["version"] == 1


@pytest.mark.parametrize("name", CASES)
def test_a_form_is_read_to_the_same_values(name: str) -> None:
    case = CASES[name]
    assert case.read(golden(name)) == case.read(case.write())


def test_the_values_are_those_that_were_written() -> None:
    assert UnresolvedSubmit.from_json(golden("unresolved_submit")) == UNRESOLVED
    assert RateLimitedSubmit.from_json(golden("rate_limited_submit")) == TURN
    assert read_rate_limit_event(golden("event_rate_limit")) == TURN
    found = HistoryMatches((REQUEST,), confidence=Confidence.LIKELY)
    assert read_search_event(golden("event_search")) == (UNRESOLVED, found)
    assert read_event(golden("event_completed")) == RequestReport(REQUEST, "COMPLETED", BODY, from_history=True)
    assert read_event(golden("event_large")) == LargeResult(REQUEST)
    assert RequestRecord.from_json(golden("record_submitted")) == record(RecordState.SUBMITTED, request_id=REQUEST)
    assert StoredOutput.from_json(golden("stored_output")) == STORED
    trigger = SegmindRequestTrigger(**golden("trigger_request"))
    assert trigger.serialize()[1] == golden("trigger_request")
    assert trigger.latest_end > AT + 900


@pytest.mark.parametrize("name", CASES)
def test_unknown_keys_do_not_matter(name: str) -> None:
    case = CASES[name]
    assert case.read(with_unknown_keys(golden(name), case.forms)) == case.read(golden(name))


@pytest.mark.parametrize("name", CASES)
def test_a_form_from_before_there_were_versions_is_of_the_first(name: str) -> None:
    assert CASES[name].read(without(golden(name), "version")) == CASES[name].read(golden(name))


@pytest.mark.parametrize(("name", "key"), keys_of(CASES))
def test_a_missing_key_has_its_default_or_is_an_error(
    name: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.triggers.request.time.time", lambda: NOW)
    case, document = CASES[name], without(golden(name), key)
    if key == "version":
        assert case.read(document) == case.read(golden(name))
    elif key in case.missing:
        assert case.read(document) == case.missing[key]
    elif key in case.optional:
        values = case.read(golden(name))
        known = {key: case.optional[key]} if key in values else {}
        assert case.read(document) == {**values, **known}
    else:
        words = "down" if (name, key) == ("event_search_trouble", "submit") else repr(key)
        assert words in str(check_unreadable(name, document))


@pytest.mark.parametrize(("name", "key"), keys_of(CASES))
def test_a_wrong_type_is_an_error_that_names_the_key_and_the_request(name: str, key: str) -> None:
    document = golden(name)
    if name == "event_large" and key == "from_history":
        return  # it is not read
    document[key] = 7 if isinstance(document[key], dict) or key in ("error", "replaces") else {"a": []}
    if key in ("request_id", "request_ids") and name in ("event_search", "event_search_trouble"):
        document["request_ids"] = ["../x"]
    assert repr(key) in str(check_unreadable(name, document))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("version", [0, -1, 1.5, "1", True, [], 10**400, math.nan])
def test_a_version_that_is_no_version_is_an_error(name: str, version: Any) -> None:
    assert "version" in str(check_unreadable(name, {**golden(name), "version": version}))


@pytest.mark.parametrize("name", CASES)
def test_a_form_of_a_higher_version_is_read_as_far_as_it_is_known(name: str) -> None:
    case = CASES[name]
    newer = {**with_unknown_keys(golden(name), case.forms), "version": 3}
    assert case.read(newer) == case.read(golden(name))


@pytest.mark.parametrize(("name", "key"), keys_of({name: CASES[name] for name in SUBMITTING}))
def test_where_a_submit_may_follow_a_higher_version_has_to_have_every_key(name: str, key: str) -> None:
    if key == "version":
        return
    error = check_unreadable(name, {**without(golden(name), key), "version": 3})
    assert "version 3" in str(error)
    assert "reads 1" in str(error)


@pytest.mark.parametrize("document", [None, "x", 7, [], [{}], {}, {"version": 1}])
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("trigger")])
def test_what_is_no_form_is_an_error(name: str, document: Any) -> None:
    check_unreadable(name, document)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_crosses(name: str) -> None:
    _, read, kind = ERRORS[name]
    for document in (
        golden(name),
        with_unknown_keys(golden(name), ("error", "submit")),
        {**golden(name), "version": 3},
    ):
        with pytest.raises(kind):
            read(document)


def test_an_error_without_a_request_has_that_of_its_event() -> None:
    event = {"request_id": REQUEST, "error": {"type": "NeverHeardOf", "detail": "boom"}}
    with pytest.raises(SegmindError, match=rf"boom.*{REQUEST}"):
        read_event(event)


@pytest.mark.parametrize(
    "value", [{1}, {"x": {7: object()}}, 10**5000, DEEP], ids=["set", "object", "digits", "deep"]
)
def test_a_result_that_is_no_json_is_an_error(value: Any) -> None:
    with pytest.raises(SegmindError, match=rf"'result'.*{REQUEST}"):
        read_event({**golden("event_completed"), "result": {"output": value}})


def test_a_result_is_made_fit_for_xcom() -> None:
    event = {**golden("event_completed"), "result": {"output": "a\0\ud800", "seed": 2**70, "metrics": math.inf}}
    found = read_event(event)
    assert isinstance(found, RequestReport)
    assert found.body == {"output": "a\ufffd\ufffd", "seed": str(2**70), "metrics": None}


# What follows from a form that cannot be read: nothing is paid, and nothing is lost.


@pytest.mark.parametrize("key", golden("event_search"))
def test_an_event_never_says_by_accident_that_a_submit_was_not_found(key: str) -> None:
    event = {**golden("event_search"), "request_ids": []}
    if key in ("version", "confidence"):
        return
    with pytest.raises(SubmitUnresolvedError):
        read_search_event(without(event, key))


@pytest.mark.parametrize("error", ["", 0, False, [], "boom"])
def test_an_error_that_cannot_be_read_is_not_taken_for_none(error: Any) -> None:
    with pytest.raises(SubmitUnresolvedError):
        read_search_event({**golden("event_search"), "request_ids": [], "error": error})
    with pytest.raises(SegmindError):
        read_rate_limit_event({**golden("event_rate_limit"), "error": error})


def test_a_request_that_was_found_is_named_though_the_rest_cannot_be_read() -> None:
    with pytest.raises(SubmitUnresolvedError, match=REQUEST):
        read_search_event({**golden("event_search"), "submit": {"model": "some-model"}})


def test_uploads_are_read_as_far_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.store.time.time", lambda: AT)
    kept = golden("uploads")
    odd: dict[str, Any] = {
        "a": None,
        "b": "https://x/1.png",
        "c": {"url": "https://x/1.png"},
        "d": {"at": AT},
        "e": {"url": 7, "at": AT},
        "f": {"url": "https://x/1.png", "at": "now"},
        "version": 3,
        "g": {"url": "ftp://x/1.png", "at": AT},
        "h": {"url": "https://x/1.png", "at": math.nan},
    }
    for document in (kept, without(kept, "version"), {**kept, **odd}, with_unknown_keys(kept, (DIGEST,))):
        assert store_of({UPLOADS_KEY: document}).read_uploads() == {DIGEST: "https://x/1.png"}
    for document in (None, [], "x", odd):
        store = store_of({UPLOADS_KEY: document})
        assert store.read_uploads() == {}
        store.keep_uploads({DIGEST: "https://x/1.png"})
        assert store.read_uploads() == {DIGEST: "https://x/1.png"}


def test_stored_outputs_are_read_as_far_as_they_can_be(caplog: pytest.LogCaptureFixture) -> None:
    kept = golden("output")
    for document in (kept, without(kept, "version"), {**with_unknown_keys(kept, ("output",)), "version": 3}):
        (found,) = store_of({f"{OUTPUTS_KEY}_1": document}).read_outputs(REQUEST)
        assert StoredOutput.from_json(found) == STORED
    for wrong in (None, 7, {}, without(kept["output"], "size"), {**kept["output"], "size": "7"}):
        odd = {**kept, "output": wrong}
        assert store_of({f"{OUTPUTS_KEY}_1": odd, f"{OUTPUTS_KEY}_2": kept}).read_outputs(REQUEST) == [
            kept["output"]
        ]
        assert store_of({f"{OUTPUTS_KEY}_1": without(kept, "output")}).read_outputs(REQUEST) == []
    assert REQUEST in caplog.text


@pytest.mark.parametrize(
    ("claim", "free"),
    [
        ({**golden("claim"), "map_index": 2, "novelty": 1, "version": 3}, True),
        (without({**golden("claim"), "map_index": 0}, "version"), False),
        (without(golden("claim"), "map_index"), False),
        ({**golden("claim"), "map_index": "0"}, False),
        ("odd", False),
        (7, False),
    ],
)
def test_a_claim_that_cannot_be_read_leaves_the_request_to_the_other_instance(
    claim: Any, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances with one request between them would have paid for two and delivered one."""
    monkeypatch.setattr("airflow_provider_segmind.durability.claims.CLAIM_WRITE_TIME", 0.0)
    ti = MappedTi(segmind_claim=[claim])
    context: Any = {"ti": ti}
    claims = Claims(context)
    pull = ti.xcom_pull

    def claimed_at_the_same_time(key: str, **kwargs: Any) -> Any:
        if key == "request_id" and CLAIM_KEY in ti.xcoms:
            ti.others["request_id"] = [REQUEST]
        return pull(key, **kwargs)

    monkeypatch.setattr(ti, "xcom_pull", claimed_at_the_same_time)
    assert claims.claim_first_free([REQUEST]) == (REQUEST if free else None)


def test_an_unknown_argument_of_a_trigger_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "airflow_provider_segmind"):
        SegmindRequestTrigger(**golden("trigger_request"), novelty=1, another={"x": []})
    (line,) = [message for message in caplog.messages if "novelty" in message]
    assert "another" in line
    assert "SegmindRequestTrigger" in line


@pytest.mark.parametrize("kind", [SegmindRequestTrigger, SegmindUnresolvedSubmitTrigger, SegmindRateLimitTrigger])
def test_the_event_of_a_trigger_that_cannot_be_read_is_held_as_well(kind: type) -> None:
    trigger = kind()
    trigger.earliest_event = EARLIEST
    assert kind(**trigger.serialize()[1]).earliest_event == EARLIEST


def test_a_text_of_a_subclass_is_a_text() -> None:
    class Model(enum.StrEnum):
        KLING = "kling-o1-image-to-video"

    class Connection(str, enum.Enum):  # noqa: UP042 - users have such classes; `str()` of it is its name
        TEAM = "segmind_team"

    trigger = SegmindRequestTrigger(REQUEST, Connection.TEAM, model=Model.KLING)
    assert trigger.trouble is None
    assert (trigger.segmind_conn_id, trigger.request.model) == ("segmind_team", "kling-o1-image-to-video")


TRIGGERS: dict[str, type] = {
    "trigger_request": SegmindRequestTrigger,
    "trigger_unresolved_submit": SegmindUnresolvedSubmitTrigger,
    "trigger_rate_limit": SegmindRateLimitTrigger,
}


def only_event(trigger: Any) -> Any:
    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return json.loads(json.dumps(event, allow_nan=False))


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("arguments", [{}, {"novelty": 1}, {"segmind_conn_id": [], "version": "x"}])
def test_a_trigger_that_cannot_be_read_ends_its_own_wait_and_no_other(
    name: str, arguments: dict[str, Any]
) -> None:
    """Airflow's triggerer survives nothing but a TypeError of a trigger's constructor."""
    trigger = TRIGGERS[name](**arguments)
    read = {
        "trigger_request": read_event,
        "trigger_unresolved_submit": read_search_event,
        "trigger_rate_limit": read_rate_limit_event,
    }[name]
    with pytest.raises(SegmindError, match="cannot be read from Airflow's database"):
        read(only_event(trigger))
    json.dumps(trigger.serialize()[1])
    assert deferral_timeout(trigger.latest_end)


def test_the_error_of_a_trigger_that_cannot_be_read_has_the_request() -> None:
    event = only_event(SegmindRequestTrigger(**{**golden("trigger_request"), "deadline": "soon", "version": 2}))
    with pytest.raises(SegmindError, match=rf"'deadline'.*version 2.*{REQUEST}"):
        read_event(event)


# Whatever a form holds, reading it ends in a value that can be used, or in a SegmindError.

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([2**63, -(2**63), 10**400, math.inf, -math.inf, math.nan, 1e300, AT, 4e9, 2e11])
    | st.sampled_from([REQUEST, "COMPLETED", "submitted", "\ud800\0\x1b\n\u202e", "x" * 9000, "../x", "{{ x }}"])
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["request_id", "version", "at"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, name: str) -> Any:
    """Return a form with some of its keys changed, dropped or added, also in the forms that it holds."""
    document = copy.deepcopy(golden(name))
    for _ in range(draw(st.integers(1, 4))):
        inner = [document, *(each for each in document.values() if isinstance(each, dict))]
        form = draw(st.sampled_from(inner))
        key = draw(st.sampled_from([*form, "novelty"]))
        if draw(st.booleans()):
            form[key] = draw(ODD)
        else:
            form.pop(key, None)
    return document


def refusal(read: Callable[[], object]) -> SegmindError | None:
    """Return the error that reading ends in; None if it ends well."""
    try:
        read()
    except SegmindError as error:
        return error
    return None


fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", CASES)
def test_only_a_segmind_error_escapes(name: str) -> None:
    case = CASES[name]

    @fuzzed
    @given(changed(name) | (ODD.filter(lambda odd: isinstance(odd, dict)) if name in TRIGGERS else ODD))
    def check(document: Any) -> None:
        error = refusal(lambda: case.read(document))
        if error is None:
            json.dumps(case.read(document), allow_nan=False)
            check_usable(name, document)
        else:
            assert len(str(error)) < 5000
            assert "\n" not in str(error)

    check()


def check_usable(name: str, document: Any) -> None:
    """Check that nothing overflows in what follows from the values."""
    if name in TRIGGERS:
        assert deferral_timeout(TRIGGERS[name](**document).latest_end)
    if name == "unresolved_submit":
        unresolved = UnresolvedSubmit.from_json(document)
        assert unresolved.earliest() <= unresolved.last() or unresolved.accepted_by < unresolved.sent_at
    if name == "event_search" and not read_found(document)["request_ids"]:
        assert document["request_ids"] == []
        assert document["error"] is None or isinstance(document["error"], dict)


@fuzzed
@given(changed("uploads") | ODD, changed("output") | ODD, changed("record_submitted") | ODD)
def test_a_store_with_anything_in_it_is_read(uploads: Any, output: Any, found: Any) -> None:
    store = store_of({UPLOADS_KEY: uploads, f"{OUTPUTS_KEY}_1": output, KEY: found})
    assert all(url.startswith("https://") for url in store.read_uploads().values())
    for each in store.read_outputs(REQUEST):
        StoredOutput.from_json(each)
    error = refusal(store.read)
    assert error is None or KEY in str(error)


# The names that stand in databases, and what a real task does.


def operator_of(kind: type = SegmindInferenceOperator) -> Any:
    """Return an operator that never waits in the worker, however fast other tests have seen its model."""
    if kind is SegmindRequestSensor:
        return kind(task_id="run", request_id=REQUEST)
    slow: dict[str, Any] = {"task_id": "run", "expected_duration": 60}
    if kind is KlingImageToVideoOperator:
        return kind(prompt="zoom", start_image_url="https://x.example/a.png", **slow)
    if kind is SegmindPixelFlowOperator:
        return kind(workflow="mock-workflow", inputs={"prompt": "a fox"}, **slow)
    return kind(model="mock-text", parameters={"prompt": "a fox"}, **slow)


@pytest.mark.parametrize(("path", "fault", "kind", "method"), NAMES)
def test_the_names_in_databases_stay(
    emulator: RunningEmulator, path: str, fault: dict[str, Any] | None, kind: type, method: str
) -> None:
    emulator.faults(*([fault] if fault else []))
    started = time.time()
    with pytest.raises(TaskDeferred) as caught:
        operator_of(kind).execute({"ti": Ti()})
    deferral: Any = caught.value
    assert deferral.method_name == method
    assert deferral.kwargs in (None, {}), "a method gets the event and nothing else"
    classpath, arguments = deferral.trigger.serialize()
    assert classpath == path
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is type(deferral.trigger)
    assert json.loads(json.dumps(arguments)) == arguments
    assert arguments["attempt"] == Ti.try_number
    assert arguments["earliest_event"] >= started  # the fixture sets the option of Airflow 3 on 2.11, too
    inspect.signature(getattr(kind, method)).bind(None, {}, event={})


def test_the_keys_in_stores_stay() -> None:
    assert (KEY, UPLOADS_KEY, OUTPUTS_KEY, EXPENSES_KEY, CLAIM_KEY) == KEYS


@pytest.mark.parametrize("name", ["record_submitting", "record_submitted", "record_delivered"])
@pytest.mark.parametrize(
    "change",
    [
        {"state": "flying"},
        {"version": 0},
        {"sent_at": "now"},
        {"earlier_sent_at": 7},
        {"digests": []},
        {"sent_fingerprint": 7},
    ],
)
def test_a_record_that_cannot_be_read_never_leads_to_a_submit(
    emulator: RunningEmulator, name: str, change: dict[str, Any]
) -> None:
    document = {**golden(name), **change}
    context: Any = {"ti": Ti(), "task_state_store": Kept({KEY: document})}
    with pytest.raises(AirflowFailException, match=KEY) as caught:
        operator_of().execute(context)
    assert document["request_id"] is None or document["request_id"] in str(caught.value)
    assert emulator.requests()["endpoints"]["submit"] == 0
    assert context["task_state_store"][KEY] == document


@pytest.mark.parametrize(
    ("method", "event"),
    [
        ("execute_after_search", {**golden("event_search"), "request_ids": None}),
        ("execute_after_search", without({**golden("event_search"), "request_ids": []}, "error")),
        ("execute_after_search", {**golden("event_search"), "request_ids": [], "submit": {"version": 2}}),
        ("execute_after_rate_limit", {**golden("event_rate_limit"), "submit": {"version": 2}}),
        ("execute_complete", {**golden("event_completed"), "state": {"now": "an object"}}),
    ],
)
@pytest.mark.parametrize("store", [None, {}], ids=["not remembered", "remembered"])
def test_an_event_that_cannot_be_read_never_leads_to_a_submit(
    emulator: RunningEmulator, method: str, event: dict[str, Any], store: dict[str, Any] | None
) -> None:
    context: Any = {"ti": Ti(), "task_state_store": None if store is None else Kept(store)}
    with pytest.raises((AirflowFailException, SubmitUnresolvedError), match="event of the trigger cannot be read"):
        getattr(operator_of(), method)(context, event)
    assert emulator.requests()["endpoints"]["submit"] == 0
