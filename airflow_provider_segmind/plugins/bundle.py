"""The scripts that run in a reader's browser, with Airflow's own React: one bundle for the tab and the page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.plugins.static_files import StaticFiles

NAME = "Segmind"
"""
Of the tab and of the page. Airflow keeps the component of a bundle under the name of its app, and both have the
same name, so one component serves both: ``segmind.js`` shows what fits the place.
"""

PREFIX = "/segmind-scripts"

_SCRIPTS = StaticFiles(files("airflow_provider_segmind.plugins") / "scripts")


def bundle_url() -> str:
    """
    Return the address of the script that Airflow imports.

    Before 3.3.2, Airflow adds no base path itself, and an address with one is right in every version.
    """
    base_path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{base_path}{PREFIX}/{_SCRIPTS.version}/segmind.js"


def describe_scripts() -> dict[str, Any]:
    """Return what Airflow has to know of the app that serves the scripts."""
    return {"app": _SCRIPTS, "url_prefix": PREFIX, "name": "Segmind scripts"}
