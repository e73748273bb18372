"""The hook of a task, which is loaded when the task runs: parsing a DAG needs no transport."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_segmind.hooks.segmind import SegmindHook


class WithSegmindHook:
    """A base class of this provider's tasks. Each of them has a ``segmind_conn_id``."""

    segmind_conn_id: Any

    @cached_property
    def hook(self) -> SegmindHook:
        """The hook for this task's connection."""
        from airflow_provider_segmind.hooks.segmind import SegmindHook

        return SegmindHook(self.segmind_conn_id)
