"""Waits of triggers: the hook of the triggerer is imported without holding up its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.hooks.driving import drive_on_loop
from airflow_provider_segmind.hooks.per_loop import PerLoop

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook


async def drive_async(
    begin: Callable[[SegmindAsyncHook], Generator[Any, Any, Any]],
    segmind_conn_id: str,
    warn: Callable[[str], object],
) -> Any:
    """
    Do what the steps of a generator of ``api`` say until they end, and return what they return.

    :param begin: Returns the steps.
    :param warn: Is called with each remark that is worth a line in the log.
    """
    async with await load_async_hook(segmind_conn_id) as hook:
        return await drive_on_loop(begin(hook), hook, warn)


async def load_async_hook(segmind_conn_id: str) -> SegmindAsyncHook:
    """
    Import the hook of the triggerer, and return one.

    Its modules are imported in a thread: the event loop would stand still for 0.2 s. Once, though a thousand
    triggers may start together, as what all of them need at once stays with the process.
    """
    global _hook_class
    if _hook_class is None:
        async with _importing.here():
            if _hook_class is None:
                _hook_class = await asyncio.to_thread(_import_hook_class)
    return _hook_class(segmind_conn_id)


_hook_class: type[SegmindAsyncHook] | None = None
_importing: PerLoop[asyncio.Lock] = PerLoop(asyncio.Lock)


def _import_hook_class() -> type[SegmindAsyncHook]:
    import airflow_provider_segmind.hooks.nonblocking  # noqa: F401 - what the hook needs first is imported here, too
    from airflow_provider_segmind.hooks.segmind import SegmindAsyncHook

    return SegmindAsyncHook
