"""What the account was charged: one line per accepted submit, taken back if the job fails."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator.clock import utc_iso

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.jobs import Job


class Ledger:
    """The balance of the account and every line that made it, in USD."""

    def __init__(self, credits: float) -> None:  # noqa: A002 - Segmind's word for the balance
        self._charged: list[Job] = []
        self._refunded: dict[str, float] = {}
        self._due: list[tuple[float, str, float]] = []
        self._balance = credits

    def charge(self, job: Job) -> None:
        """Take the job's cost now; if the job is going to fail, give it back at that moment."""
        self._charged.append(job)
        self._balance -= job.cost
        if job.fails and math.isfinite(job.finishes_at):
            heapq.heappush(self._due, (job.finishes_at, job.request_id, job.cost))

    def balance(self, now: float) -> float:
        """USD left at epoch second `now`."""
        self._settle(now)
        return round(self._balance, 6)

    def report(self, now: float) -> dict[str, Any]:
        """The ledger as `GET /__emulator__/ledger` shows it."""
        self._settle(now)
        kept = [job for job in self._charged if job.request_id not in self._refunded]
        return {
            "charges": [self._line(job, now) for job in self._charged],
            "refunds": [
                {
                    "request_id": job.request_id,
                    "amount": job.cost,
                    "at": utc_iso(self._refunded[job.request_id]),
                }
                for job in self._charged
                if job.request_id in self._refunded
            ],
            "count": len(kept),
            "total": round(sum(job.cost for job in kept), 6),
            "submits": len(self._charged),
            "balance": round(self._balance, 6),
        }

    def _settle(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            at, request_id, amount = heapq.heappop(self._due)
            self._refunded[request_id] = at
            self._balance += amount

    def _line(self, job: Job, now: float) -> dict[str, Any]:
        return {
            "request_id": job.request_id,
            "model": job.model.slug,
            "parameters": dict(job.sent),
            "amount": job.cost,
            "at": utc_iso(job.accepted_at),
            "api_key_suffix": job.api_key[-4:],
            "state": job.state(now),
            "charged": job.request_id not in self._refunded,
        }
