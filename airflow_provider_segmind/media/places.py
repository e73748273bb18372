"""From a location to the storage that has it: Airflow's file systems, with their connections."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, ObjectStoragePath

from airflow_provider_segmind.api.location_rules import shown
from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.exceptions import InvalidParameterError

PATIENCE = 20.0
"""Seconds for one short call to a storage, where that can be bounded. S3 without credentials takes minutes."""

_CONNECTION_TYPES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "aws"),
    **dict.fromkeys(("gs", "gcs"), "google_cloud_platform"),
}
"""Azure's storages take connections of several types, and say themselves what is wrong with one."""

_ANY_TYPE = ("", "generic")
_ON_DISK = {"file", "local"}


def file_system(name: str, location: Location, conn_name: str) -> Any:
    """
    Return the fsspec file system of an object store.

    :param name: The parameter that has the location, for messages.
    :param conn_name: The parameter that names the connection: ``input_conn_id`` or ``output_conn_id``.
    :raises InvalidParameterError: If there is no such storage or connection.
    """
    if location.conn_id is not None:
        _check_connection(conn_name, location.conn_id, location.scheme)
    try:
        # Airflow 3.0's ObjectStoragePath takes a URI only with the protocol beside it.
        uri, scheme = f"{location.scheme}://{location.bucket}/", location.scheme
        storage = ObjectStoragePath(uri, protocol=scheme, conn_id=location.conn_id).fs
    except (ImportError, ValueError) as error:
        # A ValueError for a scheme that no provider brings, an ImportError for a library that is not installed.
        raise InvalidParameterError(
            name,
            f"{shown(location.uri)} cannot be read or written: {shown(str(error))}. Install Airflow's provider "
            f"for {location.scheme}:// and the library it needs, such as apache-airflow-providers-amazon[s3fs]",
        ) from error
    if _ON_DISK & {storage.protocol, *storage.protocol}:
        raise InvalidParameterError(
            name, f"{shown(location.uri)} leads to files of the worker: write an absolute path for them"
        )
    return storage


def path_in(storage: Any, name: str, location: Location) -> str:
    """
    Return what a file system calls a location.

    :raises InvalidParameterError: If it would use another name: some take a ``?`` for a query.
    """
    path = str(storage._strip_protocol(f"{location.scheme}://{location.bucket}/{location.key}"))
    if not path.endswith(location.key.rstrip("/")) or storage._strip_protocol(path) != path:
        raise InvalidParameterError(name, f"{shown(location.uri)} is not a name that this storage can have")
    return path


def has_credentials(storage: Any) -> bool:
    """Whether a file system has a login. S3 without one is asked anonymously, which public buckets allow."""
    return not getattr(storage, "anon", False) or bool(getattr(storage, "endpoint_url", None))


def ask(storage: Any, method: str, *arguments: Any) -> Any:
    """
    Make one short call to a file system.

    :param method: Its name, such as ``info``.
    :raises TimeoutError: If it takes too long, and can be interrupted.
    """
    call = getattr(storage, method)
    if not getattr(storage, "async_impl", False):
        return call(*arguments)
    try:
        return call(*arguments, timeout=PATIENCE)
    except TypeError:  # a storage with its own method, which knows no timeout
        return call(*arguments)


def _check_connection(conn_name: str, conn_id: str, scheme: str) -> None:
    # The hook for S3 takes a connection that is not there for none, and goes on anonymously.
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        found = None
    if found is None:  # raised here, as Airflow's words repeat an id that may be a whole URI with its password
        raise InvalidParameterError(conn_name, f"there is no Airflow connection {shown(conn_id)}")
    wanted = _CONNECTION_TYPES.get(scheme)
    given = found.conn_type or ""
    if wanted and given not in (wanted, *_ANY_TYPE):
        raise InvalidParameterError(
            conn_name, f"the connection {shown(conn_id)} has the type {given!r}, and {scheme}:// needs {wanted!r}"
        )
