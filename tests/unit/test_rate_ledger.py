"""What the processes of one machine share of a key's rate: the file, and what is in it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_segmind.hooks import rate_ledger, shared_files
from airflow_provider_segmind.hooks.key_rate import (
    LEAST_LEARNED,
    LONGEST_PAUSE,
    LONGEST_QUEUE,
    LONGEST_QUIET,
    MINUTE,
    SPREAD,
    KeyRate,
    LearnedRate,
    Refusal,
)
from airflow_provider_segmind.hooks.rate_ledger import MachineLedger, ProcessLedger, hash_of, machine_ledger

NOW = 1_800_000_000.0
NAME = hash_of("SG_0123456789abcdef", "https://api.segmind.com")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, and where the ledger would be in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(rate_ledger, "_warned", set())
    return tmp_path / f"airflow-segmind-{os.getuid()}"


PROCESS = """
import asyncio, math, sys, tempfile
tempfile.tempdir = sys.argv[1]
from airflow_provider_segmind.hooks.rate_ledger import machine_ledger
ledger = machine_ledger(sys.argv[2])
for _ in range(20):
    asyncio.run(ledger.reserve(60, math.inf))
"""


def test_two_processes_share_one_limit(folder: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(folder.parent), NAME]
    began = time.time()
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    known = json.loads((folder / f"{NAME}.json").read_text())
    assert known["next_turn"] >= began + 40 * SPREAD / 60


async def test_a_429_of_one_pauses_the_other_and_teaches_it(folder: Path) -> None:
    one, other = machine_ledger(NAME), machine_ledger(NAME)
    for _ in range(50):
        assert await one.enter() == 0
    await one.refuse(Refusal(time.time(), 30.0), None)
    assert 25 < await other.pause_left() <= 30
    assert 25 < await other.enter() <= 30
    slot = await other.reserve(None, 10)
    assert not slot.is_reserved
    known = json.loads((folder / f"{NAME}.json").read_text())
    assert known["learned"][0] == 49
    assert known["refusals"] == 1
    await other.answered()
    assert (await one.reserve(None, math.inf)).refusals == 0


def test_the_file_belongs_to_the_user_alone_and_does_not_name_the_key(folder: Path) -> None:
    asyncio.run(machine_ledger(NAME).enter())
    (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    assert "0123456789abcdef" not in file.name + file.read_text()


def plant_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def plant_open_folder(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def plant_file(folder: Path) -> None:
    folder.write_text("")


@pytest.mark.parametrize("plant", [plant_link, plant_open_folder, plant_file])
def test_a_folder_that_others_may_have_made_is_not_used(
    plant: object, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(plant)
    plant(folder)
    assert isinstance(machine_ledger(NAME), ProcessLedger)
    assert isinstance(machine_ledger(NAME), ProcessLedger)
    assert caplog.text.count("cannot share a rate limit") == 1
    assert folder.is_symlink() or not folder.is_dir() or not any(folder.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    assert isinstance(machine_ledger(NAME), ProcessLedger)
    assert "belongs to another user" in caplog.text


def plant_pipe(file: Path) -> None:
    os.mkfifo(file)


def plant_folder(file: Path) -> None:
    file.mkdir()


def plant_dangling_link(file: Path) -> None:
    file.symlink_to(file.parent / "nowhere")


@pytest.mark.parametrize("plant", [plant_pipe, plant_folder, plant_dangling_link])
async def test_a_file_that_is_none_is_not_opened(
    plant: object, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = machine_ledger(NAME)
    assert callable(plant)
    plant(folder / f"{NAME}.json")
    first, second = await ledger.reserve(60, math.inf), await ledger.reserve(60, math.inf)
    assert second.wait - first.wait > 0.5, "it goes on by itself"
    assert caplog.text.count("cannot share a rate limit") == 1
    assert not (folder / "nowhere").exists()


async def test_a_process_that_hangs_with_the_file_does_not_hang_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_files, "LOCK_PATIENCE", 0.03)
    ledger = machine_ledger(NAME)
    await ledger.enter()
    with (folder / f"{NAME}.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (await ledger.reserve(60, math.inf)).is_reserved
    assert "locked by a process that hangs" in caplog.text


DAMAGED = (
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 20_000, b'{"version": 2}', b'{"version": 1}', b"9" * 5000),
    *(b'{"version":1,"next_turn":1e999}', b'{"version":1,"next_turn":NaN,"closed_until":"soon","refusals":-1}'),
    b'{"version":1,"learned":[1e9,0,0],"sent":{"x":1,"1":"y","99999999999999":1}}',
    b'{"version":1,"next_turn":' + b"9" * 400 + b"}",
)


@pytest.mark.parametrize("damaged", DAMAGED, ids=range(len(DAMAGED)))
async def test_a_damaged_file_counts_as_a_new_one(damaged: bytes, folder: Path) -> None:
    ledger = machine_ledger(NAME)
    (folder / f"{NAME}.json").write_bytes(damaged)
    assert await ledger.enter() == 0
    assert (await ledger.reserve(60, math.inf)).wait == 0
    assert json.loads((folder / f"{NAME}.json").read_text())["version"] == 1


NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))


@given(
    st.dictionaries(
        st.sampled_from(["version", "next_turn", "closed_until", "refusals", "learned", "sent"]),
        st.one_of(
            NUMBERS, st.lists(NUMBERS, max_size=4), st.dictionaries(st.text(max_size=12), NUMBERS, max_size=3)
        ),
    )
)
def test_nothing_in_the_file_can_hold_a_key_back_for_long(document: dict[str, object]) -> None:
    known = KeyRate.from_json({"version": 1, **document}, NOW)
    _, slot = known.reserve(60, math.inf, NOW)
    assert 0 <= slot.wait <= max(LONGEST_QUEUE, LONGEST_PAUSE)
    assert known.pause_left(NOW) <= LONGEST_PAUSE
    assert KeyRate.from_json(json.loads(json.dumps(known.as_json())), NOW) == known


def refused(known: KeyRate, now: float, sent: int, limit: float | None = None) -> KeyRate:
    """Return what is known after so many requests in the seconds before a 429 with a reset in a second."""
    for number in range(sent):
        known, paused = known.enter(now - 1 + number / sent / 2)
        assert paused == 0
    return known.refuse(Refusal(now, 1.0, is_counted=False), limit, now)


def test_a_limit_that_is_found_again_is_tried_less_and_less_often() -> None:
    known, now, quiets = KeyRate(), NOW, []
    for _ in range(6):
        known = refused(known, now, 120)
        assert known.learned is not None
        quiets.append(known.learned.quiet)
        now += 120
    assert quiets == [60, 120, 240, 480, LONGEST_QUIET, LONGEST_QUIET]
    other = refused(known, now, 40)
    assert other.learned == LearnedRate(40, now, MINUTE)


@pytest.mark.parametrize(
    ("sent", "limit", "learned"), [(120, None, 120), (3, None, LEAST_LEARNED), (50, 120, 50), (3, 120, 30)]
)
def test_what_a_429_teaches(sent: int, limit: float | None, learned: float) -> None:
    known = refused(KeyRate(), NOW, sent, limit)
    assert known.learned is not None
    assert known.learned.per_minute == learned


def test_429s_to_what_was_under_way_together_teach_once() -> None:
    known = refused(KeyRate(), NOW, 120)
    again = known.refuse(Refusal(NOW - 0.1, 2.0), None, NOW + 0.2)
    assert (again.learned, again.refusals) == (known.learned, 1)
    assert again.closed_until == NOW + 2.2


def test_a_machine_ledger_knows_its_file(folder: Path) -> None:
    assert isinstance(machine_ledger(NAME), MachineLedger)
