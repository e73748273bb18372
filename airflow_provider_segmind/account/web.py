"""The JSON that the page "Segmind" reads: an app of Airflow's API server, with Airflow's own permissions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response

from airflow_provider_segmind.account.answers import Answer, share
from airflow_provider_segmind.account.shared_reads import SharedReads
from airflow_provider_segmind.account.statement import is_statement, read_statement
from airflow_provider_segmind.compat import requires_access_connection
from airflow_provider_segmind.exceptions import InvalidConnectionError, RateLimitedError, SegmindError
from airflow_provider_segmind.hooks.rate_ledger import hash_of
from airflow_provider_segmind.hooks.segmind import SegmindHook

MOST_DAYS = 31
"""Of one statement: Segmind's history answers for no more at a time."""

EARLIEST_DAY = date(2020, 1, 1)
"""Before Segmind had any request."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""Of each answer: it is JSON for one reader's script, and nothing that a browser shows or keeps."""

STATUSES = (404, 502, 503)
"""Of an answer that says why there is none."""


@dataclass(frozen=True)
class Question:
    """
    What a reader asks for.

    :param hook: With the connection as it is now.
    :param last_day: Included.
    """

    hook: SegmindHook
    first_day: date
    last_day: date

    @property
    def name(self) -> str:
        """A name that two questions have only if they are about the same days of the same connection and key."""
        connection = self.hook.get_conn().connection
        days = (self.first_day.isoformat(), self.last_day.isoformat())
        return hash_of(connection.api_key, json.dumps([self.hook.segmind_conn_id, dict(connection.urls), days]))

    def share_answer(self) -> Answer:
        """Return the answer that a process of this machine has read, or read it."""
        return share(self.name, self._read, self._may_have)

    def _read(self) -> Answer:
        try:
            document = read_statement(self.hook, self.first_day, self.last_day).as_json()
        except SegmindError as error:
            return _refusal(error)
        return Answer(200, document, time.time())

    def _may_have(self, answer: Answer) -> bool:
        if answer.status == 200:
            return is_statement(answer.document, self.first_day, self.last_day)
        texts = list(answer.document.values())
        return answer.status in STATUSES and answer.document.keys() == {"detail"} and isinstance(texts[0], str)


def make_app() -> FastAPI:
    """
    Return the app. All of its readers share answers, also with other processes of this machine.

    Airflow mounts a plugin's app without authentication: each route here asks for it. A reader without a session
    gets 401, and one who may not read the connection 403, whether it exists or not.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    reads = SharedReads()

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.get("/connections/{connection_id}", dependencies=[Depends(requires_access_connection("GET"))])
    async def read_account(
        connection_id: str,
        days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 7,
        until: Annotated[date | None, Query(ge=EARLIEST_DAY)] = None,
    ) -> Response:
        last = min(until or date.max, datetime.now(UTC).date())
        try:
            hook = await asyncio.to_thread(_look_up, connection_id)
        except SegmindError as error:
            return _response(_refusal(error))
        question = Question(hook, last - timedelta(days=days - 1), last)
        return _response(await reads.get(question.name, question.share_answer))

    return app


def _look_up(connection_id: str) -> SegmindHook:
    """Return a hook that knows its connection: a changed one is not answered with what the old one has made."""
    hook = SegmindHook(connection_id)
    hook.get_conn()
    return hook


def _refusal(error: SegmindError) -> Answer:
    return Answer(_status(error), {"detail": error.text}, time.time())


def _response(answer: Answer) -> Response:
    return Response(answer.as_json(), answer.status, media_type="application/json")


def _status(error: SegmindError) -> int:
    if isinstance(error, InvalidConnectionError):
        return 404
    return 503 if isinstance(error, RateLimitedError) else 502
