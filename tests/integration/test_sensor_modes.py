"""The sensor in a real Airflow: its modes differ in how they wait, and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks import downloads
from airflow_provider_segmind.hooks.segmind import SegmindHook

Run = Callable[..., dict[str, Any]]
MODES = ("deferred", "poke", "reschedule")
pytestmark = pytest.mark.timeout(600)  # nine tasks a run, on a machine that may be busy with other things


def submitted() -> str:
    return SegmindHook().submit("fast-text-to-image", {"prompt": "a fox"}).request_id


def test_it_waits_and_delivers_in_every_mode(emulator: RunningEmulator, run_dag: Run) -> None:
    request_id = submitted()
    tasks = run_dag("sensors", request_id=request_id, model="fast-text-to-image")
    assert len(tasks) == 9
    for name, task in tasks.items():
        assert task.state == "success", name
        assert task.value == task.file["url"]
        assert task.xcoms["request_id"] == request_id
        assert task.summary["cost"] > 0
        assert task.summary["model"] == "fast-text-to-image"
        assert (task.xcoms["result"] is not None) == (name == "deferred"), name


def test_it_stores_in_every_mode_and_a_retry_stores_again(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LONGEST_RESUME_PAUSE", 0.0)
    request_id = submitted()
    emulator.faults({"on": "media", "status": 503, "count": downloads.ATTEMPTS})
    tasks = run_dag("sensors", request_id=request_id, output_path=f"{tmp_path}/")
    # Airflow's order decides which one meets the trouble: it is tried again, or skipped if its options say so.
    ended = sorted((task.state, task.try_number) for task in tasks.values())
    others = [("success", 1)] * 8
    assert ended in ([*others, ("success", 2)], [("skipped", 1), *others])
    tasks = {name: task for name, task in tasks.items() if task.state == "success"}
    assert len(tasks) >= 8
    assert [path.name for path in tmp_path.iterdir()] == [f"{request_id}.png"]
    assert {task.file["output_path"] for task in tasks.values()} == {f"{tmp_path}/{request_id}.png"}
    assert emulator.ledger()["submits"] == 1


@pytest.mark.parametrize("name", ["clip.png", ""], ids=["file", "folder"])
def test_what_is_there_is_kept_or_an_error_before_it_waits(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str], tmp_path: Path, name: str
) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck"})
    request_id = submitted()
    there = tmp_path / (name or f"{request_id}.png")
    there.write_bytes(b"stored before")
    tasks = run_dag("sensors_existing", request_id=request_id, output_path=f"{tmp_path}/{name}")
    for mode in MODES:
        kept, refused = tasks[f"{mode}_skip"], tasks[f"{mode}_error"]
        assert (kept.state, kept.value, kept.xcoms["request_id"]) == ("success", str(there), request_id), mode
        assert kept.file == {"output_path": str(there), "bytes": 13}
        assert (refused.state, refused.try_number) == ("failed", 1)
    assert said().count(f"Invalid parameter: output_path: {there} is there already") >= 3
    assert there.read_bytes() == b"stored before"


def test_what_is_not_there_is_waited_for_and_stored(
    emulator: RunningEmulator, run_dag: Run, tmp_path: Path
) -> None:
    tasks = run_dag("sensors_existing", request_id=submitted(), folder=f"{tmp_path}/")
    assert {task.state for task in tasks.values()} == {"success"}
    assert sorted(each.stem for each in tmp_path.iterdir()) == sorted(tasks)


def test_a_storage_that_cannot_be_used_is_seen_before_the_wait(
    emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]
) -> None:
    emulator.faults({"on": "submit", "outcome": "stuck"})
    tasks = run_dag("sensors", request_id=submitted(), output_path="/etc/segmind/a.png")
    assert {(tasks[name].state, tasks[name].try_number) for name in ("deferred", "poke")} == {("failed", 1)}
    assert "Invalid parameter: output_path: " in said()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"outcome": "blocked"}, "Segmind blocked the content"),
        ({"outcome": "stuck"}, "clear this task to wait for it again"),
    ],
    ids=["failed", "stuck"],
)
def test_a_failure_has_no_retry_and_skips_if_asked_for(
    emulator: RunningEmulator,
    run_dag: Run,
    said: Callable[[], str],
    fault: dict[str, Any],
    words: str,
) -> None:
    emulator.faults({"on": "submit", **fault})
    request_id = submitted()
    tasks = run_dag("sensors", request_id=request_id)
    log = said()
    assert {(name, task.state, task.try_number) for name, task in tasks.items()} == {
        (f"{mode}{end}", state, 1)
        for mode in MODES
        for end, state in (("", "failed"), ("_soft", "skipped"), ("_never", "skipped"))
    }
    for reason in (words, "Skipped because of soft_fail=True: ", "Skipped because of never_fail=True: "):
        assert log.count(reason) >= len(MODES), reason
    assert request_id in log


def test_without_an_id_it_asks_nothing(emulator: RunningEmulator, run_dag: Run, said: Callable[[], str]) -> None:
    tasks = run_dag("sensors", request_id=None)
    assert {(name, task.state, task.try_number) for name, task in tasks.items()} == {
        (f"{mode}{end}", state, 1)
        for mode in MODES
        for end, state in (("", "failed"), ("_soft", "skipped"), ("_never", "skipped"))
    }
    assert "Invalid parameter: request_id: there is none" in said()
    assert not any(emulator.requests()["endpoints"].values())


def test_of_mapped_ones_only_that_without_an_id_ends_so(emulator: RunningEmulator, run_dag: Run) -> None:
    tasks = run_dag("sensors_mapped", request_ids=[submitted(), None])
    assert {name: (tasks[name].state, tasks[name].try_number) for name in tasks if "wait" in name} == {
        "wait[0]": ("success", 1),
        "wait[1]": ("failed", 1),
        "wait_soft[0]": ("success", 1),
        "wait_soft[1]": ("skipped", 1),
    }
