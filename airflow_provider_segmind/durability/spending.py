"""Keeping a task, and a DAG run, within what they may cost. docs/spending.md says exactly what is guaranteed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from airflow_provider_segmind.api.prices import known_price
from airflow_provider_segmind.api.request_ids import canonical_id
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.durability.backends import OPTION, SECTION, records_folder
from airflow_provider_segmind.durability.expense import (
    MOST_LISTED,
    Expense,
    Limit,
    check_limit,
    highest_price,
    is_hopeless,
    kind_of,
)
from airflow_provider_segmind.durability.limits import RUN_OPTION, run_option
from airflow_provider_segmind.durability.run_expenses import RunExpenses, instance_of
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError, SpendingLimitError

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context
    from airflow_provider_segmind.durability.store import RecordStore

PAUSES = (0.5, 1.0, 2.0)
"""Seconds at most before a task looks again, if it and others have got in each other's way at the limit."""

log = logging.getLogger(__name__)


class Expenses(Protocol):
    """Where expenses are written down."""

    def read(self) -> list[Expense]:
        """Return all that count."""

    def read_whole(self, last: int) -> list[Expense]:
        """Return the same, with the request ids of the last ones; for a message."""

    def read_own(self) -> list[Expense]:
        """Return those of this task instance, with their request ids."""

    def find(self, is_it: Callable[[Expense], bool], mine: Expense | None) -> list[Expense]:
        """
        Return those of this task instance for which something holds.

        :param mine: One that this process has written, and for which it holds. Another attempt may have removed
            it, because it took it for one that was never sent.
        """

    def put(self, expense: Expense, before: Expense | None = None) -> None:
        """
        Write an expense.

        :param before: The one in whose place it is: of the same submit.
        """

    def remove(self, expense: Expense) -> None:
        """Remove an expense, if it is there."""


class TaskExpenses:
    """The expenses of one task instance, next to its record."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def read(self) -> list[Expense]:
        """Return all."""
        if not self._store.remembers:
            raise InvalidParameterError(
                "max_cost",
                "needs a record of what the task has spent, and this Airflow keeps none: set the option "
                f"{OPTION}, or output_path",
            )
        return list(self._store.read_expenses())

    def read_whole(self, last: int) -> list[Expense]:
        """Return all."""
        return self.read()

    def read_own(self) -> list[Expense]:
        """Return all."""
        return self.read()

    def find(self, is_it: Callable[[Expense], bool], mine: Expense | None) -> list[Expense]:
        """Return those for which something holds; if there are none any more, the one that was there."""
        return list(filter(is_it, self.read())) or ([] if mine is None else [mine])

    def put(self, expense: Expense, before: Expense | None = None) -> None:
        """Write an expense in place of the one of the same submit."""
        others = [each for each in self.read() if each.submit != expense.submit]
        self._store.write_expenses((*others, expense))

    def remove(self, expense: Expense) -> None:
        """Remove an expense, if it is there."""
        before = self.read()
        others = [each for each in before if each.submit != expense.submit]
        if len(others) < len(before):
            self._store.write_expenses(tuple(others))


@dataclass(frozen=True)
class Ledger:
    """A limit, and what counts against it."""

    limit: Limit
    expenses: Expenses


class Spending:
    """
    What a task instance may still spend.

    What has to be written before a submit raises if it cannot be. After a submit, an error is logged: the request
    is paid for, and what was reserved for it still counts.

    :param ledgers: Returns what limits the task. It is asked before a submit, and may raise.
    :param expected_cost: USD that a request costs, if the user said so.
    :param task: The name of the task instance, for messages.
    :param instance: What tells it from all others.
    """

    def __init__(
        self,
        ledgers: Callable[[], Sequence[Ledger]],
        expected_cost: float | None,
        task: str,
        instance: str,
    ) -> None:
        self._find_ledgers = ledgers
        self._expected_cost = expected_cost
        self._task = task
        self._instance = instance
        self._reserved: dict[str, Expense] = {}
        self._checked: dict[str, Sequence[Expense]] = {}

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit, or may be one."""
        try:
            return bool(self._find_ledgers())
        except SegmindError:
            return True

    def check(self, model: str, variant: str | None, *, free_unaccepted: bool = False) -> None:
        """
        Check, without reserving anything, whether a request is within the limits by now.

        :param free_unaccepted: Whether to forget before what was reserved for submits of this task without a
            request: they were never sent. An attempt that dies between its reservation and its intent leaves one.
        :raises SpendingLimitError: If it is not.
        :raises InvalidParameterError: If a limit cannot be kept with these arguments or options.
        """
        new = self._expense("now", model, variant)
        for ledger in self._find_ledgers():
            expenses = ledger.expenses.read()
            if free_unaccepted and any(map(self._is_open, expenses)):
                self._free_unaccepted(ledger.expenses)
                expenses = ledger.expenses.read()
            self._check_limit(ledger, expenses, self._priced(expenses, new))
            self._checked[ledger.limit.name] = expenses

    def _is_open(self, expense: Expense) -> bool:
        """Whether an expense is of this task, or may be, and Segmind has not said what it costs."""
        return not expense.is_final and expense.instance in ("", self._instance)

    def _free_unaccepted(self, expenses: Expenses) -> None:
        for each in expenses.read_own():
            if each.request_id is None and not each.is_final:
                expenses.remove(each)

    def reserve(self, submit: str, model: str, variant: str | None) -> None:
        """
        Write down what a submit may cost, and check that it is within the limits with all others; the same errors.

        :param submit: By what it is named: when it is sent.
        """
        expense = self._expense(submit, model, variant)
        reserved: list[Ledger] = []
        try:
            for ledger in self._find_ledgers():
                self._reserved[ledger.limit.name] = self._reserve(ledger, expense)
                reserved.append(ledger)
        except BaseException:
            for ledger in reserved:
                with suppress(Exception):
                    ledger.expenses.remove(expense)
            raise

    def accept(self, submit: str, request_id: str) -> None:
        """Note the request that a submit has become."""
        self._change(lambda each: each.submit == submit, request_id=request_id)

    def charge(self, usd: float | None, *, submit: str | None = None, request_id: str | None = None) -> None:
        """Note what a submit, or a request, has cost; None leaves it at what was expected."""
        if usd is not None:
            self._change(_named(submit, request_id), usd=usd, is_final=True)

    def free(self, *, submit: str | None = None, request_id: str | None = None) -> None:
        """Forget what was reserved for a submit, or a request, that is not charged."""
        is_it = _named(submit, request_id)

        def remove(ledger: Ledger) -> None:
            for each in filter(is_it, ledger.expenses.read_own()):
                if not each.is_final:
                    ledger.expenses.remove(each)

        self._quietly(remove)

    def _change(self, is_it: Callable[[Expense], bool], **changes: object) -> None:
        def change(ledger: Ledger) -> None:
            reserved = self._reserved.get(ledger.limit.name)
            mine = reserved if reserved is not None and is_it(reserved) else None
            for each in ledger.expenses.find(is_it, mine):
                changed = replace(each, **changes)  # type: ignore[arg-type]
                if changed != each:
                    ledger.expenses.put(changed, each)
                if mine is not None:
                    self._reserved[ledger.limit.name] = changed

        self._quietly(change)

    def _quietly(self, do: Callable[[Ledger], None]) -> None:
        try:
            for ledger in self._find_ledgers():
                do(ledger)
        except Exception as error:  # noqa: BLE001 - the request is paid for
            words = error.facts if isinstance(error, SegmindError) else f"{type(error).__name__}: {error}"
            log.warning("What was spent could not be written down; what was reserved counts: %s", one_line(words))

    def _expense(self, submit: str, model: str, variant: str | None) -> Expense:
        return Expense(submit, self._task, model, variant or "", instance=self._instance)

    def _priced(self, expenses: Sequence[Expense], new: Expense) -> Expense:
        """Return an expense with what it may cost: the most that was seen or said of such a request."""
        seen = highest_price(expenses, kind_of(new.model, new.variant))
        said = self._expected_cost
        if said is None and seen is None:
            said = known_price(new.model, new.variant or None)
        prices = [price for price in (seen, said) if price is not None]
        return replace(new, usd=max(prices, default=None))

    def _check_limit(self, ledger: Ledger, expenses: Sequence[Expense], new: Expense) -> None:
        others = [each for each in expenses if not each.is_same(new)]
        try:
            check_limit(ledger.limit, others, new)
        except SpendingLimitError:
            whole = [each for each in ledger.expenses.read_whole(MOST_LISTED) if not each.is_same(new)]
            check_limit(ledger.limit, whole, new)  # the same with the ids of requests, unless room has come
            raise

    def _reserve(self, ledger: Ledger, new: Expense) -> Expense:
        """Reserve. Of several tasks at the limit, each may see the others and give way: it looks again then."""
        # What was there when the request was checked is enough to begin with: what is there once it was written
        # decides.
        before = self._checked.pop(ledger.limit.name, None)
        if before is None:
            before = ledger.expenses.read()
        for pause in (*PAUSES, None):
            priced = self._priced(before, new)
            try:
                self._check_limit(ledger, before, priced)
                return self._write_and_check(ledger, priced)
            except SpendingLimitError:
                if pause is None or not ledger.limit.needs_price or is_hopeless(ledger.limit, before, priced):
                    raise
            time.sleep(random.uniform(0, pause))  # noqa: S311 - not for secrets
            before = ledger.expenses.read()
        raise AssertionError("the last look returns or raises")

    def _write_and_check(self, ledger: Ledger, priced: Expense) -> Expense:
        """Write an expense down and check it. If its price is known to be another by now, that is written down."""
        try:
            ledger.expenses.put(priced)
            while True:
                others = [each for each in ledger.expenses.read() if not each.is_same(priced)]
                again = self._priced(others, priced)
                if again.usd == priced.usd:
                    break
                ledger.expenses.put(again, priced)
                priced = again
            self._check_limit(ledger, others, priced)
        except BaseException:
            with suppress(Exception):
                ledger.expenses.remove(priced)
            raise
        return priced


def spending_of(
    context: Context,
    store: RecordStore,
    *,
    max_cost: float | None,
    max_cost_per_run: float | None,
    expected_cost: float | None,
) -> Spending:
    """Return what a task instance may spend, as its arguments and the option ``max_cost_per_run`` say."""
    ti = context["ti"]
    index = f"[{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
    task = f"{ti.task_id}{index}"

    def find_ledgers() -> list[Ledger]:
        ledgers = []
        if max_cost is not None:
            ledgers.append(Ledger(Limit("max_cost", max_cost, "this task"), TaskExpenses(store)))
        of_run = [each for each in (max_cost_per_run, _read_run_option()) if each is not None]
        if of_run:
            folder = records_folder()
            if folder is None:
                raise InvalidParameterError(
                    RUN_OPTION, f"needs a folder that all workers share: set the option {OPTION}"
                )
            limit = Limit(RUN_OPTION, min(of_run), "this DAG run", needs_price=True)
            ledgers.append(Ledger(limit, RunExpenses(ti, folder, OPTION)))
        return ledgers

    return Spending(find_ledgers, expected_cost, task, instance_of(ti))


def _read_run_option() -> float | None:
    given = run_option()
    if not given:
        return None
    number = read_number(given, 0)
    if number is None:
        raise InvalidParameterError(
            f"[{SECTION}] {RUN_OPTION}", f"must be a number of USD, 0 or more, not {given!r}"
        )
    return number


def _named(submit: str | None, request_id: str | None) -> Callable[[Expense], bool]:
    if submit is not None:
        return lambda each: each.submit == submit
    return lambda each: request_id is not None and _is_of(each, request_id)


def _is_of(expense: Expense, request_id: str) -> bool:
    return expense.request_id is not None and canonical_id(expense.request_id) == canonical_id(request_id)
