"""The platform API: the request history, the list of generations and the public model catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator import errors
from airflow_provider_segmind.emulator.answers import Answer, json_answer
from airflow_provider_segmind.emulator.jobs import COMPLETED, FAILED
from airflow_provider_segmind.emulator.platform_rows import (
    generation_rows,
    history_rows,
    is_callers,
    listed_jobs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.emulator.serving import Call

_STATUSES = (COMPLETED, FAILED, "PENDING")
_SORT_KEYS = ("model_created", "model_name", "credits_deduction")
_DEFAULT_DAYS = 7
_MOST_DAYS = 31
_GENERATIONS_PER_PAGE = 20
_CATALOGUE_TITLE = "Inference Segmind Model Information List With Details"


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


@dataclass(frozen=True, slots=True)
class GenerationsQuery:
    """The filters of a list of generations. Raises ValueError for any that the API does not allow."""

    page: int
    model_name: str
    start_date: date
    end_date: date

    @classmethod
    def read(cls, query: Mapping[str, str]) -> GenerationsQuery:
        """Read the query string; without dates, the list goes back to the beginning."""
        read = cls(
            page=int(query.get("page", "1")),
            model_name=query.get("model_name", ""),
            start_date=date.fromisoformat(query.get("start_date", str(date.min))),
            end_date=date.fromisoformat(query.get("end_date", str(date.max))),
        )
        if read.page < 1 or read.start_date > read.end_date:
            raise ValueError("page must be at least 1, and end_date not before start_date")
        return read

    def admits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row passes the filters."""
        created_on = datetime.fromisoformat(row["created_at"]).date()
        return self.start_date <= created_on <= self.end_date and self.model_name in ("", row["model_name"])


async def history(call: Call) -> Answer:
    """`GET /inference-request/request-history`: one row per output, failed and unfinished requests included."""
    try:
        query = HistoryQuery.read(call.request.query, datetime.fromtimestamp(call.state.clock.now(), UTC).date())
    except ValueError as problem:
        return errors.error(400, str(problem))
    rows = []
    for job in listed_jobs(call):
        created_on = datetime.fromtimestamp(job.accepted_at, UTC).date()
        rows += [row for row in history_rows(call, job) if query.admits(row, created_on)]
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
    """`GET /inference-request/request-history/{id}`: one row of the caller's own."""
    job = call.state.jobs.get(call.request_id or "")
    rows = history_rows(call, job) if job is not None and is_callers(call, job) else []
    return json_answer(rows[0]) if rows else errors.not_found("history_item")


async def generations(call: Call) -> Answer:
    """`GET /inference-request/generations`: one row per output, the newest first, without failures."""
    try:
        query = GenerationsQuery.read(call.request.query)
    except ValueError as problem:
        return errors.error(400, str(problem))
    rows = [row for job in listed_jobs(call) for row in generation_rows(call, job) if query.admits(row)]
    rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
    start = (query.page - 1) * _GENERATIONS_PER_PAGE
    shown = rows[start : start + _GENERATIONS_PER_PAGE]
    return json_answer({"generations": shown, "total": len(rows), "page": query.page})


async def catalogue(call: Call) -> Answer:
    """`GET /inference-model-information/list`: every model, for anyone."""
    world = call.state.world
    models = [model.catalogue_entry(world.catalogue_parameters) for model in call.state.models.values()]
    key = {"models": "models", "details": _CATALOGUE_TITLE}.get(world.catalogue_key)
    return json_answer(models if key is None else {key: models})
