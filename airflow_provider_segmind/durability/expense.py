"""What requests of a task, or of a DAG run, may cost, and whether another one is within a limit. No I/O."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from airflow_provider_segmind.api.forms import FLAG, NUMBER, REQUEST_ID, TEXT, WORD, Form
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError, SpendingLimitError

MICRO = 1_000_000
"""Of a USD. Sums are of whole numbers: 0.1 and 0.2 USD are within a limit of 0.3."""

MOST_LISTED = 5
"""Requests in one message."""


@dataclass(frozen=True)
class Expense:
    """
    What one submit costs, or may cost.

    :param submit: By what it is named: when it was sent.
    :param task: Which task instance sent it, for messages.
    :param model: The model, or the workflow.
    :param variant: What else its price depends on, as ``usual_duration.variant_of`` says it; empty if nothing.
    :param usd: What it costs; until ``is_final``, what it is expected to cost. None if nobody knows.
    :param is_final: Whether Segmind has said so.
    :param request_id: From the answer to the submit; None until there is one.
    :param instance: The same task instance as ``task``, as a hash of all that tells it from others.
    """

    submit: str
    task: str
    model: str
    variant: str = ""
    usd: float | None = None
    is_final: bool = False
    request_id: str | None = None
    instance: str = ""

    VERSION: ClassVar[int] = 1
    """Of the form that ``as_json`` writes; see docs/upgrades.md."""

    @property
    def kind(self) -> str:
        """What requests of the same price have in common: their model and variant, as eight characters."""
        return kind_of(self.model, self.variant)

    def is_same(self, other: Expense) -> bool:
        """Whether this is of the same submit."""
        return (compact(self.submit), self.instance) == (compact(other.submit), other.instance)

    @property
    def micro(self) -> int:
        """Millionths of a USD, rounded up; 0 if nobody knows."""
        return micro(self.usd or 0.0)

    def __str__(self) -> str:
        name = f"request {self.request_id}" if self.request_id else f"the submit at {self.submit}"
        if self.usd is None:
            return f"{name}: not known yet"
        return f"{name}: {usd(self.micro)}" + ("" if self.is_final else " expected")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"version": self.VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "what the task has spent cannot be read", cls.VERSION, may_submit=True)
        return cls(
            submit=form.required("submit", WORD),
            task=form.required("task", TEXT),
            model=form.required("model", WORD),
            variant=form.optional("variant", TEXT, ""),
            usd=form.optional("usd", NUMBER, None),
            is_final=form.optional("is_final", FLAG, False),
            request_id=form.optional("request_id", REQUEST_ID, None),
            instance=form.optional("instance", TEXT, ""),
        )


@dataclass(frozen=True)
class Limit:
    """
    What may be spent.

    :param name: The argument that says so.
    :param usd: How much.
    :param spender: Whose expenses count, for messages.
    :param needs_price: Whether the price of a request has to be known, because others may be submitted meanwhile.
    """

    name: str
    usd: float
    spender: str
    needs_price: bool = False


def check_limit(limit: Limit, expenses: Iterable[Expense], new: Expense) -> None:
    """
    Check that what was spent, what is in flight and a new request are within a limit together.

    A request whose price is not known counts as nothing, but there is only one of those at a time.

    :raises SpendingLimitError: If they are not.
    :raises InvalidParameterError: If the price has to be known.
    """
    before = list(expenses)
    if new.usd is None and limit.needs_price:
        raise InvalidParameterError(
            "expected_cost",
            f"is needed, because {limit.name} reserves what a request costs, and what one to {new.model} costs is "
            "not known",
        )
    unknown = [each for each in before if each.usd is None]
    total, most = sum(each.micro for each in before), math.floor(round(limit.usd * MICRO, 3))
    if unknown:
        reason = "what one of them costs is not known: set expected_cost"
    elif new.usd is None and total >= most:
        reason = "nothing is left"
    elif new.usd is not None and total + new.micro > most:
        reason = f"another request to {new.model} is expected to cost {usd(new.micro)}"
    else:
        return
    raise SpendingLimitError(f"{limit.name} is {usd(most)}, {_what_was_spent(limit, before)}; {reason}")


def is_hopeless(limit: Limit, expenses: Iterable[Expense], new: Expense) -> bool:
    """Whether a new request is beyond a limit, whatever becomes of those that are in flight."""
    spent = sum(each.micro for each in expenses if each.is_final)
    return spent + new.micro > math.floor(round(limit.usd * MICRO, 3))


def highest_price(expenses: Iterable[Expense], kind: str) -> float | None:
    """Return the most USD that a request of a kind has cost; None if none has cost anything yet."""
    return max((each.usd for each in expenses if each.is_final and each.usd and each.kind == kind), default=None)


def kind_of(model: str, variant: str) -> str:
    """Return eight characters for a model and a variant."""
    return hashlib.sha256(f"{model}\0{variant}".encode()).hexdigest()[:8]


def compact(submit: str) -> str:
    """Return the name of a submit without punctuation, fit for the name of a file: ``20261126T063000123456Z``."""
    return re.sub(r"[-:.]", "", submit)


def micro(amount: float) -> int:
    """Return millionths of a USD, rounded up."""
    return math.ceil(round(amount * MICRO, 3))


def usd(millionths: int) -> str:
    """Return an amount for a message, with two digits after the point or as many as it has."""
    whole, rest = divmod(millionths, MICRO)
    return f"{whole}.{f'{rest:06}'.rstrip('0').ljust(2, '0')} USD"


def _what_was_spent(limit: Limit, expenses: list[Expense]) -> str:
    if not expenses:
        return f"and {limit.spender} has spent nothing"
    final = sum(each.micro for each in expenses if each.is_final)
    open_ = sum(each.micro for each in expenses if not each.is_final)
    listed = ", ".join(map(str, expenses[-MOST_LISTED:]))
    earlier = len(expenses) - MOST_LISTED
    more = f"{earlier} earlier ones, " if earlier > 0 else ""
    reserved = f" and has {usd(open_)} in flight" if open_ else ""
    return f"and {limit.spender} has spent {usd(final)}{reserved} ({more}{listed})"


def read_expenses(document: object) -> tuple[Expense, ...]:
    """
    Return what a task has spent, as it was written down.

    :raises SegmindError: If it cannot be read: another submit might exceed the limit.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise SegmindError("what the task has spent cannot be read: it must be a list")
    return tuple(map(Expense.from_json, document))
