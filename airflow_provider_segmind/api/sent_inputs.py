"""
Recognizing a submit by its inputs, in lists that may show them incompletely.

The official client says that a row has the inputs as they were sent. Segmind's documentation of its logs says that
media are not kept. So a row without them, or with another address in place of one, may still be the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_segmind.api.fingerprint import digests, fingerprint
from airflow_provider_segmind.api.web_address import is_web_address

MOST_PARAMETERS = 200
LONGEST_NAME = 200
"""Of the parameters that are remembered one by one. With more or longer ones, a request is compared as a whole."""

_DEEPEST = 5


class Likeness(IntEnum):
    """How alike the inputs of a row are to those of a submit."""

    OTHER = 0
    AS_SHOWN = 1
    """All that the row shows of them is the same."""
    SAME = 2


@dataclass(frozen=True)
class SentInputs:
    """
    What was sent, as far as it takes to recognize it.

    :param fingerprint: Of the model and the parameters as Segmind got them.
    :param digests: A short digest of each parameter by its name; empty if they are not known one by one.
    :param media: For each parameter that is media: how an address begins that can only be another input. Empty if
        no address is certainly another input.
    """

    fingerprint: str
    digests: Mapping[str, str] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, parameters: Mapping[str, Any], uploaded: Set[str] = frozenset()) -> SentInputs:
        """
        Return what to remember.

        :param uploaded: The URLs among them that Segmind has given to uploads.
        """
        whole = fingerprint(model, parameters)
        if len(parameters) > MOST_PARAMETERS or any(len(str(name)) > LONGEST_NAME for name in parameters):
            return cls(whole)
        given = {str(name): value for name, value in parameters.items() if value is not None}
        media = {name: _beginning_of_others(value, uploaded) for name, value in given.items() if _is_media(value)}
        return cls(whole, digests(given), media)

    def compare(self, model: str, shown: Mapping[str, Any]) -> Likeness:
        """
        Return how alike the inputs are that a row shows.

        A parameter that the row does not show says nothing, nor does one that was not sent: Segmind may list its
        defaults. An image that was not sent, or another image from the same place, makes it another request.
        """
        if fingerprint(model, shown) == self.fingerprint:
            return Likeness.SAME
        if not self.digests:
            return Likeness.OTHER
        given = {str(name): value for name, value in shown.items() if value is not None}
        found = digests(given)
        alike = all(self._may_be(name, value, found[name]) for name, value in given.items())
        return Likeness.AS_SHOWN if alike else Likeness.OTHER

    def _may_be(self, name: str, value: Any, digest: str) -> bool:
        if name not in self.digests:
            return not _is_media(value)
        if digest == self.digests[name]:
            return True
        others = self.media.get(name)
        if others is None:
            return False
        return not others or not any(text.startswith(others) for text in _texts(value))


def _is_media(value: Any) -> bool:
    return any(is_web_address(text) or text.startswith("data:") for text in _texts(value))


def _beginning_of_others(value: Any, uploaded: Set[str]) -> str:
    """
    Return how an address begins that can only be another input than this one.

    If Segmind shows another address in place of an image's, the file is on a host of Segmind: not on the host of
    the image, and not in the folder of the uploads.
    """
    address = next(filter(is_web_address, _texts(value)), None)
    if address is None:
        return ""
    if address in uploaded:
        return address.rpartition("/")[0] + "/"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/"


def _texts(value: Any, level: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif level < _DEEPEST and isinstance(value, (list, tuple, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part, level + 1)
