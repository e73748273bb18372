"""
Making text from outside fit for a message and for one line of a log.

``one_line`` is in ``exceptions``, which imports nothing: every error cleans its detail with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_provider_segmind.exceptions import LONGEST_LINE, one_line

__all__ = ["LONGEST_LINE", "first_names", "one_line", "safe_repr", "safe_text", "without_login"]

_MOST_NAMES = 10
_LONGEST_NAME = 40
_HOST_AND_PORT = re.compile(r"[^:]*(:\d*)?")
_WORD = re.compile(r"\S+")
_AFTER_SLASHES = re.compile(r"//(?=([^/]*))")


def first_names(names: Iterable[str]) -> list[str]:
    """Return the first ten names, in order, fit for a message."""
    return [one_line(name, _LONGEST_NAME) for name in sorted(names)[:_MOST_NAMES]]


def safe_text(text: str) -> str:
    """Return a text as a message may quote it: on one line, bounded, without logins."""
    return one_line(without_login(text))


def safe_repr(text: str) -> str:
    """Return the same in quotes."""
    return repr(safe_text(text))


def without_login(text: str) -> str:
    """
    Return a text without the logins of the addresses in it.

    A password may have a slash or an @ in it. Where it cannot be known where a login ends, too much is hidden.
    """
    return _WORD.sub(lambda word: _word_without_login(word[0]), text) if "@" in text else text


def _word_without_login(word: str) -> str:
    last = word.rfind("@")
    for start in _AFTER_SLASHES.finditer(word, 0, last + 1):
        if _may_have_login(start[1]):
            return f"{word[: start.start(1)]}***{word[last:]}"
    return word


def _may_have_login(authority: str) -> bool:
    """Whether a login may begin here: there is an @, or a colon that is not that of a port."""
    return "@" in authority or not _HOST_AND_PORT.fullmatch(authority)
