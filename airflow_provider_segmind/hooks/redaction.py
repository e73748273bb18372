r"""
Keeping secrets out of what is read and said.

A server that repeats the API key may write it in many ways, and a parser turns them into the key again: as JSON
(``\u0053G_``), as a percent-encoded URL, as HTML entities, in base64, or in UTF-16, which ``json.loads`` reads
too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import cached_property

MASK = "***"

_SHORTEST = 4
"""Characters of a secret, other than the key, that is looked for: shorter ones are in every text."""

_SIGNS_OF_ESCAPES = ("\\", "%", "&#")


class Redactor:
    """
    Takes secrets out of bodies and texts.

    :param key: The API key, which is taken out however it is written.
    :param others: Further secrets, which are taken out of texts as they are. Not of bodies: one that is a common
        word would break the JSON.
    """

    def __init__(self, key: str, others: Iterable[str] = ()) -> None:
        self._key = key
        self._others = sorted({other for other in others if len(other) >= _SHORTEST}, key=len, reverse=True)

    def redact_body(self, body: bytes) -> bytes:
        """Return a body without the key. Costs a pass of a regular expression only if escapes are in it."""
        for form in self._plain:
            body = body.replace(form.encode(), MASK.encode())
        if b"\0" in body:
            for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
                body = body.replace(self._key.encode(encoding), MASK.encode(encoding))
        if any(sign.encode() in body for sign in _SIGNS_OF_ESCAPES):
            body = self._escaped_bytes.sub(MASK.encode(), body)
        return body

    def redact_text(self, text: str) -> str:
        """Return a text without the key and the other secrets."""
        for form in (*self._plain, *self._others):
            text = text.replace(form, MASK)
        if any(sign in text for sign in _SIGNS_OF_ESCAPES):
            text = self._escaped.sub(MASK, text)
        return text

    @cached_property
    def _plain(self) -> tuple[str, ...]:
        return (self._key, *base64_forms(self._key))

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile("".join(map(_escapes_pattern, self._key)))

    @cached_property
    def _escaped_bytes(self) -> re.Pattern[bytes]:
        return re.compile(self._escaped.pattern.encode())


def base64_forms(text: str) -> tuple[str, ...]:
    """Return the base64 of a text wherever it stands in something longer, as far as that is certain."""
    forms = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text.encode()).decode().rstrip("=")
        # The first and last characters also hold bits of what stands before and after.
        first, last = (0, 2, 3)[before], None if (before + len(text.encode())) % 3 == 0 else -1
        form = encoded[first:last]
        if len(form) >= 2 * _SHORTEST:
            forms += [form, form.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(forms))


def _escapes_pattern(character: str) -> str:
    """Return a pattern for an ASCII character and its escapes in JSON, URLs, HTML and Python literals."""
    number = ord(character)
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:02x}")
    # Repetitions have bounds, so that no body can make the search take long.
    ways = [re.escape(character), rf"\\{{1,4}}(?:u00|x){digits}", f"%(?:25){{0,3}}{digits}"]
    ways += [f"&#0{{0,6}}{number};?", f"&#[xX]0{{0,6}}{digits};?"]
    if character in '"\\/':
        ways.insert(0, rf"\\{{1,4}}{re.escape(character)}")
    return f"(?:{'|'.join(ways)})"
