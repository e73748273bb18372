"""One watch of an account: it looks at the history again and again until it is cancelled, and never submits."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow_provider_segmind.api.account_look import (
    Look,
    Watched,
    first_watermark,
    look_at_history,
    report_of,
)
from airflow_provider_segmind.api.history import HistoryEntry
from airflow_provider_segmind.api.moments import utc
from airflow_provider_segmind.api.watermark import Watermark, made_at, merged
from airflow_provider_segmind.exceptions import (
    HISTORY,
    InvalidConnectionError,
    InvalidParameterError,
    RateLimitedError,
    RefusedError,
    SegmindError,
    UntrustedCertificateError,
)
from airflow_provider_segmind.hooks.driving import drive_on_loop
from airflow_provider_segmind.hooks.loading import load_async_hook
from airflow_provider_segmind.watching.homes import Home, MemoryHome

WHOLE_LOOK_INTERVAL = 600.0
"""
Seconds between two looks that read all that is not settled. The looks between them stop at the first page without
anything new: a row that appears late, behind a hundred others, waits for a whole look.
"""

BATCH = 50
"""Requests that are claimed at once: so many can be lost if the triggerer dies after the claim."""

HAND_OVER_TIME = 2.0
"""Seconds after a batch: the triggerer fetches events once a second, and stores them within another."""

CONFIRM_TIME = 10.0
"""Seconds after which an event is in Airflow's database, unless the triggerer has died."""

LONGEST_PAUSE = 600.0
"""Seconds between two looks while the history cannot be read. Twice as long after each, up to this."""

_FOR_A_PERSON = (InvalidConnectionError, InvalidParameterError, RefusedError, UntrustedCertificateError)
"""Trouble that lasts until somebody mends it, such as a revoked key: looks are seldom at once."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """
    What is watched, and how.

    :param segmind_conn_id: The connection of the account.
    :param watched: Which requests are reported.
    :param poll_interval: Seconds between two looks.
    :param since: Report requests that were made since then, in seconds since the epoch; None reports those that
        end from now on.
    """

    segmind_conn_id: str
    watched: Watched
    poll_interval: float
    since: float | None = None

    def reports(self, choose: Callable[[], Home]) -> AsyncIterator[dict[str, Any]]:
        """
        Yield an event for each request that ends, once.

        :param choose: Returns where the watermark is kept. An error of it is waited out, too.
        """
        return _Watching(self, choose).reports()


class _Watching:
    """The state of a watch between its looks."""

    def __init__(self, watch: Watch, choose: Callable[[], Home]) -> None:
        self._watch = watch
        self._watched = watch.watched
        self._choose = choose
        self._mark: Watermark | None = None
        self._whole_at = -math.inf
        self._open_since = math.inf
        self._has_reported = False
        self._told: set[str] = set()
        self._failures = 0
        self._said: set[str] = set()

    @cached_property
    def _home(self) -> Home:
        return self._choose()

    async def reports(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            began = time.monotonic()
            try:
                async for report in self._look():
                    yield report
                await self._confirm()
            except SegmindError as error:
                await self._pause_after(error)
                continue
            except Exception:
                log.exception("The look at Segmind's request history broke off")
                await asyncio.sleep(self._next_pause(is_for_a_person=False))
                continue
            self._recover()
            await asyncio.sleep(max(self._watch.poll_interval - (time.monotonic() - began), 0))

    async def _look(self) -> AsyncIterator[dict[str, Any]]:
        """Look once: yield what is new, and raise the trouble, if there was any."""
        self._mark = mark = self._mark or await self._read_mark()
        is_due = time.monotonic() - self._whole_at >= WHOLE_LOOK_INTERVAL
        look = await self._read_history(mark, None if is_due else self._open_since)
        if mark is None:
            await self._begin(look)
            return
        now = time.time()
        self._mark = mark = mark.still_listed(look.entries, now)
        if look.trouble is None:
            self._open_since = look.open_since(now, mark.settled_before)
        async for report in self._report(self._tellable(look.wanted(self._watched, mark, now), mark)):
            yield report
        if look.trouble is not None:
            self._whole_at = -math.inf  # the next look must not stop at the page that this one has reported
            raise look.trouble
        self._settle(look)

    async def _read_mark(self) -> Watermark | None:
        mark = await self._home.read()
        if mark is not None and mark.unconfirmed:
            log.warning(
                "A triggerer ended, or lost this watch, within seconds of handing %d requests to Airflow: %s. If "
                "the asset has no event of one of them, the event was lost and does not come again: the request "
                "itself is in %s",
                len(mark.unconfirmed),
                ", ".join(mark.unconfirmed),
                HISTORY,
            )
        if mark is None and self._watch.since is not None and not isinstance(self._home, MemoryHome):
            return Watermark(self._watch.since)
        return mark

    async def _read_history(self, mark: Watermark | None, open_since: float | None) -> Look:
        async with await load_async_hook(self._watch.segmind_conn_id) as hook:
            steps = look_at_history(self._watched, mark, time.time, open_since)
            look: Look = await drive_on_loop(steps, hook, log.warning)
        return look

    async def _begin(self, look: Look) -> None:
        """Write the first watermark: what has ended before is not reported."""
        if look.trouble is not None:
            raise look.trouble
        mark = first_watermark(look, self._watched, time.time())
        if not await self._home.claim(mark):
            return
        self._mark = mark
        self._open_since = look.open_since(time.time(), mark.settled_before)
        log.info("Reporting the requests of %s that end from now on", self._watch.segmind_conn_id)
        if isinstance(self._home, MemoryHome):
            log.warning(
                "What was reported is kept in memory alone. So requests that end while no triggerer runs are not "
                "reported%s. Set [segmind] records_path to change that",
                ", and 'since' is ignored" if self._watch.since is not None else "",
            )

    def _tellable(self, news: Sequence[HistoryEntry], mark: Watermark) -> Sequence[HistoryEntry]:
        """Return what can be told apart from what was reported: rows without a time only while there is room."""
        if mark.has_room_for_undated:
            return news
        dated = [entry for entry in news if made_at(entry, time.time()) is not None]
        if len(dated) < len(news):
            self._warn_once("Requests whose rows have no readable time are not reported: there are too many")
        return dated

    async def _report(self, news: Sequence[HistoryEntry]) -> AsyncIterator[dict[str, Any]]:
        """Yield an event for each request that is new, after it was claimed."""
        for start in range(0, len(news), BATCH):
            claimed = await self._claim(news[start : start + BATCH])
            if claimed is None:
                return
            self._has_reported = self._has_reported or bool(claimed)
            for entry in claimed:
                yield report_of(entry)
            if claimed:
                await asyncio.sleep(HAND_OVER_TIME)

    async def _claim(self, batch: Sequence[HistoryEntry]) -> Sequence[HistoryEntry] | None:
        """
        Write down that requests are reported, and return those that are; None if another watch wrote at once.

        It is written first: a watch that dies then loses an event, and does not send one twice.
        """
        mark = await self._read_current()
        now = time.time()
        claimed = [entry for entry in batch if not mark.is_settled(entry, now)]
        if claimed:
            mark = mark.with_settled(claimed, now).advanced(mark.settled_before, now)
            mark = mark.with_unconfirmed([*mark.unconfirmed, *(entry.request_id for entry in claimed)])
            if not await self._home.claim(mark):
                log.info("Another triggerer runs the same watch, and has claimed what is new")
                self._mark = None
                return None
        self._mark = mark
        return claimed

    async def _read_current(self) -> Watermark:
        """Return what was reported: by this watch as far as it knows, and by another one meanwhile."""
        known = (await self._home.read(), self._mark)
        return merged(mark for mark in known if mark is not None)

    def _settle(self, look: Look) -> None:
        """Move the watermark forward in memory: it is stored with the next request that is reported."""
        now = time.time()
        moment = look.settled_before(now) if look.is_whole else look.last_read
        if look.unreadable:
            self._warn_once("The history has rows that cannot be read. Their requests are not reported")
        if look.last_read is not None:
            log.warning(
                "There are more than 10,000 new requests: those that were made before %s are not reported",
                utc(look.last_read),
            )
        if look.is_whole or look.last_read is not None:
            self._whole_at = time.monotonic()
        if moment is not None and self._mark is not None:
            self._mark = self._mark.advanced(moment, now)

    async def _confirm(self) -> None:
        """Once Airflow has stored the last events, write down that none of them is in doubt."""
        if not self._has_reported or self._mark is None:
            return
        await asyncio.sleep(CONFIRM_TIME)
        self._has_reported = False
        try:
            mark = replace(await self._read_current(), unconfirmed=())
            mark = mark.advanced(mark.settled_before, time.time())
            self._mark = mark if await self._home.claim(mark) else None
        except SegmindError as error:
            log.debug("The last events are still taken for unconfirmed: %s", error.facts)

    async def _pause_after(self, error: SegmindError) -> None:
        pause = self._next_pause(is_for_a_person=isinstance(error, _FOR_A_PERSON))
        kind = type(error).__name__
        is_delay = isinstance(error, RateLimitedError) and self._failures == 1  # others send with the key, too
        if kind not in self._told and not is_delay:
            self._told.add(kind)
            log.warning(
                "Requests of the account %s are not reported at present. The next look is in %.0f s. %s",
                self._watch.segmind_conn_id,
                pause,
                error.text,
            )
        await asyncio.sleep(pause)

    def _next_pause(self, *, is_for_a_person: bool) -> float:
        self._failures += 1
        longest = max(LONGEST_PAUSE, self._watch.poll_interval)
        if is_for_a_person:
            return longest
        return float(min(self._watch.poll_interval * 2.0 ** min(self._failures - 1, 20), longest))

    def _warn_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning(text)

    def _recover(self) -> None:
        if self._told:
            log.info("Requests of the account %s are reported again", self._watch.segmind_conn_id)
        self._told, self._failures = set(), 0
