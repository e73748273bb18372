"""Everything about the emulator that can be chosen when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_segmind.emulator.faults import FaultRule
    from airflow_provider_segmind.emulator.models import Model


@dataclass(frozen=True, slots=True)
class Settings:
    """How the emulated Segmind behaves. The defaults imitate the real one at its real speed.

    Attributes:
        time_scale: Multiplies every duration of a job: 0.01 turns 144 s into 1.4 s, 0 finishes at once.
        seed: Makes latencies, result seeds and fault probabilities repeatable. None draws anew each start.
        credits: Balance of the account in USD. All keys belong to one account.
        requests_per_minute: Requests per key and window, None for no limit.
        rate_window: Length of that window in real seconds.
        retention: Real seconds from submission until a request id answers 404.
        history_lag: Real seconds by which the request history trails the gateway.
        history_bodies: Whether `request_body` in the history is a Python literal or JSON.
        latency: Seconds from acceptance to the end, before `time_scale`, instead of a random draw.
        latency_sigma: Spread of the random draw: the sigma of a lognormal distribution.
        api_keys: The only keys accepted. None accepts any key of the form `SG_` + 16 hex digits.
        fetch_images: Let videos be made from images on any host, not only the emulator and loopback.
        faults: Rules that are armed from the start and again after a reset.
        models: Further models of the catalogue, see `models.stand_in`.
        log_size: How many requests `GET /__emulator__/requests` remembers one by one.
    """

    time_scale: float = 1.0
    seed: int | None = None
    credits: float = 100.0
    requests_per_minute: int | None = None
    rate_window: float = 60.0
    retention: float = 3600.0
    history_lag: float = 0.0
    history_bodies: Literal["literal", "json"] = "literal"
    latency: float | None = None
    latency_sigma: float = 0.25
    api_keys: tuple[str, ...] | None = None
    fetch_images: bool = False
    faults: tuple[FaultRule, ...] = ()
    models: tuple[Model, ...] = ()
    log_size: int = 10_000

    def __post_init__(self) -> None:
        for name in ("time_scale", "retention", "history_lag", "latency_sigma", "credits"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.latency is not None and self.latency < 0:
            raise ValueError("latency must not be negative")
        if self.rate_window <= 0:
            raise ValueError("rate_window must be positive")
        if self.requests_per_minute is not None and self.requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1")
