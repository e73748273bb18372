"""
Reading JSON that a host wrote, at a bounded cost.

``json.loads`` takes a third of a second for a megabyte of objects, during which no other thread runs. So a text is
weighed before it is parsed, by counting marks, which takes milliseconds. What cannot be parsed whole, because of a
number of thousands of digits or a part that is nested too deep, is parsed in parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from airflow_provider_segmind.api.portable import DEEPEST, TooDeepError, make_portable

JSON_LIMIT = 64 * 1024
"""
Bytes that are read of an answer without an output or a list in it, and of what an answer says went wrong: far
above any real one, and parsed within milliseconds.
"""

MOST_WEIGHT = 400_000
"""
Of one answer. A number, a text or null weighs about 1, a list about 4, an object 5: it takes 0.1 s at most. The
largest answers of real models, with thousands of timed words or numbers, are below.
"""

MOST_PARTS = 1000
_MOST_MARKS = 500_000
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NEXT_MARK = re.compile(r'[^\[\]{},"]*+(?:"(?:[^"\\]++|\\.)*+"?[^\[\]{},"]*+)*+([\[\]{},])', re.DOTALL)
_MEMBER = re.compile(r'\s*("(?:[^"\\]++|\\.)*+")\s*:(.*)', re.DOTALL)
_BEGUN_STRING = re.compile(r'"(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class NotJsonError(ValueError):
    """A text is not JSON."""


class TooMuchError(ValueError):
    """A text holds more than may be read."""


class Allowance:
    """
    What may still be read of one answer, the texts within it included.

    :ivar left: The weight that is left.
    """

    def __init__(self, weight: int = MOST_WEIGHT) -> None:
        self.left = weight

    def take(self, weight: int) -> None:
        """
        Take note of something that was read.

        :raises TooMuchError: If it was more than was left.
        """
        if weight > self.left:
            raise TooMuchError("it holds too many values")
        self.left -= weight


class _Parts(NamedTuple):
    opening: str
    texts: list[str]
    ended: bool


def read_json(body: bytes, allowance: Allowance | None = None) -> Any:
    """
    Return the document that a body is, made portable.

    Where it cannot be parsed whole, each part is tried alone, down to the members of a list in an object: those
    that cannot be read are None.

    :param allowance: How much may be read of it; by default ``MOST_WEIGHT``.
    :raises ValueError: If it cannot be read.
    """
    return _read_in_parts(_decode(body), allowance or Allowance(), levels=2)


def read_text(text: str, allowance: Allowance) -> Any:
    """
    Return the document that a text is, made portable.

    :raises ValueError: If it cannot be read.
    """
    weight = weigh(text, allowance.left)
    try:
        document = make_portable(json.loads(text))
    except json.JSONDecodeError as error:
        raise NotJsonError(str(error)) from None
    allowance.take(weight)
    return document


def read_beginning(body: bytes, *, begun_texts: bool = False) -> dict[str, Any]:
    """
    Return the members of an object of which only the beginning is there, without those that cannot be read.

    :param begun_texts: Whether a text that is cut counts, too.
    """
    return _read_begun_object(_decode(body[:JSON_LIMIT]), Allowance(), begun_texts, levels=2)


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "replace").removeprefix("\ufeff")


def weigh(text: str, most: int) -> int:
    """
    Return the weight of a JSON text.

    :raises ValueError: If it is more than ``most``, or if the text has too many levels.
    """
    # What is within strings does not count: the text of a language model may be full of brackets.
    outside, strings = _STRING.subn("", text, count=most + 1)
    brackets = outside.count("[") + outside.count("{")
    weight = 1 + outside.count(",") + outside.count(":") + 3 * brackets
    if strings > most or weight > most:
        raise TooMuchError("it holds too many values")
    if brackets > DEEPEST:
        _check_levels(outside)
    return weight


def _check_levels(outside: str) -> None:
    brackets = outside.encode("ascii", "ignore").translate(_AS_LISTS, _NO_BRACKETS)
    for _ in range(DEEPEST + 1):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise TooDeepError("it has too many levels, or brackets that do not match")


def _read_in_parts(text: str, allowance: Allowance, levels: int) -> Any:
    try:
        return read_text(text, allowance)
    except ValueError:
        parts = _split(text) if levels else None
        if parts is None or not parts.ended:
            raise
    if parts.opening == "[":
        return [_read_or_none(part, allowance) for part in parts.texts]
    return dict(_read_member(part, allowance, levels - 1) for part in parts.texts)


def _read_or_none(text: str, allowance: Allowance) -> Any:
    try:
        return read_text(text, allowance)
    except ValueError:
        return None


def _read_member(text: str, allowance: Allowance, levels: int) -> tuple[str, Any]:
    match = _MEMBER.fullmatch(text)
    if match is None:
        raise NotJsonError("a member of an object has no name")
    name = str(read_text(match[1], allowance))
    try:
        return name, _read_in_parts(match[2], allowance, levels)
    except NotJsonError:
        raise
    except ValueError:  # it is JSON, but too deep or too much
        return name, None


def _split(text: str) -> _Parts | None:
    """Return the texts of what a list or an object holds; None if it is neither, or holds too much."""
    texts: list[str] = []
    opening, begin, level = "", 0, 0
    for count, (at, mark) in enumerate(_find_marks(text)):
        if count > _MOST_MARKS or len(texts) > MOST_PARTS:
            return None
        if level == 0:
            if mark not in "[{" or text[:at].strip():
                return None
            opening, begin, level = mark, at + 1, 1
        elif mark in "[{":
            level += 1
        elif level > 1:
            level -= mark != ","
        else:
            texts.append(text[begin:at])
            begin = at + 1
            if mark != ",":
                return None if text[begin:].strip() else _Parts(opening, _without_blank(texts), ended=True)
    return _Parts(opening, _without_blank([*texts, text[begin:]]), ended=False) if opening else None


def _find_marks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the brackets and commas outside of strings, and where they are."""
    at = 0
    # Not finditer: after the last mark it would begin again at each character that is left.
    while match := _NEXT_MARK.match(text, at):
        yield match.start(1), match[1]
        at = match.end()


def _without_blank(texts: list[str]) -> list[str]:
    return texts if len(texts) > 1 or texts[0].strip() else []


def _read_begun_object(text: str, allowance: Allowance, begun_texts: bool, levels: int) -> dict[str, Any]:
    parts = _split(text)
    if parts is None or parts.opening != "{":
        return {}
    members: dict[str, Any] = {}
    for number, part in enumerate(parts.texts, 1):
        cut = not parts.ended and number == len(parts.texts)
        match = _MEMBER.fullmatch(part)
        if match is None or (cut and not match[2].lstrip().startswith(('"', "{"))):
            continue  # a number may be longer than it looks
        try:
            name = str(read_text(match[1], allowance))
            if cut and begun_texts:
                members[name] = _read_begun_value(match[2].strip(), allowance, levels)
            else:
                members[name] = read_text(match[2], allowance)
        except ValueError:
            continue
    return members


def _read_begun_value(value: str, allowance: Allowance, levels: int) -> Any:
    """
    Return as much as there is of a text that is cut, or of an object with one.

    :raises ValueError: If it cannot be read.
    """
    if value.startswith("{"):
        return _read_begun_object(value, allowance, begun_texts=True, levels=levels - 1) if levels else None
    match = _BEGUN_STRING.match(value)
    return read_text(f'{match[0]}"', allowance) if match else None
