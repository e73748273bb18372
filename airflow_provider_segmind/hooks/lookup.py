"""From a connection id to a SegmindConnection, on a worker and on the triggerer's event loop."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook
from asgiref.sync import sync_to_async

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import InvalidConnectionError, SegmindError, UnreachableError
from airflow_provider_segmind.hooks.connection import (
    API_KEY_VARIABLE,
    CONNECTION_TYPE,
    DEFAULT_CONNECTION_ID,
    SegmindConnection,
    connection_from_key,
    read_connection,
)
from airflow_provider_segmind.hooks.fields import described, is_name, read_extra
from airflow_provider_segmind.hooks.versions import get_async_connection, mask_secret

_KEY = re.compile(r"SG_\w+")
_WHOLE_KEY = re.compile(r"SG_[0-9A-Fa-f]{16}")
_LOGIN = re.compile(r"://\S*@")

log = logging.getLogger(__name__)


def look_up(conn_id: str) -> SegmindConnection:
    """
    Return the connection, or what SEGMIND_API_KEY stands for if the default one is not defined.

    All of its secrets are masked in Airflow's logs from then on.

    :raises InvalidConnectionError: If there is neither, it is of another type, or a field cannot be used.
    :raises UnreachableError: If Airflow itself could not be asked, which may pass.
    """
    _check_id(conn_id)
    failure, defined = None, None
    try:
        defined = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        pass
    except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
        failure = _failed_look_up(conn_id, error)
    if failure:  # raised here, so that what Airflow raised, and may quote a password, is not its context
        raise failure
    if defined is None:
        return _connection_of_environment(conn_id)
    found = _read(conn_id, defined)
    for remark in found.remarks:
        log.warning(remark)
    return found


async def look_up_async(conn_id: str) -> SegmindConnection:
    """
    Return the same without blocking the event loop.

    :raises InvalidConnectionError: If it is of another type, or a field cannot be used.
    :raises UnreachableError: If Airflow itself could not be asked, or has no such connection, which may pass.
    """
    _check_id(conn_id)
    failure: SegmindError | None = None
    try:
        defined = await get_async_connection(conn_id)
        return await sync_to_async(_read)(conn_id, defined)
    except AirflowNotFoundException:
        pass
    except SegmindError:
        raise
    except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
        failure = _failed_look_up(conn_id, error)
    if failure:
        raise failure
    try:
        return await sync_to_async(_connection_of_environment)(conn_id)
    except _NoConnectionError as missing:
        # Airflow 3 says so too if its API server could not answer. A worker has just had the connection, so
        # that its loss is more likely to pass than not.
        failure = UnreachableError(missing.detail)
    raise failure


def _check_id(conn_id: object) -> None:
    """Check that this may be the id of a connection: Airflow would log a connection's URI, or a key, as it is."""
    if not isinstance(conn_id, str):
        problem = f"must be the id of a connection, but is {described(conn_id)}"
    elif _WHOLE_KEY.search(conn_id) or _LOGIN.search(conn_id):
        problem = "must be the id of a connection, and neither its URI nor its API key"
    else:
        return
    raise InvalidConnectionError(f"segmind_conn_id {problem}")


class _NoConnectionError(InvalidConnectionError):
    """Neither Airflow nor the environment has the connection."""


def _connection_of_environment(conn_id: str) -> SegmindConnection:
    """Return what SEGMIND_API_KEY stands for, if it may stand in for this connection."""
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    definition = f"AIRFLOW_CONN_{conn_id.upper()}"
    if os.environ.get(definition):
        # Airflow 3 takes a definition that it cannot read for none. Its addresses would be lost.
        raise InvalidConnectionError(
            f"{definition} is set, but Airflow cannot read it: it must be a URI or a JSON object, and the extra "
            f"of the connection {conn_id!r} a JSON object"
        )
    if conn_id == DEFAULT_CONNECTION_ID and key:
        return _masked(connection_from_key(key))
    fallback = f", or set {API_KEY_VARIABLE}" if conn_id == DEFAULT_CONNECTION_ID else ""
    raise _NoConnectionError(
        f"there is no connection {conn_id!r}; define one of the type 'segmind' with the API key as "
        f"its password{fallback}"
    )


def _read(conn_id: str, defined: Any) -> SegmindConnection:
    """
    Read what Airflow has, in a thread if this is the triggerer: it looks at files, and tells the supervisor.

    The extra is read as it is written: ``extra_dejson`` returns an empty one for what is not JSON.
    """
    _check_type(conn_id, defined.conn_type)
    extra = read_extra(conn_id, defined.extra)
    connection = read_connection(
        conn_id,
        password=defined.password,
        host=defined.host,
        extra=extra,
        port=defined.port,
        schema=defined.schema,
    )
    if connection.remarks:
        mask_secret(extra)  # what has a name like "token" in it
    return _masked(connection)


def _masked(connection: SegmindConnection) -> SegmindConnection:
    for secret in connection.secrets:
        mask_secret(secret)
    return connection


def _check_type(conn_id: str, conn_type: object) -> None:
    """
    Check that the connection is meant for Segmind.

    The password of any other would go to its host as an API key.
    """
    found = conn_type if isinstance(conn_type, str) else ""
    if found.lower() == CONNECTION_TYPE:
        return
    shown = "no type" if not found else f"the type {found!r}" if is_name(found) else "another type"
    raise InvalidConnectionError(
        f"conn_type of the connection {conn_id!r} must be {CONNECTION_TYPE!r}, but it has {shown}; nothing was "
        'sent. Name another connection in segmind_conn_id, or write "conn_type": "segmind" (in a URI: '
        "segmind://:KEY@)"
    )


def _failed_look_up(conn_id: str, error: Exception) -> SegmindError:
    """Return the error for what Airflow raised. Its words may hold a whole connection URI."""
    words = _KEY.sub("***", _LOGIN.sub("://***@", str(error)))
    cause = f"{type(error).__name__}: {one_line(words)}"
    if type(error) in (ValueError, AirflowException):  # what Airflow raises for a definition that it cannot read
        return InvalidConnectionError(f"Airflow cannot read the connection {conn_id!r}: {cause}")
    return UnreachableError(f"Airflow cannot look up the connection {conn_id!r}: {cause}")
