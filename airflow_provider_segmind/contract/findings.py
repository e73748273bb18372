"""What was found out: one finding for each field of a world, below the question that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_segmind.emulator.worlds import CHOICES, World

QUESTIONS: dict[str, tuple[str, ...]] = {
    "When does a request get its row in the history?": (
        "history_rows",
        "history_lag",
        "history_created",
        "generations_lag",
    ),
    "Does a row hold media inputs as sent?": ("history_media", "history_bodies"),
    "Whose rows are in the lists?": ("history_owner",),
    "Is a request of any age in the history?": ("history_after_expiry",),
    "May a 5xx to a submit leave a job?": ("server_error_leaves_job",),
    "What does `GET /v2/requests/{id}` say while a job runs?": ("running_status", "running_body"),
    "What counts against the rate limit?": ("status_counts", "platform_counts"),
    "How is a v2 submit refused without credits?": ("no_credits_status",),
    "How is the reset of the rate limit written?": ("reset_format",),
    "Which ids, keys and envelopes?": (
        "ids",
        "optional_keys",
        "error_key",
        "upload_key",
        "catalogue_key",
        "catalogue_parameters",
    ),
}
"""The fields of a world, by question."""


class Outcome(StrEnum):
    """How a question ended."""

    SEEN = "seen"
    NOT_ASKED = "not asked"
    UNSEEN = "cannot be seen"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    :param name: The field of `World`.
    :param value: Its value, if that was seen.
    :param evidence: What the answer rests on, or what it takes to settle the question.
    """

    name: str
    outcome: Outcome
    value: Any = None
    evidence: str = ""


def seen(name: str, value: Any, evidence: str) -> Finding:
    """Say which world it is."""
    allowed = CHOICES[name]
    if allowed and value not in allowed:
        return Finding(name, Outcome.SEEN, None, f"{value}, for which the emulator has no world. {evidence}")
    return Finding(name, Outcome.SEEN, value, evidence)


def unseen(name: str, evidence: str) -> Finding:
    """Say why it cannot be seen which world it is."""
    return Finding(name, Outcome.UNSEEN, None, evidence)


def not_asked(name: str, evidence: str) -> Finding:
    """Say why a question was not asked."""
    return Finding(name, Outcome.NOT_ASKED, None, evidence)


def failed(name: str, evidence: str) -> Finding:
    """Say why a question has no answer."""
    return Finding(name, Outcome.FAILED, None, evidence)


@dataclass
class Findings:
    """All findings of a run, and what it did.

    :param request_ids: The requests that it submitted.
    :param costs: What they cost, in USD.
    :param remarks: What else was seen.
    """

    by_name: dict[str, Finding] = field(default_factory=dict)
    request_ids: list[str] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, *findings: Finding) -> None:
        """Note findings. What was seen is not replaced by what was not."""
        for finding in findings:
            present = self.by_name.get(finding.name)
            if present is None or present.outcome is not Outcome.SEEN or finding.outcome is Outcome.SEEN:
                self.by_name[finding.name] = finding

    def complete(self) -> list[Finding]:
        """A finding for each field of a world, in the order of the questions."""
        names = [name for fields in QUESTIONS.values() for name in fields]
        return [self.by_name.get(name) or not_asked(name, "It takes a request of this run") for name in names]

    @property
    def world(self) -> World:
        """The world that was seen. What was not seen is as in the documentation."""
        found = {each.name: each.value for each in self.by_name.values() if each.value is not None}
        return World(**found)
