"""Segmind for workers and for the triggerer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar

import tenacity
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import (
    Credits,
    HistoryEntry,
    HistoryPage,
    Model,
    RequestReport,
    SubmittedRequest,
    SyncAnswer,
)
from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.api.download import Download
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.blocking import BlockingTransport
from airflow_provider_segmind.hooks.budget import Budget
from airflow_provider_segmind.hooks.connection import CONNECTION_TYPE, DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.lookup import look_up
from airflow_provider_segmind.hooks.media import fetched
from airflow_provider_segmind.hooks.nonblocking import NonblockingTransport, give_back, lent_transport

T = TypeVar("T")

ATTEMPTS = 3
"""How often a call is sent at most, where sending it again cannot be charged twice."""

LONGEST_PAUSE = 1.0
"""Seconds between two attempts at most."""

log = logging.getLogger(__name__)


class SegmindHook(BaseHook):
    """
    Speak to Segmind from a worker.

    Calls that cannot be charged are sent up to three times, with a jittered pause, if Segmind is not reached or
    has a server error. A submit is sent again only where it certainly was not accepted: if no connection was
    made, or after a 500, 502 or 503. All methods raise a
    :class:`~airflow_provider_segmind.exceptions.SegmindError` that says what to do.

    :param segmind_conn_id: A connection of the type ``segmind``: the password is the API key. If the default
        connection is not defined, the environment variable ``SEGMIND_API_KEY`` is used.
    """

    conn_name_attr = "segmind_conn_id"
    default_conn_name = DEFAULT_CONNECTION_ID
    conn_type = CONNECTION_TYPE
    hook_name = "Segmind"

    def __init__(self, segmind_conn_id: str = DEFAULT_CONNECTION_ID) -> None:
        super().__init__()
        self.segmind_conn_id = segmind_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields, for Airflow before 3.2."""
        return form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the form does with Airflow's own fields, for Airflow before 3.2."""
        return form.behaviour()

    @cached_property
    def _transport(self) -> BlockingTransport:
        return BlockingTransport(look_up(self.segmind_conn_id), self.segmind_conn_id)

    @property
    def pace(self) -> float:
        """Seconds between two requests at least, by the connection's ``requests_per_minute``; 0 without one."""
        allowed = self._transport.connection.requests_per_minute
        return 60 / allowed if allowed else 0.0

    @property
    def patience(self) -> float:
        """Seconds after which a submit is certainly over: so long may its attempts and the pauses take."""
        return ATTEMPTS * (self._transport.connection.timeout + LONGEST_PAUSE)

    def get_conn(self) -> BlockingTransport:
        """Return the transport, whose ``send`` carries the calls of ``airflow_provider_segmind.api.calls``."""
        return self._transport

    def send(self, call: Call[T]) -> T:
        """Send a call once and return what the answer means."""
        return self._transport.send(call)

    def submit(self, model: str, parameters: Mapping[str, Any]) -> SubmittedRequest:
        """
        Submit a request. **Each one is a new charge** once it completes; there is no cancel.

        :param model: The model's slug, such as ``kling-o1-image-to-video`` (about 0.91 USD for a video).
        :param parameters: What the model's page lists.
        :raises SubmitUnresolvedError: If it is unknown whether Segmind accepted it. It was not sent again.
        """
        return self._sent(calls.submit(model, parameters))

    def get_status(self, request_id: str) -> RequestReport:
        """Return the state of a request, which may be FAILED."""
        return self._sent(calls.status(request_id))

    def get_result(self, request_id: str) -> RequestReport:
        """Return the result of a request, for one hour from its submission."""
        return self._sent(calls.result(request_id))

    def run_sync(self, model: str, parameters: Mapping[str, Any], timeout: float) -> SyncAnswer:
        """
        Run a fast model in one blocking call. **Each one is a new charge.**

        :param timeout: Seconds to wait for the answer.
        :raises SubmitUnresolvedError: If there was no answer, so that it is unknown whether it ran.
        """
        return self._sent(calls.run_sync(model, parameters, timeout))

    def get_credits(self) -> Credits:
        """Return the account's balance. Free."""
        return self._sent(calls.credits())

    def get_history(self, **filters: Any) -> HistoryPage:
        """Return a page of the account's requests. Filters as in ``api.calls.history``."""
        return self._sent(calls.history(**filters))

    def get_history_entry(self, request_id: str) -> HistoryEntry:
        """Return one of the account's own requests, of any age, with its inputs, cost and output URL."""
        return self._sent(calls.history_entry(request_id))

    def get_models(self) -> tuple[Model, ...]:
        """Return the public catalogue of models."""
        return self._sent(calls.models())

    def upload(self, data_urls: Sequence[str]) -> tuple[str, ...]:
        """
        Upload files and return their public addresses, in the same order.

        :param data_urls: Each file as ``data:image/png;base64,…``.
        """
        return self._sent(calls.upload(data_urls))

    def fetch(self, url: str, download: Download, request_id: str) -> Iterator[bytes]:
        """
        Yield an output piece by piece: without the API key, only from where the connection allows, and going on
        where a connection broke off.

        :param url: Where a result says that it is.
        :raises OutputError: If it cannot be had whole.
        """
        return fetched(url, download, self._transport.connection, request_id)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the balance, which is free, to see whether the connection works."""
        try:
            remarks = "".join(f" {remark}." for remark in self._transport.connection.remarks)
        except SegmindError as error:
            return False, str(error)
        try:
            balance = self.get_credits().balance
        except SegmindError as error:
            return False, f"{error}{remarks}"
        return True, f"Segmind accepts the API key. Balance: {balance:.2f} USD.{remarks}"

    def _sent(self, call: Call[T]) -> T:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(call.may_resend),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE),
            before_sleep=_say_why,
            reraise=True,
        )
        answer: T = retrying(self.send, call)
        return answer


class SegmindAsyncHook:
    """
    Speak to Segmind from the triggerer's event loop.

    An async context manager. All hooks of one connection on one loop share a session, a few sockets and a
    look-up of the connection; the last one to leave closes them::

        async with SegmindAsyncHook("segmind_default") as hook:
            report = await hook.send(calls.status(request_id))

    :param segmind_conn_id: As for :class:`SegmindHook`.
    """

    def __init__(self, segmind_conn_id: str = DEFAULT_CONNECTION_ID) -> None:
        self.segmind_conn_id = segmind_conn_id
        self._transport: NonblockingTransport | None = None

    async def __aenter__(self) -> Self:
        self._transport = lent_transport(self.segmind_conn_id)
        return self

    async def __aexit__(self, *exception: object) -> None:
        transport, self._transport = self._entered(), None
        await give_back(transport)

    async def send(self, call: Call[T]) -> T:
        """
        Send a call once, when the key's budget allows it, and return what the answer means.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        return await self._entered().send(call)

    async def budget(self) -> Budget:
        """Return what the key may send, shared by all hooks with this key on the event loop."""
        return await self._entered().budget()

    def _entered(self) -> NonblockingTransport:
        if self._transport is None:
            raise RuntimeError("SegmindAsyncHook is used outside of 'async with'")
        return self._transport


def _say_why(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("Attempt %d of %d failed, will try again: %s", state.attempt_number, ATTEMPTS, error)
