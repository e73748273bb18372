"""What the account was charged: one line per accepted submit, taken back if the job fails.

The cost of a job is reserved when it is accepted. The balance drops when it ends, and not at all if it failed.
"""

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
        self._due: list[tuple[float, int, Job]] = []
        self._balance = credits
        self._reserved = 0.0

    def charge(self, job: Job) -> None:
        """Reserve the job's cost until it ends."""
        self._charged.append(job)
        self._reserved += job.cost
        if math.isfinite(job.finishes_at):
            heapq.heappush(self._due, (job.finishes_at, len(self._charged), job))

    def balance(self, now: float) -> float:
        """The USD that the account shows at epoch second `now`: what is reserved is among them."""
        self._end_jobs(now)
        return round(self._balance, 6)

    def available(self, now: float) -> float:
        """The USD that a new job may cost."""
        self._end_jobs(now)
        return round(self._balance - self._reserved, 6)

    def report(self, now: float) -> dict[str, Any]:
        """The ledger as `GET /__emulator__/ledger` shows it."""
        self._end_jobs(now)
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
            "reserved": round(self._reserved, 6),
        }

    def _end_jobs(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            at, _, job = heapq.heappop(self._due)
            self._reserved -= job.cost
            if job.fails:
                self._refunded[job.request_id] = at
            else:
                self._balance -= job.cost

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
