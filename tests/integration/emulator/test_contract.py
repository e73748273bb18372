"""The contract check finds out in which world it is, and says what it cannot."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_segmind.contract.__main__ import main
from airflow_provider_segmind.contract.check import check
from airflow_provider_segmind.contract.emulated import emulated
from airflow_provider_segmind.contract.findings import QUESTIONS, Findings, Outcome, seen, unseen
from airflow_provider_segmind.contract.report import write_report
from airflow_provider_segmind.contract.segmind import read_reset
from airflow_provider_segmind.emulator import World
from airflow_provider_segmind.emulator.worlds import CHOICES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_segmind.emulator import RunningEmulator

QUICK = 0.02
QUICKER = 0.005
"""For tests that do not measure time."""

UNSEEN = {"no_credits_status"}
WORLDS = {
    "documented": World(),
    "captured": World(
        history_media="missing",
        history_bodies="json",
        history_owner="team",
        running_status=202,
        status_counts=False,
        no_credits_status=402,
        reset_format="epoch_ms",
        ids="hex",
        optional_keys="absent",
        error_key="error_object",
        upload_key="urls",
        catalogue_key="details",
        catalogue_parameters="parameters",
    ),
    "late": World(
        history_rows="with_output",
        history_lag=0.6,
        history_created="recorded",
        history_media="rewritten",
        history_after_expiry="missing",
        generations_lag=0.6,
        server_error_leaves_job=True,
        running_status=425,
        running_body="error",
        platform_counts=False,
        reset_format="rfc1123",
        ids="mixed",
        error_key="detail",
        catalogue_key="none",
    ),
}
LAGS = ("history_lag", "generations_lag")
TOGETHER: dict[str, dict[str, Any]] = {"history_created": {"history_rows": "with_output"}}
"""What a field can only be seen with."""

ONLY_IN = {
    "generations_lag": "spend",
    "status_counts": "exhaust",
    "platform_counts": "exhaust",
    "reset_format": "exhaust",
}


def found_in(world: World, *fields: str, balance: float = 100.0) -> Findings:
    """What the check finds in a world. With `fields`, it asks no more than it takes for them."""
    with emulated(world, factor=QUICK, balance=balance) as asking:
        needed = {ONLY_IN.get(name) for name in fields}
        asking.spend = not fields or "spend" in needed
        asking.exhaust = asking.exhaust if not fields or "exhaust" in needed else 0
        return check(asking)


def without_lags(world: World) -> World:
    return replace(world, **dict.fromkeys(LAGS, 0.0))


def about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.5 if seconds else 0)


def other_answers() -> Iterator[tuple[str, Any]]:
    for name, choices in CHOICES.items():
        yield from ((name, value) for value in choices or (0.8,) if value != getattr(World(), name))


@pytest.mark.parametrize("name", WORLDS)
def test_it_recognizes_a_world(name: str) -> None:
    world = WORLDS[name]
    findings = found_in(world)
    seen = {each.name for each in findings.complete() if each.outcome is Outcome.SEEN}
    assert seen == CHOICES.keys() - UNSEEN, findings.by_name
    assert without_lags(findings.world) == replace(without_lags(world), no_credits_status=406)
    assert [getattr(findings.world, lag) for lag in LAGS] == [about(getattr(world, lag)) for lag in LAGS]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"running_status": 404, "running_body": "error"}, "3 requests for an output at least"),
        ({"running_status": 404}, "2 requests for an output at least"),
        ({"running_status": 409, "running_body": "error"}, "2 requests for an output at least"),
        (None, "was not seen"),
    ],
)
def test_it_says_what_waiting_costs_there(changes: dict[str, Any] | None, said: str) -> None:
    findings = Findings()
    for name, value in {"running_status": 200, "running_body": "state", **(changes or {})}.items():
        findings.add(seen(name, value, "") if changes is not None else unseen(name, ""))
    assert said in write_report(findings, "nobody", datetime.now(UTC))


@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), list(other_answers()))
def test_it_recognizes_each_answer_alone(name: str, value: Any) -> None:
    world = World().changed({name: value, **TOGETHER.get(name, {})})
    findings = found_in(world, name, balance=0.0 if name == "no_credits_status" else 100.0)
    assert findings.by_name[name].outcome is Outcome.SEEN, findings.by_name[name]
    if name in LAGS:
        assert getattr(findings.world, name) == about(value)
        assert without_lags(findings.world) == World()
    else:
        assert findings.world == world


def test_every_field_belongs_to_a_question() -> None:
    names = [name for fields in QUESTIONS.values() for name in fields]
    assert len(QUESTIONS) == 10
    assert sorted(names) == sorted(CHOICES)


def test_without_credits_it_says_what_is_left_open() -> None:
    findings = found_in(World(no_credits_status=402), "ids", balance=0.0)
    assert findings.world == World(no_credits_status=402)
    assert "HTTP 402" in findings.by_name["history_rows"].evidence
    assert findings.by_name["upload_key"].outcome is Outcome.SEEN


def test_a_question_that_fails_is_a_line(tmp_path: Path) -> None:
    with emulated(World(), factor=QUICKER) as asking:
        asking.spend, asking.exhaust = False, 0
        asking.own.post("gateway", "/__emulator__/faults", {"on": "upload", "drop": "after"})
        findings = check(asking)
    assert findings.by_name["upload_key"].outcome is Outcome.FAILED
    assert "ConnectionError" in findings.by_name["upload_key"].evidence
    assert findings.by_name["history_rows"].value == "at_once"
    assert findings.by_name["generations_lag"].outcome is Outcome.NOT_ASKED
    assert findings.by_name["status_counts"].outcome is Outcome.NOT_ASKED


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "submit", "outcome": "failed", "count": 1},
        {"on": "result", "status": 503, "count": 1},
        {"on": "history", "status": 429, "retry_after": 0.1, "count": 2},
    ],
    ids=["job failed", "server error", "rate limit"],
)
def test_a_fault_that_passes_is_not_taken_for_a_world(fault: dict[str, Any]) -> None:
    with emulated(World(ids="hex"), factor=QUICKER) as asking:
        asking.spend, asking.exhaust = False, 0
        asking.own.post("gateway", "/__emulator__/faults", fault)
        findings = check(asking)
    assert findings.world == World(ids="hex")
    assert {findings.by_name[name].outcome for name in ("running_status", "optional_keys")} == {Outcome.SEEN}


def test_a_rate_limit_that_stays_is_not_taken_for_a_world() -> None:
    with emulated(World(), factor=QUICKER) as asking:
        asking.spend, asking.exhaust = False, 0
        asking.own.post("gateway", "/__emulator__/faults", {"on": "result", "status": 429, "retry_after": 0.1})
        findings = check(asking)
    assert "the rate limit refused this 3 times" in findings.by_name["running_status"].evidence
    assert findings.by_name["running_status"].outcome is Outcome.UNSEEN


@pytest.mark.parametrize("status", [403, 500])
def test_a_history_that_does_not_answer_leaves_the_gateway_to_be_seen(status: int) -> None:
    with emulated(World(running_status=202), factor=QUICKER) as asking:
        asking.spend, asking.exhaust = False, 0
        asking.own.post("gateway", "/__emulator__/faults", {"on": "history", "status": status})
        findings = check(asking)
    assert findings.world == World(running_status=202)
    assert findings.by_name["history_rows"].outcome is Outcome.UNSEEN
    assert f"the history answered HTTP {status}" in findings.by_name["history_rows"].evidence
    assert findings.by_name["history_owner"].outcome is Outcome.FAILED


def test_no_clip_is_paid_for_without_its_image() -> None:
    with emulated(World(), factor=QUICKER) as asking:
        asking.exhaust = 0
        asking.own.post("gateway", "/__emulator__/faults", {"on": "upload", "status": 500})
        findings = check(asking)
        ledger = asking.own.get("gateway", "/__emulator__/ledger").fields
    assert "no clip was paid for" in findings.by_name["generations_lag"].evidence
    assert "kling-o1-image-to-video" not in {each["model"] for each in ledger["charges"]}


def test_it_ends_in_time() -> None:
    began = time.monotonic()
    with emulated(World(), factor=0.5, seconds=2.0) as asking:
        findings = check(asking)
    assert time.monotonic() - began < 10
    assert findings.by_name["error_key"].outcome is Outcome.SEEN
    assert findings.by_name["running_status"].value == 200
    assert findings.by_name["history_created"].outcome is not Outcome.SEEN
    assert findings.by_name["generations_lag"].outcome is Outcome.NOT_ASKED
    assert "time for all questions" in findings.by_name["generations_lag"].evidence


class TestCommand:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("LIVE", "SPEND", "EXHAUST", "SEGMIND_API_KEY", "SEGMIND_TEAMMATE_API_KEY", "EARLIER_REQUEST"):
            monkeypatch.delenv(name, raising=False)

    @pytest.fixture
    def live(
        self, segmind_host: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> RunningEmulator:
        """The emulator at the addresses of Segmind."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        monkeypatch.setenv("LIVE", "1")
        monkeypatch.setenv("SEGMIND_API_KEY", segmind_host.api_key)
        return segmind_host

    def test_it_writes_a_report(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        report = tmp_path / "contract-report.md"
        world = "ids=hex,status_counts=false,running_status=425"
        assert main(["--report", str(report), "--world", world, "--pace", str(QUICK)]) == 0
        text = report.read_text()
        assert (
            "python -m airflow_provider_segmind.emulator --running-status 425 --no-status-counts --ids hex" in text
        )
        assert "running_emulator(running_status=425, status_counts=False, ids='hex')" in text
        assert "running_status: `425`" in capsys.readouterr().out
        assert "| 6 | What does `GET /v2/requests/{id}` say while a job runs? | `running_status` | `425` |" in text
        assert "2 requests for an output at least" in text

    def test_a_live_one_costs_less_than_a_cent_and_keeps_the_key(
        self, live: RunningEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        live.faults({"on": "upload", "status": 500, "json": {live.api_key: "secret"}})
        report = tmp_path / "report.md"
        assert main(["--report", str(report), "--pace", str(QUICK)]) == 0
        text = report.read_text() + capsys.readouterr().out
        assert live.api_key not in text
        assert "the upload was answered HTTP 500 with `***`" in text
        assert "Asked: Segmind," in text
        assert "SPEND=1 asks with one Kling O1 clip" in text
        ledger = live.ledger()
        assert 0 < ledger["total"] < 0.01
        assert {each["model"] for each in ledger["charges"]} == {"mock-inference"}
        assert {each["request_id"] for each in ledger["charges"]} == set(_ids(text))

    def test_the_price_is_said_before_a_clip_is_paid(
        self,
        live: RunningEmulator,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SPEND", "1")
        assert main(["--report", str(tmp_path / "report.md"), "--pace", str(QUICK)]) == 0
        assert "one Kling O1 clip of 5 s, for about $0.91" in capsys.readouterr().out
        assert [each["amount"] for each in live.ledger()["charges"]].count(0.91) == 1

    def test_a_teammate_and_an_earlier_request(
        self,
        live: RunningEmulator,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        teammate = str(live.teammate_api_key)
        live.change_world(history_owner="team", history_after_expiry="missing", error_key="error_message")
        live.faults({"on": "credits", "json": {"credits": f"of {live.api_key} and {teammate}"}})
        report = tmp_path / "report.md"
        assert main(["--report", str(report), "--pace", str(QUICK)]) == 0
        assert "SEGMIND_TEAMMATE_API_KEY" in report.read_text()
        (earlier, *_) = _ids(report.read_text())
        live.advance(3600)
        monkeypatch.setenv("EARLIER_REQUEST", earlier)
        monkeypatch.setenv("SEGMIND_TEAMMATE_API_KEY", teammate)
        assert main(["--report", str(report), "--pace", str(QUICK)]) == 0
        text = report.read_text() + capsys.readouterr().out
        assert "| `history_owner` | `team` | A teammate's request is in the list; alone: HTTP 404" in text
        assert "| `history_after_expiry` | `missing` |" in text
        assert live.api_key not in text
        assert teammate not in text

    def test_a_key_that_is_not_accepted(
        self, live: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.revoke_key(live.api_key)
        report = tmp_path / "report.md"
        assert main(["--report", str(report), "--pace", str(QUICK)]) == 1
        assert "The key is not accepted: HTTP 401" in report.read_text()
        assert live.ledger()["submits"] == 0

    @pytest.mark.parametrize("arguments", [["--world", "ids=roman"], ["--world", "moon=full"]])
    def test_worlds_that_there_are_not(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(arguments)
        assert "error:" in capsys.readouterr().err

    def test_live_needs_a_key(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("LIVE", "1")
        with pytest.raises(SystemExit):
            main([])
        assert "SEGMIND_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-01-31T12:00:00.250Z", "iso"),
        ("2026-01-31T12:00:00", "iso"),
        ("Sat, 31 Jan 2026 12:00:00 GMT", "rfc1123"),
        ("1769860800", "epoch"),
        ("1769860800000", "epoch_ms"),
    ],
)
def test_forms_of_a_reset(text: str, form: str) -> None:
    read = read_reset(text)
    assert read is not None
    assert read[0] == form
    assert read[1] == pytest.approx(1769860800, abs=1)
    assert read_reset("soon") is None


def _ids(text: str) -> list[str]:
    return [part.strip("`, ") for part in text.partition("## Requests of this run")[2].splitlines()[2].split(", ")]
