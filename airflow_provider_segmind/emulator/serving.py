"""One request from arrival to log line: its fault if it has one, its key, its rate limit, its answer."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_segmind.emulator import delivery, errors
from airflow_provider_segmind.emulator.answers import Answer, html_answer, json_answer
from airflow_provider_segmind.emulator.credentials import KeyVerdict
from airflow_provider_segmind.emulator.faults import CREATES_JOB, ArmedFault, Endpoint, FaultRule
from airflow_provider_segmind.emulator.request_log import RequestRecord
from airflow_provider_segmind.emulator.state import STATE, EmulatorState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from airflow_provider_segmind.emulator.jobs import Fate

_STATUS_QUESTIONS = frozenset({Endpoint.STATUS, Endpoint.RESULT, Endpoint.LEGACY_POLL})
_PLATFORM = frozenset({Endpoint.HISTORY, Endpoint.HISTORY_ITEM, Endpoint.GENERATIONS})


@dataclass(frozen=True, slots=True)
class Call:
    """A request with what the endpoints need to know about it."""

    request: web.Request
    state: EmulatorState
    endpoint: Endpoint
    fate: Fate | None = None

    @property
    def slug(self) -> str:
        """The model slug in the path, or nothing."""
        return self.request.match_info.get("slug", "")

    @property
    def request_id(self) -> str | None:
        """The request id in the path."""
        return self.request.match_info.get("request_id")

    @property
    def model(self) -> str | None:
        """The slug of the model that the request is about."""
        job = self.state.jobs.get(self.request_id) if self.request_id else None
        return job.model.slug if job else self.slug or None

    @property
    def base(self) -> str:
        """Scheme and host as the client addressed them."""
        return f"{self.request.scheme}://{self.request.host}"

    @property
    def api_key(self) -> str:
        """The API key that was sent."""
        return self.request.headers.get("x-api-key", "")

    @property
    def client_left(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return delivery.left(self.request)


def endpoint(
    kind: Endpoint, answer: Callable[[Call], Awaitable[Answer]], *, keyed: bool = True
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An aiohttp handler for that kind of request. `keyed`: it needs an API key and counts against its limit."""

    async def handle(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        call = Call(request, state, kind)
        visit = _Visit(call, answer, keyed)
        log, began = state.requests, time.monotonic()
        arrived_at = state.clock.now()
        log.count_arrival(kind)
        response: web.StreamResponse | None = None
        try:
            response = await visit.respond()
            return response
        except ConnectionError:
            # The client left in the middle of a streamed answer.
            visit.answered = False
            return delivery.hang_up(request)
        finally:
            log.record(
                RequestRecord(
                    at=arrived_at,
                    monotonic=began,
                    seconds=round(time.monotonic() - began, 6),
                    endpoint=kind.value,
                    method=request.method,
                    path=request.path_qs,
                    status=response.status if response is not None and visit.answered else None,
                    model=visit.model,
                    request_id=visit.request_id,
                    api_key_suffix=call.api_key[-4:],
                    user_agent=request.headers.get("User-Agent", ""),
                    fault=visit.fault.rule.as_json() if visit.fault else None,
                )
            )

    return handle


class _Visit:
    """The course of one request."""

    def __init__(self, call: Call, answer: Callable[[Call], Awaitable[Answer]], keyed: bool) -> None:
        self._call = call
        self._answer = answer
        self._keyed = keyed
        self.answered = True
        self.model = call.model
        self.request_id = call.request_id
        self.fault: ArmedFault | None = None

    async def respond(self) -> web.StreamResponse:
        call = self._call
        await call.request.read()
        self.fault = call.state.faults.claim(call.endpoint, call.model, call.request_id)
        if self.fault is None:
            return await delivery.deliver(call.request, await self._answer_without_fault(call))
        rule = self.fault.rule
        real: Answer | None = None
        if rule.takes_effect(server_error_leaves_job=call.state.world.server_error_leaves_job):
            real = await self._answer_without_fault(replace(call, fate=rule.fate))
            if call.endpoint in CREATES_JOB and real.status >= 400 and real.request_id is None:
                # Nothing was accepted, so there is nothing to spoil: the rule keeps its shot.
                self.fault.seen -= 1
                self.fault.fired -= 1
                self.fault = None
                return await delivery.deliver(call.request, real)
        if rule.slow:
            await asyncio.sleep(rule.slow)
        return await self._spoil(rule, real)

    async def _answer_without_fault(self, call: Call) -> Answer:
        return errors.worded(await self._admit(call), call.state.world.error_key)

    async def _admit(self, call: Call) -> Answer:
        """Answer a request whose key is accepted and whose turn has come, or refuse it."""
        limit_headers: dict[str, str] = {}
        if self._keyed:
            verdict = call.state.keys.judge(call.request.headers)
            if verdict is not KeyVerdict.ACCEPTED:
                return errors.unauthorized(verdict)
            if call.state.rate_limit is not None and _counts(call):
                allowance = call.state.rate_limit.take(call.api_key, call.state.clock.now())
                reset_format = call.state.world.reset_format
                if not allowance.granted:
                    return errors.rate_limited(allowance.reset_at, reset_format)
                limit_headers = errors.reset_header(allowance.reset_at, reset_format)
        answer = await self._answer(call)
        self.request_id = answer.request_id or self.request_id
        return replace(answer, headers={**answer.headers, **limit_headers}) if limit_headers else answer

    async def _spoil(self, rule: FaultRule, real: Answer | None) -> web.StreamResponse:
        request = self._call.request
        if rule.hang:
            self.answered = False
            return await delivery.wait_until_left(request)
        if rule.drop in ("before", "after"):
            self.answered = False
            return delivery.hang_up(request)
        if rule.body == "huge":
            return await delivery.deliver_huge(request, rule.status or 200, rule.size)
        answer = await self._replace(rule, real)
        if rule.drop == "midway":
            return await delivery.deliver_half(request, answer)
        if rule.trickle:
            return await delivery.deliver_trickling(request, answer, rule.trickle)
        return await delivery.deliver(request, answer)

    async def _replace(self, rule: FaultRule, real: Answer | None) -> Answer:
        answer = real or Answer()
        if rule.status is not None:
            answer = self._error_answer(rule, rule.status, answer)
        if rule.json_text is not None:
            return replace(answer, body=rule.json_text.encode(), content_type="application/json", file=None)
        if rule.missing_request_id:
            return json_answer({"status": "QUEUED"}, answer.status, answer.headers)
        if rule.body is not None:
            return await _garble(rule.body, answer)
        return answer

    def _error_answer(self, rule: FaultRule, status: int, real: Answer) -> Answer:
        if status == 429:
            reset_at = self._call.state.clock.now() + rule.reset_in
            reset_format = rule.reset_format or self._call.state.world.reset_format
            answer = errors.rate_limited(reset_at, reset_format, rule.retry_after)
            return errors.worded(answer, self._call.state.world.error_key)
        if status < 400:
            return replace(real, status=status)
        answer = errors.any_error(status, self._call.endpoint, rule.cause)
        answer = errors.worded(answer, self._call.state.world.error_key)
        if rule.retry_after is None:
            return answer
        return replace(answer, headers={**answer.headers, "Retry-After": f"{rule.retry_after:g}"})


def _counts(call: Call) -> bool:
    """Whether a request counts against the limit of its key."""
    if call.endpoint in _STATUS_QUESTIONS:
        return call.state.world.status_counts
    return call.state.world.platform_counts or call.endpoint not in _PLATFORM


async def _garble(body: str, answer: Answer) -> Answer:
    if body == "html":
        return replace(html_answer(answer.status, "Service"), headers=answer.headers)
    if body == "truncated":
        whole = await delivery.content(answer)
        return replace(answer, body=whole[: len(whole) // 2], file=None)
    replacements = {
        "not_json": b"upstream connect error or disconnect/reset before headers",
        "list": json.dumps([{"unexpected": True}]).encode(),
        "empty": b"",
    }
    return replace(answer, body=replacements[body], file=None)
