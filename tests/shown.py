"""What a log may show of an error."""

from __future__ import annotations


def everything_shown(error: BaseException | None) -> str:
    """Return all that a log of this error, and of those behind it, may hold."""
    shown = ""
    while error is not None:
        shown += f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    return shown
