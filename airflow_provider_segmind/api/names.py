"""Which known name a person may have meant."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 100
_LEAST_ALIKE = 0.6


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; None if none is."""
    import difflib  # only where a name is wrong

    plain = {_plain(each): each for each in known}
    alike = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_LEAST_ALIKE)
    return plain[alike[0]] if alike else None


def _plain(name: str) -> str:
    return name[:_LONGEST].lower().replace("-", "_")
