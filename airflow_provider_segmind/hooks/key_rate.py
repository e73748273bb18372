"""How fast one API key may send: what is known of it, as values. No I/O and no clock."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from airflow_provider_segmind.api.rate_limit import LONGEST_WAIT, backoff

MINUTE = 60.0
SPREAD = 62.0
"""
Seconds over which the requests of a minute are spread. Requests arrive up to 2 s early or late, and a host that
counts them by the minute would refuse the last ones otherwise.
"""

LEAST_LEARNED = 30.0
MOST_LEARNED = 1000.0
"""Requests a minute of Segmind's largest published plan: a key that gets there is as good as unlimited."""

GROWTH_OF_LEARNED = 1.5
LONGEST_QUIET = 8 * MINUTE
SAME_AGAIN = 1.25
"""By what factor two learned paces may differ and still be the same limit."""

LEAST_SHARE = 0.25
"""Part of a configured limit that a 429 leaves: somebody else is sending, but hardly as much as four others."""

LONGEST_QUEUE = 3600.0
"""Seconds. No turn is further away, even at the lowest limit; what says otherwise is not to be trusted."""

MOST_A_SECOND = 100_000
"""Requests. A larger count of them is not to be trusted."""

LARGEST = 1e12
"""No number here is larger, neither a moment nor a count."""

LONGEST_PAUSE = LONGEST_WAIT.total_seconds() + MINUTE


class Slot(NamedTuple):
    """
    What came of asking for a moment to send at.

    :param wait: Seconds until it; if it is not reserved, until it is worth asking again.
    :param is_reserved: Whether it is the caller's.
    :param pace: Requests a minute that are known to be allowed; None if no limit is known.
    :param refusals: How many 429s there were without an answer in between.
    :param sent: Requests that went out in the last minute, if no limit is known.
    """

    wait: float
    is_reserved: bool = True
    pace: float | None = None
    refusals: int = 0
    sent: int = 0


@dataclass(frozen=True)
class Refusal:
    """
    A 429.

    :param sent_at: When the refused request went out, in seconds since the epoch.
    :param pause: Seconds until the reset that it named; 0 if it named none, or one that is over.
    :param jitter: Seconds to wait longer: clocks differ a little.
    :param is_counted: Whether the request was counted when it went out.
    """

    sent_at: float
    pause: float = 0.0
    jitter: float = 0.0
    is_counted: bool = True

    def pause_after(self, refusals: int) -> float:
        """
        Return the seconds to leave the key alone.

        A reset that is over, or that was followed by another 429 at once, does not say when to come back.

        :param refusals: How many 429s came before without an answer in between.
        """
        said = min(max(self.pause, 0.0), LONGEST_PAUSE - self.jitter)
        return (max(said, backoff(refusals)) if said <= 0 or refusals else said) + self.jitter


@dataclass(frozen=True)
class LearnedRate:
    """
    How many requests a minute a 429 has shown to be possible.

    :param per_minute: Let through in the minute before the 429.
    :param at: When that was, in seconds since the epoch.
    :param quiet: Seconds without another 429 after which half as many again are tried. Doubled each time that a
        429 shows the same limit again, up to eight minutes: every trial costs a few refused requests.
    """

    per_minute: float
    at: float
    quiet: float = MINUTE

    @classmethod
    def after_refusal(cls, let_through: int, now: float, before: LearnedRate | None, limit: float | None) -> Self:
        """
        Return what a 429 teaches.

        :param let_through: Requests of the minute before it that got another answer.
        :param before: What was known before.
        :param limit: Requests a minute that the connection allows; None if it does not say.
        """
        rate = max(LEAST_LEARNED if limit is None else limit * LEAST_SHARE, float(let_through))
        same = before is not None and before.per_minute / SAME_AGAIN <= rate <= before.per_minute * SAME_AGAIN
        return cls(rate, now, min(before.quiet * 2, LONGEST_QUIET) if before is not None and same else MINUTE)

    def at_moment(self, now: float) -> float | None:
        """Return the pace at a moment; None if it has grown so much that it is none."""
        steps = max(math.floor((now - self.at) / self.quiet), 0)
        grown = self.per_minute * GROWTH_OF_LEARNED ** min(steps, 100)
        return None if grown > MOST_LEARNED else grown

    def as_json(self) -> list[float]:
        """Return it as plain JSON values."""
        return [self.per_minute, self.at, self.quiet]

    @classmethod
    def from_json(cls, document: object, now: float) -> Self | None:
        """Return what ``as_json`` described; None if it is not valid, or its time is in the future."""
        if not isinstance(document, list) or len(document) != 3 or not all(map(_is_number, document)):
            return None
        per_minute, at, quiet = map(float, document)
        plausible = 0 < per_minute <= MOST_LEARNED and at <= now + MINUTE and MINUTE <= quiet <= LONGEST_QUIET
        return cls(per_minute, at, quiet) if plausible else None


def pace_of(limit: float | None, learned: LearnedRate | None, now: float) -> float | None:
    """
    Return the requests a minute to send; None if nothing limits them.

    :param limit: Requests a minute that the connection allows; None if it does not say.
    :param learned: What 429s have taught. Under a limit they show that others send with the same key, too.
    """
    rates = [limit, None if learned is None else learned.at_moment(now)]
    return min((rate for rate in rates if rate is not None), default=None)


@dataclass(frozen=True)
class KeyRate:
    """
    What the processes of one machine know of a key. Moments are seconds since the epoch.

    :param next_turn: When the next turn may begin.
    :param closed_until: When the last 429 is over.
    :param refusals: How many 429s there were without an answer in between.
    :param learned: What they have taught.
    :param sent: How many requests went out in each second of the last minute.
    """

    next_turn: float = 0.0
    closed_until: float = 0.0
    refusals: int = 0
    learned: LearnedRate | None = None
    sent: Mapping[int, int] = field(default_factory=dict)

    VERSION = 1

    def reserve(self, limit: float | None, longest: float, now: float) -> tuple[KeyRate, Slot]:
        """
        Reserve the next turn, unless it is more than ``longest`` seconds away.

        :param limit: Requests a minute that the connection allows; None if it does not say.
        """
        pace = pace_of(limit, self.learned, now)
        sent = count_recent(self.sent, now) if pace is None else 0
        free = self.closed_until if pace is None else max(self.next_turn, self.closed_until)
        wait = max(free - now, 0.0)
        if wait > longest:
            return self, Slot(wait, False, pace, self.refusals, sent)
        after = self.next_turn if pace is None else now + wait + SPREAD / pace
        return replace(self, next_turn=after), Slot(wait, True, pace, self.refusals, sent)

    def pause_left(self, now: float) -> float:
        """Return the seconds until the last 429 is over; 0 if it is."""
        return max(self.closed_until - now, 0.0)

    def enter(self, now: float) -> tuple[KeyRate, float]:
        """Count a request that goes out now. If the key is paused, return the seconds that are left instead."""
        if self.closed_until > now:
            return self, self.pause_left(now)
        recent = {second: count for second, count in self.sent.items() if now - MINUTE < second <= now}
        second = int(now)
        return replace(self, sent={**recent, second: recent.get(second, 0) + 1}), 0.0

    def refuse(self, refusal: Refusal, limit: float | None, now: float) -> KeyRate:
        """Return what is known after a 429."""
        sent = dict(self.sent)
        second = int(refusal.sent_at)
        counted = second if sent.get(second) else second - 1
        if refusal.is_counted and sent.get(counted):
            sent[counted] -= 1
        if refusal.sent_at <= self.closed_until:  # it was under way with others that were refused
            until = now + refusal.pause_after(0) if refusal.pause > 0 else 0.0
            return replace(self, sent=sent, closed_until=max(self.closed_until, until))
        return replace(
            self,
            closed_until=now + refusal.pause_after(self.refusals),
            refusals=self.refusals + 1,
            learned=LearnedRate.after_refusal(count_recent(sent, now), now, self.learned, limit),
            sent=sent,
        )

    def answered(self) -> KeyRate:
        """Return what is known after an answer that is not a 429."""
        return replace(self, refusals=0)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "version": self.VERSION,
            "next_turn": self.next_turn,
            "closed_until": self.closed_until,
            "refusals": self.refusals,
            "learned": self.learned.as_json() if self.learned is not None else None,
            "sent": {str(second): count for second, count in self.sent.items()},
        }

    @classmethod
    def from_json(cls, document: object, now: float) -> Self:
        """Return what ``as_json`` described. Whatever cannot be right counts as not known."""
        if not isinstance(document, dict) or document.get("version") != cls.VERSION:
            return cls()
        refusals, sent = document.get("refusals"), document.get("sent")
        return cls(
            next_turn=_moment(document.get("next_turn"), now + LONGEST_QUEUE),
            closed_until=_moment(document.get("closed_until"), now + LONGEST_PAUSE),
            refusals=refusals if type(refusals) is int and 0 <= refusals < 100 else 0,
            learned=LearnedRate.from_json(document.get("learned"), now),
            sent=_read_counts(sent if isinstance(sent, dict) else {}, now),
        )


def count_recent(sent: Mapping[int, int], now: float) -> int:
    """Return how many requests went out in the last minute."""
    return sum(count for second, count in sent.items() if now - MINUTE <= second <= now)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and abs(value) < LARGEST


def _moment(value: object, latest: float) -> float:
    moment = float(value) if _is_number(value) else 0.0  # type: ignore[arg-type]
    return moment if 0.0 <= moment <= latest else 0.0


def _read_counts(given: Mapping[object, object], now: float) -> dict[int, int]:
    read = {}
    for second, count in given.items():
        moment = int(second) if isinstance(second, str) and re.fullmatch(r"[0-9]{1,12}", second) else 0
        if type(count) is int and 0 < count < MOST_A_SECOND and now - MINUTE <= moment <= now:
            read[moment] = count
    return read
