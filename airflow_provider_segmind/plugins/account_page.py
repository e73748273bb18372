"""
The page "Segmind" in Airflow's navigation, for Airflow 3.1 and later. docs/browser.md shows it.

Its scripts read the account through ``account/``, the one part of this plugin that runs on the server.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.compat import can_show_apps, conf
from airflow_provider_segmind.plugins.bundle import NAME, bundle_url
from airflow_provider_segmind.plugins.lazy_app import LazyApp

SECTION, OPTION = "segmind", "account_page"
PREFIX = "/segmind-account"


def is_wanted() -> bool:
    """Whether to show the page: unless ``[segmind] account_page`` is False."""
    return can_show_apps() and bool(conf.getboolean(SECTION, OPTION, fallback=True))


def describe_page() -> dict[str, Any]:
    """Return what Airflow has to know of the page."""
    return {"name": NAME, "bundle_url": bundle_url(), "destination": "nav", "url_route": "segmind-account"}


def describe_api() -> dict[str, Any]:
    """Return what Airflow has to know of the app that answers the page."""
    return {"app": LazyApp(_make_api), "url_prefix": PREFIX, "name": "Segmind account"}


def _make_api() -> Any:
    from airflow_provider_segmind.account.web import make_app  # FastAPI and the hook: for the API server alone

    return make_app()
