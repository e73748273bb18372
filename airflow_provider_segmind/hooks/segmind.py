"""Segmind for workers and for the triggerer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import tenacity

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
from airflow_provider_segmind.api.call import MOST_SENDS, Call
from airflow_provider_segmind.compat import BaseHook
from airflow_provider_segmind.exceptions import SegmindError
from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.blocking import BlockingTransport
from airflow_provider_segmind.hooks.lookup import look_up
from airflow_provider_segmind.hooks.names import CONNECTION_TYPE, DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.service_check import check_services
from airflow_provider_segmind.hooks.worker_turns import LONGEST_TEST_WAIT

if TYPE_CHECKING:
    from airflow_provider_segmind.api.download import Download
    from airflow_provider_segmind.api.schedule import KeyLoad
    from airflow_provider_segmind.hooks.budget import Budget
    from airflow_provider_segmind.hooks.nonblocking import NonblockingTransport

T = TypeVar("T")

LONGEST_RETRY_PAUSE = 1.0
"""Seconds between two attempts at most."""

log = logging.getLogger(__name__)


class SegmindHook(BaseHook):
    """
    Speak to Segmind from a worker.

    Calls that cannot be charged are sent up to three times, with a jittered pause, if Segmind is not reached or
    has a server error. A submit is sent again only if no connection was made, or once if Segmind itself answers
    500 or 503, as its documentation says. All methods raise a
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
    def request_interval(self) -> float:
        """Seconds between two requests at least, by the connection's ``requests_per_minute``; 0 without one."""
        allowed = self._transport.connection.requests_per_minute
        return 60 / allowed if allowed else 0.0

    @property
    def expected_duration(self) -> float | None:
        """Seconds that a request usually takes, if the connection says so: an emulator's does."""
        return self._transport.connection.expected_duration

    @property
    def submit_duration_limit(self) -> float:
        """Seconds that a submit takes at most, with all attempts and the pauses between them."""
        return MOST_SENDS * (self._transport.connection.timeout + LONGEST_RETRY_PAUSE)

    def get_conn(self) -> BlockingTransport:
        """Return the transport, whose ``send`` carries the calls of ``airflow_provider_segmind.api.calls``."""
        return self._transport

    def send(self, call: Call[T]) -> T:
        """Send a call once and return what the answer means."""
        return self._transport.send(call)

    def wait_to_submit(self, *, has_turn: bool = False) -> None:
        """
        Wait until the key may submit, for 10 s at most. The next submit needs no turn then.

        :param has_turn: Whether the triggerer has waited for the turn already.
        :raises RateLimitedError: If the turn is further away, or there was a 429 meanwhile. Nothing was sent.
        """
        if has_turn:
            self._transport.turns.bring_turn()
        else:
            self._transport.turns.wait_to_submit()

    def submit(self, model: str, parameters: Mapping[str, Any]) -> SubmittedRequest:
        """
        Submit a request. **Each one is a new charge** once it completes; there is no cancel.

        :param model: The model's slug, such as ``kling-o1-image-to-video`` (about 0.91 USD for a video).
        :param parameters: What the model's page lists.
        :raises SubmitUnresolvedError: If it is unknown whether Segmind accepted it. It was not sent again.
        """
        return self._send_with_retries(calls.submit(model, parameters))

    def submit_workflow(self, workflow: str, inputs: Mapping[str, Any]) -> SubmittedRequest:
        """
        Submit a run of a PixelFlow workflow. **Each one is a new charge** once it completes; there is no cancel.

        Unlike a model's, it is sent again only if no connection was made: never after an answer.

        :param workflow: Its id or slug, as its API page has it.
        :param inputs: What that page lists.
        :raises SubmitUnresolvedError: If it is unknown whether Segmind accepted it.
        """
        return self._send_with_retries(calls.submit_workflow(workflow, inputs))

    def get_status(self, request_id: str) -> RequestReport:
        """Return the state of a request, which may be FAILED."""
        return self._send_with_retries(calls.status(request_id))

    def get_result(self, request_id: str) -> RequestReport:
        """Return the result of a request, for one hour from its submission."""
        return self._send_with_retries(calls.result(request_id))

    def run_sync(self, model: str, parameters: Mapping[str, Any], timeout: float) -> SyncAnswer:
        """
        Run a fast model in one blocking call. **Each one is a new charge.**

        :param timeout: Seconds to wait for the answer.
        :raises SubmitUnresolvedError: If there was no answer, so that it is unknown whether it ran.
        """
        return self._send_with_retries(calls.run_sync(model, parameters, timeout))

    def get_credits(self) -> Credits:
        """Return the account's balance. Free."""
        return self._send_with_retries(calls.credits())

    def get_history(self, **filters: Any) -> HistoryPage:
        """Return a page of the account's requests. Filters as in ``api.calls.history``."""
        return self._send_with_retries(calls.history(**filters))

    def get_history_entry(self, request_id: str) -> HistoryEntry:
        """Return one of the account's own requests, of any age, with its inputs, cost and output URL."""
        return self._send_with_retries(calls.history_entry(request_id))

    def get_models(self) -> tuple[Model, ...]:
        """Return the public catalogue of models."""
        return self._send_with_retries(calls.models())

    def upload(self, data_urls: Sequence[str]) -> tuple[str, ...]:
        """
        Upload files and return their public addresses, in the same order.

        :param data_urls: Each file as ``data:image/png;base64,…``.
        """
        return self._send_with_retries(calls.upload(data_urls))

    def fetch(self, url: str, download: Download, request_id: str) -> Iterator[bytes]:
        """
        Download an output: yield it piece by piece, without the API key, only from hosts that the connection
        allows, and resuming where a connection broke.

        :param url: Where a result says that it is.
        :raises OutputError: If it cannot be had whole.
        """
        from airflow_provider_segmind.hooks.downloads import fetch_file  # only a task that stores its output

        return fetch_file(url, download, self._transport.connection, request_id)

    def test_connection(self) -> tuple[bool, str]:
        """Ask each of the three addresses something that is free, and return which of them failed, if one did."""
        try:
            connection = self._transport.connection
        except SegmindError as error:
            return False, str(error)
        self._transport.turns.longest_wait = LONGEST_TEST_WAIT
        works, message = check_services(connection, self._send_with_retries)
        return works, " ".join((message, *(f"{remark}." for remark in connection.remarks)))

    def _send_with_retries(self, call: Call[T]) -> T:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(call.may_resend),
            stop=lambda state: state.attempt_number >= call.most_sends(_error_of(state)),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_RETRY_PAUSE),
            before_sleep=lambda state: _log_retry(state, call),
            reraise=True,
        )
        answer: T = retrying(self._transport.send, call)
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
        # Workers use this module, too, and need no aiohttp. A triggerer has it imported: see load_async_hook().
        from airflow_provider_segmind.hooks.nonblocking import borrow_transport

        self._transport = borrow_transport(self.segmind_conn_id)
        return self

    async def __aexit__(self, *exception: object) -> None:
        from airflow_provider_segmind.hooks.nonblocking import give_back_transport

        transport, self._transport = self._get_transport(), None
        await give_back_transport(transport)

    async def send(self, call: Call[T]) -> T:
        """
        Send a call once, when the key's budget allows it, and return what the answer means.

        :raises SegmindError: The one that fits, if the answer is not what was hoped for.
        """
        return await self._get_transport().send(call)

    async def get_budget(self) -> Budget:
        """Return what the key may send, shared by all hooks with this key on the event loop."""
        return await self._get_transport().get_budget()

    @property
    def load(self) -> KeyLoad:
        """How scarce the key's turns are, by what the connection says or a 429 has taught."""
        return self._get_transport().load

    def _get_transport(self) -> NonblockingTransport:
        if self._transport is None:
            raise RuntimeError("SegmindAsyncHook is used outside of 'async with'")
        return self._transport


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(state: tenacity.RetryCallState, call: Call[Any]) -> None:
    error = _error_of(state)
    words = error.facts if isinstance(error, SegmindError) else error
    log.warning("Attempt %d of %d failed; retrying: %s", state.attempt_number, call.most_sends(error), words)
