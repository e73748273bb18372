"""The queue between Airflow's schedulers and its Celery workers: in Redis."""

from __future__ import annotations

import importlib
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.failure import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REDIS = os.environ.get("HARNESS_REDIS", "redis://127.0.0.1:6379/0")
"""The address of a Redis that needs no password."""

_CONNECT_SECONDS = 3


@contextmanager
def temporary_broker(result_backend: str) -> Iterator[Mapping[str, object]]:
    """
    Yield the settings of Airflow for a queue that exists for the length of a `with` block.

    All keys of the queue begin with one prefix, so that several Airflows can share a Redis.

    :param result_backend: The address of the database, as SQLAlchemy writes it.

    :raises HarnessError: If the Celery provider is not installed, or Redis does not answer.
    """
    redis = _connect()
    prefix = f"segmind_{secrets.token_hex(4)}_"
    try:
        yield {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CELERY__BROKER_URL": REDIS,
            "CELERY__RESULT_BACKEND": f"db+{result_backend}",
            "CELERY__WORKER_PREFETCH_MULTIPLIER": 1,
            "CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": prefix,
        }
    finally:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)
        redis.close()


def check_broker() -> None:
    """
    See that Celery could be used.

    :raises HarnessError: If the Celery provider is not installed, or Redis does not answer.
    """
    _connect().close()


def _connect() -> Any:
    try:
        importlib.import_module("airflow.providers.celery")
        redis = importlib.import_module("redis")
    except ImportError as missing:
        raise HarnessError(f"Celery needs {missing.name}, which is not installed") from missing
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=_CONNECT_SECONDS)
    try:
        client.ping()
    except redis.RedisError as error:
        raise HarnessError(
            f"no Redis answers at {REDIS} (HARNESS_REDIS=redis://host:port/number names another one): {error}"
        ) from error
    return client
