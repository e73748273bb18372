"""What the errors of a storage mean: storages raise whatever they like."""

from __future__ import annotations

import errno

from airflow_provider_segmind.api.location_rules import quotable

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


def is_final(error: BaseException) -> bool:
    """Whether a second attempt would end in the same way. What is not known here may pass."""
    if isinstance(error, OSError) and error.errno in _FINAL_NUMBERS:
        return True
    return isinstance(error, _FINAL) or is_login_trouble(error) or type(error).__name__ in _FINAL_NAMES


def is_login_trouble(error: BaseException) -> bool:
    """Whether there is no login: boto3's NoCredentialsError says so, and Google's DefaultCredentialsError."""
    return "Credential" in type(error).__name__


def words_of(error: BaseException) -> str:
    """Return what an error says, as a message may quote it."""
    words = quotable(str(error))
    if not words and isinstance(error, TimeoutError):
        words = "no answer in time"
    return f"{type(error).__name__}: {words}"
