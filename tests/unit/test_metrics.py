"""Metrics add up, in all that Airflow can send them to. What was sent is read from a socket, as a server would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_segmind import exceptions
from airflow_provider_segmind.api.answers import RequestReport
from airflow_provider_segmind.exceptions import InsufficientCreditsError, SegmindError
from airflow_provider_segmind.lineage import metrics
from airflow_provider_segmind.lineage.delivered import Delivered
from airflow_provider_segmind.media.storing import StoredOutput
from tests.statsd_server import (
    StatsdServer,
    airflow_module,
    airflow_sending_to,
    datadog,
    plain_statsd,
    statsd_server,
)

MODEL = "kling-o1-image-to-video"
STORED = [StoredOutput(f"/clips/{name}.mp4", 1000, "cafe", "video/mp4") for name in ("a", "b")]


@pytest.fixture
def server() -> Iterator[StatsdServer]:
    with statsd_server() as running:
        yield running


@pytest.fixture
def statsd(server: StatsdServer) -> Iterator[StatsdServer]:
    """A plain StatsD server, to which Airflow sends."""
    with airflow_sending_to(plain_statsd(server.port)):
        yield server


def delivered(cost: Any, model: str | None = MODEL, request_id: str = "req-1", **figures: Any) -> Delivered:
    body = {"metrics": {"cost": cost, **figures}}
    return Delivered(model, RequestReport(request_id, "COMPLETED", body), None)


def test_five_small_charges_add_up(statsd: StatsdServer) -> None:
    for _ in range(5):
        metrics.count(delivered(0.003))
    assert statsd.counters() == pytest.approx(
        {"airflow.segmind.cost": 0.015, f"airflow.segmind.cost.{MODEL}": 0.015}
    )


def test_models_are_apart_without_tags_and_together_without_model(statsd: StatsdServer) -> None:
    metrics.count(delivered(0.91))
    metrics.count(delivered(0.04, model="flux.1-dev"))
    assert statsd.counters() == pytest.approx(
        {
            "airflow.segmind.cost": 0.95,
            f"airflow.segmind.cost.{MODEL}": 0.91,
            "airflow.segmind.cost.flux_1-dev": 0.04,
        }
    )


def test_bytes_add_up_and_times_are_milliseconds(statsd: StatsdServer) -> None:
    result = RequestReport("req-1", "COMPLETED", {"metrics": {"queue_time": 2.5, "inference_time": 140}})
    for _ in range(2):
        metrics.count(Delivered("m", result, None, STORED))
    assert statsd.counters() == {"airflow.segmind.output_bytes": 4000, "airflow.segmind.output_bytes.m": 4000}
    times = {name: values for name, values in statsd.timings().items() if not name.endswith(".m")}
    assert times == {"airflow.segmind.queue_time": [2500.0] * 2, "airflow.segmind.inference_time": [140_000.0] * 2}


def test_datadog_gets_the_model_as_a_tag(server: StatsdServer) -> None:
    with airflow_sending_to(datadog(server.port)):
        for _ in range(5):
            metrics.count(delivered(0.003))
    assert server.counters() == pytest.approx(
        {f"airflow.segmind.cost|#model:{MODEL}": 0.015, f"airflow.segmind.cost.{MODEL}|#model:{MODEL}": 0.015}
    )


def test_influxdb_gets_the_model_as_a_tag(server: StatsdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")  # what Airflow before 3.2 goes by
    sender = plain_statsd(server.port, influxdb_tags_enabled=True)
    sender.statsd_influxdb_enabled = True
    with airflow_sending_to(sender):
        metrics.count(delivered(0.91))
        metrics.count_failure("m" * 300, exceptions.UntrustedCertificateError("x"))
    counters = server.counters()
    assert counters[f"airflow.segmind.cost,model={MODEL}"] == 0.91
    assert any("untrusted_certificate" in name for name in counters), "a name that is too long would be dropped"


def test_opentelemetry_adds_up_too() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.metrics", reason="comes with Airflow")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = sdk.MeterProvider(metric_readers=[reader])
    with airflow_sending_to(airflow_module("otel_logger").SafeOtelLogger(provider, "airflow")):
        for _ in range(5):
            metrics.count(delivered(0.003))
        metrics.count(delivered(0.91, model="other", queue_time=1))
        metrics.count(delivered(1, model="m" * 400))
    data: Any = reader.get_metrics_data()
    points = {
        (metric.name, point.attributes["model"]): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        if metric.name.startswith("airflow.segmind.cost")
    }
    assert points["airflow.segmind.cost", MODEL] == pytest.approx(0.015)
    assert points[f"airflow.segmind.cost.{MODEL}", MODEL] == pytest.approx(0.015)
    assert points["airflow.segmind.cost", "other"] == pytest.approx(0.91)
    assert sum(value for (name, _), value in points.items() if name == "airflow.segmind.cost") == pytest.approx(
        1.925
    )


@pytest.mark.parametrize(
    "cost",
    [
        *(-0.91, -1e-9, math.nan, math.inf, -math.inf, 1e300, 1e9, 1_000_000, 10**400, True, False, None),
        *("much", "nan", "-1", "1e300", "0x10", "", [0.91], {"usd": 0.91}),
    ],
)
def test_a_cost_that_cannot_be_one_is_not_counted(statsd: StatsdServer, cost: Any) -> None:
    metrics.count(delivered(cost))
    assert statsd.lines() == []


@pytest.mark.parametrize("cost", [0.000001, "0.91", 0, 25])
def test_a_cost_that_can_be_one_is_counted(statsd: StatsdServer, cost: Any) -> None:
    metrics.count(delivered(cost))
    assert statsd.counters()["airflow.segmind.cost"] == float(cost)


@pytest.mark.parametrize(
    "model",
    ["a b", "x:1|c\nairflow.segmind.cost:1000", "a,model=b", "", "ü", None, "../m", "m\n"],
)
def test_a_model_that_cannot_be_one_reaches_no_name(statsd: StatsdServer, model: str | None) -> None:
    metrics.count(delivered(0.91, model=model))
    assert statsd.counters() == {"airflow.segmind.cost": 0.91, "airflow.segmind.cost.unknown": 0.91}


def test_a_failure_is_counted_by_its_reason(statsd: StatsdServer) -> None:
    metrics.count_failure(MODEL, InsufficientCreditsError("none left"))
    assert statsd.counters() == {
        "airflow.segmind.failed": 1,
        f"airflow.segmind.failed.{MODEL}.insufficient_credits": 1,
    }


def test_every_reason_is_a_name_that_statsd_takes(statsd: StatsdServer) -> None:
    errors = {error for error in vars(exceptions).values() if isinstance(error, type)}
    for error in errors:
        if issubclass(error, SegmindError):
            metrics.count_failure("m" * 300, error.__new__(error))
    names = [name.rpartition(".")[2] for name in statsd.counters() if name != "airflow.segmind.failed"]
    assert {"request_failed", "request_timeout", "rate_limited", "download"} <= set(names)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in names)


class Store:
    """As Airflow's task state store."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


def test_a_task_counts_a_request_once_and_the_next_one_again(statsd: StatsdServer) -> None:
    context: Any = {"task_state_store": Store()}
    for request_id in ("a", "a", "b", "b", "a"):
        metrics.count_once(delivered(1.0, request_id=request_id), metrics.CountedInTaskState(context))
    assert statsd.counters()["airflow.segmind.cost"] == 3.0, "only the latest request is remembered"


def test_without_a_store_each_delivery_counts(statsd: StatsdServer) -> None:
    for _ in range(2):
        metrics.count_once(delivered(1.0), metrics.CountedInTaskState({}))  # type: ignore[typeddict-item]
    assert statsd.counters()["airflow.segmind.cost"] == 2.0


def test_a_store_that_is_down_costs_a_metric_and_no_task(
    statsd: StatsdServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Down:
        def get(self, key: str) -> Any:
            raise ConnectionError("no API server")

    context: Any = {"task_state_store": Down()}
    metrics.count_once(delivered(1.0), metrics.CountedInTaskState(context))
    assert statsd.lines() == []
    assert "req-1" in caplog.text


@pytest.mark.parametrize(
    "send",
    [
        lambda: metrics.count(
            Delivered("m", RequestReport("r", "COMPLETED", {"metrics": {"cost": 1}}), None, STORED)
        ),
        lambda: metrics.count_failure("m", SegmindError("x")),
        lambda: metrics.count_bytes("m", 5),
    ],
)
def test_metrics_that_cannot_be_sent_fail_no_task(send: Callable[[], None]) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no metrics today")

    with airflow_sending_to(Broken()):
        send()
