"""
The links on a task's page: to its output, and to the public page of its model.

Airflow 3 asks for them in the worker, when the task is deferred and when it ends, and keeps them as XComs. Airflow
2.11 asks each time that somebody opens the page, in the web server, where the operator is what was serialized.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.api.checks import check_model
from airflow_provider_segmind.compat import BaseOperatorLink, rendered_argument, xcom_of
from airflow_provider_segmind.exceptions import InvalidParameterError, OutputRefusedError

NO_LINK = ""
"""Airflow shows a disabled button. It would show None as text."""

MODEL_PAGE = "https://www.segmind.com/models/"


class SegmindOutputLink(BaseOperatorLink):
    """
    Leads to the video, image or other file that a task has made; of several, to the first.

    A task that failed after it had paid has one, too. Segmind deletes the file after seven days. Text has no link,
    and neither has a file of which only the stored path is known.
    """

    @property
    def name(self) -> str:
        """The words on the button."""
        return "Segmind output"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, which is https, or http on a loopback address; an empty text if there is none."""
        files = _summary(ti_key).get("files")
        first = files[0] if isinstance(files, list) and files else None
        return openable(first.get("url") if isinstance(first, dict) else None)


class SegmindModelLink(BaseOperatorLink):
    """Leads to the public page of a task's model, also while the task waits."""

    model: ClassVar[str | None] = None
    """The slug, if all tasks of an operator have the same."""

    @property
    def name(self) -> str:
        """The words on the button."""
        return "Segmind model"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; an empty text if the model is not known (yet)."""
        model = self.model or rendered_argument(operator, ti_key, "model") or _summary(ti_key).get("model")
        return model_page(model)


class KlingModelLink(SegmindModelLink):
    """Leads to the public page of Kling O1."""

    model = kling.MODEL


def model_page(model: object) -> str:
    """Return the address of a model's public page; an empty text if this cannot be a model."""
    try:
        return MODEL_PAGE + check_model(model)
    except InvalidParameterError:
        return NO_LINK


def openable(url: object) -> str:
    """
    Return an address if a browser may open it, in the form that every parser reads alike; else an empty text.

    XComs are untrusted: a model, a proxy or another task may have written ``javascript:`` or a login into one. The
    reader's browser follows a link, not Airflow: any https host, and plain http only on the same machine.
    """
    from airflow_provider_segmind.api.media_url import MediaRules  # parsing a DAG needs none of these
    from airflow_provider_segmind.api.web_address import LONGEST_ADDRESS
    from airflow_provider_segmind.lineage.summary import CUT

    if not isinstance(url, str) or len(url) > LONGEST_ADDRESS or url.endswith(CUT):
        return NO_LINK
    try:
        return MediaRules(loopback=True, private=True).check_url(url)
    except OutputRefusedError:
        return NO_LINK


def _summary(ti_key: Any) -> dict[str, Any]:
    from airflow_provider_segmind.lineage.summary import SUMMARY_KEY

    summary = xcom_of(ti_key, SUMMARY_KEY)
    return summary if isinstance(summary, dict) else {}
