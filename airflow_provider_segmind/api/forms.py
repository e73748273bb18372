"""
Reading what this provider wrote: the arguments of triggers, their events, and what it keeps in stores.

Another version of the provider may have written it, and it was stored in a database. So a key that this
version does not know is ignored, a missing one has its default, and a wrong one is an error. ``docs/upgrades.md``
has the rules for changing a form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.api.values import read_number
from airflow_provider_segmind.exceptions import LONGEST_REQUEST_ID, SegmindError

T = TypeVar("T")
D = TypeVar("D")

VERSION_KEY = "version"
FIRST_VERSION = 1
"""Of a form without the key."""

LONGEST_TEXT = 8192
LARGEST_NUMBER = 2.0e11
"""Seconds since the epoch, in the year 8307: Python has no dates for later moments, or for sums with them."""

LATEST_MOMENT = 4102444800.0
"""Seconds since the epoch: the year 2100. What was sent later than that is a misread number."""

LARGEST_COUNT = 10**9
LARGEST_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """
    What a value has to be.

    :param words: As in "must be a text".
    :param read: Returns the value; None if it is of another kind.
    """

    words: str
    read: Callable[[object], T | None]


class Form:
    """
    A document, read key by key.

    :param document: What was found where the form should be.
    :param problem: How an error begins, such as "the event cannot be read".
    :param version: The highest version that this code knows. A form of a higher one is read in the same way: a key
        that is still there means what it meant.
    :param may_submit: Whether a submit can follow from what is read. In a form of a higher version every key must
        be there then: the default of one that was dropped may be wrong, and a charge is too much for a guess.
    :ivar request_id: Of the form's key ``request_id``, fit for a message; None if it has none.
    :raises SegmindError: If the document is not an object, or its version is not a whole number from 1.
    """

    def __init__(self, document: object, problem: str, version: int, *, may_submit: bool = False) -> None:
        self._problem = problem
        self._known = self._version = version
        self.request_id: str | None = None
        if not isinstance(document, Mapping):
            raise self.error(f"it must be an object, not {_kind_of(document)}")
        self._document = document
        request_id = document.get("request_id")
        if isinstance(request_id, str):
            self.request_id = one_line(request_id, LONGEST_REQUEST_ID) or None
        self._version = self.optional(VERSION_KEY, COUNT, FIRST_VERSION)
        self._has_defaults = not may_submit or self._version <= version

    def __contains__(self, key: str) -> bool:
        return key in self._document

    def required(self, key: str, kind: Kind[T]) -> T:
        """
        Return the value of a key.

        :raises SegmindError: If it is missing, None, or of another kind.
        """
        value = self._document.get(key)
        if value is None:
            raise self.error(f"{key!r} is missing")
        found = kind.read(value)
        if found is None:
            raise self.error(f"{key!r} must be {kind.words}, not {_kind_of(value)}")
        return found

    def optional(self, key: str, kind: Kind[T], default: D) -> T | D:
        """
        Return the value of a key, or the default if it is missing or None.

        :raises SegmindError: If it is of another kind.
        """
        if self._document.get(key) is not None:
            return self.required(key, kind)
        if key not in self._document and key != VERSION_KEY and not self._has_defaults:
            raise self.error(f"{key!r} is missing")
        return default

    def nested(self, key: str, read: Callable[[object], T]) -> T:
        """
        Return the form that a key holds.

        :param read: Reads it.
        :raises SegmindError: If it is missing, or cannot be read.
        """
        document = self.required(key, MAPPING)
        try:
            return read(document)
        except SegmindError as error:
            raise self.error(f"{key!r}: {error.detail}") from error

    def error(self, what: str) -> SegmindError:
        """Return the error of a form that cannot be read, with its request."""
        newer = (
            f". It has version {self._version}, and this airflow-provider-segmind reads {self._known}: install "
            "the same release on workers and triggerers"
            if self._version > self._known
            else ""
        )
        return SegmindError(f"{self._problem}: {what}{newer}", request_id=self.request_id)


def _kind_of(value: object) -> str:
    """Return what a value is, for a message: the value may be long, and may be a secret in the wrong place."""
    return type(value).__name__


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def _read_word(value: object) -> str | None:
    # Of a subclass, such as an Enum, the text alone: Airflow cannot store it, and it cannot be interned.
    return str.__str__(value) if isinstance(value, str) and value and one_line(value) == value else None


def _read_number(value: object) -> float | None:
    return None if isinstance(value, str) else read_number(value, 0, LARGEST_NUMBER)


def _read_moment(value: object) -> float | None:
    number = _read_number(value)
    return number if number is not None and number <= LATEST_MOMENT else None


def _read_whole(value: object, least: int, most: int) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and least <= value <= most else None  # type: ignore[operator, return-value]


def _read_mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) else None


def _read_list(value: object, read: Callable[[object], T | None]) -> tuple[T, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    found = tuple(each for each in map(read, value) if each is not None)
    return found if len(found) == len(value) else None


def _read_texts_by_name(value: object) -> Mapping[str, str] | None:
    mapping = _read_mapping(value)
    if mapping is None or not all(isinstance(each, str) for each in mapping.values()):
        return None
    return dict(mapping)


TEXT: Kind[str] = Kind("a text", lambda value: str.__str__(value) if _is_text(value) else None)
WORD: Kind[str] = Kind("one line of text", _read_word)
FLAG: Kind[bool] = Kind("true or false", lambda value: value if isinstance(value, bool) else None)
REQUEST_ID: Kind[str] = Kind("the id of a request", read_request_id)
COUNT: Kind[int] = Kind("a whole number from 1", lambda value: _read_whole(value, 1, LARGEST_COUNT))
SIZE: Kind[int] = Kind("a whole number from 0", lambda value: _read_whole(value, 0, LARGEST_SIZE))
NUMBER: Kind[float] = Kind("a number from 0", _read_number)
DURATION: Kind[float] = Kind("a positive number of seconds", lambda value: _read_number(value) or None)
MOMENT: Kind[float] = Kind("seconds since the epoch", _read_moment)
MAPPING: Kind[Mapping[str, Any]] = Kind("an object", _read_mapping)
TEXTS: Kind[tuple[str, ...]] = Kind(
    "a list of texts", lambda value: _read_list(value, lambda each: each if isinstance(each, str) else None)
)
REQUEST_IDS: Kind[tuple[str, ...]] = Kind(
    "a list of the ids of requests", lambda value: _read_list(value, read_request_id)
)
MOMENTS: Kind[tuple[float, ...]] = Kind(
    "a list of seconds since the epoch", lambda value: _read_list(value, _read_moment)
)
TEXTS_BY_NAME: Kind[Mapping[str, str]] = Kind("texts by their names", _read_texts_by_name)
