"""The record from try to try: no sequence of crashes and answers pays twice for one delivered video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_segmind.api.answers import (
    HistoryEntry,
    HistoryPage,
    RequestReport,
    SubmittedRequest,
)
from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.resolve import LostSubmit, find_lost
from airflow_provider_segmind.durability import submission as submission_module
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.record import (
    Reattach,
    RecordState,
    RequestRecord,
    Resolve,
    Submit,
    next_step,
)
from airflow_provider_segmind.durability.store import KEY, RecordStore
from airflow_provider_segmind.durability.submission import PaidRequest, Submission
from airflow_provider_segmind.exceptions import (
    RequestExpiredError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.hooks.waiting import driven

MODEL, PARAMETERS = "some-model", {"prompt": "zoom", "duration": 5}
WANTED = fingerprint(MODEL, PARAMETERS)
POINTS = [f"{when} {what}" for what in ("the POST", "write", "delivered") for when in ("before", "after")]


@pytest.mark.parametrize(
    "parameters",
    [
        {"duration": 5, "prompt": "zoom"},
        {"prompt": "zoom", "duration": "5"},
        {"prompt": "zoom", "duration": 5.0, "end_image_url": None},
    ],
)
def test_the_same_inputs_have_the_same_fingerprint_however_they_are_written(parameters: dict[str, Any]) -> None:
    assert fingerprint(MODEL, parameters) == WANTED


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("other-model", PARAMETERS),
        (MODEL, {"prompt": "zoom", "duration": 10}),
        (MODEL, {"prompt": "Zoom", "duration": 5}),
        (MODEL, {**PARAMETERS, "seed": 1}),
        (MODEL, {"prompt": "zoom", "duration": True}),
        (MODEL, {"prompt": ["zoom"], "duration": 5}),
    ],
)
def test_other_inputs_have_another(model: str, parameters: dict[str, Any]) -> None:
    assert fingerprint(model, parameters) != WANTED


def record(state: str, **fields: Any) -> RequestRecord:
    told = {"model": MODEL, "fingerprint": WANTED, "at": 100.0, **fields}
    return RequestRecord(state=RecordState(state), **told)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (None, Submit()),
        (record("submitting"), Resolve(100.0)),
        (record("submitting", previous="r0"), Resolve(100.0, "r0")),
        (record("submitted", request_id="r1"), Reattach("r1", 100.0)),
        (record("delivered", request_id="r1", max_tries=2), Reattach("r1", 100.0)),
    ],
)
def test_what_the_next_try_does(found: RequestRecord | None, step: Any) -> None:
    assert next_step(found, WANTED, max_tries=2) == step


def test_a_cleared_task_and_other_parameters_mean_a_new_request() -> None:
    cleared = next_step(record("delivered", request_id="r1", max_tries=2), WANTED, max_tries=5)
    other = next_step(record("submitted", request_id="r1"), "another", max_tries=2)
    assert isinstance(cleared, Submit)
    assert isinstance(other, Submit)
    assert "r1" in cleared.reason
    assert "r1" in other.reason


@pytest.mark.parametrize("state", list(RecordState))
def test_a_record_survives_the_store(state: RecordState) -> None:
    written = record(state, request_id="r1", max_tries=3, previous="r0")
    assert RequestRecord.from_json(written.as_json()) == written


@pytest.mark.parametrize("document", [{}, [], "r1", {"state": "flying"}, {**record("submitted").as_json()}])
def test_a_record_that_cannot_be_read_never_leads_to_a_submit(document: Any) -> None:
    store = RecordStore({"task_state_store": Kept({KEY: document})}, durable=True)  # type: ignore[arg-type]
    with pytest.raises(SegmindError, match=KEY):
        store.read()


class Kept(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Ti:
    """A task instance that is not mapped."""

    map_index = -1
    task_id = "clip"

    def xcom_push(self, key: str, value: Any) -> None:
        pass


class CrashError(BaseException):
    """The worker dies here."""


@dataclass
class Segmind:
    """A model of Segmind, and of the network to it: what it does next is told beforehand."""

    now: float = 1_000_000.0
    jobs: dict[str, tuple[float, str]] = field(default_factory=dict)
    weather: str = "fair"
    expired: set[str] = field(default_factory=set)
    crash_at: str = ""
    history: str = "fair"
    patience: float = 90.0

    def point(self, name: str) -> None:
        if self.crash_at == name:
            self.crash_at = ""
            raise CrashError(name)

    def submit(self, model: str, parameters: Any) -> SubmittedRequest:
        self.point("before the POST")
        weather, self.weather = self.weather, "fair"
        if weather == "refused":
            raise ServerError("down", status=503)
        if weather != "lost before":
            self.jobs[f"r{len(self.jobs)}"] = (self.now, "PROCESSING")
        self.point("after the POST")
        if weather != "fair":
            raise SubmitUnresolvedError("silence")
        return SubmittedRequest(f"r{len(self.jobs) - 1}", model)

    def send(self, call: Call[Any]) -> Any:
        if call.request_id is None:
            if self.history != "fair":
                raise ServerError("history is down", status=503)
            return HistoryPage(tuple(map(self.entry, self.jobs)), len(self.jobs))
        if "history" in call.path:
            return self.entry(call.request_id)
        if call.request_id in self.expired:
            raise RequestExpiredError("gone", status=404, request_id=call.request_id)
        state = self.jobs[call.request_id][1]
        body = {"status": state, "output": f"https://x/{call.request_id}.mp4", "error": "boom"}
        return RequestReport(call.request_id, state, body)

    def entry(self, request_id: str) -> HistoryEntry:
        at, state = self.jobs[request_id]
        urls = (f"https://x/{request_id}.mp4",) if state == "COMPLETED" else ()
        created = datetime.fromtimestamp(at, UTC)
        return HistoryEntry(request_id, MODEL, state, 0.91, PARAMETERS, urls, created_at=created)


class PaidOnce(RuleBasedStateMachine):
    """A task instance that crashes anywhere, against a Segmind that may do anything but lie."""

    @initialize()
    def start(self) -> None:
        self.segmind = Segmind()
        self.kept = Kept()
        self.max_tries = 3
        self.delivered: list[str] = []
        self.clears = 0
        self.of_old: set[str] = set()
        self.lost: LostSubmit | None = None
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(submission_module.time, "time", lambda: self.segmind.now)

    def teardown(self) -> None:
        self.patch.undo()

    def submission(self) -> Submission:
        context: Any = {"task_state_store": self.kept, "ti": Ti()}
        self.store = Crashing(self.segmind, context)
        return Submission(self.segmind, self.store, Claims(context), MODEL, PARAMETERS)  # type: ignore[arg-type]

    def attempt(self, act: Callable[[], PaidRequest | LostSubmit]) -> None:
        try:
            outcome = act()
            self.lost = outcome if isinstance(outcome, LostSubmit) else None
            if isinstance(outcome, PaidRequest):
                self.outcome(outcome.request_id)
        except (CrashError, SegmindError):
            self.lost = None

    def outcome(self, request_id: str) -> None:
        if self.segmind.jobs[request_id][1] != "COMPLETED":
            return
        self.segmind.point("before delivered")
        self.store.end(request_id, self.max_tries)
        self.segmind.point("after delivered")
        assert request_id not in self.of_old, "a cleared task got the video of before"
        self.delivered.append(request_id)

    @rule()
    def run_a_try(self) -> None:
        self.attempt(lambda: self.submission().begin(self.max_tries, look=True))

    @precondition(lambda self: self.lost is not None)
    @rule()
    def search_the_history(self) -> None:
        lost = self.lost
        assert lost is not None
        self.segmind.now = max(self.segmind.now, lost.deadline)
        traces = driven(find_lost(lost, lambda: self.segmind.now), self.segmind)  # type: ignore[arg-type]
        self.attempt(lambda: self.submission().settle(lost, traces))

    @rule(
        point=st.sampled_from(
            [
                "before the POST",
                "after the POST",
                "before write",
                "after write",
                "before delivered",
                "after delivered",
            ]
        )
    )
    def crash_at(self, point: str) -> None:
        self.segmind.crash_at = point

    @rule(weather=st.sampled_from(["fair", "refused", "lost before", "lost after"]))
    def change_the_weather(self, weather: str) -> None:
        self.segmind.weather = weather

    @rule(history=st.sampled_from(["fair", "down"]))
    def change_the_history(self, history: str) -> None:
        self.segmind.history = history

    @rule(state=st.sampled_from(["COMPLETED", "FAILED"]))
    def jobs_end(self, state: str) -> None:
        for request_id, (at, now) in self.segmind.jobs.items():
            self.segmind.jobs[request_id] = (at, state if now == "PROCESSING" else now)

    @rule()
    def records_expire(self) -> None:
        self.segmind.now += 3601
        self.segmind.expired |= set(self.segmind.jobs)

    @rule(seconds=st.floats(1, 120))
    def time_passes(self, seconds: float) -> None:
        self.segmind.now += seconds

    @precondition(lambda self: self.delivered and self.delivered[-1] == max(self.segmind.jobs, key=_number))
    @rule()
    def clear_the_delivered_task(self) -> None:
        self.max_tries += 3
        self.clears += 1
        self.of_old |= set(self.delivered)
        self.lost = None

    @invariant()
    def no_more_is_paid_than_was_asked_for(self) -> None:
        paid = [request_id for request_id, (_, state) in self.segmind.jobs.items() if state != "FAILED"]
        assert len(paid) <= 1 + self.clears, self.segmind.jobs


def _number(request_id: str) -> int:
    return int(request_id[1:])


class Crashing(RecordStore):
    """A store whose worker may die around a write."""

    def __init__(self, segmind: Segmind, context: Any) -> None:
        super().__init__(context, durable=True)
        self._segmind = segmind

    def write(self, record: RequestRecord) -> None:
        self._segmind.point("before write")
        super().write(record)
        self._segmind.point("after write")


PaidOnce.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_paid_once = PaidOnce.TestCase
