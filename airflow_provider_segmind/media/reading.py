"""Reading an image from where it lies: an object store, or a disk."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from airflow_provider_segmind.api.locations import without_login
from airflow_provider_segmind.exceptions import InvalidParameterError, UnreadableInputError
from airflow_provider_segmind.media.images import image_type
from airflow_provider_segmind.media.places import place

MOST_BYTES = 20 * 1024 * 1024
"""Of one image. Segmind publishes no limit; what is larger is hardly a frame, and grows by a third on its way."""

_NO_RETRY_HELPS = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    ValueError,
)

_FOLDER = "is a folder, not an image"


@dataclass(frozen=True)
class InputFile:
    """
    An image as it was read.

    :param sha256: The digest of the content, in hexadecimal.
    """

    content: bytes
    media_type: str
    sha256: str

    def data_url(self) -> str:
        """Return the file as Segmind's storage takes it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def read_image(name: str, location: str, conn_id: str | None) -> InputFile:
    """
    Return the image at a location, checked.

    :param name: The parameter that names it, for messages.
    :param location: An object-storage URI, or an absolute path on the worker.
    :param conn_id: The Airflow connection to the storage; None for the storage's default.
    :raises InvalidParameterError: If it is not there, may not be read, or is no image of at most 20 MiB.
    :raises UnreadableInputError: If it could not be read now, which may pass.
    """
    shown = without_login(location)
    try:
        content = _content(location, conn_id)
    except _NO_RETRY_HELPS as error:
        raise InvalidParameterError(name, f"{shown} {_what_is_wrong(location, conn_id, error)}") from error
    except Exception as error:
        words = without_login(str(error))
        raise UnreadableInputError(f"{name}: {shown}: {type(error).__name__}: {words}") from error
    if not content:  # as some storages say of a folder, too
        what = _FOLDER if _is_folder(location, conn_id) else "is empty"
        raise InvalidParameterError(name, f"{shown} {what}")
    if len(content) > MOST_BYTES:
        raise InvalidParameterError(
            name, f"{shown} is larger than {MOST_BYTES // 2**20} MiB; make it smaller, or give a public URL"
        )
    media_type = image_type(content)
    if media_type is None:
        raise InvalidParameterError(name, f"{shown} is no image by its content{_hint(content)}")
    return InputFile(content, media_type, hashlib.sha256(content).hexdigest())


def _content(location: str, conn_id: str | None) -> bytes:
    """Return the content; one byte more than allowed is enough to know that it is too much."""
    path = place(location, conn_id)
    with path.fs.open(path.path, "rb") as file:
        return bytes(file.read(MOST_BYTES + 1))


def _hint(content: bytes) -> str:
    """Say a little about what is no image, and quote nothing of it: it may be a secret."""
    start = content[:256].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return ", but a web page"
    return ", but text" if start.isascii() and b"\0" not in start else ""


def _what_is_wrong(location: str, conn_id: str | None, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return _FOLDER if _is_folder(location, conn_id) else "does not exist"
    if isinstance(error, IsADirectoryError):
        return _FOLDER
    if isinstance(error, PermissionError):
        return "may not be read with this connection (input_conn_id)"
    return f"cannot be read: {without_login(str(error))}"


def _is_folder(location: str, conn_id: str | None) -> bool:
    """Whether there is a folder, as far as one may look."""
    try:
        return bool(place(location, conn_id).is_dir())
    except Exception:  # noqa: BLE001 - storages raise whatever they like, and it is only for a message
        return False
