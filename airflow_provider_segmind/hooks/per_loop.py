"""What belongs to one event loop: sockets, locks and futures cannot be used on another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """
    One value for each running event loop, forgotten when the loop is closed.

    :param make: Makes the value of a loop that is new.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[asyncio.AbstractEventLoop, T] = {}

    def here(self) -> T:
        """Return the value of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._values:
            self._values = {other: value for other, value in self._values.items() if not other.is_closed()}
            self._values[loop] = self._make()
        return self._values[loop]
