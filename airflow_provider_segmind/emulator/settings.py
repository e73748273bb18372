"""Everything about the emulator that can be chosen when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_segmind.emulator.models import CATALOGUE, Model
from airflow_provider_segmind.emulator.worlds import DOCUMENTED, World

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.faults import FaultRule

LEAST_EXPECTED = 0.05
"""Seconds: a request that ends at once has to be asked about, too."""

DEFAULT_API_KEY = "SG_0123456789abcdef"
TEAMMATE_API_KEY = "SG_fedcba9876543210"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the emulated Segmind behaves. The defaults imitate the real one at its real speed.

    :param time_scale: Multiplies every duration of a job: 0.01 turns 144 s into 1.4 s, 0 finishes at once.
    :param seed: Makes latencies, result seeds and fault probabilities repeatable. None draws new ones each start.
    :param credits: Balance of the team in USD. All keys but those of teammates belong to one account.
    :param requests_per_minute: Requests per key and window, None for no limit.
    :param rate_window: Length of that window in real seconds.
    :param retention: Real seconds from submission until a request id answers 404.
    :param latency: Seconds from acceptance to the end, before `time_scale`, instead of a random draw.
    :param latency_sigma: Spread of the random draw: the sigma of a lognormal distribution.
    :param api_keys: The only keys accepted. None accepts any key of the form `SG_` + 16 hex digits.
    :param teammate_keys: Keys of teammates, always accepted. They share the balance; each has its own history.
    :param fetch_images: Let videos be made from images on any host, not only the emulator and loopback.
    :param faults: Rules that are armed from the start and again after a reset.
    :param models: Further models of the catalogue, see `models.stand_in`.
    :param log_size: How many requests `GET /__emulator__/requests` remembers one by one.
    :param world: What Segmind does where the evidence leaves it open.
    """

    time_scale: float = 1.0
    seed: int | None = None
    credits: float = 100.0
    requests_per_minute: int | None = None
    rate_window: float = 60.0
    retention: float = 3600.0
    latency: float | None = None
    latency_sigma: float = 0.25
    api_keys: tuple[str, ...] | None = None
    teammate_keys: tuple[str, ...] = (TEAMMATE_API_KEY,)
    fetch_images: bool = False
    faults: tuple[FaultRule, ...] = ()
    models: tuple[Model, ...] = ()
    log_size: int = 10_000
    world: World = DOCUMENTED

    @property
    def expected_duration(self) -> float | None:
        """Seconds that no request takes much longer than, where time is sped up; None at the real speed."""
        if self.latency is None and self.time_scale >= 1:
            return None
        slowest = max(model.latency for model in (*CATALOGUE, *self.models))
        latency = slowest if self.latency is None else self.latency
        return max(round(self.time_scale * latency, 3), LEAST_EXPECTED)

    def __post_init__(self) -> None:
        for name in ("time_scale", "retention", "latency_sigma", "credits"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.latency is not None and self.latency < 0:
            raise ValueError("latency must not be negative")
        if self.rate_window <= 0:
            raise ValueError("rate_window must be positive")
        if self.requests_per_minute is not None and self.requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1")
