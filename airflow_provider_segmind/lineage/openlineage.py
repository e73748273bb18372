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

from airflow_provider_segmind.lineage.delivered import Delivered

FACET = "segmind_request"
_ANY_NAME = ("file", "s3", "s3a", "gs", "gcs")
"""Schemes in which the name of a file may contain a question mark or a hash, and a query cannot follow."""


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
    model: str | None, images: Sequence[str], request_id: str | None, delivered: Delivered | None
) -> OperatorLineage[Any, Any]:
    """
    Return what a run took, what it asked Segmind for, and what came of it.

    :param images: Where the images are, as the user gave them.
    :param request_id: None if it did not come to a request.
    :param delivered: None if nothing was delivered.
    """
    facet = SegmindRequestRunFacet(model=model, requestId=request_id or None)
    if delivered is not None:
        facet.cost = delivered.figure("cost")
        facet.queueTime = delivered.figure("queue_time")
        facet.inferenceTime = delivered.figure("inference_time")
        facet.totalTime = delivered.figure("total_time")
    return OperatorLineage(
        inputs=[Dataset(*dataset_name(image)) for image in dict.fromkeys(images)],
        outputs=_outputs(delivered) if delivered is not None else [],
        run_facets={FACET: facet},
    )


def dataset_name(location: str) -> tuple[str, str]:
    """
    Return the namespace and the name of a file, by OpenLineage's rules for datasets.

    Logins, and queries, which may be signatures, are left out.
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
    return f"{scheme}://{login_and_host.rpartition('@')[2]}", path or "/"


def _outputs(delivered: Delivered) -> list[OutputDataset]:
    """Return the stored files. What is not stored expires after seven days: as a dataset it would lead nowhere."""
    return [
        OutputDataset(
            *dataset_name(each.path),
            outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(size=each.size, fileCount=1)},
        )
        for each in delivered.stored
    ]
