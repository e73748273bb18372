"""What "Test" in the connection form does: asks each of the three addresses something that is free, and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.call import Call, Service
from airflow_provider_segmind.exceptions import REDIS_DOWN, SegmindError, runbook
from airflow_provider_segmind.hooks.addresses import FIELDS
from airflow_provider_segmind.hooks.lookup import look_up_redis
from airflow_provider_segmind.hooks.worker_turns import ask_redis

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.connection import SegmindConnection

Send = Callable[[Call[Any]], Any]

_OTHERS: dict[Service, Callable[[], Call[Any]]] = {
    Service.PLATFORM: lambda: calls.history(per_page=1),
    Service.STORAGE: calls.check_uploads,
}


def check_services(connection: SegmindConnection, send: Send) -> tuple[bool, str]:
    """
    Ask for the balance, for a row of the history, whether files are taken, and Redis, if the connection names one.
    Return what came of it.

    Nothing is charged, and nothing is left at Segmind.

    :param send: Sends a call and returns what the answer means.
    """
    try:
        balance = send(calls.credits()).balance
    except SegmindError as error:
        return False, _problem(connection, Service.GATEWAY, error)
    problems = list(_check_others(connection, send))
    accepted = f"Segmind accepts the API key. Balance: {balance:.2f} USD."
    if problems:
        return False, " ".join((*problems, f"The gateway works: {accepted}"))
    redis = " Redis shares its rate limit." if connection.rate_limit_conn_id is not None else ""
    return True, f"{accepted} The request history and uploads work, too.{redis}"


def _check_others(connection: SegmindConnection, send: Send) -> Iterator[str]:
    for service, call in _OTHERS.items():
        try:
            send(call())
        except SegmindError as error:
            yield _problem(connection, service, error)
    if connection.rate_limit_conn_id is not None:
        try:
            problem = ask_redis(look_up_redis(connection.rate_limit_conn_id))
        except SegmindError as error:
            yield f"rate_limit_conn_id: {error}"
        else:
            if problem is not None:
                yield f"rate_limit_conn_id: {problem}. {runbook(REDIS_DOWN)}"


def _problem(connection: SegmindConnection, service: Service, error: SegmindError) -> str:
    url, gateway = connection.urls[service], connection.urls[Service.GATEWAY]
    same = " (the same as host, unless the extra says otherwise)" if service in _OTHERS and url == gateway else ""
    return f"{FIELDS[service]} is {url}{same}, and it failed: {error}"
