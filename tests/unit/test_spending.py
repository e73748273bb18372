"""What a task, and a DAG run, may cost: the limits over retries, clears and mapping. The ledger is the judge."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.api.locations import output_location
from airflow_provider_segmind.api.request_ids import submit_name
from airflow_provider_segmind.compat import AirflowFailException
from airflow_provider_segmind.durability.expense import Expense, Limit, check_limit, usd
from airflow_provider_segmind.durability.run_expenses import RunExpenses
from airflow_provider_segmind.durability.spending import Ledger, Spending
from airflow_provider_segmind.durability.store import EXPENSES_KEY, KEY, RecordStore
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.exceptions import (
    InvalidParameterError,
    RateLimitedError,
    RecordUnavailableError,
    RequestFailedError,
    SegmindError,
    SpendingLimitError,
    SubmitUnresolvedError,
)
from airflow_provider_segmind.media.small_files import names_in
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator
from airflow_provider_segmind.operators.sync import SegmindSyncInferenceOperator
from tests.task_instance import Ti
from tests.unit.test_paying_tasks import STUCK, Task, event_of, submits

PRICE = 0.5
LOST, NEVER_ARRIVED = {"on": "submit", "count": 1, "drop": "after"}, {"on": "submit", "count": 1, "drop": "before"}
FAILED = {"on": "submit", "count": 1, "outcome": "failed"}


class Costly(Task):
    """A task whose requests cost 0.5 USD."""

    def __init__(self, **arguments: Any) -> None:
        model = {"model": "mock-inference", "parameters": {"sleep": 0.2, "credits": PRICE}}
        super().__init__(**{**model, **arguments})

    @property
    def expenses(self) -> list[dict[str, Any]]:
        """What the next attempt knows of what was spent."""
        return list(self.context["task_state_store"].get(EXPENSES_KEY) or [])


def instance(map_index: int = -1, run_id: str = "manual", **arguments: Any) -> Costly:
    """Return an instance of the task, in a DAG run."""
    task = Costly(map_index=map_index, **{"expected_cost": PRICE, **arguments})
    task.ti.run_id = run_id  # type: ignore[misc]
    return task


@pytest.fixture(autouse=True)
def _quick(short_search: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with a store that survives a clear."""
    monkeypatch.setattr("airflow_provider_segmind.durability.backends.does_clear_forget", lambda: False)
    monkeypatch.setattr("airflow_provider_segmind.durability.spending.PAUSES", (0.05, 0.1, 0.2))


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records, which all workers share."""
    folder = tmp_path / "records"
    monkeypatch.setenv("AIRFLOW__SEGMIND__RECORDS_PATH", str(folder))
    return folder


def spent(emulator: RunningEmulator) -> float:
    return float(emulator.ledger()["total"])


def names(records: Path) -> list[str]:
    """Return how each submit stands in the folder of the run: its amount, and whether it is charged."""
    files = records.glob("spending/*/*.json")
    return sorted("-".join(file.stem.split("-")[-2:]) for file in files)


# One task instance: max_cost


def test_clears_are_paid_up_to_the_limit_and_no_further(emulator: RunningEmulator) -> None:
    task = Costly(max_cost="1.2", expected_cost="0.5")
    for _ in range(2):
        task.attempt()
        task.clear()
    with pytest.raises(SpendingLimitError) as caught:
        task.attempt()
    assert isinstance(caught.value, AirflowFailException)
    assert (spent(emulator), submits(emulator)) == (1.0, 2)
    said = str(caught.value)
    assert "max_cost is 1.20 USD, and this task has spent 1.00 USD" in said
    assert "another request to mock-inference is expected to cost 0.50 USD" in said
    for charge in emulator.ledger()["charges"]:
        assert f"request {charge['request_id']}: 0.50 USD" in said
    assert task.attempt(max_cost=1.5)
    assert spent(emulator) == 1.5


@pytest.mark.parametrize("remembers", [True, False], ids=["in the task state store", "in a file"])
def test_the_limit_counts_wherever_the_record_is(
    emulator: RunningEmulator, tmp_path: Path, remembers: bool
) -> None:
    task = Task(
        remembers=remembers,
        model="fast-text-to-image",
        parameters={"prompt": "a fox"},
        output_path=f"{tmp_path}/",
        max_cost=0.004,
    )
    task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError):
        task.attempt()
    assert submits(emulator) == 1


def test_a_price_that_nobody_knows_is_learned_from_the_first_request(emulator: RunningEmulator) -> None:
    task = Costly(max_cost=0.9)
    task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError, match=r"expected to cost 0\.50 USD"):
        task.attempt()
    assert spent(emulator) == 0.5


def test_one_request_whose_price_nobody_knows_may_exceed_the_limit(emulator: RunningEmulator) -> None:
    """What docs/spending.md says: the limit and this one request."""
    task = Costly(max_cost=0.1)
    task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError):
        task.attempt()
    assert spent(emulator) == 0.5


def test_while_a_price_is_not_known_there_is_one_such_request(emulator: RunningEmulator) -> None:
    task = Costly(max_cost=5, wait_for_completion=False)
    request_id = task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError, match=f"request {request_id}: not known yet.*set expected_cost"):
        task.attempt()
    assert submits(emulator) == 1


def test_what_a_request_has_cost_counts_if_it_is_more_than_expected(emulator: RunningEmulator) -> None:
    task = Costly(max_cost=0.9, expected_cost=0.1)
    task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError, match=r"has spent 0\.50 USD .* expected to cost 0\.50 USD"):
        task.attempt()
    assert spent(emulator) == 0.5


def test_nothing_is_submitted_beyond_the_limit(emulator: RunningEmulator) -> None:
    for limits in ({"max_cost": 0}, {"max_cost": 0, "expected_cost": None}, {"max_cost": 0.49}):
        with pytest.raises(SpendingLimitError, match="this task has spent nothing"):
            instance(**limits).attempt()
    assert submits(emulator) == 0


def test_failed_requests_are_not_charged_and_do_not_count(emulator: RunningEmulator) -> None:
    emulator.faults({**FAILED, "count": 3})
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    for _ in range(2):
        with pytest.raises(RequestFailedError):
            task.attempt()
    deferral = task.deferral(expected_duration=60)
    with pytest.raises(RequestFailedError):
        task.resume(deferral, event_of(deferral))
    assert task.attempt()
    assert (submits(emulator), spent(emulator)) == (4, PRICE)


def test_an_attempt_that_dies_while_its_request_fails_leaves_nothing_that_counts(
    emulator: RunningEmulator,
) -> None:
    emulator.faults(FAILED)
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    task.deferral(expected_duration=60)
    emulator.advance(10)
    assert task.attempt()
    assert (submits(emulator), spent(emulator)) == (2, PRICE)


def test_a_deferred_task_notes_what_it_has_cost(emulator: RunningEmulator) -> None:
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    deferral = task.deferral(expected_duration=60)
    (reserved,) = task.expenses
    assert (reserved["usd"], reserved["is_final"], reserved["request_id"]) == (
        PRICE,
        False,
        task.record["request_id"],
    )
    task.resume(deferral, event_of(deferral))
    (charged,) = task.expenses
    assert (charged["usd"], charged["is_final"]) == (PRICE, True)


@pytest.mark.parametrize("fault", [{"status": 406, "cause": "credits"}, {"status": 400}], ids=str)
def test_a_refused_submit_does_not_count(emulator: RunningEmulator, fault: dict[str, Any]) -> None:
    emulator.faults({"on": "submit", "count": 1, **fault})
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    with pytest.raises(AirflowFailException):
        task.attempt()
    assert task.expenses == []
    assert task.attempt()


def test_a_submit_that_has_to_wait_for_its_turn_does_not_count(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "submit", "count": 1, "status": 429, "reset_in": 60})
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    task.deferral()
    assert task.expenses == []


def test_a_submit_that_is_found_counts_once(emulator: RunningEmulator) -> None:
    emulator.faults(LOST)
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    assert task.attempt()
    (expense,) = task.expenses
    (charge,) = emulator.ledger()["charges"]
    assert (expense["request_id"], expense["is_final"]) == (charge["request_id"], True)


def test_a_submit_that_was_never_accepted_does_not_count(emulator: RunningEmulator) -> None:
    emulator.faults(NEVER_ARRIVED)
    assert Costly(max_cost=PRICE, expected_cost=PRICE).attempt()
    assert (submits(emulator), spent(emulator)) == (2, PRICE)


def test_a_submit_that_may_have_been_accepted_counts(emulator: RunningEmulator) -> None:
    emulator.faults(LOST, {"on": "history", "status": 503})
    task = Costly(max_cost=2 * PRICE - 0.1, expected_cost=PRICE, on_unresolved_submit="resubmit")
    with pytest.raises(
        SpendingLimitError, match=r"has 0\.50 USD in flight \(the submit at .*: 0\.50 USD expected\)"
    ):
        task.attempt()
    assert submits(emulator) == 1
    assert task.attempt(max_cost=2 * PRICE)
    assert spent(emulator) == 2 * PRICE


def test_a_request_that_is_given_up_counts(emulator: RunningEmulator) -> None:
    emulator.faults(STUCK)
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    task.deferral()
    request_id = task.record["request_id"]
    with pytest.raises(SpendingLimitError, match=rf"request {request_id}: 0\.50 USD expected"):
        task.attempt(abandon_request=request_id)
    assert submits(emulator) == 1
    assert task.attempt(abandon_request=request_id, max_cost=2 * PRICE)
    assert submits(emulator) == 2


def test_an_attempt_that_dies_before_its_submit_leaves_nothing_that_counts(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    with monkeypatch.context() as dying:
        dying.setattr(RecordStore, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            task.attempt()
    assert len(task.expenses) == 1
    assert task.attempt()
    assert spent(emulator) == PRICE


def test_a_reservation_that_takes_long_is_given_back(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Costly(max_cost=PRICE, expected_cost=PRICE)
    with monkeypatch.context() as slow:
        slow.setattr("airflow_provider_segmind.durability.submission.LONGEST_RESERVATION", -1.0)
        with pytest.raises(RecordUnavailableError, match="took too long"):
            task.attempt()
    assert (task.expenses, submits(emulator)) == ([], 0)
    assert task.attempt()


def test_an_attempt_that_leaves_the_submit_to_another_gives_back_what_it_reserved(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, first = Costly(max_cost=PRICE, expected_cost=PRICE), Costly(max_cost=PRICE, expected_cost=PRICE)
    reserve = Spending.reserve

    def overtaken(spending: Spending, *submit: Any) -> None:
        reserve(spending, *submit)
        monkeypatch.setattr(Spending, "reserve", reserve)
        first.deferral(expected_duration=60)
        task.context["task_state_store"].set(KEY, first.record)

    monkeypatch.setattr(Spending, "reserve", overtaken)
    assert task.attempt()
    assert (task.expenses, submits(emulator)) == ([], 1)


def test_what_was_spent_and_cannot_be_read_stops_the_task(emulator: RunningEmulator) -> None:
    for found in ("much", [{"usd": 1}], [7], [{"submit": "x", "task": "a", "model": "m", "usd": -1}]):
        task = Costly(max_cost=PRICE, expected_cost=PRICE)
        task.context["task_state_store"].set(EXPENSES_KEY, found)
        with pytest.raises(SegmindError, match="To count from the beginning, delete 'segmind_expenses' from"):
            task.attempt()
    assert submits(emulator) == 0


def test_a_limit_needs_a_record(emulator: RunningEmulator) -> None:
    with pytest.raises(InvalidParameterError, match=r"max_cost: needs a record .* records_path, or output_path"):
        Costly(max_cost=1, remembers=False).attempt()
    assert submits(emulator) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_cost": -1}, "max_cost: must be a number of USD"),
        ({"max_cost": "much"}, "max_cost: must be a number of USD"),
        ({"expected_cost": True}, "expected_cost: must be a number of USD"),
        ({"max_cost_per_run": float("nan")}, "max_cost_per_run: must be a number of USD"),
        ({"max_cost": 1, "durable": False}, "max_cost: needs durable=True"),
    ],
)
def test_a_wrong_limit_fails_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        Costly(**arguments).new_operator()


def test_a_task_without_a_limit_writes_nothing_down(emulator: RunningEmulator, records: Path) -> None:
    task = Costly(expected_cost=PRICE)
    task.attempt()
    assert task.expenses == []
    assert names(records) == []


# A DAG run: max_cost_per_run


def test_a_run_of_mapped_tasks_spends_no_more_than_its_limit(emulator: RunningEmulator, records: Path) -> None:
    for index in range(3):
        instance(index, max_cost_per_run=1.5).attempt()
    with pytest.raises(SpendingLimitError) as caught:
        instance(3, max_cost_per_run=1.5).attempt()
    said = str(caught.value)
    assert "max_cost_per_run is 1.50 USD, and this DAG run has spent 1.50 USD" in said
    assert all(charge["request_id"] in said for charge in emulator.ledger()["charges"])
    assert spent(emulator) == 1.5
    assert instance(0, run_id="another", max_cost_per_run=1.5).attempt()
    assert names(records) == ["500000-charged"] * 4


def test_of_many_tasks_at_once_as_many_submit_as_the_limit_allows(
    emulator: RunningEmulator, records: Path
) -> None:
    together = threading.Barrier(8)

    def run(index: int) -> str:
        task = instance(index, max_cost_per_run=1.6)
        begun = task.new_operator()._begin_submit(task.context)  # Airflow 2.11 refuses `execute` in a thread
        together.wait()
        try:
            begun.start()
        except SpendingLimitError:
            return "refused"
        return "paid"

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(run, range(8)))
    assert spent(emulator) == PRICE * ends.count("paid") <= 1.6
    assert 1 <= ends.count("paid") <= 3
    assert names(records) == ["500000-charged"] * ends.count("paid")


def test_what_is_in_flight_counts(emulator: RunningEmulator, records: Path) -> None:
    first = instance(0, max_cost_per_run=0.9)
    deferral = first.deferral(expected_duration=60)
    assert names(records) == ["500000-reserved"]
    with pytest.raises(SpendingLimitError, match=r"has spent 0\.00 USD and has 0\.50 USD in flight \(request "):
        instance(1, max_cost_per_run=0.9).attempt()
    first.resume(deferral, event_of(deferral))
    assert names(records) == ["500000-charged"]
    assert submits(emulator) == 1


def test_a_request_that_was_cheaper_makes_room(emulator: RunningEmulator, records: Path) -> None:
    for index in range(2):
        instance(index, max_cost_per_run=1.2, expected_cost=0.7).attempt()
    assert names(records) == ["500000-charged"] * 2


def test_a_failed_request_makes_room(emulator: RunningEmulator, records: Path) -> None:
    emulator.faults(FAILED)
    with pytest.raises(RequestFailedError):
        instance(0, max_cost_per_run=PRICE).attempt()
    assert names(records) == []
    assert instance(1, max_cost_per_run=PRICE).attempt()


def test_what_others_have_paid_for_such_a_request_counts(emulator: RunningEmulator, records: Path) -> None:
    instance(0, max_cost_per_run=0.9, expected_cost=0.1).attempt()
    with pytest.raises(SpendingLimitError, match=r"expected to cost 0\.50 USD"):
        instance(1, max_cost_per_run=0.9, expected_cost=0.1).attempt()
    assert spent(emulator) == PRICE


def test_a_cleared_task_counts_on(emulator: RunningEmulator, records: Path) -> None:
    task = instance(max_cost_per_run=PRICE)
    task.attempt()
    task.clear()
    with pytest.raises(SpendingLimitError):
        task.attempt()
    assert submits(emulator) == 1


def test_a_task_that_remembers_nothing_counts_as_well(emulator: RunningEmulator, records: Path) -> None:
    task = instance(max_cost_per_run=0.9, durable=False)
    deferral = task.deferral(expected_duration=60)
    task.resume(deferral, event_of(deferral))
    assert names(records) == ["500000-charged"]
    with pytest.raises(SpendingLimitError):
        task.attempt()
    assert submits(emulator) == 1


def test_a_task_that_remembers_nothing_keeps_what_it_may_have_spent(
    emulator: RunningEmulator, records: Path
) -> None:
    emulator.faults(LOST, {"on": "history", "status": 503})
    task = instance(max_cost_per_run=0.9, durable=False)
    with pytest.raises(SubmitUnresolvedError):
        task.attempt()
    with pytest.raises(SpendingLimitError):
        task.attempt()
    assert (submits(emulator), names(records)) == (1, ["500000-reserved"])


def test_without_a_price_nothing_can_be_reserved(emulator: RunningEmulator, records: Path) -> None:
    with pytest.raises(InvalidParameterError, match="expected_cost: is needed, because max_cost_per_run reserves"):
        instance(max_cost_per_run=5, expected_cost=None).attempt()
    assert submits(emulator) == 0


@pytest.mark.parametrize(("duration", "price"), [(5, "0.91"), (10, "1.82")])
def test_the_price_of_kling_is_known(emulator: RunningEmulator, records: Path, duration: int, price: str) -> None:
    clip = KlingImageToVideoOperator(
        task_id="run",
        prompt="zoom",
        start_image_url="https://x.example/a.png",
        duration=duration,
        max_cost_per_run=0.9,
    )
    with pytest.raises(SpendingLimitError, match=f"expected to cost {price} USD"):
        clip.execute({"ti": Ti()})
    assert submits(emulator) == 0


def test_a_limit_for_a_run_needs_a_folder(emulator: RunningEmulator) -> None:
    with pytest.raises(InvalidParameterError, match=r"max_cost_per_run: needs a folder .* records_path"):
        instance(max_cost_per_run=5).attempt()
    assert submits(emulator) == 0


@pytest.mark.parametrize(("option", "argument"), [("0.9", None), ("0.9", 5), ("5", 0.9)])
def test_of_the_option_and_the_argument_the_lower_one_counts(
    emulator: RunningEmulator, records: Path, monkeypatch: pytest.MonkeyPatch, option: str, argument: float | None
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__MAX_COST_PER_RUN", option)
    instance(0, max_cost_per_run=argument).attempt()
    with pytest.raises(SpendingLimitError, match=r"max_cost_per_run is 0\.90 USD"):
        instance(1, max_cost_per_run=argument).attempt()
    assert submits(emulator) == 1


def test_an_option_that_is_no_amount_stops_tasks(
    emulator: RunningEmulator, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SEGMIND__MAX_COST_PER_RUN", "much")
    with pytest.raises(InvalidParameterError, match=r"\[segmind\] max_cost_per_run: must be a number of USD"):
        instance().attempt()
    assert submits(emulator) == 0


def test_a_folder_that_cannot_be_used_stops_tasks(emulator: RunningEmulator, records: Path) -> None:
    records.mkdir()
    (records / "spending").write_text("a file")
    with pytest.raises((InvalidParameterError, RecordUnavailableError), match="records_path"):
        instance(max_cost_per_run=5).attempt()
    assert submits(emulator) == 0


def test_a_file_that_cannot_be_read_later_counts_as_reserved(emulator: RunningEmulator, records: Path) -> None:
    task = instance(0, max_cost_per_run=0.9)
    deferral = task.deferral(expected_duration=60)
    (file,) = records.glob("spending/*/*.json")
    file.write_text("{")
    assert task.resume(deferral, event_of(deferral)), "what is paid for is delivered"
    assert names(records) == ["500000-reserved"]
    with pytest.raises(SpendingLimitError):
        instance(1, max_cost_per_run=0.9).attempt()


def test_a_file_says_what_was_spent_on_what(emulator: RunningEmulator, records: Path) -> None:
    task = instance(7, max_cost_per_run=5)
    task.attempt()
    (file,) = records.glob("spending/*/*.json")
    facts = json.loads(file.read_text())
    expected = {
        "dag_id": "nightly",
        "run_id": "manual",
        "task": "run[7]",
        "model": "mock-inference",
        "request_id": task.xcoms["request_id"],
        "usd": PRICE,
        "is_final": True,
    }
    assert {name: facts[name] for name in expected} == expected


# A blocking call


def blocking(**arguments: Any) -> Callable[[], Any]:
    task = Costly()
    operator = SegmindSyncInferenceOperator(
        task_id="run", model="mock-inference", parameters={"sleep": 0, "credits": PRICE}, **arguments
    )
    return lambda: operator.execute(task.context)


def test_a_blocking_call_keeps_to_the_limit(emulator: RunningEmulator) -> None:
    run = blocking(max_cost=0.9, expected_cost=0.1)
    run()
    with pytest.raises(SpendingLimitError, match=r"has spent 0\.50 USD \(request "):
        run()
    assert spent(emulator) == PRICE


def test_a_blocking_call_keeps_to_the_limit_of_its_run(emulator: RunningEmulator, records: Path) -> None:
    blocking(max_cost_per_run=0.9, expected_cost=PRICE)()
    with pytest.raises(SpendingLimitError):
        instance(3, max_cost_per_run=0.9).attempt()
    assert (spent(emulator), names(records)) == (PRICE, ["500000-charged"])


@pytest.mark.parametrize(("fault", "left"), [({"status": 400}, []), ({"drop": "after"}, ["500000-reserved"])])
def test_a_blocking_call_without_an_output(
    emulator: RunningEmulator, records: Path, fault: dict[str, Any], left: list[str]
) -> None:
    emulator.faults({"on": "sync", "count": 1, **fault})
    with pytest.raises(SegmindError):
        blocking(max_cost_per_run=0.9, expected_cost=PRICE)()
    assert names(records) == left


# The order in which tasks write and look


class Turnstile:
    """Lets two threads take their steps in a given order; whatever is left goes on by itself."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self._order = list(order)
        self._changed = threading.Condition()

    def pass_through(self, who: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._order or self._order[0] == who or who not in self._order)
            if self._order and self._order[0] == who:
                self._order.pop(0)
            self._changed.notify_all()

    def leave(self, who: int) -> None:
        with self._changed:
            self._order = [each for each in self._order if each != who]
            self._changed.notify_all()


class Stepping(RunExpenses):
    """The expenses of a run, one step at a time."""

    def __init__(self, ti: Any, folder: Any, turnstile: Turnstile, who: int) -> None:
        super().__init__(ti, folder, "records_path")
        self._turnstile, self._who = turnstile, who

    def read(self) -> list[Expense]:
        self._turnstile.pass_through(self._who)
        return super().read()

    def put(self, expense: Expense, before: Expense | None = None) -> None:
        self._turnstile.pass_through(self._who)
        super().put(expense, before)

    def remove(self, expense: Expense) -> None:
        self._turnstile.pass_through(self._who)
        super().remove(expense)


def orders() -> Iterator[tuple[int, ...]]:
    """Yield each order in which two tasks can look, write and look again."""
    for first in itertools.combinations(range(6), 3):
        yield tuple(0 if step in first else 1 for step in range(6))


@pytest.mark.parametrize("order", orders(), ids=lambda order: "".join(map(str, order)))
def test_two_tasks_never_reserve_more_than_the_limit_in_whatever_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    monkeypatch.setattr("airflow_provider_segmind.durability.spending.PAUSES", ())
    folder, turnstile = output_location(f"{tmp_path}/"), Turnstile(order)
    limit = Limit("max_cost_per_run", 1.0, "this DAG run", needs_price=True)

    def reserve(who: int) -> bool:
        ti: Any = Ti()
        ti.map_index = who
        expenses = Stepping(ti, folder, turnstile, who)
        spending = Spending(lambda: [Ledger(limit, expenses)], 0.6, "run", expenses._instance)
        try:
            spending.reserve(submit_name(1795435200.25), "m", None)
        except SpendingLimitError:
            return False
        finally:
            turnstile.leave(who)
        return True

    with ThreadPoolExecutor(2) as pool:
        went_on = list(pool.map(reserve, range(2)))
    assert sum(went_on) <= 1
    assert len(names_below(tmp_path)) == sum(went_on), "who gives way leaves nothing"


def names_below(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*.json")]


def test_a_task_that_another_attempt_took_for_dead_counts_all_the_same(tmp_path: Path) -> None:
    limit = Limit("max_cost_per_run", 1.0, "this DAG run", needs_price=True)
    ledger = Ledger(limit, RunExpenses(Ti(), output_location(f"{tmp_path}/"), "records_path"))

    def attempt() -> Spending:
        return Spending(lambda: [ledger], 0.6, "run", ledger.expenses._instance)  # type: ignore[attr-defined]

    slow, submit = attempt(), submit_name(1795435200.25)
    slow.reserve(submit, "m", None)
    attempt().check("m", None, free_unaccepted=True)
    attempt().reserve(submit_name(1795435260.5), "m", None)
    slow.accept(submit, "r1")
    assert sorted(each.micro for each in ledger.expenses.read()) == [600_000, 600_000]


def run_ledger(folder: Path, usd: float, map_index: int = -1) -> Ledger:
    ti: Any = Ti()
    ti.map_index = map_index
    expenses = RunExpenses(ti, output_location(f"{folder}/"), "records_path")
    return Ledger(Limit("max_cost_per_run", usd, "this DAG run", needs_price=True), expenses)


def spending_from(ledger: Ledger, price: float | None) -> Spending:
    return Spending(lambda: [ledger], price, "run", ledger.expenses._instance)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("limit", "fits"), [(2.0, True), (1.0, False)])
def test_a_price_that_becomes_known_between_the_check_and_the_reservation_is_reserved(
    tmp_path: Path, limit: float, fits: bool
) -> None:
    late, early = (spending_from(run_ledger(tmp_path, limit, index), 0.1) for index in range(2))
    late.check("m", None)
    submit = submit_name(1795435200.25)
    early.reserve(submit, "m", None)
    early.charge(0.9, submit=submit)
    expected = [900_000, 900_000] if fits else [900_000]
    if fits:
        late.reserve(submit_name(1795435260.5), "m", None)
    else:
        with pytest.raises(SpendingLimitError):
            late.reserve(submit_name(1795435260.5), "m", None)
    assert [each.micro for each in run_ledger(tmp_path, limit).expenses.read()] == expected
    assert len(names_below(tmp_path)) == len(expected)


def test_two_tasks_that_have_checked_before_reserve_no_more_than_the_limit(tmp_path: Path) -> None:
    tasks = [spending_from(run_ledger(tmp_path, 1.0, index), 0.6) for index in range(2)]
    for task in tasks:
        task.check("m", None)
    tasks[0].reserve(submit_name(1795435200.25), "m", None)
    with pytest.raises(SpendingLimitError):
        tasks[1].reserve(submit_name(1795435260.5), "m", None)
    assert len(names_below(tmp_path)) == 1


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed."""
    listed = []

    def list_and_note(folder: Any, **arguments: Any) -> list[str]:
        listed.append(str(folder))
        return names_in(folder, **arguments)

    monkeypatch.setattr("airflow_provider_segmind.media.small_files.names_in", list_and_note)
    return listed


def test_a_submit_lists_the_folder_twice_and_a_task_that_is_resumed_once_more(
    emulator: RunningEmulator, records: Path, listings: list[str]
) -> None:
    instance(0, max_cost_per_run=5).attempt()
    assert len(listings) == 2
    listings.clear()
    task = instance(1, max_cost_per_run=5, expected_duration=60)
    deferral = task.deferral()
    assert len(listings) == 2
    task.resume_to_the_end(deferral)
    assert len(listings) == 3
    assert names(records) == ["500000-charged", "500000-charged"]


@pytest.mark.parametrize("content", ["[" * 60_000, '{"request_id": ' + "[" * 60_000, "\xff", ""])
def test_a_file_that_cannot_be_read_stops_a_task_and_does_not_count_as_never_sent(
    tmp_path: Path, content: str
) -> None:
    ledger = run_ledger(tmp_path, 5.0)
    spending_from(ledger, 0.5).reserve(submit_name(1795435200.25), "m", None)
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(SegmindError, match="is not JSON"):
        spending_from(ledger, 0.5).check("m", None, free_unaccepted=True)
    assert file.exists()


# Sums


def expense(usd: float | None = 0.1, *, final: bool = True, number: int = 1) -> Expense:
    return Expense(f"s{number}", "t", "m", usd=usd, is_final=final, request_id=f"r{number}")


def test_sums_are_exact() -> None:
    limit = Limit("max_cost", 0.3, "this task")
    before = [expense(0.1), expense(0.1, number=2)]
    check_limit(limit, before, expense(0.1, number=3))
    with pytest.raises(SpendingLimitError):
        check_limit(limit, before, expense(0.100001, number=3))


@pytest.mark.parametrize(
    ("micro", "text"), [(0, "0.00 USD"), (910_000, "0.91 USD"), (1, "0.000001 USD"), (12_500_000, "12.50 USD")]
)
def test_an_amount_is_written_with_all_its_digits(micro: int, text: str) -> None:
    assert usd(micro) == text


def test_a_message_names_the_last_requests() -> None:
    with pytest.raises(SpendingLimitError) as caught:
        check_limit(Limit("max_cost", 1, "this task"), [expense(number=n) for n in range(10)], expense(number=11))
    assert "5 earlier ones, request r5: 0.10 USD" in str(caught.value)
    assert "request r4" not in str(caught.value)


def test_rate_limits_are_not_spending_limits() -> None:
    assert not issubclass(SpendingLimitError, RateLimitedError)
    assert not SpendingLimitError.can_retry
