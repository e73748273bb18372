"""Which API keys the emulator accepts."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORM = re.compile(r"SG_[0-9a-fA-F]{16}")


class KeyVerdict(StrEnum):
    """What is to be said of the credentials of a request."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    REJECTED = "rejected"


class Keys:
    """Accepts any key of Segmind's form, or only those of an allow list; single keys can be revoked."""

    def __init__(self, allowed: Iterable[str] | None = None, always: Iterable[str] = ()) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        self._always = frozenset(always)
        self._revoked: set[str] = set()

    def judge(self, headers: Mapping[str, str]) -> KeyVerdict:
        """Judge the `x-api-key` header. A bearer token counts for nothing."""
        key = headers.get("x-api-key", "")
        if not key:
            return KeyVerdict.MISSING
        if not _FORM.fullmatch(key) or key in self._revoked:
            return KeyVerdict.REJECTED
        if self._allowed is not None and key not in self._allowed | self._always:
            return KeyVerdict.REJECTED
        return KeyVerdict.ACCEPTED

    def revoke(self, key: str) -> None:
        """Refuse this key from now on."""
        self._revoked.add(key)

    def restore(self, key: str) -> None:
        """Take a revocation back."""
        self._revoked.discard(key)

    def report(self) -> dict[str, object]:
        """What `GET /__emulator__/keys` shows: full keys never leave the emulator."""
        return {
            "allowed": "any" if self._allowed is None else sorted(f"…{key[-4:]}" for key in self._allowed),
            "revoked": sorted(f"…{key[-4:]}" for key in self._revoked),
        }
