"""
Asking for the result of a request that may still run, in place of its status: one call instead of two at its end.

What Segmind answers while a request runs is not documented. It may name the state, as 200 or another status, or
hold an error. So the first such answer is compared with the status, and each process remembers what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_segmind.exceptions import SegmindError

AVOIDED = 3600.0
"""Seconds for which no result is asked for early, after an answer that may also mean something else."""

MOST_KINDS = 3
"""Kinds of answers without a state that are taken for "it runs". A host that has more cannot be understood."""

MOST_CONTRADICTIONS = 3
"""Answers that may also mean something else, of requests that run, beside others that were understood."""


@dataclass(frozen=True, slots=True)
class UnclearAnswer:
    """
    An answer to an early call for a result that does not say how the request is.

    :param kind: What is alike in all answers of its kind.
    :param may_mean_running: Whether it can be all that Segmind says of a request that runs. A 404 cannot: it is
        also what is said of a request that is gone.
    :param trouble: The error that it is otherwise, if that may pass.
    :param state: What it names as the state, if that is not a documented one.
    """

    kind: str
    may_mean_running: bool
    trouble: SegmindError | None = None
    state: str = ""


class EarlyResults:
    """
    What a process knows of one connection's answers to early calls for results. It begins with knowing nothing.

    Until the first answer is understood, one call at a time tries it out. So a Segmind whose answers are of no use
    costs one call more for each process and hour, and not one for each request.
    """

    def __init__(self) -> None:
        self._understood = False
        self._kinds: set[str] = set()
        self._contradictions = 0
        self._avoided_until = 0.0
        self._trying = False

    @property
    def understood(self) -> bool:
        """Whether it is known what is said of a request that runs."""
        return self._understood

    def may_ask(self, now: float) -> bool:
        """Return whether a result may be asked for early. ``now`` is in seconds since the epoch."""
        return now >= self._avoided_until and (self._understood or not self._trying)

    def wants_to_learn(self, now: float) -> bool:
        """Return whether a call for the result of a request that certainly runs would tell something."""
        return not self._understood and self.may_ask(now)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Keep others from trying the same meanwhile, as long as nothing is understood."""
        tries = not self._understood
        self._trying = self._trying or tries
        try:
            yield
        finally:
            if tries:
                self._trying = False

    def learn_clear(self) -> None:
        """Take note of an answer that named the state of a request that runs."""
        self._understood = True

    def means_running(self, answer: UnclearAnswer) -> bool:
        """Return whether such an answer came before, of a request that ran."""
        return answer.kind in self._kinds

    def learn_unclear(self, answer: UnclearAnswer, now: float, *, running: bool) -> None:
        """
        Note an answer that did not say how its request is. The status has said it since.

        :param running: Whether it runs. If it has ended, it may have run when the answer was written.
        """
        if answer.may_mean_running and len(self._kinds) < MOST_KINDS:
            if running:
                self._kinds.add(answer.kind)
                self._understood = True
            return
        self._contradictions += 1
        if not self._understood or self._contradictions > MOST_CONTRADICTIONS:
            self._avoid(now)

    def _avoid(self, now: float) -> None:
        """Do without early results for an hour, and begin again then: Segmind or a host before it may change."""
        self._understood, self._contradictions, self._avoided_until = False, 0, now + AVOIDED
        self._kinds.clear()
