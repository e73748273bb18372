"""From a location to a file in an object store, or on a disk."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

_ON_DISK = "file://"


def place(location: str, conn_id: str | None) -> Any:
    """
    Return the path of a location.

    :param conn_id: The Airflow connection to its storage; None for the storage's default.
    """
    # Airflow 3.0's ObjectStoragePath takes a path on a disk, but not the same with its scheme.
    return ObjectStoragePath(location.removeprefix(_ON_DISK), conn_id=conn_id)
