"""Faults on demand: which requests go wrong, how, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.emulator.errors import CAUSES, RESET_FORMATS
from airflow_provider_segmind.emulator.jobs import Fate, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random


class Endpoint(StrEnum):
    """The kinds of request that are counted and that a fault can be aimed at."""

    SUBMIT = "submit"
    STATUS = "status"
    RESULT = "result"
    LEGACY_POLL = "legacy_poll"
    SYNC = "sync"
    CREDITS = "credits"
    HISTORY = "history"
    HISTORY_ITEM = "history_item"
    GENERATIONS = "generations"
    CATALOGUE = "catalogue"
    UPLOAD = "upload"
    MEDIA = "media"
    OTHER = "other"


ANY = "any"
POLL = "poll"
_POLLS = frozenset({Endpoint.STATUS, Endpoint.RESULT})
CREATES_JOB = frozenset({Endpoint.SUBMIT, Endpoint.SYNC})
BODIES = ("html", "truncated", "not_json", "list", "empty", "huge")
DROPS = ("before", "after", "midway")


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule: the requests that it matches, and what befalls them. All durations are real seconds.

    :param on: The `Endpoint` it is aimed at, `poll` for `status` and `result`, or `any`.
    :param model: Only requests about this model slug.
    :param request_id: Only requests about this job.
    :param count: How many times it fires; None for always.
    :param skip: How many matching requests pass unharmed first.
    :param probability: Chance, 0 to 1, that a matching request is hit.
    :param status: Answer with this HTTP status and the body that goes with it.
    :param cause: Which 401 (`missing`, `rejected`) or 406 (`credits`, `parameter`, `spend_limit`, `content_type`).
    :param reset_format: How a 429 writes its reset: `iso`, `rfc1123`, `epoch`, `epoch_ms` or `none`; None as the
        world has it.
    :param reset_in: Seconds from now to that reset.
    :param retry_after: Seconds for a Retry-After header.
    :param body: Replace the body: `html`, `truncated`, `not_json`, `list`, `empty` or `huge`.
    :param size: Bytes of a `huge` body.
    :param json_text: Replace the body by this JSON text; the `json` key of a rule.
    :param slow: Hold the answer back for so long. On a submit the job is accepted before the wait.
    :param trickle: Send the body in sixteen pieces with so long a pause before each.
    :param drop: Close the connection: `before` the request takes effect, `after` it did, or `midway` in the body.
    :param hang: Never answer; ends when the client leaves.
    :param accepted: Whether a submit that is hit takes effect. By default it does, except under an error status
        (under 5xx it does where `server_error_leaves_job`), `drop=before` and `hang`.
    :param outcome: Fate of the job that the submit creates: `failed`, `blocked`, `stuck`, `expired`,
        `unknown_state`.
    :param error: Error message of a `failed` or `blocked` job.
    :param state: State that an `unknown_state` job reports.
    :param state_seconds: For how long; None for ever.
    :param missing_request_id: Accept the submit, answer 200, but name neither the id nor its URLs.
    """

    on: str = ANY
    model: str | None = None
    request_id: str | None = None
    count: int | None = None
    skip: int = 0
    probability: float | None = None
    status: int | None = None
    cause: str | None = None
    reset_format: str | None = None
    reset_in: float = 1.0
    retry_after: float | None = None
    body: str | None = None
    size: int = 50_000_000
    json_text: str | None = None
    slow: float | None = None
    trickle: float | None = None
    drop: str | None = None
    hang: bool = False
    accepted: bool | None = None
    outcome: str | None = None
    error: str | None = None
    state: str = "PAUSED"
    state_seconds: float | None = None
    missing_request_id: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self.on, (*Endpoint, POLL, ANY), "on")
        _require(self.body, (None, *BODIES), "body")
        _require(self.drop, (None, *DROPS), "drop")
        _require(self.reset_format, (None, *RESET_FORMATS), "reset_format")
        _require(self.outcome, (None, *(each for each in Outcome if each is not Outcome.COMPLETED)), "outcome")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be an HTTP status between 200 and 599")
        if self.cause is not None:
            _require(self.cause, CAUSES.get(self.status or 0, ()), f"cause of status {self.status}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("probability must be between 0 and 1")
        if self.body is not None and self.json_text is not None:
            raise ValueError("body and json exclude each other")
        if not self._has_effect():
            raise ValueError(
                "a fault needs an effect: status, body, json, slow, trickle, drop, hang, outcome"
                " or missing_request_id"
            )
        if (self.outcome or self.missing_request_id) and self.on not in (*CREATES_JOB, ANY):
            raise ValueError("outcome and missing_request_id happen on submit or sync")

    def _has_effect(self) -> bool:
        effects = (self.status, self.body, self.json_text, self.slow, self.trickle, self.drop, self.outcome)
        return self.hang or self.missing_request_id or any(effect is not None for effect in effects)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> FaultRule:
        """A rule from the object that `POST /__emulator__/faults` takes. Raises ValueError if it is none."""
        values = dict(document)
        if "json" in values:
            values["json_text"] = json.dumps(values.pop("json"))
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown fault key: {', '.join(unknown)}")
        return cls(**values)

    @classmethod
    def parse(cls, text: str) -> FaultRule:
        """A rule from the command line: `on=submit,status=504,accepted=true,count=1`, or a JSON object."""
        if text.lstrip().startswith("{"):
            document = json.loads(text)
        else:
            document = {}
            for pair in text.split(","):
                name, equals, value = pair.partition("=")
                if not equals:
                    raise ValueError(f"expected key=value in a fault, got {pair!r}")
                document[name.strip()] = _scalar(value.strip())
        return cls.from_json(document)

    def as_json(self) -> dict[str, Any]:
        """The rule as an object, without the keys that are at their default."""
        document = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name in ("on", "count") or getattr(self, each.name) != each.default
        }
        if "json_text" in document:
            document["json"] = json.loads(document.pop("json_text"))
        return document

    def takes_effect(self, *, server_error_leaves_job: bool) -> bool:
        """Whether the endpoint does its work before its answer is spoilt."""
        if self.accepted is not None:
            return self.accepted
        refusing = range(400, 500 if server_error_leaves_job else 600)
        return not (self.hang or self.drop == "before" or self.status in refusing)

    @property
    def fate(self) -> Fate | None:
        """The fate of the job that the hit submit creates, None to leave it alone."""
        if self.outcome is None:
            return None
        return Fate(Outcome(self.outcome), self.error, self.state, self.state_seconds)

    def matches(self, endpoint: Endpoint, model: str | None, request_id: str | None) -> bool:
        """Whether a request of this kind is one of those the rule is about."""
        if (self.outcome or self.missing_request_id) and endpoint not in CREATES_JOB:
            return False
        is_aimed_at = self.on in (endpoint, ANY) or (self.on == POLL and endpoint in _POLLS)
        return is_aimed_at and self.model in (None, model) and self.request_id in (None, request_id)


@dataclass(slots=True)
class ArmedFault:
    """A rule and what it has done so far."""

    rule: FaultRule
    seen: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        """Whether the rule has fired as often as it should."""
        return self.rule.count is not None and self.fired >= self.rule.count

    def as_json(self) -> dict[str, Any]:
        """The rule with its counters, as `GET /__emulator__/faults` lists it."""
        return {**self.rule.as_json(), "seen": self.seen, "fired": self.fired, "spent": self.spent}


class Faults:
    """The armed rules. Of those that match a request, the first that fires has it alone."""

    def __init__(self, chance: Random, rules: tuple[FaultRule, ...] = ()) -> None:
        self._chance = chance
        self.armed = [ArmedFault(rule) for rule in rules]

    def arm(self, rule: FaultRule) -> None:
        """Add a rule after those already there."""
        self.armed.append(ArmedFault(rule))

    def clear(self) -> None:
        """Disarm everything."""
        self.armed.clear()

    def claim(self, endpoint: Endpoint, model: str | None, request_id: str | None) -> ArmedFault | None:
        """The fault that befalls this request, counted as fired; None for a request that goes well."""
        for armed in self.armed:
            if armed.spent or not armed.rule.matches(endpoint, model, request_id):
                continue
            armed.seen += 1
            if armed.seen <= armed.rule.skip:
                continue
            if armed.rule.probability is not None and self._chance.random() >= armed.rule.probability:
                continue
            armed.fired += 1
            return armed
        return None


_NUMBERS = ("probability", "reset_in", "retry_after", "slow", "trickle", "state_seconds")
_INTEGERS = ("count", "skip", "status", "size")
_FLAGS = ("hang", "accepted", "missing_request_id")


def _check_types(rule: FaultRule) -> None:
    for each in fields(rule):
        value = getattr(rule, each.name)
        if value == each.default:
            continue
        expected: type | tuple[type, ...] = str
        if each.name in _NUMBERS:
            expected = (int, float)
        elif each.name in _INTEGERS:
            expected = int
        elif each.name in _FLAGS:
            expected = bool
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise ValueError(f"{each.name} has the wrong type: {value!r}")
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"{each.name} must not be negative")


def _require(value: str | None, allowed: tuple[str | None, ...], name: str) -> None:
    if value not in allowed:
        choices = ", ".join(str(each) for each in allowed if each is not None)
        raise ValueError(f"{name} must be one of {choices or 'nothing'}; got {value!r}")


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
