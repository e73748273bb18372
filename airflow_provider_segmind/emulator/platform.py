"""The platform API: the account's request history and the public model catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator import errors
from airflow_provider_segmind.emulator.answers import Answer, json_answer
from airflow_provider_segmind.emulator.clock import utc_iso
from airflow_provider_segmind.emulator.jobs import COMPLETED, FAILED, Job
from airflow_provider_segmind.emulator.results import output_urls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.emulator.serving import Call

_STATUSES = (COMPLETED, FAILED, "PENDING")
_SORT_KEYS = ("model_created", "model_name", "credits_deduction")
_DEFAULT_DAYS = 7
_MOST_DAYS = 31


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The filters of a history request. Raises ValueError for any that the API does not allow."""

    page: int
    per_page: int
    from_date: date
    to_date: date
    model_name: str
    status: str
    sort_by: str
    descending: bool

    @classmethod
    def read(cls, query: Mapping[str, str], today: date) -> HistoryQuery:
        """Read the query string; missing filters take the documented defaults."""
        to_date = date.fromisoformat(query["to_date"]) if "to_date" in query else today
        from_date = (
            date.fromisoformat(query["from_date"])
            if "from_date" in query
            else to_date - timedelta(days=_DEFAULT_DAYS)
        )
        read = cls(
            page=int(query.get("page", "1")),
            per_page=int(query.get("per_page", "20")),
            from_date=from_date,
            to_date=to_date,
            model_name=query.get("model_name", ""),
            status=query.get("status", ""),
            sort_by=query.get("sort_by", "model_created"),
            descending=query.get("sort_order", "desc") == "desc",
        )
        read._check(query.get("sort_order", "desc"))
        return read

    def _check(self, sort_order: str) -> None:
        if self.page < 1 or not 1 <= self.per_page <= 100:
            raise ValueError("page must be at least 1 and per_page between 1 and 100")
        if not timedelta(0) <= self.to_date - self.from_date <= timedelta(days=_MOST_DAYS):
            raise ValueError(f"from_date to to_date may span at most {_MOST_DAYS} days")
        if self.status not in ("", *_STATUSES):
            raise ValueError(f"status must be one of {', '.join(_STATUSES)}")
        if self.sort_by not in _SORT_KEYS or sort_order not in ("asc", "desc"):
            raise ValueError("unsupported sort_by or sort_order")

    def admits(self, row: Mapping[str, Any], accepted_on: date) -> bool:
        """Whether a row passes the filters."""
        return (
            self.from_date <= accepted_on <= self.to_date
            and self.model_name in row["model_name"]
            and self.status in ("", row["model_status"])
        )


async def history(call: Call) -> Answer:
    """`GET /inference-request/request-history`: rows of the whole account, one per output."""
    as_of = _as_of(call)
    try:
        query = HistoryQuery.read(call.request.query, datetime.fromtimestamp(as_of, UTC).date())
    except ValueError as problem:
        return errors.error(400, str(problem))
    rows = []
    for job in call.state.jobs:
        if job.accepted_at <= as_of:
            accepted_on = datetime.fromtimestamp(job.accepted_at, UTC).date()
            rows += [row for row in _rows(call, job, as_of) if query.admits(row, accepted_on)]
    rows.sort(key=lambda row: row[query.sort_by], reverse=query.descending)
    start = (query.page - 1) * query.per_page
    return json_answer(
        {
            "data": rows[start : start + query.per_page],
            "page": query.page,
            "per_page": query.per_page,
            "total": len(rows),
            "total_pages": -(-len(rows) // query.per_page),
        }
    )


async def history_item(call: Call) -> Answer:
    """`GET /inference-request/request-history/{id}`: one row of any age."""
    as_of = _as_of(call)
    job = call.state.jobs.get(call.request_id or "")
    if job is None or job.accepted_at > as_of:
        return errors.not_found("history_item")
    return json_answer(_rows(call, job, as_of)[0])


async def catalogue(call: Call) -> Answer:
    """`GET /inference-model-information/list`: every model, for anyone."""
    return json_answer({"models": [model.catalogue_entry() for model in call.state.models.values()]})


def _as_of(call: Call) -> float:
    return call.state.clock.now() - call.state.settings.history_lag


def _rows(call: Call, job: Job, as_of: float) -> list[dict[str, Any]]:
    state = job.state(as_of)
    status = state if state in (COMPLETED, FAILED) else "PENDING"
    urls: list[str | None] = [None]
    if status == COMPLETED:
        urls = [*output_urls(job, call.base)] or [None]
    sent = dict(job.sent)
    literal = call.state.settings.history_bodies == "literal"
    over = status != "PENDING"
    return [
        {
            "request_id": job.request_id,
            "model_name": job.model.slug,
            "model_status": status,
            "credits_deduction": job.cost if status == COMPLETED else 0.0,
            "request_body": repr(sent) if literal else json.dumps(sent),
            "generation_url": url,
            "latency_ms": round((job.finishes_at - job.accepted_at) * 1000) if over else None,
            "model_created": utc_iso(job.accepted_at),
            "model_updated": utc_iso(job.finishes_at if over else job.accepted_at),
            "error": job.error if status == FAILED else None,
        }
        for url in urls
    ]
