"""
Why a request FAILED, and whether the same request would fail again.

A FAILED request is not charged, and neither answer costs money: taking a lasting cause for a passing one uses up
retries, and taking a passing one for a lasting one fails a task that a retry would have helped. So a cause counts
only where it is named beyond doubt, and every other failure follows the task's retries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from airflow_provider_segmind.api.documents import read_json
from airflow_provider_segmind.api.errors import EXPLANATIONS, error_text
from airflow_provider_segmind.api.text import one_line
from airflow_provider_segmind.exceptions import (
    LONGEST_LINE,
    ContentBlockedError,
    RejectedInputError,
    RequestFailedError,
)


class Cause(NamedTuple):
    """
    A cause that lasts: with the same input, the request would fail again.

    :param words: Of a code, all of it; of a text, what is to be found in it.
    :param source: Who says so.
    """

    words: str
    error: type[RequestFailedError]
    source: str


_BLOCKED = r"(?<!not )\b(?:blocked|rejected|refused|flagged|disallowed|prohibited|violat(?:e|es|ed|ing|ions?))\b"
_POLICY = (
    r"\b(?:(?:safety|moderation)(?: polic(?:y|ies)| systems?| filters?| check(?:s|ers?)?| guidelines?| reasons?)"
    r"|moderation|(?:content|usage) (?:safety )?(?:polic(?:y|ies)|moderation|filters?|checkers?)"
    r"|responsible[ -]ai|rai)\b"
)
_BETWEEN = r"[^.;:!?]{0,60}"
"""What may be between the two: they belong together only within a sentence."""

CODES: tuple[Cause, ...] = (
    Cause(
        "content_policy_violation",
        ContentBlockedError,
        "seen at Segmind; a fixture of its client (1.3.0); fal's documentation of model errors",
    ),
    Cause("moderation", ContentBlockedError, "seen at Segmind"),
    Cause("safety", ContentBlockedError, "seen at Segmind"),
    Cause("image_too_large", RejectedInputError, "fal's documentation of model errors"),
)
"""Codes, as they stand alone in a field. Upper and lower case, and hyphens and underscores, are the same."""

TEXTS: tuple[Cause, ...] = (
    Cause(r"\bcontent[ _-]policy[ _-]violation\b", ContentBlockedError, "seen at Segmind, and as above"),
    Cause(
        rf"{_BLOCKED}{_BETWEEN}{_POLICY}|{_POLICY}{_BETWEEN}{_BLOCKED}",
        ContentBlockedError,
        "Segmind's page of Kling O1 (content and RAI blocks are FAILED); 'safety' and 'moderation' were seen; a "
        "fixture of its client has 'Content violates usage policy'",
    ),
    Cause(
        r"^(?:error: ?)?reference (?:media|images?|videos?) (?:(?:was|were|has been|have been) )?rejected\b",
        ContentBlockedError,
        "'Reference media rejected' was seen at Segmind among what moderation says",
    ),
    Cause(
        r"^(?:error: ?)?(?:invalid|unsupported) (?:input|parameters?|values?|image|video|media|file|duration"
        r"|resolution|aspect ratio|(?:image |video |media |file )?formats?)\b",
        RejectedInputError,
        "Segmind's documentation: what a 400 or 406 would refuse may be accepted, and be FAILED later",
    ),
)
"""What a text says beside what it quotes, in upper or lower case."""

PASSING = (
    r"time[ds]?[ -]?out|out of memory|overload|capacity|temporar|unavailable|internal (?:server )?error|network"
    r"|too many requests|rate limit|connection|download|fetch|try again (?:later|soon|in)\b"
)
"""What may pass, whatever else the text says: a checker that is overloaded has not checked anything."""

_CODE_FIELDS = ("code", "type", "error_code", "error_type", "error")
_LONGEST_CODE = 64
_MOST_PARTS = 10
_DEEPEST = 3
_SHORTEST_PROMPT = 12
"""Characters of a prompt that is looked for in a text. A shorter one may be a word of it, and names no cause."""

_PROMPT_BEGINS = 24
_QUOTED = re.compile(r'"[^"]*(?:"|$)|“[^”]*(?:”|$)|`[^`]*(?:`|$)|(?<!\w)\'.*?(?:\'(?!\w)|$)')
_ECHO = re.compile(
    r"(?<!invalid )(?<!unsupported )\b(?:prompt|input|text|caption|description)s?\W{0,3}[:=].*", re.IGNORECASE
)
_PASSING = re.compile(PASSING, re.IGNORECASE)
_TEXTS = tuple((re.compile(each.words, re.IGNORECASE), each.error) for each in TEXTS)
_CODES = {each.words: each.error for each in CODES}


def failed_error(body: Mapping[str, Any], request_id: str | None) -> RequestFailedError:
    """
    Return the error of a FAILED request.

    :param body: The answer that says so, or what the request history has of it under the same names.
    """
    words = error_text(body)
    error = _error_of_codes(body) or _error_of_text(words, body.get("prompt")) or RequestFailedError
    return error(words or "no explanation given", request_id=request_id)


def _error_of_codes(body: Mapping[str, Any]) -> type[RequestFailedError] | None:
    codes = (code for name in EXPLANATIONS for code in _find_codes(body.get(name), _DEEPEST))
    return next(filter(None, map(_CODES.get, codes)), None)


def _find_codes(part: object, levels: int) -> Iterator[str]:
    """Yield what may be a code: a short text that is all of an explanation, or in a field for codes within it."""
    if isinstance(part, str):
        part = part.strip()
        if len(part) <= _LONGEST_CODE:
            yield part.lower().replace("-", "_").replace(" ", "_")
        elif levels and len(part) <= LONGEST_LINE and part.startswith(("{", "[")):
            yield from _find_codes(_read_json(part), levels - 1)
    elif levels and isinstance(part, Mapping):
        for name in (*_CODE_FIELDS, *EXPLANATIONS):
            inner = part.get(name)
            if name in _CODE_FIELDS or not isinstance(inner, str):
                yield from _find_codes(inner, levels - 1)
    elif levels and isinstance(part, list):
        for each in part[:_MOST_PARTS]:
            yield from _find_codes(each if isinstance(each, Mapping) else None, levels - 1)


def _read_json(text: str) -> object:
    try:
        return read_json(text.encode())
    except ValueError:
        return None


def _error_of_text(text: str, prompt: object) -> type[RequestFailedError] | None:
    """Return what a text says. What it repeats of the input says nothing: a prompt may hold any words."""
    beginning = one_line(prompt)[:_PROMPT_BEGINS] if isinstance(prompt, str) else ""
    if len(beginning) >= _SHORTEST_PROMPT:
        text = text.partition(beginning)[0]  # its end may be cut, so that nothing after it is certain
    text = _ECHO.sub("", _QUOTED.sub("", text))
    if _PASSING.search(text):
        return None
    return next((error for pattern, error in _TEXTS if pattern.search(text)), None)
