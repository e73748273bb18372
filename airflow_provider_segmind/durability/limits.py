"""
Whether anything limits what a task may cost.

It is apart from ``spending``, which counts: most tasks have no limit, and need not import what counts.
"""

from __future__ import annotations

from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.durability.backends import SECTION

RUN_OPTION = "max_cost_per_run"

LONGEST_RESERVATION = 30.0
"""Seconds from the time by which a submit is named to its intent. What takes longer gives up: nothing was sent."""


def is_limited(max_cost: float | None, max_cost_per_run: float | None) -> bool:
    """Return whether a task has a limit, or may have one: an option that cannot be read may be one."""
    if max_cost is not None or max_cost_per_run is not None:
        return True
    try:
        return bool(run_option())
    except Exception:  # noqa: BLE001 - what looks at the limit raises it, or logs it once a request is paid for
        return True


def run_option() -> str:
    """Return what the option ``[segmind] max_cost_per_run`` says; empty if it is not set."""
    return (conf.get(SECTION, RUN_OPTION, fallback="") or "").strip()
