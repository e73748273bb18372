"""
The tab "Segmind" on the page of a task instance, for Airflow 3.1 and later. docs/browser.md shows it.

Its scripts, in ``tab/``, run in the reader's browser with Airflow's own React. They read Airflow's public REST API
with the reader's own permissions: nothing here reads a task's data, and no server does on a reader's behalf.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_segmind.compat import AirflowPlugin, can_scope_tabs, can_show_tabs, conf
from airflow_provider_segmind.plugins.static_files import StaticFiles

SECTION, OPTION = "segmind", "output_tab"
PREFIX = "/segmind-tab"
OPERATORS = (
    "KlingImageToVideoOperator",
    "SegmindInferenceOperator",
    "SegmindPixelFlowOperator",
    "SegmindRequestSensor",
    "SegmindSyncInferenceOperator",
    "@task.segmind",
)
"""Names of the operators whose tasks have the tab from Airflow 3.4 on, as Airflow shows them."""

_SCRIPTS = StaticFiles(files("airflow_provider_segmind.plugins") / "tab")


def is_wanted() -> bool:
    """
    Whether to show the tab: as ``[segmind] output_tab`` says.

    If it is empty: from Airflow 3.4 on. Before, the tab would be on the page of every task of every provider.
    """
    if not can_show_tabs():
        return False
    if not conf.get(SECTION, OPTION, fallback=""):
        return can_scope_tabs()
    return bool(conf.getboolean(SECTION, OPTION))


def describe_tab() -> dict[str, Any]:
    """Return what Airflow has to know of the tab."""
    # Before 3.3.2, Airflow adds no base path itself, and an address with one is right in every version.
    base_path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    tab: dict[str, Any] = {
        "name": "Segmind",
        "bundle_url": f"{base_path}{PREFIX}/{_SCRIPTS.version}/tab.js",
        "destination": "task_instance",
        "url_route": "segmind",
    }
    if can_scope_tabs():
        tab["applies_to"] = {"operator_name": list(OPERATORS)}
    return tab


_IS_WANTED = is_wanted()


class SegmindPlugin(AirflowPlugin):
    """What Airflow loads by the entry point ``airflow.plugins``."""

    name = "segmind"
    react_apps = [describe_tab()] if _IS_WANTED else []
    fastapi_apps = [{"app": _SCRIPTS, "url_prefix": PREFIX, "name": "Segmind tab"}] if _IS_WANTED else []
