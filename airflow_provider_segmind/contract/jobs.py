"""Submitting jobs to ask something about, and watching what each host says of them meanwhile."""

from __future__ import annotations

import ast
import json
import secrets
import time
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_segmind.contract.segmind import ContractError, OutOfTimeError

if TYPE_CHECKING:
    from airflow_provider_segmind.contract.segmind import Answer, Segmind

MOCK = "mock-inference"
MOCK_PRICE = 1e-6
"""USD for a job of the test model: it charges what its parameters say."""

HISTORY = "/inference-request/request-history"
GENERATIONS = "/inference-request/generations"
ENDED = ("COMPLETED", "FAILED")

_MEDIA_URL = "https://www.segmind.com/contract-check.png"
_MOST_SUBMITS = 3
_LONGEST_INPUTS = 20_000


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds.

    :param sleep: Of a job that is watched while it runs.
    :param pause: Between two looks.
    :param row_limit: How long after its end the row of a job is waited for.
    :param clip_limit: The longest that a clip may take.
    """

    sleep: float = 20.0
    pause: float = 3.0
    row_limit: float = 120.0
    clip_limit: float = 900.0

    def times(self, factor: float) -> Pace:
        """The same pace with everything shorter or longer."""
        return Pace(*(seconds * factor for seconds in astuple(self)))


@dataclass(frozen=True)
class Submitted:
    """An accepted job.

    :param sent: Its inputs.
    :param began: Steady clock, when the answer to its submit came.
    """

    request_id: str
    model: str
    sent: dict[str, Any]
    began: float


@dataclass(frozen=True)
class RefusedSubmit:
    """A submit without a job, or with a job that it does not name: by its `marker` it can be found."""

    answer: Answer
    marker: str

    @property
    def lacks_credits(self) -> bool:
        """Whether it was refused because the balance does not cover it."""
        return self.answer.status in (402, 406) and b"insufficient" in self.answer.body.lower()


@dataclass
class Submits:
    """Submits jobs, and remembers those that were answered with a server error."""

    segmind: Segmind
    server_errors: list[RefusedSubmit] = field(default_factory=list)

    def submit_mock(self, sleep: float, *, plain: bool = False) -> Submitted | RefusedSubmit:
        """Submit a job of the test model, with inputs to recognize in its row unless they are not accepted.

        :param plain: Whether to leave them out.
        """
        marker = f"contract check {secrets.token_hex(8)}"
        document = {"sleep": sleep, "credits": MOCK_PRICE}
        if plain:
            return self.submit(MOCK, document, marker)
        result = self.submit(MOCK, {**document, "prompt": marker, "image": _MEDIA_URL}, marker)
        if (
            isinstance(result, RefusedSubmit)
            and result.answer.status in (400, 406, 422)
            and not result.lacks_credits
        ):
            return self.submit(MOCK, document, marker)
        return result

    def submit(self, model: str, document: dict[str, Any], marker: str) -> Submitted | RefusedSubmit:
        """Submit a job. One that meets a server error is submitted again: this model costs next to nothing."""
        refused = None
        for _ in range(_MOST_SUBMITS if model == MOCK else 1):
            answer = self.segmind.post("gateway", f"/v2/{model}", document)
            request_id = answer.fields.get("request_id")
            if answer.status < 300 and isinstance(request_id, str):
                return Submitted(request_id, model, document, time.monotonic())
            refused = RefusedSubmit(answer, marker)
            if answer.status < 500:
                break
            self.server_errors.append(refused)
            if "prompt" in document:
                marker = f"contract check {secrets.token_hex(8)}"
                document = {**document, "prompt": marker}
        if refused is None:
            raise ContractError("nothing was submitted")
        return refused


@dataclass
class Sightings:
    """What was seen of a job. Times are on the steady clock.

    :param running: What the gateway said of the result while the job ran.
    :param ended: The answer of the status that first said that it had ended.
    :param ended_at: When it ended, as far as that is known.
    :param row: The last row that the history had.
    :param row_seen_at: When a look found the first one.
    :param row_state: The state in the first one.
    :param looks_while_running: Looks that found no row while the job ran.
    :param looks_since_end: Looks that found no row after its end.
    :param trouble: Why the last look that failed did.
    :param generation_wanted: Whether to look for it among the generations, too.
    :param generation_seen_at: When a look found it there.
    :param generation_looks: Looks that did not, after its end.
    """

    job: Submitted
    running: Answer | None = None
    ended: Answer | None = None
    ended_at: float | None = None
    row: dict[str, Any] | None = None
    row_seen_at: float | None = None
    row_state: str = ""
    looks_while_running: int = 0
    looks_since_end: int = 0
    trouble: str = ""
    generation_wanted: bool = False
    generation_seen_at: float | None = None
    generation_looks: int = 0

    @property
    def was_watched(self) -> bool:
        """Whether both hosts were looked at while it ran."""
        return self.running is not None and (self.row_state not in ENDED or self.looks_while_running > 0)

    @property
    def has_failed(self) -> bool:
        """Whether the job ended as FAILED."""
        return self.ended is not None and self.ended.fields.get("status") == "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be seen."""
        recorded = self.row is not None and self.row.get("model_status") in ENDED
        return self.ended is not None and recorded and not (self.generation_wanted and not self.generation_seen_at)


def watch(segmind: Segmind, job: Submitted, pace: Pace, seconds: float, *, generation: bool = False) -> Sightings:
    """Look at a job until it has ended and the history says so, or `row_limit` after `seconds`.

    :param seconds: How long the job should take.
    :param generation: Whether to look for it among the generations, too.
    """
    sightings = Sightings(job, generation_wanted=generation)
    until = time.monotonic() + seconds + pace.row_limit
    while True:
        try:
            _look(segmind, sightings)
            if sightings.is_over or time.monotonic() > until:
                return sightings
            segmind.pause(pace.pause)
        except OutOfTimeError as error:
            sightings.trouble = str(error)
            return sightings
        except (ContractError, requests.RequestException) as error:
            # What the other host says is worth as much: the next look may see both.
            sightings.trouble = str(error)
            if time.monotonic() > until:
                return sightings
            time.sleep(pace.pause)


def _look(segmind: Segmind, sightings: Sightings) -> None:
    path = f"/v2/requests/{sightings.job.request_id}"
    if sightings.ended is None:
        status = segmind.get("gateway", f"{path}/status")
        if status.fields.get("status") in ENDED:
            sightings.ended, sightings.ended_at = status, time.monotonic()
        elif sightings.running is None:
            answer = segmind.get("gateway", path)
            transient = answer.status >= 500 or answer.fields.get("status") in ENDED
            sightings.running = None if transient else answer
    row = find_row(segmind, sightings.job)
    if row is not None and sightings.row_seen_at is None:
        sightings.row_seen_at = time.monotonic()
        sightings.row_state = str(row.get("model_status"))
    sightings.row = row or sightings.row
    if sightings.row_seen_at is None:
        sightings.looks_while_running += sightings.ended is None
        sightings.looks_since_end += sightings.ended is not None
    if sightings.generation_wanted and sightings.ended is not None and sightings.generation_seen_at is None:
        if _is_among_generations(segmind, sightings.job):
            sightings.generation_seen_at = time.monotonic()
        else:
            sightings.generation_looks += 1


def find_row(segmind: Segmind, job: Submitted) -> dict[str, Any] | None:
    """The row of a job in the history; None if there is none yet."""
    wanted = without_dashes(job.request_id)
    return next((row for row in history_rows(segmind, job.model) if row_id(row) == wanted), None)


def _is_among_generations(segmind: Segmind, job: Submitted) -> bool:
    answer = segmind.get("platform", GENERATIONS, page=1, model_name=job.model)
    lists = [value for value in answer.fields.values() if isinstance(value, list)]
    if answer.status != 200 or not lists:
        raise ContractError(f"the generations answered {answer.describe()}")
    wanted = without_dashes(job.request_id)
    return any(isinstance(row, dict) and row_id(row) == wanted for row in lists[0])


def history_rows(segmind: Segmind, model: str = "", **query: object) -> list[dict[str, Any]]:
    """The newest rows of the history, up to a hundred."""
    given = {"model_name": model} if model else {}
    asked = {"page": 1, "per_page": 100, "sort_by": "model_created", "sort_order": "desc", **given, **query}
    answer = segmind.get("platform", HISTORY, **asked)
    rows = answer.fields.get("data")
    if answer.status != 200 or not isinstance(rows, list):
        raise ContractError(f"the history answered {answer.describe()}")
    return [row for row in rows if isinstance(row, dict)]


def row_id(row: dict[str, Any]) -> str:
    """The id in a row, without dashes; empty if it has none."""
    return without_dashes(str(row.get("request_id") or ""))


def without_dashes(request_id: str) -> str:
    """The id in the form in which the ids of two hosts can be compared."""
    return request_id.replace("-", "").lower()


def read_inputs(row: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The inputs in a row, and in which form of `World.history_bodies` they are; None if they cannot be read."""
    body = row.get("request_body")
    if isinstance(body, dict):
        return body, "object"
    if len(str(body)) > _LONGEST_INPUTS:
        return None, ""
    readers = (("json", json.loads), ("literal", ast.literal_eval))
    for form, read in readers:
        try:
            inputs = read(str(body))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(inputs, dict):
            return inputs, form
    return None, ""


def with_exact_end(sightings: Sightings) -> Sightings:
    """The sightings with the end that the job's own metrics name, instead of when a look found it."""
    metrics = sightings.ended.fields.get("metrics") if sightings.ended else None
    total = metrics.get("total_time") if isinstance(metrics, dict) else None
    if sightings.ended_at is None or isinstance(total, bool) or not isinstance(total, int | float):
        return sightings
    return replace(sightings, ended_at=min(sightings.ended_at, sightings.job.began + total))
