"""What is known of a file that has been stored, as attempts leave it for the next one. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_segmind.api.forms import SIZE, TEXT, Form


@dataclass(frozen=True)
class StoredOutput:
    """
    A file that has been stored.

    :param path: Where, without a login.
    :param size: Bytes.
    :param sha256: The digest of its content, in hexadecimal.
    :param content_type: Its media type, by its content; as announced, where the content does not say.
    """

    path: str
    size: int
    sha256: str
    content_type: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """
        Return what ``as_json`` described.

        :raises SegmindError: If the document is something else.
        """
        form = Form(document, "what is known of a stored output cannot be read", 1)
        return cls(
            path=form.required("path", TEXT),
            size=form.required("size", SIZE),
            sha256=form.required("sha256", TEXT),
            content_type=form.required("content_type", TEXT),
        )


@dataclass(frozen=True)
class ExistingOutput:
    """
    A file that was there before the request.

    :param sha256: None, as is ``content_type``, unless the task has stored the file.
    """

    path: str
    size: int
    sha256: str | None = None
    content_type: str | None = None
