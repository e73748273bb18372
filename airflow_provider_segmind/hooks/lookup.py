"""From a connection id to a SegmindConnection, on a worker and on the triggerer's event loop."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_segmind.exceptions import InvalidConnectionError, UnreachableError
from airflow_provider_segmind.hooks.connection import (
    API_KEY_VARIABLE,
    DEFAULT_CONNECTION_ID,
    SegmindConnection,
    connection_from_key,
    read_connection,
)


def look_up(conn_id: str) -> SegmindConnection:
    """
    Return the connection, or what SEGMIND_API_KEY stands for if the default one is not defined.

    :raises InvalidConnectionError: If there is neither, or a field cannot be used.
    """
    try:
        defined = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        key = _key_from_environment(conn_id)
        mask_secret(key)
        return connection_from_key(key)
    found = _read(conn_id, defined, defined.extra_dejson)
    mask_secret(found.api_key)
    return found


async def look_up_async(conn_id: str) -> SegmindConnection:
    """
    Return the same without blocking the event loop.

    :raises UnreachableError: If Airflow itself could not be asked, which may pass.
    """
    try:
        defined = await get_async_connection(conn_id)
        extra = await get_async_extra_dejson(defined)
    except AirflowNotFoundException:
        # Airflow 3 says so too if its API server could not answer. A worker has just had the connection, so
        # that its loss is more likely to pass than not.
        try:
            key = _key_from_environment(conn_id)
        except InvalidConnectionError as missing:
            raise UnreachableError(missing.detail) from missing
        await asyncio.to_thread(mask_secret, key)
        return connection_from_key(key)
    except Exception as error:
        raise UnreachableError(f"Airflow cannot look up the connection {conn_id!r}: {error}") from error
    return _read(conn_id, defined, extra)


def _key_from_environment(conn_id: str) -> str:
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if conn_id == DEFAULT_CONNECTION_ID and key:
        return key
    fallback = f", or set {API_KEY_VARIABLE}" if conn_id == DEFAULT_CONNECTION_ID else ""
    raise InvalidConnectionError(
        f"there is no connection {conn_id!r}; define one of the type 'segmind' with the API key as "
        f"its password{fallback}"
    )


def _read(conn_id: str, defined: Any, extra: dict[str, Any]) -> SegmindConnection:
    return read_connection(
        conn_id,
        password=defined.password,
        host=defined.host,
        extra=extra,
        port=defined.port,
        schema=defined.schema,
    )
