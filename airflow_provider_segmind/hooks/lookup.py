"""From a connection id to a SegmindConnection, on a worker and on the triggerer's event loop."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.compat import (
    AirflowException,
    AirflowNotFoundException,
    BaseHook,
    Connection,
    mask_secret,
)
from airflow_provider_segmind.exceptions import InvalidConnectionError, SegmindError, UnreachableError
from airflow_provider_segmind.hooks.connection import (
    SegmindConnection,
    connection_from_key,
    read_connection,
)
from airflow_provider_segmind.hooks.fields import describe, is_name, read_extra
from airflow_provider_segmind.hooks.names import API_KEY_VARIABLE, CONNECTION_TYPE, DEFAULT_CONNECTION_ID

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.redis_place import RedisPlace

T = TypeVar("T")

_KEY = re.compile(r"SG_\w+")
_WHOLE_KEY = re.compile(r"SG_[0-9A-Fa-f]{16}")
_LOGIN = re.compile(r"://\S*@")

MOST_WARNED = 100
"""Connections that a process remembers to have warned of."""

_warned: dict[str, tuple[str, ...]] = {}

_places: dict[str, RedisPlace] = {}
"""Where the Redis of a connection was last: a look-up that fails must not split a budget."""

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
        failure = _lookup_error(conn_id, error)
    if failure:  # raised here, so that what Airflow raised, and may quote a password, is not its context
        raise failure
    if defined is None:
        stand_in = _connection_from_environment(conn_id)
        if stand_in is None:
            raise InvalidConnectionError(_none_defined(conn_id))
        return stand_in
    return _read(conn_id, defined)


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
        return await _in_thread(_read, conn_id, defined)
    except AirflowNotFoundException:
        pass
    except SegmindError:
        raise
    except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
        failure = _lookup_error(conn_id, error)
    if failure:
        raise failure
    stand_in = await _in_thread(_connection_from_environment, conn_id)
    if stand_in is None:
        # Airflow 3 says so too if its API server could not answer. A worker has just had the connection, so
        # that its loss is more likely to pass than not.
        raise UnreachableError(_none_defined(conn_id))
    return stand_in


def look_up_redis(conn_id: str) -> RedisPlace:
    """
    Return where the Redis of an Airflow connection is. Its password is masked in Airflow's logs from then on.

    :raises InvalidConnectionError: If there is none, it is of another type, or a field cannot be used.
    :raises UnreachableError: If Airflow itself could not be asked, which may pass.
    """
    try:
        return _read_redis(conn_id, BaseHook.get_connection(conn_id))
    except SegmindError:
        raise
    except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
        failure = _redis_lookup_error(conn_id, error)
    raise failure


def find_redis(conn_id: str | None) -> RedisPlace | None:
    """
    Return the same; None if there is none. A Redis that cannot be found is a warning, as it is for speed alone.

    :param conn_id: ``rate_limit_conn_id`` of a connection; None if it has none.
    """
    if conn_id is None:
        return None
    try:
        _places[conn_id] = look_up_redis(conn_id)
    except SegmindError as error:
        _warn_of_redis(conn_id, error)
    return _places.get(conn_id)


async def find_redis_async(conn_id: str | None) -> RedisPlace | None:
    """Return the same without blocking the event loop."""
    if conn_id is None:
        return None
    try:
        _places[conn_id] = await _in_thread(_read_redis, conn_id, await get_async_connection(conn_id))
    except SegmindError as error:
        _warn_of_redis(conn_id, error)
    except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
        _warn_of_redis(conn_id, _redis_lookup_error(conn_id, error))
    return _places.get(conn_id)


def _redis_lookup_error(conn_id: str, error: Exception) -> SegmindError:
    if isinstance(error, AirflowNotFoundException):
        return InvalidConnectionError(
            f"there is no connection {conn_id!r}, which rate_limit_conn_id names; define one of the type 'redis'"
        )
    return _lookup_error(conn_id, error)


def _read_redis(conn_id: str, defined: Any) -> RedisPlace:
    from airflow_provider_segmind.hooks.redis_place import read_redis_place  # few connections name one

    place = read_redis_place(
        conn_id,
        conn_type=defined.conn_type,
        host=defined.host,
        port=defined.port,
        schema=defined.schema,
        login=defined.login,
        password=defined.password,
        extra=defined.extra,
    )
    if place.password is not None:
        mask_secret(place.password)
    return place


def _warn_of_redis(conn_id: str, error: SegmindError) -> None:
    _warn_once(conn_id, (f"{error} Until this is fixed, the machines do not share the rate limit",))


def _check_id(conn_id: object) -> None:
    """Check that this may be the id of a connection: Airflow would log a connection's URI, or a key, as it is."""
    if not isinstance(conn_id, str):
        problem = f"must be the id of a connection, but is {describe(conn_id)}"
    elif _WHOLE_KEY.search(conn_id) or _LOGIN.search(conn_id):
        problem = "must be the id of a connection, not its URI or API key"
    else:
        return
    raise InvalidConnectionError(f"segmind_conn_id {problem}")


def _connection_from_environment(conn_id: str) -> SegmindConnection | None:
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
        return _mask_secrets(connection_from_key(key))
    return None


def _none_defined(conn_id: str) -> str:
    fallback = f", or set {API_KEY_VARIABLE}" if conn_id == DEFAULT_CONNECTION_ID else ""
    return (
        f"there is no connection {conn_id!r}; define one of the type 'segmind' with the API key as "
        f"its password{fallback}"
    )


def _read(conn_id: str, defined: Any) -> SegmindConnection:
    """
    Read what Airflow has, in a thread if this is the triggerer: it looks at files, and tells the supervisor.

    The extra is read as it is written: ``extra_dejson`` returns an empty one for what is not JSON.
    """
    _check_type(conn_id, defined.conn_type)
    connection = read_connection(
        conn_id,
        password=defined.password,
        host=defined.host,
        extra=defined.extra,
        port=defined.port,
        schema=defined.schema,
    )
    if connection.remarks:
        mask_secret(read_extra(conn_id, defined.extra))  # what has a name like "token" in it
        _warn_once(conn_id, connection.remarks)
    return _mask_secrets(connection)


def _warn_once(conn_id: str, remarks: tuple[str, ...]) -> None:
    """Log what is odd about a connection, unless this process has: a triggerer looks it up every five minutes."""
    if _warned.get(conn_id) == remarks:
        return
    if len(_warned) >= MOST_WARNED:
        _warned.clear()
    _warned[conn_id] = remarks
    log.warning("%s.", ". ".join(remarks))


def _mask_secrets(connection: SegmindConnection) -> SegmindConnection:
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


def _lookup_error(conn_id: str, error: Exception) -> SegmindError:
    """Return the error for what Airflow raised. Its words may hold a whole connection URI."""
    words = _KEY.sub("***", _LOGIN.sub("://***@", str(error)))
    cause = f"{type(error).__name__}: {one_line(words)}"
    if type(error) in (ValueError, AirflowException):  # what Airflow raises for a definition that it cannot read
        return InvalidConnectionError(f"Airflow cannot read the connection {conn_id!r}: {cause}")
    return UnreachableError(f"Airflow cannot look up the connection {conn_id!r}: {cause}")


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
    return await _in_thread(BaseHook.get_connection, conn_id)


async def _in_thread(call: Callable[..., T], *arguments: Any) -> T:
    from asgiref.sync import sync_to_async  # only a triggerer needs it

    return await sync_to_async(call)(*arguments)
