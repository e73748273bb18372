"""
Reading a Python literal, as ``repr`` writes it, without running the compiler on what a host wrote.

``ast.literal_eval`` takes seconds and hundreds of megabytes for a megabyte of brackets, and warns about odd
strings. What ``repr`` writes of a JSON document differs from JSON in a few words alone, so it is rewritten as
JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_segmind.api.documents import Allowance, NotJsonError, TooMuchError, read_text

LONGEST_LITERAL = 512 * 1024
"""Characters. Prompts of text models have a fifth of it; no other thread runs while a regular expression looks."""

_WEIGHT_OF_A_WORD = 4
_WEIGHT_OF_AN_ESCAPE = 2
# The closing quote is optional: else a string without one would be searched for again at each quote in it.
_WORD = re.compile(
    r"""'(?:[^'\\]++|\\.)*+'? | "(?:[^"\\]++|\\.)*+"? | \b(?:None|True|False|nan|inf)\b | [()] | ,(?=\s*[\])}])""",
    re.DOTALL | re.VERBOSE,
)
_IN_JSON = {
    "None": "null",
    "True": "true",
    "False": "false",
    "nan": "NaN",
    "inf": "Infinity",
    "(": "[",
    ")": "]",
    ",": "",
}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL)
_ONE_CHARACTER = {
    "\n": "",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def read_literal(text: str, allowance: Allowance) -> Any:
    """
    Return the document of which a text is the Python literal, made portable; a tuple is a list.

    :raises ValueError: If it cannot be read.
    """
    if len(text) > LONGEST_LITERAL:
        raise TooMuchError("it is too long")
    most = allowance.left // _WEIGHT_OF_A_WORD
    allowance.take(_WEIGHT_OF_AN_ESCAPE * text.count("\\"))
    rewritten, words = _WORD.subn(_as_json, text, count=most + 1)
    if words > most:
        raise TooMuchError("it holds too many values")
    allowance.take(_WEIGHT_OF_A_WORD * words)
    return read_text(rewritten, allowance)


def _as_json(match: re.Match[str]) -> str:
    word = match[0]
    if word[0] not in "'\"":
        return _IN_JSON[word]
    if len(word) == 1 or word[-1] != word[0]:
        raise NotJsonError("a string has no end")
    inner = word[1:-1]
    return json.dumps(_ESCAPE.sub(_character, inner) if "\\" in inner else inner)


def _character(match: re.Match[str]) -> str:
    for digits, base in ((match[1], 16), (match[2], 16), (match[3], 16), (match[4], 8)):
        if digits:
            return _character_of(int(digits, base))
    return _ONE_CHARACTER.get(match[5], match[0])


def _character_of(code: int) -> str:
    if code > 0x10FFFF:
        raise NotJsonError("a character has no such number")
    return chr(code)
