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
from airflow_provider_segmind.emulator.jobs import Fate, Job, Jobs, new_request_id, timing
from airflow_provider_segmind.emulator.ledger import Ledger
from airflow_provider_segmind.emulator.media import Videos
from airflow_provider_segmind.emulator.models import CATALOGUE, Model
from airflow_provider_segmind.emulator.rate_limit import RateLimit
from airflow_provider_segmind.emulator.request_log import RequestLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.emulator.settings import Settings

_SEED_RANGE = 2**32


class EmulatorState:
    """The account, its jobs and the rules they live by. Used from one event loop only."""

    def __init__(self, settings: Settings, *, echo: bool = False) -> None:
        self.settings = settings
        self.clock = Clock()
        self.models: dict[str, Model] = {each.slug: each for each in (*CATALOGUE, *settings.models)}
        self._echo = echo
        self.reset()

    def reset(self) -> None:
        """Return to the state at the start: no jobs, full balance, the faults of the settings."""
        settings = self.settings
        self.clock.reset()
        self.jobs = Jobs()
        self.ledger = Ledger(settings.credits)
        self.keys = Keys(settings.api_keys)
        self.requests = RequestLog(settings.log_size, echo=self._echo)
        limit = settings.requests_per_minute
        self.rate_limit = None if limit is None else RateLimit(limit, settings.rate_window)
        self.videos = Videos(lambda: self.scratch, fetch_images=settings.fetch_images)
        self._chance = Random(settings.seed)  # noqa: S311 - repeatable, not secret
        self.faults = Faults(Random(settings.seed), settings.faults)  # noqa: S311

    def accept(
        self, model: Model, sent: Mapping[str, Any], parameters: Mapping[str, Any], api_key: str, fate: Fate
    ) -> Job:
        """Create a job and charge for it."""
        now = self.clock.now()
        queue_seconds, inference_seconds = timing(model, parameters, self.settings, self._chance)
        drawn_seed = self._chance.randrange(_SEED_RANGE)
        given_seed = parameters.get("seed")
        cost = model.cost(parameters)
        job = Job(
            request_id=new_request_id(),
            model=model,
            sent=dict(sent),
            parameters=dict(parameters),
            api_key=api_key,
            accepted_at=now,
            queue_seconds=queue_seconds,
            inference_seconds=inference_seconds,
            cost=cost,
            balance=round(self.ledger.balance(now) - cost, 6),
            seed=given_seed if isinstance(given_seed, int) else drawn_seed,
            fate=fate,
        )
        self.jobs.add(job)
        self.ledger.charge(job)
        return job

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
