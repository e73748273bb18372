"""A Segmind in virtual time: it answers the provider's own calls, and its ledger is the judge."""

from __future__ import annotations

import json
import math
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_segmind.api import calls
from airflow_provider_segmind.api.answers import SubmittedRequest
from airflow_provider_segmind.api.call import Call, Response
from airflow_provider_segmind.exceptions import SegmindError
from tests.simulation.clock import Clock
from tests.simulation.world import World

MODEL = "kling-o1-image-to-video"
ANSWER_LIMIT = 90.0
RECORD_LIFETIME = 3600.0
LONGEST_USUAL = 300.0
TASK, NEIGHBOR, TEAMMATE = "task", "neighbor", "teammate"


@dataclass(eq=False)
class Job:
    """
    A request that Segmind has accepted.

    :param by: Who submitted it: the map index of the task's instance, or another.
    """

    request_id: str
    owner: str
    by: int
    sent: Mapping[str, Any]
    accepted_at: float
    duration: float
    fails: bool
    after_server_error: bool = False

    @property
    def ended_at(self) -> float:
        return self.accepted_at + self.duration

    @property
    def is_charged(self) -> bool:
        return not self.fails

    def state(self, now: float) -> str:
        if now < self.ended_at:
            return "PROCESSING"
        return "FAILED" if self.fails else "COMPLETED"


@dataclass(frozen=True)
class Post:
    """A POST that left a worker: when, by which instance, what it said."""

    by: int
    at: float
    sent: Mapping[str, Any]
    lost: bool


@dataclass
class Segmind:
    """All that the hosts of Segmind know."""

    world: World
    clock: Clock
    chance: random.Random
    fair_from: float
    jobs: dict[str, Job] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    uploads: int = 0

    @property
    def is_fair(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self.clock.now >= self.fair_from

    def happens(self, likelihood: float) -> bool:
        return not self.is_fair and self.chance.random() < likelihood

    def accept(self, owner: str, by: int, sent: Mapping[str, Any], after_server_error: bool = False) -> Job:
        """Accept a request. If it completes, it is a charge."""
        request_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        job = Job(
            request_id.replace("-", "") if self.world.ids == "hex" else request_id,
            owner,
            by,
            dict(sent),
            self.clock.now,
            self.chance.uniform(350, self.world.longest)
            if self.world.overlong and self.chance.random() < 0.3
            else self.chance.uniform(20, LONGEST_USUAL),
            self.happens(self.world.failures),
            after_server_error,
        )
        self.jobs[canonical(job.request_id)] = job
        return job

    def answer(self, call: Call[Any]) -> Response:
        """Answer a GET."""
        if self.happens(self.world.troubles):
            status = self.chance.choice([429, 500, 502, 503])
            return Response(status, {}, b'{"error": "trouble"}')
        if call.path == calls.HISTORY_PATH:
            return self._history(call)
        if call.path == calls.GENERATIONS_PATH:
            return self._generations(call)
        job = self.jobs.get(canonical(call.path.removesuffix("/status").rpartition("/")[2]))
        if call.path.startswith(calls.HISTORY_PATH):
            if job is None or job.owner == TEAMMATE or not self._has_row(job):
                return Response(404, {}, b'{"error": "not found"}')
            return _json({"data": self._row(job)})
        if job is None or self.clock.now > job.accepted_at + RECORD_LIFETIME:
            return Response(404, {}, b'{"error": "not found"}')
        state = job.state(self.clock.now)
        body: dict[str, Any] = {"status": state, "request_id": job.request_id, "metrics": {}}
        if state == "COMPLETED" and not call.path.endswith("/status"):
            body["output"] = _output(job)
        if state == "FAILED":
            body["error"] = "the model failed"
        return _json(body, 422 if state == "FAILED" else 200)

    def _has_row(self, job: Job) -> bool:
        begins = job.accepted_at if self.world.rows == "at_once" else job.ended_at
        return self.clock.now >= begins + self.world.lag

    def _row(self, job: Job) -> dict[str, Any]:
        state = job.state(self.clock.now - self.world.lag)
        begins = job.accepted_at if self.world.rows == "at_once" else job.ended_at
        created = job.accepted_at if self.world.created == "accepted" else begins + self.world.lag
        shown = self._shown(job)
        return {
            "request_id": self._listed_id(job),
            "model_name": MODEL,
            "model_status": "PENDING" if state == "PROCESSING" else state,
            "credits_deduction": 0.91 if state == "COMPLETED" else 0.0,
            "request_body": repr(shown) if self.world.bodies == "literal" else json.dumps(shown),
            "generation_url": _output(job) if state == "COMPLETED" else None,
            "latency_ms": None if state == "PROCESSING" else round(job.duration * 1000),
            "model_created": _iso(created),
            "error": "the model failed" if state == "FAILED" else None,
        }

    def _shown(self, job: Job) -> dict[str, Any]:
        if self.world.media == "as_sent":
            return dict(job.sent)
        plain = {name: value for name, value in job.sent.items() if not name.endswith("_url")}
        if self.world.media == "missing":
            return plain
        kept = f"https://kept.segmind.com/{canonical(job.request_id)}.png"
        return {**plain, **{name: kept for name in job.sent if name.endswith("_url")}}

    def _listed(self) -> list[Job]:
        return [job for job in self.jobs.values() if self.world.owner == "team" or job.owner != TEAMMATE]

    def _listed_id(self, job: Job) -> str:
        return canonical(job.request_id) if self.world.ids == "mixed" else job.request_id

    def _history(self, call: Call[Any]) -> Response:
        rows = [self._row(job) for job in self._listed() if self._has_row(job)]
        rows.sort(key=lambda row: str(row["model_created"]), reverse=True)
        return _page("data", rows, int(call.query["page"]), int(call.query["per_page"]))

    def _generations(self, call: Call[Any]) -> Response:
        if not self.world.generations:
            return Response(404, {}, b'{"error": "not found"}')
        now = self.clock.now
        ready = [job for job in self._listed() if job.state(now - self.world.generations_lag) == "COMPLETED"]
        ready.sort(key=lambda job: job.ended_at, reverse=True)
        rows = []
        for job in ready:
            is_complete = now >= job.ended_at + self.world.lag
            shown = self._shown(job) if is_complete else None
            rows.append(
                {
                    "request_id": self._listed_id(job),
                    "created_at": _iso(job.ended_at),
                    "model_name": MODEL,
                    "generation_url": _output(job),
                    "status": "COMPLETED" if is_complete else None,
                    "latency_ms": round(job.duration * 1000) if is_complete else None,
                    "parameters": shown,
                }
            )
        return _page("generations", rows, int(call.query["page"]), 20)


class Hook:
    """
    What a worker or a triggerer has of Segmind: a connection that may lose anything.

    :param point: Is called wherever a process may die or stand still.
    """

    submit_duration_limit = ANSWER_LIMIT
    request_interval = 0.0

    def __init__(self, segmind: Segmind, by: int, point: Any) -> None:
        self._segmind = segmind
        self._by = by
        self._point = point

    def send(self, call: Call[Any]) -> Any:
        self._point("before a GET")
        self._segmind.clock.sleep(self._segmind.chance.choice([0.0, 0.1, 1.0]))
        return call.read(self._segmind.answer(call))

    def upload(self, data_urls: list[str]) -> tuple[str, ...]:
        self._point("before an upload")
        self._segmind.clock.sleep(self._segmind.chance.choice([0.1, 5.0]))
        urls = []
        for _ in data_urls:
            self._segmind.uploads += 1
            urls.append(f"https://images.segmind.com/assets/{self._segmind.uploads}.png")
        self._point("after an upload")
        return tuple(urls)

    def wait_to_submit(self, *, has_turn: bool = False) -> None:
        """It is always its turn."""

    def submit(self, model: str, parameters: Mapping[str, Any]) -> SubmittedRequest:
        """Send a submit, and as often again as the hook of the provider does."""
        call = calls.submit(model, parameters)
        sends = 0
        while True:
            sends += 1
            try:
                return self._post(call, parameters)
            except SegmindError as error:
                if not call.may_resend(error) or sends >= call.most_sends(error):
                    raise
                self._segmind.clock.sleep(0.5)

    def _post(self, call: Call[Any], parameters: Mapping[str, Any]) -> SubmittedRequest:
        segmind, chance = self._segmind, self._segmind.chance
        self._point("before the POST")
        fate = self._draw_fate()
        segmind.posts.append(Post(self._by, segmind.clock.now, dict(parameters), lost=fate != "accepted"))
        arrival = chance.choice([0.0, 0.5, 3.0, 25.0])
        accepted: list[Job] = []
        if fate in ("accepted", "lost after", "504 after") or (
            fate == "503" and segmind.world.server_error_leaves_job
        ):
            segmind.clock.spawn(
                lambda: accepted.append(segmind.accept(TASK, self._by, parameters, fate == "503")), arrival
            )
        # A connection may break long before Segmind has read what it was sent.
        waits = chance.choice([0.0, 1.0, 29.0]) if fate in ("lost after", "504 after") else arrival + 0.1
        self._point("the POST is under way")
        segmind.clock.sleep(waits)
        self._point("after the POST")
        return self._read(call, fate, accepted)

    def _draw_fate(self) -> str:
        if self._segmind.happens(self._segmind.world.lost_answers):
            return self._segmind.chance.choice(["lost before", "lost after", "504 after", "504 before"])
        if self._segmind.happens(self._segmind.world.troubles):
            return self._segmind.chance.choice(["429", "503", "400", "unreachable"])
        return "accepted"

    def _read(self, call: Call[Any], fate: str, accepted: list[Job]) -> SubmittedRequest:
        if fate.startswith("lost"):
            raise call.unanswered_error("the connection broke")
        if fate == "unreachable":
            raise call.undelivered_error("no route to host")
        if fate == "accepted":
            return call.read(_json({"request_id": accepted[0].request_id, "status": "QUEUED"}))  # type: ignore[no-any-return]
        body = b"<html>" if fate.startswith("504") else b'{"error": "no"}'
        return call.read(Response(int(fate[:3]), {}, body))  # type: ignore[no-any-return]


def canonical(request_id: str) -> str:
    return request_id.replace("-", "")


def _output(job: Job) -> str:
    return f"https://images.segmind.com/{canonical(job.request_id)}.mp4"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(math.floor(seconds * 1000) / 1000, UTC).isoformat()


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(document).encode())


def _page(name: str, rows: list[dict[str, Any]], number: int, size: int) -> Response:
    return _json({name: rows[(number - 1) * size : number * size], "page": number, "total": len(rows)})
