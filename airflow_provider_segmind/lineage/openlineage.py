"""
What OpenLineage receives of a request: its images, the files that were stored, and a facet of the run.

Only the OpenLineage provider asks for it, so that this is only imported where that is installed (the extra
``[openlineage]``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage
from attr import define

from airflow_provider_segmind.api.checks import check_model
from airflow_provider_segmind.api.request_ids import read_request_id
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.lineage.delivered import Delivered

FACET = "segmind_request"
_ANY_NAME = ("file", "s3", "s3a", "gs", "gcs")
"""Schemes in which the name of a file may contain a question mark or a hash, and a query cannot follow."""

_WEB_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")


@define
class SegmindRequestRunFacet(RunFacet):
    """
    The request of a run.

    ``cost`` is in USD; ``queueTime``, ``inferenceTime`` and ``totalTime`` are in seconds. None where Segmind does
    not say. ``model`` is None in a sensor, which does not know it.
    """

    model: str | None
    requestId: str | None = None  # noqa: N815 - OpenLineage's way to write names
    cost: float | None = None
    queueTime: float | None = None  # noqa: N815
    inferenceTime: float | None = None  # noqa: N815
    totalTime: float | None = None  # noqa: N815


def lineage_of(
    model: object, images: Sequence[str], request_id: object, delivered: Delivered | None = None
) -> OperatorLineage[Any, Any]:
    """
    Return what a run takes, what it asks Segmind for, and what has come of it by now.

    :param model: The slug, or the id of a workflow. What cannot be one is left out: a template may render to
        anything, such as a secret.
    :param images: Where the images are, as the user gave them.
    :param request_id: None if it has not come to a request. What cannot be one is left out, too.
    :param delivered: None if nothing was delivered.
    """
    facet = SegmindRequestRunFacet(model=_slug(model), requestId=read_request_id(request_id))
    if delivered is not None:
        facet.cost = delivered.figure("cost")
        facet.queueTime = delivered.figure("queue_time")
        facet.inferenceTime = delivered.figure("inference_time")
        facet.totalTime = delivered.figure("total_time")
    named = dict.fromkeys(map(dataset_name, images))
    return OperatorLineage(
        inputs=[Dataset(*name) for name in named if name is not None],
        outputs=_outputs(delivered) if delivered is not None else [],
        run_facets={FACET: facet},
    )


def dataset_name(location: str) -> tuple[str, str] | None:
    """
    Return the namespace and the name of a file, by OpenLineage's rules for datasets.

    Logins, and queries, which may be signatures, are left out. None if the address has no host: that of
    ``https://user:pa/ss@host/`` would be taken for ``user``, and what is said of it for a part of the password.
    """
    scheme, mark, rest = location.partition("://")
    if not mark or location.startswith("/"):
        return "file", location
    scheme = scheme.lower()
    if scheme not in _ANY_NAME:
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    login_and_host, _, path = rest.partition("/")
    if scheme == "file":
        return "file", f"/{path}"
    host = login_and_host.rpartition("@")[2]
    if scheme in ("http", "https") and not _WEB_HOST.fullmatch(host):
        return None
    return f"{scheme}://{host}", path or "/"


def _slug(model: object) -> str | None:
    try:
        return check_model(model)
    except InvalidParameterError:
        return None


def _outputs(delivered: Delivered) -> list[OutputDataset]:
    """Return the stored files. What is not stored expires after seven days: as a dataset it would lead nowhere."""
    return [
        OutputDataset(
            *name,
            outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(size=each.size, fileCount=1)},
        )
        for each in delivered.stored
        if (name := dataset_name(each.path)) is not None
    ]
