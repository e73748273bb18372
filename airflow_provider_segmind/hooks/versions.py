"""What older versions of Airflow and of its common.compat provider do not have, in one place."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook, Connection
from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Callable

_HOMES_OF_MASK_SECRET = (
    "airflow.providers.common.compat.sdk",  # 1.22 and later
    "airflow.sdk.log",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.utils.log.secrets_masker",
)


async def get_async_connection(conn_id: str) -> Any:
    """
    Return the Airflow connection of this id without blocking the event loop.

    Before Airflow 3.3.2 ``BaseHook.aget_connection`` masks secrets with a blocking call to the supervisor, which
    raises ``DeadlockImminentError`` if another call is under way. common.compat allows for that from 1.23 on. The
    thread is that of ``sync_to_async``: from another one, Airflow 3.0 and 3.1 would speak to the supervisor on a
    second event loop.
    """
    if hasattr(Connection, "aextra_dejson"):
        return await BaseHook.aget_connection(conn_id)
    return await sync_to_async(BaseHook.get_connection)(conn_id)


def _find_mask_secret() -> Callable[..., None]:
    for module in _HOMES_OF_MASK_SECRET:
        try:
            found: Callable[..., None] = import_module(module).mask_secret
        except (ImportError, AttributeError):
            continue
        return found
    raise ImportError("this version of Airflow has no mask_secret")


mask_secret = _find_mask_secret()
"""Airflow's ``mask_secret(secret)``, which keeps a text out of logs and rendered fields."""
