"""
The tab "Segmind" on the page of a task instance, for Airflow 3.1 and later. docs/browser.md shows it.

Its scripts run in the reader's browser. They read Airflow's public REST API with the reader's own permissions:
nothing here reads a task's data, and no server does on a reader's behalf.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.compat import can_scope_tabs, can_show_apps, conf
from airflow_provider_segmind.plugins.bundle import NAME, bundle_url

SECTION, OPTION = "segmind", "output_tab"
OPERATORS = (
    "KlingImageToVideoOperator",
    "SegmindInferenceOperator",
    "SegmindPixelFlowOperator",
    "SegmindRequestSensor",
    "SegmindSyncInferenceOperator",
    "@task.segmind",
)
"""Names of the operators whose tasks have the tab from Airflow 3.4 on, as Airflow shows them."""


def is_wanted() -> bool:
    """
    Whether to show the tab: as ``[segmind] output_tab`` says.

    If it is empty: from Airflow 3.4 on. Before, the tab would be on the page of every task of every provider.
    """
    if not can_show_apps():
        return False
    if not conf.get(SECTION, OPTION, fallback=""):
        return can_scope_tabs()
    return bool(conf.getboolean(SECTION, OPTION))


def describe_tab() -> dict[str, Any]:
    """Return what Airflow has to know of the tab."""
    tab: dict[str, Any] = {
        "name": NAME,
        "bundle_url": bundle_url(),
        "destination": "task_instance",
        "url_route": "segmind",
    }
    if can_scope_tabs():
        tab["applies_to"] = {"operator_name": list(OPERATORS)}
    return tab
