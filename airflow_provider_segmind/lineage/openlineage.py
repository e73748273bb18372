"""
What a request tells OpenLineage: the images it was made from, the files that came of it, and a facet of the run.

Only the OpenLineage provider asks for it, so that this is only imported where that is installed (the extra
``[openlineage]``).
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage
from attr import define

from airflow_provider_segmind.api.output import output_urls
from airflow_provider_segmind.exceptions import UnusableOutputError
from airflow_provider_segmind.lineage.delivered import Delivered

FACET = "segmind_request"


@define
class SegmindRequestRunFacet(RunFacet):
    """
    The request of a run.

    ``cost`` is in USD; ``queueTime``, ``inferenceTime`` and ``totalTime`` are in seconds. None where Segmind does
    not say.
    """

    model: str
    requestId: str  # noqa: N815 - OpenLineage's way to write names
    cost: float | None = None
    queueTime: float | None = None  # noqa: N815
    inferenceTime: float | None = None  # noqa: N815
    totalTime: float | None = None  # noqa: N815


def lineage_of(delivered: Delivered) -> OperatorLineage[Any, Any]:
    """Return what a request was made from and what came of it."""
    facet = SegmindRequestRunFacet(
        model=delivered.model,
        requestId=delivered.result.request_id,
        cost=delivered.figure("cost"),
        queueTime=delivered.figure("queue_time"),
        inferenceTime=delivered.figure("inference_time"),
        totalTime=delivered.figure("total_time"),
    )
    return OperatorLineage(
        inputs=[Dataset(*named(image)) for image in dict.fromkeys(delivered.images)],
        outputs=_outputs(delivered),
        run_facets={FACET: facet},
    )


def unfinished(model: str, request_id: str | None) -> OperatorLineage[Any, Any]:
    """Return what is known of a run that has failed: its request, if it came to one."""
    facets = {FACET: SegmindRequestRunFacet(model=model, requestId=request_id)} if request_id else {}
    return OperatorLineage(run_facets=facets)


def named(place: str) -> tuple[str, str]:
    """
    Return the namespace and the name of a file, by OpenLineage's rules for datasets.

    Logins, and queries, which may be signatures, are left out.
    """
    scheme, mark, rest = place.partition("://")
    if not mark:
        return "file", place
    if scheme in ("http", "https"):
        rest = rest.partition("?")[0].partition("#")[0]
    login_and_host, _, path = rest.partition("/")
    if scheme == "file":
        return "file", f"/{path}"
    return f"{scheme}://{login_and_host.rpartition('@')[2]}", path or "/"


def _outputs(delivered: Delivered) -> list[OutputDataset]:
    if delivered.stored:
        return [
            OutputDataset(
                *named(each.path),
                outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(size=each.size, fileCount=1)},
            )
            for each in delivered.stored
        ]
    try:
        return [OutputDataset(*named(url)) for url in output_urls(delivered.result)]
    except UnusableOutputError:  # a model that answers with text has no file
        return []
