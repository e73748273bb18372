"""From a location to the storage that has it, with its Airflow connection; and what a storage's errors mean."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from airflow_provider_segmind.api.locations import Location
from airflow_provider_segmind.api.text import safe_repr, safe_text
from airflow_provider_segmind.compat import AirflowNotFoundException, BaseHook, ObjectStoragePath
from airflow_provider_segmind.exceptions import InvalidParameterError

CALL_TIMEOUT = 20.0
"""Seconds for one short call to a storage, where that can be bounded. S3 without credentials takes minutes."""

_CONNECTION_TYPES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "aws"),
    **dict.fromkeys(("gs", "gcs"), "google_cloud_platform"),
}
"""Azure's storages take connections of several types, and say themselves what is wrong with one."""

_ANY_TYPE = ("", "generic")
_ON_DISK = {"file", "local"}

_FINAL = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    ValueError,
    NotImplementedError,
)
_FINAL_NAMES = ("ParamValidationError",)
"""Of boto3: a bucket, say, whose name no bucket can have."""

_FINAL_NUMBERS = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EROFS,
    errno.EINVAL,
    errno.EFBIG,
    errno.ENXIO,
    errno.ENODEV,
)

_LOGINS = ("endpoint_url", "connection_string", "account_key", "sas_token", "credential")
"""
What a file system with a login has. It counts more than `anon`: adlfs up to 2026.2 calls every login anonymous.
"""

_STATUS_NUMBERS = {400: errno.EINVAL, 401: errno.EACCES, 403: errno.EACCES, 404: errno.ENOENT}


def open_file_system(name: str, location: Location, conn_name: str) -> Any:
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
            f"{safe_repr(location.uri)} cannot be read or written: {safe_repr(str(error))}. Install Airflow's "
            f"provider for {location.scheme}:// with its library, such as apache-airflow-providers-amazon[s3fs]",
        ) from error
    if _ON_DISK & {storage.protocol, *storage.protocol}:
        raise InvalidParameterError(
            name, f"{safe_repr(location.uri)} is a file on the worker: write an absolute path"
        )
    return storage


def path_in(storage: Any, name: str, location: Location) -> str:
    """
    Return what a file system calls a location.

    :raises InvalidParameterError: If it would use another name: some take a ``?`` for a query.
    """
    path = str(storage._strip_protocol(f"{location.scheme}://{location.bucket}/{location.key}"))
    if not path.endswith(location.key.rstrip("/")) or storage._strip_protocol(path) != path:
        raise InvalidParameterError(name, f"{safe_repr(location.uri)} is not a valid name in this storage")
    return path


def has_credentials(storage: Any) -> bool:
    """Whether a file system has a login. Without one S3 is used anonymously, which public buckets allow."""
    return not getattr(storage, "anon", False) or any(getattr(storage, each, None) for each in _LOGINS)


def call_storage(storage: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """
    Make one short call to a file system.

    :param method: Its name, such as ``info``.
    :raises TimeoutError: If it takes too long, and can be interrupted.
    """
    call = getattr(storage, method)
    with naming_os_errors():
        if not getattr(storage, "async_impl", False):
            return call(*arguments, **options)
        try:
            return call(*arguments, **options, timeout=CALL_TIMEOUT)
        except TypeError:  # a storage with its own method, which knows no timeout
            return call(*arguments, **options)


@contextmanager
def naming_os_errors() -> Iterator[None]:
    """Turn the errors of Azure's and Google's libraries into what s3fs raises, such as PermissionError."""
    try:
        yield
    except Exception as error:
        meant = _os_error(error)
        if meant is None:
            raise
        raise meant from error


def _os_error(error: Exception) -> OSError | None:
    library = type(error).__module__.partition(".")[0]
    words = str(error).partition("\n")[0]
    if library == "azure" and (status := getattr(error, "status_code", None)):
        # The rest of its text has ids, a time and the answer; of a wrong signature, also what was signed.
        code = getattr(error, "error_code", None)
        return OSError(_STATUS_NUMBERS.get(status, errno.EIO), f"{getattr(code, 'value', code)}: {words}")
    if library == "gcsfs" and getattr(error, "code", None) in (401, "401"):
        return PermissionError(errno.EACCES, words)
    if type(error) is OSError and words.startswith("Forbidden: "):  # of gcsfs, for 403
        return PermissionError(errno.EACCES, words)
    return None


def within_time(call: Callable[[], object]) -> None:
    """
    Make a call that cannot be given a timeout, in a thread that goes on if the time is up.

    So it also cleans up after itself if this thread is interrupted.

    :raises TimeoutError: If it takes too long.
    """
    failure: list[BaseException] = []
    done = Event()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised in the other thread
            failure.append(error)
        finally:
            done.set()

    Thread(target=run, name="segmind-storage", daemon=True).start()
    if not done.wait(CALL_TIMEOUT):
        raise TimeoutError
    if failure:
        raise failure[0]


def _check_connection(conn_name: str, conn_id: str, scheme: str) -> None:
    # The hook for S3 ignores a missing connection, and continues anonymously.
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        found = None
    if found is None:  # raised here, as Airflow's words repeat an id that may be a whole URI with its password
        raise InvalidParameterError(conn_name, f"there is no Airflow connection {safe_repr(conn_id)}")
    wanted = _CONNECTION_TYPES.get(scheme)
    given = found.conn_type or ""
    if wanted and given not in (wanted, *_ANY_TYPE):
        raise InvalidParameterError(
            conn_name,
            f"the connection {safe_repr(conn_id)} has the type {given!r}, but {scheme}:// needs {wanted!r}",
        )


def is_final(error: BaseException) -> bool:
    """Whether a second attempt would fail in the same way. Unknown errors may pass."""
    if isinstance(error, OSError) and error.errno in _FINAL_NUMBERS:
        return True
    return isinstance(error, _FINAL) or is_login_trouble(error) or type(error).__name__ in _FINAL_NAMES


def is_login_trouble(error: BaseException) -> bool:
    """Whether there is no login: boto3's NoCredentialsError says so, and Google's DefaultCredentialsError."""
    return "Credential" in type(error).__name__


def words_of(error: BaseException) -> str:
    """Return what an error says, as a message may quote it."""
    words = safe_text(str(error))
    if not words and isinstance(error, TimeoutError):
        words = "no answer in time"
    return f"{type(error).__name__}: {words}"
