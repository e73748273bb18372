"""Segmind for workers and for the triggerer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import tenacity

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import Credits, Model, RequestReport, SubmittedRequest, SyncAnswer
from airflow_provider_segmind.api.call import MOST_SENDS, Call
from airflow_provider_segmind.api.checks import check_model, check_parameters, check_request_id
from airflow_provider_segmind.api.usual_duration import variant_of
from airflow_provider_segmind.api.values import LARGEST, read_number
from airflow_provider_segmind.compat import BaseHook
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError
from airflow_provider_segmind.hooks import form
from airflow_provider_segmind.hooks.names import CONNECTION_TYPE, DEFAULT_CONNECTION_ID
from airflow_provider_segmind.hooks.saving import LARGEST_FILE, local_path, save

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from airflow_provider_segmind.api.download import Download
    from airflow_provider_segmind.api.follow import FollowedRequest
    from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage
    from airflow_provider_segmind.api.schedule import KeyLoad
    from airflow_provider_segmind.hooks.blocking import BlockingTransport
    from airflow_provider_segmind.hooks.budget import Budget
    from airflow_provider_segmind.hooks.connection import SegmindConnection
    from airflow_provider_segmind.hooks.nonblocking import NonblockingTransport

T = TypeVar("T")

DEFAULT_TIMEOUT = 900.0
"""Seconds for which a hook waits for a request."""

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
    def _connection(self) -> SegmindConnection:
        # Only what sends: a task that resumes with its result needs none, and it is half of what that imports.
        from airflow_provider_segmind.hooks.lookup import look_up

        return look_up(self.segmind_conn_id)

    @cached_property
    def _transport(self) -> BlockingTransport:
        from airflow_provider_segmind.hooks.blocking import BlockingTransport

        return BlockingTransport(self._connection, self.segmind_conn_id)

    @property
    def request_interval(self) -> float:
        """Seconds between two requests at least, by the connection's ``requests_per_minute``; 0 without one."""
        allowed = self._connection.requests_per_minute
        return 60 / allowed if allowed else 0.0

    @property
    def expected_duration(self) -> float | None:
        """Seconds that a request usually takes, if the connection says so: an emulator's does."""
        return self._connection.expected_duration

    @property
    def submit_duration_limit(self) -> float:
        """Seconds that a submit takes at most, with all attempts and the pauses between them."""
        return MOST_SENDS * (self._connection.timeout + LONGEST_RETRY_PAUSE)

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

    def fetch(self, url: str, download: Download, request_id: str | None) -> Iterator[bytes]:
        """
        Download an output: yield it piece by piece, without the API key, only from hosts that the connection
        allows, and resuming where a connection broke.

        :param url: Where a result says that it is.
        :raises OutputError: If it cannot be had whole.
        """
        from airflow_provider_segmind.hooks.downloads import fetch_file  # only a task that stores its output

        return fetch_file(url, download, self._connection, request_id)

    def wait(self, request_id: str, timeout: float = DEFAULT_TIMEOUT) -> RequestReport:
        """
        Wait in this process until a request is COMPLETED, and return its result. Free.

        It asks when an answer is likely, first after three seconds. Lost connections, server errors and rate
        limits are waited out. To wait without a process, use SegmindRequestSensor.

        :param request_id: Of a request that anything has submitted.
        :param timeout: Seconds from now after which to give up. The request itself is not cancelled.
        :raises RequestFailedError: If it FAILED, and so was not charged.
        :raises RequestTimeoutError: If it has not ended in time.
        :raises RequestExpiredError: If Segmind has no record of it, and the request history does not either.
        """
        from airflow_provider_segmind.hooks.driving import wait_for  # only what waits

        return wait_for(_followed(request_id, timeout), self)

    def run(self, model: str, parameters: Mapping[str, Any], timeout: float = DEFAULT_TIMEOUT) -> RequestReport:
        """
        Submit a request, wait in this process until it is COMPLETED, and return its result.

        **Each run is a new charge**, and nothing remembers it: a task that is retried or cleared after the submit
        pays again. Set ``retries=0``, or use ``@task.segmind`` or an operator, which pay once.

        :param model: The model's slug.
        :param parameters: What the model's page lists.
        :param timeout: Seconds from now after which to give up. The error names the request, which is not
            cancelled: :meth:`wait` continues with it, and pays nothing more.
        :raises SegmindError: As :meth:`submit` and :meth:`wait` do.
        """
        from airflow_provider_segmind.hooks.driving import wait_for  # only what waits

        return wait_for(_submitted(self, model, parameters, timeout), self)

    def download(
        self,
        url: str,
        path: str | PathLike[str],
        request_id: str | None = None,
        max_output_bytes: int = LARGEST_FILE,
    ) -> Path:
        """
        Save an output to a file of this machine: whole, or not at all. A file that is there is replaced. Free.

        Only hosts that the connection allows are asked, without the API key (docs/videos.md). The caller answers
        for the path: ``[segmind] allowed_local_paths`` is about operators and sensors.

        :param url: Where a result says that the output is. Segmind deletes it after seven days.
        :param path: Of the file. Its folder must be there.
        :param request_id: For errors, if it is known.
        :param max_output_bytes: The most that the file may have. Default 2 GiB.
        :return: The path.
        :raises OutputError: If it cannot be had whole.
        :raises InvalidParameterError: If the path is a URI or a folder.
        """
        from airflow_provider_segmind.api.download import Download  # only what fetches outputs

        target = local_path(path)
        save(self.fetch(url, Download(max_output_bytes, request_id), request_id), target)
        return target

    def test_connection(self) -> tuple[bool, str]:
        """Ask each of the three addresses something that is free, and return which of them failed, if one did."""
        from airflow_provider_segmind.hooks.service_check import check_services
        from airflow_provider_segmind.hooks.worker_turns import LONGEST_TEST_WAIT

        try:
            connection = self._connection
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

    async def wait(self, request_id: str, timeout: float = DEFAULT_TIMEOUT) -> RequestReport:  # noqa: ASYNC109
        """Wait until a request is COMPLETED, and return its result, as :meth:`SegmindHook.wait` does. Free."""
        return await self._follow(_followed(request_id, timeout))

    async def run(
        self,
        model: str,
        parameters: Mapping[str, Any],
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as of SegmindHook
    ) -> RequestReport:
        """
        Submit a request and wait, as :meth:`SegmindHook.run` does. **Each run is a new charge.**

        Never call it in a trigger: Airflow may run a trigger twice, and would pay twice.
        """
        worker = await self._make_blocking_hook()
        return await self._follow(await asyncio.to_thread(_submitted, worker, model, parameters, timeout))

    async def download(
        self,
        url: str,
        path: str | PathLike[str],
        request_id: str | None = None,
        max_output_bytes: int = LARGEST_FILE,
    ) -> Path:
        """Save an output to a file of this machine, as :meth:`SegmindHook.download` does, in a thread. Free."""
        worker = await self._make_blocking_hook()
        return await asyncio.to_thread(worker.download, url, path, request_id, max_output_bytes)

    async def _follow(self, request: FollowedRequest) -> RequestReport:
        from airflow_provider_segmind.hooks.driving import drive_on_loop, follow_in_triggerer  # only what waits

        found: RequestReport = await drive_on_loop(follow_in_triggerer(request, self), self, log.warning)
        return found

    async def _make_blocking_hook(self) -> SegmindHook:
        """Return a hook for a thread, which cannot look the connection up itself."""
        hook = SegmindHook(self.segmind_conn_id)
        vars(hook)["_connection"] = await self._get_transport().get_connection()
        return hook

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


def _followed(
    request_id: str, timeout: float, model: str | None = None, variant: str | None = None
) -> FollowedRequest:
    """
    Return a request to wait for from now on.

    :raises InvalidParameterError: If the id or the timeout is wrong.
    """
    from airflow_provider_segmind.api.follow import FollowedRequest  # only what waits

    now = time.time()
    return FollowedRequest(
        check_request_id(request_id), now, now + _check_timeout(timeout), model=model, variant=variant
    )


def _check_timeout(timeout: float) -> float:
    checked = read_number(timeout, 0, LARGEST)
    if not checked:
        problem = f"must be a positive number of seconds, {LARGEST:,.0f} at most, not {timeout!r}"
        raise InvalidParameterError("timeout", problem)
    return checked


def _submitted(hook: SegmindHook, model: str, parameters: Mapping[str, Any], timeout: float) -> FollowedRequest:
    """Submit a request, which is a charge, and return it to be waited for."""
    _check_timeout(timeout)
    check_model(model)
    check_parameters(parameters)
    request_id = hook.submit(model, parameters).request_id
    log.info("Submitted request %s to %s", request_id, model)  # the only way back to what is paid for
    return _followed(request_id, timeout, model, variant_of(parameters))


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(state: tenacity.RetryCallState, call: Call[Any]) -> None:
    error = _error_of(state)
    words = error.facts if isinstance(error, SegmindError) else error
    log.warning("Attempt %d of %d failed; retrying: %s", state.attempt_number, call.most_sends(error), words)
