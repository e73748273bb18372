"""What counts against the rate limit of a key: asked by using it up, for as long as its window lasts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_segmind.contract.findings import Finding, seen, unseen
from airflow_provider_segmind.contract.jobs import HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_segmind.contract.segmind import Answer, Segmind

NAMES = ("status_counts", "platform_counts")


def what_counts(segmind: Segmind, request_id: str, most: int) -> list[Finding]:
    """Ask until the limit is reached, then look which hosts and questions it holds for.

    :param most: Requests of one kind that are sent.
    """
    status = partial(segmind.get_once, "gateway", f"/v2/requests/{request_id}/status")
    balance = partial(segmind.get_once, "gateway", "/v1/get-user-credits")
    history = partial(segmind.get_once, "platform", HISTORY, per_page=1)
    sent = _sent_until_limited(status, most)
    if sent:
        evidence = f"Request {sent} for a status was the first with HTTP 429"
        findings = [seen("status_counts", True, evidence)]
        spent = status
    else:
        sent = _sent_until_limited(balance, most)
        if not sent:
            reason = f"No limit was reached by {most} requests for a status, nor by {most} for the balance"
            return [unseen(name, reason) for name in NAMES]
        evidence = f"{most} requests for a status had no HTTP 429; request {sent} for the balance had"
        findings = [seen("status_counts", False, evidence)]
        spent = balance
    listed, again = history(), spent()
    if listed.status == 429:
        return [*findings, seen("platform_counts", True, "The history answered HTTP 429, too")]
    if again.status == 429:
        return [*findings, seen("platform_counts", False, f"The history answered {listed.describe()} meanwhile")]
    return [*findings, unseen("platform_counts", "The window ended before the history was asked")]


def _sent_until_limited(ask: Callable[[], Answer], most: int) -> int:
    """The number of the request that was refused first; 0 if none was."""
    return next((number for number in range(1, most + 1) if ask().status == 429), 0)
