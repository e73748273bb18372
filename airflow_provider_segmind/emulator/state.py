"""Everything that one running emulator remembers."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_segmind.emulator.clock import Clock
from airflow_provider_segmind.emulator.credentials import Keys
from airflow_provider_segmind.emulator.faults import Faults
from airflow_provider_segmind.emulator.jobs import Fate, Job, Jobs, new_request_id
from airflow_provider_segmind.emulator.ledger import Ledger
from airflow_provider_segmind.emulator.media import Videos
from airflow_provider_segmind.emulator.models import CATALOGUE, Modality, Model
from airflow_provider_segmind.emulator.rate_limit import RateLimit
from airflow_provider_segmind.emulator.request_log import RequestLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.emulator.settings import Settings

_SEED_RANGE = 2**32
_QUEUE_SHARE = 0.1
"""Of a job's duration."""


class EmulatorState:
    """The account, its jobs and the rules they live by. Used from one event loop only."""

    def __init__(self, settings: Settings, *, echo: bool = False) -> None:
        self.settings = settings
        self.clock = Clock()
        self.models: dict[str, Model] = {each.slug: each for each in (*CATALOGUE, *settings.models)}
        self._echo = echo
        self.reset()

    def reset(self) -> None:
        """Return to the state at the start: no jobs, full balance, the faults and the world of the settings."""
        settings = self.settings
        self.clock.reset()
        self.jobs = Jobs()
        self.ledger = Ledger(settings.credits)
        self.world = settings.world
        self.keys = Keys(settings.api_keys, settings.teammate_keys)
        self.requests = RequestLog(settings.log_size, echo=self._echo)
        limit = settings.requests_per_minute
        self.rate_limit = None if limit is None else RateLimit(limit, settings.rate_window)
        self.videos = Videos(lambda: self.scratch, fetch_images=settings.fetch_images)
        self._chance = Random(settings.seed)  # noqa: S311 - repeatable, not secret
        self.faults = Faults(Random(settings.seed), settings.faults)  # noqa: S311

    def accept(
        self, model: Model, sent: Mapping[str, Any], parameters: Mapping[str, Any], api_key: str, fate: Fate
    ) -> Job:
        """Create a job and reserve its cost."""
        now = self.clock.now()
        queue_seconds, inference_seconds = self._draw_durations(model, parameters)
        drawn_seed = self._chance.randrange(_SEED_RANGE)
        given_seed = parameters.get("seed")
        cost = model.cost(parameters)
        job = Job(
            request_id=new_request_id(with_dashes=self.world.ids != "hex"),
            model=model,
            sent=dict(sent),
            parameters=dict(parameters),
            api_key=api_key,
            accepted_at=now,
            queue_seconds=queue_seconds,
            inference_seconds=inference_seconds,
            cost=cost,
            balance=round(self.ledger.available(now) - cost, 6),
            seed=given_seed if isinstance(given_seed, int) else drawn_seed,
            fate=fate,
        )
        self.jobs.add(job)
        self.ledger.charge(job)
        return job

    def account_of(self, api_key: str) -> str:
        """Whose key it is: each key of a teammate is an account, and all others are one together."""
        return api_key if api_key in self.settings.teammate_keys else ""

    def _draw_durations(self, model: Model, parameters: Mapping[str, Any]) -> tuple[float, float]:
        """Return the queue and inference seconds of a new job, scaled."""
        settings, chance = self.settings, self._chance
        # Every job draws the same number of times, so that one explicit duration does not shift later draws.
        drawn = chance.lognormvariate(-(settings.latency_sigma**2) / 2, settings.latency_sigma)
        share = _QUEUE_SHARE * chance.uniform(0.5, 1.5)
        if model.modality is Modality.MOCK:
            total, share = float(parameters["sleep"]), _QUEUE_SHARE
        elif settings.latency is not None:
            total, share = settings.latency, _QUEUE_SHARE
        else:
            total = model.latency * drawn
        total *= settings.time_scale
        return total * share, total * (1 - share)

    @cached_property
    def scratch(self) -> Path:
        """A directory for uploads and rendered media that lives as long as the emulator."""
        return Path(tempfile.mkdtemp(prefix="segmind-emulator-"))

    @property
    def assets(self) -> Path:
        """Where uploaded files are."""
        return self.scratch / "assets"

    def close(self) -> None:
        """Delete the scratch directory."""
        if "scratch" in self.__dict__:
            shutil.rmtree(self.scratch, ignore_errors=True)


STATE = web.AppKey("STATE", EmulatorState)
