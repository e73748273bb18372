"""
The end of a request's life: the states of a request that is known, and what leads from them to its delivery.

These are the last rows of the state machine in ``lifecycle``. They are apart because a task that resumes with its
result needs no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_segmind.api.answers import RequestReport
    from airflow_provider_segmind.durability.record import RequestRecord
    from airflow_provider_segmind.durability.store import RecordStore
    from airflow_provider_segmind.lineage.delivered import Delivered as DeliveredOutput


@dataclass(frozen=True)
class Submitted:
    """
    Segmind has accepted the request. Next: wait for its end.

    :param sent_at: When the submit was sent, in seconds since the epoch.
    :param record: What to store of it; None if it is stored already, or nothing can be.
    """

    request_id: str
    sent_at: float
    record: RequestRecord | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Completed:
    """The request is charged, and its result is known. Next: store the output, push the XComs."""

    result: RequestReport


@dataclass(frozen=True)
class Delivered:
    """The task has all that it will get of its request: only a clear submits another."""

    request_id: str


@dataclass(frozen=True)
class Occurrence:
    """
    An event that says nothing but that it has happened.

    Its kinds inherit what makes them values. Making a dataclass of each would take each process longer.
    """


class HandedOver(Occurrence):
    """The task has returned the request's id, and something else waits for its end."""


class OutputDelivered(Occurrence):
    """The output is stored and pushed."""


class OutputLost(Occurrence):
    """There is nothing more to get: the record of the request has expired, or its output is gone or unusable."""


class Transition(NamedTuple):
    """
    What an event does in a state.

    :param follow: Returns the next state.
    :param to: Which states that can be.
    """

    follow: Callable[[Any, Any], Any]
    to: tuple[type[Any], ...]


def follow(transitions: Mapping[tuple[type[Any], type[Any]], Transition], state: Any, event: Any) -> Any:
    """
    Return the state that follows.

    :raises RuntimeError: If the event cannot happen in this state.
    """
    transition = transitions.get((type(state), type(event)))
    if transition is None:
        raise RuntimeError(f"{type(event).__name__} cannot happen in the state {type(state).__name__}")
    return transition.follow(state, event)


def _after_hand_over(state: Submitted, _event: HandedOver | OutputLost) -> Delivered:
    return Delivered(state.request_id)


def _after_delivery(state: Completed, _event: OutputDelivered | OutputLost) -> Delivered:
    return Delivered(state.result.request_id)


ENDINGS: Mapping[tuple[type[Any], type[Any]], Transition] = {
    (Submitted, HandedOver): Transition(_after_hand_over, (Delivered,)),
    (Submitted, OutputLost): Transition(_after_hand_over, (Delivered,)),
    (Completed, OutputDelivered): Transition(_after_delivery, (Delivered,)),
    (Completed, OutputLost): Transition(_after_delivery, (Delivered,)),
}


def finish(
    state: Submitted | Completed,
    event: HandedOver | OutputDelivered | OutputLost,
    store: RecordStore,
    max_tries: int,
    output: DeliveredOutput | None = None,
) -> None:
    """
    Store that the task has all that it will get of its request.

    :param max_tries: The task's at this moment, which a clear changes and a retry does not.
    :param output: What the task got, if it got something.
    """
    delivered: Delivered = follow(ENDINGS, state, event)
    store.mark_delivered(delivered.request_id, max_tries, output)
