"""Reading an image from where it is: an object store, or a disk."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from airflow_provider_segmind.api.locations import Location, input_location
from airflow_provider_segmind.api.text import safe_text
from airflow_provider_segmind.exceptions import InvalidParameterError, SegmindError, UnreadableInputError
from airflow_provider_segmind.media import bucket, disk
from airflow_provider_segmind.media.allowed_paths import file_to_read
from airflow_provider_segmind.media.content_type import HEAD, is_textual, type_of_content
from airflow_provider_segmind.media.storages import (
    has_credentials,
    is_final,
    is_login_trouble,
    open_file_system,
    path_in,
    words_of,
)

MOST_BYTES = 20 * 1024 * 1024
"""Of one image. Segmind publishes no limit; what is larger is hardly a frame, and grows by a third on its way."""

_CONN_NAME = "input_conn_id"
_TAKEN = frozenset(
    f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff", "avif", "heic", "heif")
)
"""What models take as an image. SVG is a program more than an image, and JPEG XL is hardly known anywhere."""


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


def read_image(name: str, location: object, conn_id: str | None) -> InputFile:
    """
    Return the image at a location, checked.

    :param name: The parameter that names it, for messages.
    :param location: An object-storage URI, or an absolute path on the worker; a ``pathlib.Path`` or an
        ObjectStoragePath likewise.
    :param conn_id: The Airflow connection to the storage; None for the storage's default.
    :raises InvalidParameterError: If it is not there, may not be read, or is not an image of at most 20 MiB.
    :raises UnreadableInputError: If it could not be read now, which may pass.
    """
    at = input_location(name, location, conn_id)
    where = safe_text(at.uri)
    if not at.is_local and not at.key:
        raise InvalidParameterError(name, f"{where} names a bucket, but no image in it")
    try:
        content = _read_content(at, name)
    except SegmindError:
        raise
    except Exception as error:
        notes = "".join(f". {note}" for note in getattr(error, "__notes__", ()))
        if is_final(error):
            raise InvalidParameterError(name, f"{where} {_what_is_wrong(at, error)}{notes}") from error
        raise UnreadableInputError(f"{name}: {where}: {words_of(error)}{notes}") from error
    if not content:
        raise InvalidParameterError(name, f"{where} is empty")
    if len(content) > MOST_BYTES:
        raise InvalidParameterError(
            name, f"{where} is larger than {MOST_BYTES // 2**20} MiB; make it smaller, or give a public URL"
        )
    media_type = image_type(content)
    if media_type is None:
        raise InvalidParameterError(name, f"{where} is not an image{_hint(content)}")
    return InputFile(content, media_type, hashlib.sha256(content).hexdigest())


def image_type(content: bytes) -> str | None:
    """
    Return the media type of an image, such as ``image/png``; None if this is none that a model takes.

    Only the first bytes are checked. Segmind decodes the rest, and does not charge for an image that it rejects.
    """
    found = type_of_content(content[:HEAD])
    return found if found in _TAKEN else None


def _read_content(at: Location, name: str) -> bytes:
    """Return the content; one byte more than allowed is enough to know that it is too much."""
    if at.is_local:
        return disk.read_file(file_to_read(name, at.key), MOST_BYTES + 1)
    storage = open_file_system(name, at, _CONN_NAME)
    try:
        return bucket.read_object(storage, path_in(storage, name, at), MOST_BYTES + 1)
    except Exception as error:
        if not has_credentials(storage):
            error.add_note(f"It was read without credentials; {_CONN_NAME} can name a connection that has them")
        raise


def _hint(content: bytes) -> str:
    """Return what kind of content is not an image. Nothing of it is quoted: it may be a secret."""
    found = type_of_content(content[:HEAD])
    if found is None:
        return ""
    if found == "text/html":
        return ": its content is a web page"
    return f": its content is {'text' if is_textual(found) else f'{found}, which models do not accept'}"


def _what_is_wrong(at: Location, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not an image"
    if isinstance(error, PermissionError) or is_login_trouble(error):
        return f"may not be read {'by the worker' if at.is_local else f'with this connection ({_CONN_NAME})'}"
    return str(error) if isinstance(error, disk.NotAFileError) else f"cannot be read: {words_of(error)}"
