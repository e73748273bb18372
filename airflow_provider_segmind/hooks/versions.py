"""How older versions of Airflow and of its common.compat provider differ in what they do, in one place."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from airflow_provider_segmind.compat import BaseHook, Connection, mask_secret

__all__ = ["get_async_connection", "mask_secret"]


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
