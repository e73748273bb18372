"""What Airflow loads by the entry point ``airflow.plugins``: in every process, so it imports little."""

from __future__ import annotations

from airflow_provider_segmind.compat import AirflowPlugin
from airflow_provider_segmind.plugins import account_page, output_tab
from airflow_provider_segmind.plugins.bundle import describe_scripts

_HAS_TAB, _HAS_PAGE = output_tab.is_wanted(), account_page.is_wanted()
_TAB = [output_tab.describe_tab()] if _HAS_TAB else []
_PAGE = [account_page.describe_page()] if _HAS_PAGE else []
_SCRIPTS = [describe_scripts()] if _HAS_TAB or _HAS_PAGE else []
_API = [account_page.describe_api()] if _HAS_PAGE else []


class SegmindPlugin(AirflowPlugin):
    """The tab on a task's page, and the page in the navigation."""

    name = "segmind"
    react_apps = _TAB + _PAGE
    fastapi_apps = _SCRIPTS + _API
