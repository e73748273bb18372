"""The JSON that the page "Segmind" reads: an app of Airflow's API server, with Airflow's own permissions."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response

from airflow_provider_segmind.account.shared_reads import SharedReads
from airflow_provider_segmind.account.statement import read_statement
from airflow_provider_segmind.compat import requires_access_connection
from airflow_provider_segmind.exceptions import InvalidConnectionError, RateLimitedError, SegmindError

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

Period = tuple[str, date, date]
"""A connection's id, the first day and the last."""


def make_app() -> FastAPI:
    """
    Return the app. All of its readers share one cache of answers.

    Airflow mounts a plugin's app without authentication: each route here asks for it. A reader without a session
    gets 401, and one who may not read the connection 403, whether it exists or not.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    reads: SharedReads[Period, bytes] = SharedReads(_read)

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
            content = await reads.get((connection_id, last - timedelta(days=days - 1), last))
        except SegmindError as error:
            return _json(_status(error), json.dumps({"detail": error.text}).encode())
        return _json(200, content)

    return app


def _read(period: Period) -> bytes:
    return json.dumps(read_statement(*period).as_json()).encode()


def _json(status: int, content: bytes) -> Response:
    return Response(content, status, media_type="application/json")


def _status(error: SegmindError) -> int:
    if isinstance(error, InvalidConnectionError):
        return 404
    return 503 if isinstance(error, RateLimitedError) else 502
