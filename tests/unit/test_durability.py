"""The record from try to try: no sequence of crashes and answers pays twice for one delivered video."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_segmind.api.answers import RequestReport, SubmittedRequest
from airflow_provider_segmind.api.call import Call, Rank
from airflow_provider_segmind.api.calls import HISTORY_PATH
from airflow_provider_segmind.api.documents import read_json
from airflow_provider_segmind.api.fingerprint import digests, fingerprint
from airflow_provider_segmind.api.follow import Wait, advance
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage
from airflow_provider_segmind.api.history_search import Confidence, HistoryMatches, search_history
from airflow_provider_segmind.api.rate_limited_submit import RateLimitedSubmit
from airflow_provider_segmind.api.unresolved_submit import HISTORY_LAG, UnresolvedSubmit
from airflow_provider_segmind.api.usual_duration import latest_usual_duration
from airflow_provider_segmind.durability import submission as submission_module
from airflow_provider_segmind.durability.claims import Claims
from airflow_provider_segmind.durability.lifecycle import Completed, Submitted
from airflow_provider_segmind.durability.record import (
    RecordState,
    RequestRecord,
)
from airflow_provider_segmind.durability.store import KEY, RecordStore
from airflow_provider_segmind.durability.submission import Submission, SubmissionStep
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RequestExpiredError,
    SegmindError,
    ServerError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.hooks.driving import drive
from airflow_provider_segmind.media.inputs import Inputs

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


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 a character", "\U0001f98a", str(2**70), 2**70, 0.1, "007"])
def test_inputs_have_the_same_fingerprint_when_the_history_has_been_read(text: Any) -> None:
    parameters = {"prompt": text, "nested": [{f"a {text}": text}]}
    assert fingerprint(MODEL, read_json(json.dumps(parameters).encode())) == fingerprint(MODEL, parameters)


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


SIGNED = [
    (
        "https://products.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA1%2F20261125"
        "&X-Amz-Date=20261125T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=aa",
        "https://products.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA2%2F20261126"
        "&X-Amz-Date=20261126T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=bb",
    ),
    (
        "https://s3.amazonaws.com/products/a.png?AWSAccessKeyId=AKIA1&Expires=1&Signature=aa",
        "https://s3.amazonaws.com/products/a.png?AWSAccessKeyId=AKIA1&Expires=2&Signature=bb",
    ),
    (
        "https://storage.googleapis.com/products/a.png?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=1&X-Goog-Signature=aa",
        "https://storage.googleapis.com/products/a.png?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=2&X-Goog-Signature=bb",
    ),
    (
        "https://products.blob.core.windows.net/images/a.png?sv=2024-11-04&se=2026-11-25&sr=b&sp=r&sig=aa%3D",
        "https://products.blob.core.windows.net/images/a.png?sv=2024-11-04&se=2026-11-26&sr=b&sp=r&sig=bb%3D",
    ),
    (
        "https://d111111abcdef8.cloudfront.net/a.png?Expires=1&Signature=aa&Key-Pair-Id=K1",
        "https://d111111abcdef8.cloudfront.net/a.png?Expires=2&Signature=bb&Key-Pair-Id=K1",
    ),
]


@pytest.mark.parametrize(("once", "again"), SIGNED, ids=["S3", "S3, version 2", "GCS", "Azure", "CloudFront"])
def test_a_url_that_was_signed_again_is_the_same_input(once: str, again: str) -> None:
    assert fingerprint(MODEL, {"image": [once]}) == fingerprint(MODEL, {"image": [again]})
    assert fingerprint(MODEL, {"image": once}) != fingerprint(MODEL, {"image": again.replace("a.png", "b.png")})
    assert fingerprint(MODEL, {"image": once}) != fingerprint(MODEL, {"image": f"{again}&versionId=2"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/a.png?se=1&sv=2", "https://example.com/a.png?se=2&sv=2"),
        ("https://example.com/a.png?expires=1", "https://example.com/a.png?expires=2"),
        ("see https://example.com/?sig=1", "see https://example.com/?sig=2"),
    ],
)
def test_what_only_looks_like_a_signature_counts(one: str, other: str) -> None:
    assert fingerprint(MODEL, {"image": one}) != fingerprint(MODEL, {"image": other})


def record(state: str, **fields: Any) -> RequestRecord:
    values = {"model": MODEL, "fingerprint": WANTED, "sent_at": 100.0, **fields}
    return RequestRecord(state=RecordState(state), **values)


@pytest.mark.parametrize("state", list(RecordState))
def test_a_record_survives_the_store(state: RecordState) -> None:
    written = record(
        state,
        request_id="r1",
        max_tries=3,
        previous_id="r0",
        earlier_sent_at=(40.0,),
        written_fingerprint="g",
        sent_fingerprint="s",
    )
    assert RequestRecord.from_json(written.as_json()) == written


@pytest.mark.parametrize("document", [{}, [], "r1", {"state": "flying"}, {**record("submitted").as_json()}])
def test_a_record_that_cannot_be_read_never_leads_to_a_submit(document: Any) -> None:
    context: Any = {"task_state_store": Kept({KEY: document}), "ti": Ti()}
    store = RecordStore(context, durable=True)
    with pytest.raises(SegmindError, match=KEY):
        store.read()


class Kept(dict[str, Any]):
    """A task state store in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Ti:
    """A task instance that is not mapped, and its XComs."""

    map_index = -1
    task_id = "clip"

    def __init__(self) -> None:
        self.pushed: dict[tuple[str, int], Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key, self.map_index] = value

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        if map_indexes is not None:
            return self.pushed.get((key, map_indexes))
        return [value for (name, _), value in self.pushed.items() if name == key]


class CrashError(BaseException):
    """The worker dies here."""


@dataclass
class Segmind:
    """A model of Segmind, and of the network to it: a test says what it does next."""

    now: float = 1_000_000.0
    jobs: dict[str, tuple[float, str]] = field(default_factory=dict)
    weather: str = "fair"
    expired: set[str] = field(default_factory=set)
    crash_at: str = ""
    history: str = "fair"
    submit_duration_limit: float = 90.0

    def point(self, name: str) -> None:
        if self.crash_at == name:
            self.crash_at = ""
            raise CrashError(name)

    def wait_to_submit(self, *, has_turn: bool = False) -> None:
        """It is always its turn."""

    def submit(self, model: str, parameters: Any) -> SubmittedRequest:
        self.point("before the POST")
        weather, self.weather = self.weather, "fair"
        if weather == "refused":
            raise ServerError("down", status=503)
        if weather == "limited":
            raise RateLimitedError("slow down", status=429)
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
    """A task instance that crashes anywhere, against a Segmind that may do anything but give false answers."""

    @initialize()
    def start(self) -> None:
        self.segmind = Segmind()
        self.kept = Kept()
        self.max_tries = 3
        self.delivered: list[str] = []
        self.clears = 0
        self.of_old: set[str] = set()
        self.unresolved: UnresolvedSubmit | None = None
        self.turn: RateLimitedSubmit | None = None
        self.resumption: Callable[[], SubmissionStep] | None = None
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(submission_module.time, "time", lambda: self.segmind.now)

    def teardown(self) -> None:
        self.patch.undo()

    def submission(self) -> Submission:
        context: Any = {"task_state_store": self.kept, "ti": Ti()}
        self.store = Crashing(self.segmind, context)
        return Submission(
            self.segmind,  # type: ignore[arg-type]
            self.store,
            Claims(context),
            Inputs(MODEL, PARAMETERS),
            max_tries=self.max_tries,
            timeout=900,
        )

    def attempt(self, act: Callable[[], SubmissionStep], *, resumed: bool = True) -> None:
        self.unresolved = self.turn = self.resumption = None
        try:
            outcome = act()
            self.unresolved = outcome if isinstance(outcome, UnresolvedSubmit) else None
            self.turn = outcome if isinstance(outcome, RateLimitedSubmit) else None
            if isinstance(outcome, Submitted):
                self.outcome(outcome.request_id)
            elif isinstance(outcome, Completed):
                self.outcome(outcome.result.request_id)
        except CrashError:
            self.resumption = act if resumed else None
        except SegmindError:
            pass

    def outcome(self, request_id: str) -> None:
        if self.segmind.jobs[request_id][1] != "COMPLETED":
            return
        self.segmind.point("before delivered")
        self.store.mark_delivered(request_id, self.max_tries)
        self.segmind.point("after delivered")
        assert request_id not in self.of_old, "a cleared task got the video of before"
        self.delivered.append(request_id)

    @rule()
    def run_an_attempt(self) -> None:
        self.attempt(lambda: self.submission().start(), resumed=False)

    @precondition(lambda self: self.resumption is not None)
    @rule()
    def resume_with_the_same_event(self) -> None:
        """Nothing promises that Airflow does so only once."""
        assert self.resumption is not None
        self.attempt(self.resumption)

    @precondition(lambda self: self.turn is not None)
    @rule()
    def take_the_turn(self) -> None:
        turn = self.turn
        assert turn is not None
        self.segmind.now = max(self.segmind.now, turn.not_before)
        self.attempt(lambda: self.submission().continue_rate_limited(turn))

    @precondition(lambda self: self.unresolved is not None)
    @rule()
    def search_the_history(self) -> None:
        unresolved = self.unresolved
        assert unresolved is not None
        self.segmind.now = max(self.segmind.now, unresolved.search_until)
        matches = drive(search_history(unresolved, lambda: self.segmind.now), self.segmind)  # type: ignore[arg-type]
        self.attempt(lambda: self.submission().continue_unresolved(unresolved, matches))

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

    @rule(weather=st.sampled_from(["fair", "refused", "limited", "lost before", "lost after"]))
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
        self.unresolved = self.turn = self.resumption = None

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


class Alternating(Segmind):
    """Loses a submit, refuses the next for its rate limit, loses the next, and so on."""

    lost = 0

    def submit(self, model: str, parameters: Any) -> SubmittedRequest:
        self.weather = "limited" if self.weather == "lost before" else "lost before"
        weather = self.weather
        self.lost += weather == "lost before"
        try:
            return super().submit(model, parameters)
        finally:
            self.weather = weather


@pytest.mark.parametrize("store", [Kept(), None], ids=["remembered", "before 3.3"])
def test_refusals_in_between_allow_no_more_unresolved_submits(
    store: Kept | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmind = Alternating()
    monkeypatch.setattr(submission_module.time, "time", lambda: segmind.now)
    context: Any = {"task_state_store": store, "ti": Ti()}
    arguments: Any = (segmind, RecordStore(context, durable=True), Claims(context), Inputs(MODEL, PARAMETERS))
    submission = Submission(*arguments, max_tries=3, timeout=900)

    def go_on() -> None:
        begun = submission.start()
        for _ in range(20):
            segmind.now += 200
            if isinstance(begun, RateLimitedSubmit):
                begun = submission.continue_rate_limited(begun)
            else:
                assert isinstance(begun, UnresolvedSubmit)
                begun = submission.continue_unresolved(begun, HistoryMatches())

    with pytest.raises(SubmitUnresolvedError, match="2 submits"):
        go_on()
    assert segmind.lost == 2


def test_a_submit_in_place_of_an_unresolved_one_gives_up_waiting_for_its_turn_in_the_end() -> None:
    refusal = RateLimitedError("slow down", status=429)
    unresolved = UnresolvedSubmit(MODEL, WANTED, sent_at=900, accepted_by=990, search_from=900, search_until=1000)
    turn, now = RateLimitedSubmit.after(refusal, 1000.0, 900, replaces=unresolved), 1000.0
    while turn.not_before < 1900:
        assert RateLimitedSubmit.from_json(json.loads(json.dumps(turn.as_json()))) == turn
        assert now < turn.not_before <= now + 60
        now = turn.not_before
        turn = RateLimitedSubmit.after(refusal, now, 900, previous=turn, replaces=unresolved)
    assert turn.is_overdue(turn.not_before)
    assert re.search(r"held back (once|\d+ times).*without a clear answer", str(turn.timeout_error()))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Desk:
    """Submissions of one task to one Segmind, whose clock is the only one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ti: Any = None, *, remembers: bool = True) -> None:
        self.segmind = Segmind()
        self.context: Any = {"task_state_store": Kept() if remembers else None, "ti": ti or Ti()}
        monkeypatch.setattr(submission_module.time, "time", lambda: self.segmind.now)

    def submission(self, inputs: Inputs | None = None, **options: Any) -> Submission:
        arguments: Any = (self.segmind, Crashing(self.segmind, self.context), Claims(self.context))
        wanted = inputs or Inputs(MODEL, PARAMETERS)
        return Submission(*arguments, wanted, **{"max_tries": 3, "timeout": 900, **options})

    def searched(self, unresolved: UnresolvedSubmit) -> HistoryMatches:
        self.segmind.now = max(self.segmind.now, unresolved.search_until)
        matches: HistoryMatches = drive(search_history(unresolved, lambda: self.segmind.now), self.segmind)  # type: ignore[arg-type]
        return matches


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def unresolved_submit(begun: SubmissionStep) -> UnresolvedSubmit:
    assert isinstance(begun, UnresolvedSubmit)
    return begun


def test_a_submit_that_is_made_in_place_of_an_unresolved_one_is_looked_for_together_with_it(desk: Desk) -> None:
    """The row of the first may come to light only after the second was lost, too."""
    desk.segmind.weather = "lost after"
    first = unresolved_submit(desk.submission().start())
    sent_at = desk.segmind.now
    desk.segmind.now, desk.segmind.weather = first.search_until, "lost before"
    second = unresolved_submit(desk.submission().continue_unresolved(first, HistoryMatches()))
    again = unresolved_submit(desk.submission().start())
    assert second.earlier_sent_at == again.earlier_sent_at == (sent_at,)
    assert desk.submission().continue_unresolved(second, desk.searched(second)) == Submitted("r0", second.sent_at)


def test_but_not_days_later_nor_in_between(desk: Desk) -> None:
    """Else a task might get the video of another run with the same parameters."""
    desk.segmind.weather = "lost before"
    first = unresolved_submit(desk.submission().start())
    desk.segmind.now += 600
    desk.segmind.jobs["of another run"] = (desk.segmind.now, "COMPLETED")
    desk.segmind.now, desk.segmind.weather = desk.segmind.now + 600, "lost before"
    second = unresolved_submit(desk.submission().continue_unresolved(first, desk.searched(first)))
    assert not desk.searched(second).request_ids
    desk.segmind.now, desk.segmind.weather = desk.segmind.now + 86400, "lost before"
    third = unresolved_submit(desk.submission().start())
    assert third.sent_at == second.sent_at, "the next attempt looks for the second once more"
    assert unresolved_submit(desk.submission().continue_unresolved(third, HistoryMatches())).earlier_sent_at == ()


@pytest.mark.parametrize("refusal", ["limited", "refused"])
def test_a_refusal_does_not_make_a_cleared_task_forget_the_video_that_it_had(desk: Desk, refusal: str) -> None:
    first = desk.submission().start()
    assert isinstance(first, Submitted)
    desk.segmind.jobs["r0"] = (desk.segmind.now, "COMPLETED")
    Crashing(desk.segmind, desk.context).mark_delivered("r0", 3)
    desk.segmind.weather = refusal
    begun: SubmissionStep | None = None
    with contextlib.suppress(ServerError):
        begun = desk.submission(max_tries=6).start()
    desk.segmind.now, desk.segmind.weather = desk.segmind.now + 10, "lost before"
    submission = desk.submission(max_tries=6)
    unresolved = unresolved_submit(
        submission.continue_rate_limited(begun) if isinstance(begun, RateLimitedSubmit) else submission.start()
    )
    assert "r0" not in desk.searched(unresolved).request_ids


def test_refusals_of_a_submit_in_place_of_an_unresolved_one_end_with_the_timeout(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission().start())
    desk.segmind.now, desk.segmind.weather = unresolved.search_until, "limited"
    began = desk.segmind.now

    def go_on() -> None:
        turn = desk.submission().continue_unresolved(unresolved, HistoryMatches())
        while isinstance(turn, RateLimitedSubmit) and desk.segmind.now < began + 2000:
            desk.segmind.now, desk.segmind.weather = turn.not_before, "limited"
            turn = desk.submission().continue_rate_limited(turn)

    with pytest.raises(RateLimitedError, match="without a clear answer"):
        go_on()
    assert 900 <= desk.segmind.now - began < 960


class Mapped(Ti):
    """One instance of a mapped task."""

    map_index = 1


def test_a_mapped_instance_that_died_while_it_claimed_its_request_finds_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.claims.CLAIM_WRITE_TIME", 0.0)
    desk = Desk(monkeypatch, Mapped())
    desk.segmind.weather = "lost after"
    unresolved = unresolved_submit(desk.submission().start())
    matches = desk.searched(unresolved)
    desk.segmind.crash_at = "before write"
    with pytest.raises(CrashError):
        desk.submission().continue_unresolved(unresolved, matches)
    assert desk.submission().continue_unresolved(unresolved, matches) == Submitted("r0", unresolved.sent_at)
    assert not Claims(desk.context).read_taken_ids(), "its own is not another's"


def test_a_request_that_was_paid_for_is_kept_though_the_claims_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unlucky(Mapped):
        def xcom_pull(self, *_: Any, **__: Any) -> Any:
            raise ConnectionError("Airflow's API server went away")

    desk = Desk(monkeypatch, Unlucky(), remembers=False)
    assert desk.submission().start() == Submitted("r0", desk.segmind.now)


def test_the_id_is_known_whatever_stops_the_task_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is remembered, the message to the user is the only place that has it."""

    class Stopped(Mapped):
        def xcom_pull(self, *_: Any, **__: Any) -> Any:
            raise CrashError("execution_timeout")

    submission = Desk(monkeypatch, Stopped(), remembers=False).submission()
    with pytest.raises(CrashError):
        submission.start()
    assert submission.request_id == "r0"


def test_a_history_with_more_rows_than_are_read_does_not_tell_that_a_submit_never_arrived(desk: Desk) -> None:
    desk.segmind.weather = "lost after"
    unresolved = unresolved_submit(desk.submission().start())
    full = HistoryPage(
        tuple(
            HistoryEntry(
                f"other-{number}", MODEL, "COMPLETED", parameters={}, created_at=_moment(unresolved.sent_at + 40)
            )
            for number in range(100)
        ),
        rows=100,
    )
    desk.segmind.send = lambda call: full  # type: ignore[method-assign]
    matches = desk.searched(unresolved)
    assert "more than" in str(matches.trouble)
    with pytest.raises(SubmitUnresolvedError):
        desk.submission().continue_unresolved(unresolved, matches)


def test_rows_from_before_a_submit_need_not_be_read_to_their_end(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission().start())
    asked = []

    def old(call: Call[Any]) -> HistoryPage:
        asked.extend([call.query] if call.path == HISTORY_PATH else [])
        entry = HistoryEntry(
            "old", MODEL, "COMPLETED", parameters=PARAMETERS, created_at=_moment(unresolved.sent_at - 60)
        )
        return HistoryPage((entry,) * 100, rows=100)

    desk.segmind.send = old  # type: ignore[method-assign]
    desk.segmind.now = unresolved.search_until
    assert desk.searched(unresolved) == HistoryMatches()
    assert [(query["page"], query["sort_order"]) for query in asked] == [("1", "desc")]


def test_a_search_that_found_no_turn_is_not_over(desk: Desk) -> None:
    desk.segmind.weather = "lost after"
    unresolved = unresolved_submit(desk.submission().start())
    desk.segmind.now = unresolved.search_until
    refusals = [RateLimitedError("the submit was queued until the deadline")] * 3

    def answer(call: Call[Any]) -> Any:
        assert call.turn is not None
        assert call.turn.not_after > unresolved.search_until + 500
        return refusals.pop() if refusals else desk.segmind.send(call)

    assert searched(desk, unresolved, answer) == HistoryMatches(("r0",))


def test_a_search_looks_ever_less(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission().start())
    looks: list[float] = []

    def answer(call: Call[Any]) -> Any:
        looks.extend([desk.segmind.now - unresolved.sent_at] if call.path == HISTORY_PATH else [])
        return HistoryPage((), 0)

    assert searched(desk, unresolved, answer) == HistoryMatches()
    assert looks[:6] == [0, 5, 15, 35, 65, 95]
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert all(later >= earlier for earlier, later in pairwise(pauses[:-1]))
    assert len(looks) < 25, "the search for a request to a model that may take long is as cheap"
    assert looks[-1] == unresolved.search_until - unresolved.sent_at


def searched(desk: Desk, unresolved: UnresolvedSubmit, answer: Callable[[Call[Any]], Any]) -> HistoryMatches:
    """Search as a trigger does, at no cost of time."""
    steps, outcome = search_history(unresolved, lambda: desk.segmind.now), None
    while True:
        try:
            step = advance(steps, outcome)
        except StopIteration as end:
            matches: HistoryMatches = end.value
            return matches
        if isinstance(step, Wait):
            desk.segmind.now += step.seconds
            outcome = None
        else:
            outcome = answer(step)


@pytest.mark.parametrize("crash_at", ["after the POST", "after write"])
@pytest.mark.parametrize("what", ["search", "turn"])
def test_an_event_that_comes_twice_does_not_lead_to_two_submits(desk: Desk, crash_at: str, what: str) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission().start())

    def event() -> SubmissionStep:
        if what == "search":
            return desk.submission().continue_unresolved(unresolved, HistoryMatches())
        return desk.submission().continue_rate_limited(
            RateLimitedSubmit(desk.segmind.now, desk.segmind.now + 900, replaces=unresolved)
        )

    desk.segmind.now += 200
    desk.segmind.crash_at = crash_at
    with pytest.raises(CrashError):
        event()
    sent_at = desk.segmind.now
    desk.segmind.now += 5
    assert unresolved_submit(event()).sent_at == sent_at, "it looks for what the first one submitted"
    assert len(desk.segmind.jobs) == (1 if crash_at == "after the POST" else 0)


def test_the_answer_is_given_up_late_and_searched_for_from_then(desk: Desk) -> None:
    """With a `timeout` of two minutes in the connection, say: until then Segmind may accept it."""

    def silence(model: str, parameters: Any) -> SubmittedRequest:
        desk.segmind.now += 300
        raise SubmitUnresolvedError("silence")

    desk.segmind.submit_duration_limit, desk.segmind.submit = 363.0, silence  # type: ignore[method-assign]
    unresolved = unresolved_submit(desk.submission().start())
    assert unresolved.search_until == desk.segmind.now + latest_usual_duration(MODEL) + HISTORY_LAG
    desk.segmind.now += 3600
    assert unresolved_submit(desk.submission().start()).search_until == desk.segmind.now + 1, (
        "a later attempt looks once"
    )


@pytest.mark.parametrize(
    "page",
    [
        HistoryPage((), rows=3, unreadable=3),
        HistoryPage((), rows=100, unreadable=100),
    ],
)
def test_rows_that_cannot_be_read_do_not_tell_that_a_submit_never_arrived(desk: Desk, page: HistoryPage) -> None:
    desk.segmind.weather = "lost after"
    unresolved = unresolved_submit(desk.submission().start())
    assert searched(desk, unresolved, lambda _: page).trouble is not None


def test_a_history_that_is_not_sorted_as_asked_is_read_further(desk: Desk) -> None:
    desk.segmind.weather = "lost after"
    unresolved = unresolved_submit(desk.submission().start())
    pages = [
        tuple(
            HistoryEntry(
                f"old {number}", MODEL, "COMPLETED", parameters={}, created_at=_moment(unresolved.sent_at - number)
            )
            for number in range(1000, 900, -1)
        ),
        (desk.segmind.entry("r0"),),
    ]

    def answer(call: Call[Any]) -> Any:
        if call.path != HISTORY_PATH:
            return desk.segmind.send(call)
        page = pages[int(call.query["page"]) - 1]
        return HistoryPage(page, len(page))

    assert searched(desk, unresolved, answer) == HistoryMatches(("r0",))


def test_a_search_weeks_later_asks_for_the_days_of_the_submit_only(desk: Desk) -> None:
    desk.segmind.weather = "lost after"
    unresolved_submit(desk.submission().start())
    desk.segmind.now += 60 * 86400
    unresolved, asked = unresolved_submit(desk.submission().start()), []

    def answer(call: Call[Any]) -> Any:
        if call.path == HISTORY_PATH:
            asked.append((call.query["from_date"], call.query["to_date"]))
        assert call.turn is not None
        assert call.turn.rank is Rank.SUBMIT
        return desk.segmind.send(call)

    assert searched(desk, unresolved, answer) == HistoryMatches(("r0",))
    assert asked == [("1970-01-11", "1970-01-13")]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return path


def uploading(desk: Desk, image: Path) -> list[str]:
    """Have a desk's Segmind take uploads, and return the list that each is added to."""
    uploaded: list[str] = []

    def upload(urls: list[str]) -> list[str]:
        uploaded.extend(urls)
        return [f"https://x/{len(uploaded)}"]

    desk.segmind.upload = upload  # type: ignore[attr-defined]
    return uploaded


def with_image(image: Path) -> Inputs:
    return Inputs(MODEL, {"prompt": "zoom", "image": str(image)}, ["image"])


@pytest.mark.parametrize("remembers", [True, False], ids=["3.3", "before 3.3"])
def test_a_resumed_task_does_not_upload_again(
    monkeypatch: pytest.MonkeyPatch, image: Path, remembers: bool
) -> None:
    desk = Desk(monkeypatch, remembers=remembers)
    uploaded = uploading(desk, image)
    desk.segmind.weather = "limited"
    turn = desk.submission(with_image(image)).start()
    assert isinstance(turn, RateLimitedSubmit)
    assert isinstance(desk.submission(with_image(image)).continue_rate_limited(turn), Submitted)
    assert len(uploaded) == 1


def test_after_a_request_that_failed_an_image_is_uploaded_again(desk: Desk, image: Path) -> None:
    """It may have failed because Segmind no longer had the upload."""
    uploaded = uploading(desk, image)
    desk.submission(with_image(image)).start()
    desk.segmind.jobs["r0"] = (desk.segmind.now, "FAILED")
    assert isinstance(desk.submission(with_image(image)).start(), Submitted)
    assert len(uploaded) == 2


def test_a_rate_limit_on_an_upload_is_waited_out_like_one_on_a_submit(desk: Desk, image: Path) -> None:
    def limited(_: list[str]) -> list[str]:
        raise RateLimitedError("slow down", status=429)

    desk.segmind.upload = limited  # type: ignore[attr-defined]
    assert isinstance(desk.submission(with_image(image)).start(), RateLimitedSubmit)
    assert not desk.segmind.jobs


def test_a_file_that_is_gone_does_not_keep_an_attempt_from_its_video(desk: Desk, image: Path) -> None:
    uploading(desk, image)
    submitted = desk.submission(with_image(image)).start()
    image.unlink()
    assert desk.submission(with_image(image)).start() == submitted
    desk.segmind.jobs["r0"] = (desk.segmind.now, "FAILED")
    with pytest.raises(InvalidParameterError, match="does not exist"):
        desk.submission(with_image(image)).start()


def test_a_look_that_takes_longer_than_the_search_is_not_its_last(desk: Desk) -> None:
    """A later attempt searches for a second. What is only likely counts then, too, or two videos are paid."""
    desk.segmind.weather = "lost after"
    unresolved = replace(
        unresolved_submit(desk.submission().start()),
        sent_digests=digests({**PARAMETERS, "image": "https://x/1.png"}),
        sent_media={"image": "https://x/"},
    )

    def slowly(call: Call[Any]) -> Any:
        desk.segmind.now += 3
        return desk.segmind.send(call)

    desk.segmind.now += 600
    again = replace(unresolved, sent_fingerprint="with the image", search_until=desk.segmind.now + 1)
    assert searched(desk, again, slowly) == HistoryMatches(("r0",), confidence=Confidence.LIKELY)


def test_an_attempt_from_before_a_clear_does_not_write_down_its_delivery(desk: Desk) -> None:
    """The cleared task continues with that request. It would submit another one if it found it delivered."""
    desk.submission().start()
    desk.segmind.jobs["r0"] = (desk.segmind.now, "PROCESSING")
    assert desk.submission(max_tries=6).start() == Submitted("r0", desk.segmind.now)
    RecordStore(desk.context, durable=True).mark_delivered("r0", 3)
    assert desk.submission(max_tries=6).start() == Submitted("r0", desk.segmind.now)
    RecordStore(desk.context, durable=True).mark_delivered("r0", 6)
    assert desk.submission(max_tries=9).start() == Submitted("r1", desk.segmind.now)


def test_an_attempt_that_was_overtaken_while_it_uploaded_does_not_submit(desk: Desk, image: Path) -> None:
    """Airflow took it for dead, and started the next one."""

    def slow_upload(data_urls: list[str]) -> tuple[str, ...]:
        desk.segmind.now += 60
        desk.segmind.upload = lambda data_urls: ("https://x/2.png",)  # type: ignore[attr-defined]
        assert desk.submission(with_image(image)).start() == Submitted("r0", desk.segmind.now)
        return ("https://x/1.png",)

    desk.segmind.upload = slow_upload  # type: ignore[attr-defined]
    started = desk.submission(with_image(image)).start()
    assert started == Submitted("r0", desk.segmind.now)
    assert list(desk.segmind.jobs) == ["r0"]


def test_the_search_lasts_as_long_as_the_user_expects_the_request_to_take(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission(expected_duration=10).start())
    expected = latest_usual_duration(MODEL, PARAMETERS, 10)
    assert expected < latest_usual_duration(MODEL, PARAMETERS)
    assert unresolved.search_until == desk.segmind.now + HISTORY_LAG + expected


@pytest.mark.parametrize("earlier", [(), (900_000.0,)])
def test_more_requests_than_this_task_can_have_made_are_ambiguous(desk: Desk, earlier: tuple[float, ...]) -> None:
    """One of each unresolved submit may be the task's own; one more is somebody else's."""
    desk.segmind.weather = "lost before"
    unresolved = replace(unresolved_submit(desk.submission().start()), earlier_sent_at=earlier)
    ids = tuple(f"r{number}" for number in range(len(earlier) + 2))
    own = desk.submission().continue_unresolved(unresolved, HistoryMatches(ids[:-1]))
    assert isinstance(own, Submitted)
    desk.segmind.weather = "lost before"
    desk.context["task_state_store"].clear()
    desk.submission().start()
    submission = desk.submission()
    with pytest.raises(SubmitUnresolvedError) as caught:
        submission.continue_unresolved(replace(unresolved, sent_at=desk.segmind.now), HistoryMatches(ids))
    assert caught.value.is_ambiguous
    assert all(request_id in str(caught.value) for request_id in ids)
    assert submission.is_unresolved


def test_a_task_that_gives_up_says_that_there_may_be_a_request(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    first = unresolved_submit(desk.submission().start())
    desk.segmind.weather = "lost before"
    submission = desk.submission()
    second = unresolved_submit(submission.continue_unresolved(first, HistoryMatches()))
    with pytest.raises(SubmitUnresolvedError):
        submission.continue_unresolved(second, HistoryMatches())
    assert submission.is_unresolved
    submission = desk.submission()
    with pytest.raises(SubmitUnresolvedError, match="could not be searched"):
        submission.continue_unresolved(second, HistoryMatches(trouble=ServerError("down", status=503)))
    assert submission.is_unresolved


def test_a_cleared_task_whose_request_failed_keeps_waiting_for_its_turn(desk: Desk) -> None:
    """The timeout of a wait for the rate limit counts from the first refusal."""
    desk.submission().start()
    desk.segmind.jobs["r0"] = (desk.segmind.now, "FAILED")
    began, turn = desk.segmind.now, RateLimitedSubmit(desk.segmind.now, desk.segmind.now + 900)
    for max_tries in (3, 6):
        desk.segmind.now, desk.segmind.weather = began + 60, "limited"
        again = desk.submission(max_tries=max_tries).continue_rate_limited(turn)
        assert isinstance(again, RateLimitedSubmit)
        assert again.deadline == began + 900
        desk.submission(max_tries=max_tries).start()
        desk.segmind.jobs = {name: (at, "FAILED") for name, (at, _) in desk.segmind.jobs.items()}


def test_a_submission_has_no_id_before_segmind_has_given_one(desk: Desk) -> None:
    submission = desk.submission()
    assert submission.request_id is None
    desk.segmind.weather = "lost before"
    submission.start()
    assert submission.request_id is None


def test_a_time_that_a_store_has_rounded_is_the_same_time(desk: Desk) -> None:
    desk.segmind.weather = "lost before"
    unresolved = unresolved_submit(desk.submission().start())
    desk.segmind.now, desk.segmind.weather = unresolved.search_until, "fair"
    rounded = replace(unresolved, sent_at=unresolved.sent_at + 0.0004)
    assert isinstance(desk.submission().continue_unresolved(rounded, HistoryMatches()), Submitted)
    assert len(desk.segmind.jobs) == 1
