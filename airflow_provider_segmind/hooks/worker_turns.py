"""
A worker's turns in the budget of its key.

A worker sends one call at a time, and its process often sends no more than one or two. The budget is that of
``budget``, on an event loop in a thread of the worker's process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import RateLimitedError
from airflow_provider_segmind.hooks.budget import Budget, held_back, shared_budget
from airflow_provider_segmind.hooks.connection import SegmindConnection
from airflow_provider_segmind.hooks.lookup import find_redis

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.redis_place import RedisPlace

T = TypeVar("T")

LONGEST_SUBMIT_WAIT = 10.0
"""Seconds for which a worker waits for the turn of a submit. A deferral takes as long, and starts a process."""

LONGEST_WAIT = 60.0
"""Seconds for which a worker waits for the turn of a call that nobody defers. Then it sends it all the same."""

LONGEST_TEST_WAIT = 3.0
SLACK = 30.0
"""Seconds more than a wait may take before a worker gives up on its own event loop."""

log = logging.getLogger(__name__)


class WorkerTurns:
    """
    What a worker has to do with the rate of its key: wait for its turn, and say what came of the call.

    No trouble with it fails a task: then calls are sent without a turn.

    :param conn_id: Of the connection to Segmind.
    :ivar longest_wait: Seconds to wait at most for the turn of a call, if ``wait_to_submit`` has not.
    """

    def __init__(self, connection: SegmindConnection, conn_id: str) -> None:
        self.longest_wait = LONGEST_WAIT
        self._connection = connection
        self._conn_id = conn_id
        self._budget: Budget | None = None
        self._has_turn = False
        self._counted = True
        self._is_in_trouble = False

    def wait_to_submit(self) -> None:
        """
        Wait for the turn of the next charged call.

        :raises RateLimitedError: If it is too far away for a worker to wait for. Nothing was sent.
        """
        if not self._has_turn:
            self._attempt(lambda budget: budget.admit(LONGEST_SUBMIT_WAIT), LONGEST_SUBMIT_WAIT)
            self._has_turn = self._counted = True

    def bring_turn(self) -> None:
        """
        Take it that the triggerer has waited for the turn of the next charged call.

        :raises RateLimitedError: If there was a 429 meanwhile. Nothing was sent.
        """
        paused = self._attempt(lambda budget: budget.pause_left())
        if paused:
            raise held_back(paused)
        self._has_turn, self._counted = True, False

    @contextmanager
    def take(self, call: Call[Any]) -> Iterator[None]:
        """
        Wait for the turn of a call, which is sent inside the context; a 429 to it pauses the key.

        :raises RateLimitedError: If the turn is too far away, and the call was not sent.
        """
        if not call.needs_key:
            yield
            return
        if call.charged and self._has_turn:
            self._has_turn = False
            counted = self._counted
        else:
            counted = self._wait(call)
        sent_at = time.time()
        try:
            yield
        except RateLimitedError as refusal:
            error = refusal
            self._attempt(lambda budget: budget.note_refusal(error, sent_at, is_counted=counted))
            raise
        self._attempt(lambda budget: budget.note_answer())

    def _wait(self, call: Call[Any]) -> bool:
        """Wait for the turn of a call, and return whether it came."""
        left = call.turn.not_after - time.time() if call.turn is not None else math.inf
        longest = max(min(self.longest_wait, left), 0.0)
        try:
            self._attempt(lambda budget: budget.admit(longest), longest)
        except RateLimitedError as error:
            # Its caller asks again; or it would be refused for certain.
            if call.turn is not None or (call.charged and error.reset_at is not None):
                error.request_id = call.request_id
                raise
            return False
        return True

    def _attempt(self, act: Callable[[Budget], Coroutine[Any, Any, T]], longest: float = 0.0) -> T | None:
        """Do something with the budget on its event loop; return None if that has trouble."""
        try:
            budget = self._budget or self._join()
            return _run(act(budget), longest + SLACK)
        except RateLimitedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, no task is to notice
            if not self._is_in_trouble:
                self._is_in_trouble = True
                cause = one_line(f"{type(error).__name__}: {error}")
                log.warning("The key's rate limit cannot be shared, and calls are sent without a turn: %s", cause)
            return None

    def _join(self) -> Budget:
        """Return the budget of the key, which knows of this connection's limit and Redis from then on."""
        connection = self._connection
        place = find_redis(connection.rate_limit_conn_id)  # in the task's own thread: Airflow 3 allows no other

        async def join() -> Budget:
            budget = shared_budget(connection.api_key, connection.urls[Service.GATEWAY])
            budget.set_limit(self._conn_id, connection.requests_per_minute)
            await budget.set_redis(self._conn_id, place)
            return budget

        self._budget = _run(join(), SLACK)
        return self._budget


def ask_redis(place: RedisPlace) -> str | None:
    """
    Take a turn in Redis, of a key that nobody has, and use all other commands that turns need.

    :return: What is wrong and what to do, in one line and without the password; None if Redis works.
    """
    from airflow_provider_segmind.hooks.redis_failures import describe_failure
    from airflow_provider_segmind.hooks.redis_ledger import check_redis

    try:
        _run(check_redis(place), SLACK)
    except Exception as error:  # noqa: BLE001 - whatever Redis and its client do
        return f"{place} cannot be used: {describe_failure(error, place)}"
    return None


_thread_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _run(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """Run something on the event loop of this process's thread, and return what comes of it."""
    try:
        loop = _get_loop()
    except BaseException:
        coroutine.close()
        raise
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result(seconds)
    except BaseException:
        future.cancel()
        raise


def _get_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the one thread that all workers' budgets of this process run in."""
    global _loop
    with _thread_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="segmind-turns", daemon=True).start()
        return _loop


def _forget_loop() -> None:
    """Forget the thread of the parent process: a child has none."""
    global _loop, _thread_lock
    _loop, _thread_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_loop)
