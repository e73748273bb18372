"""What the processes of one machine share of an account: real processes, and what may be in the file."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.account import answers
from airflow_provider_segmind.account.answers import LARGEST, LIFETIME, LIFETIME_OF_ERRORS, Answer, share
from airflow_provider_segmind.account.statement import Statement, is_statement, read_statement
from airflow_provider_segmind.api.answers import Credits
from airflow_provider_segmind.api.call import Call
from airflow_provider_segmind.api.history import HistoryEntry, HistoryPage
from airflow_provider_segmind.hooks import shared_files
from airflow_provider_segmind.hooks.segmind import SegmindHook

DAY = date(2026, 11, 26)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, and where the answers would be in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"airflow-segmind-{os.getuid()}"


def ask(name: str = "a", document: dict[str, Any] | None = None, status: int = 200) -> tuple[Answer, bool]:
    """Ask for an answer. Return it, and whether it was read now."""
    reads = []

    def read() -> Answer:
        reads.append(name)
        return Answer(status, {"number": 1} if document is None else document, time.time())

    return share(name, read, lambda answer: "number" in answer.document), bool(reads)


def file_of(folder: Path, name: str = "a") -> Path:
    return folder / f"account-{name}.json"


PROCESS = """
import sys, tempfile, threading, time
tempfile.tempdir = sys.argv[1]
from airflow_provider_segmind.account.answers import Answer, share

def read():
    with open(sys.argv[2], "a") as log:
        log.write("read\\n")
    open(sys.argv[3]).read()  # a pipe: until all others ask, too
    return Answer(200, {"number": 7}, time.time())

def ask():
    got.append(share("a", read, lambda answer: True).document["number"])

got = []
readers = [threading.Thread(target=ask) for _ in range(3)]
print("ready", flush=True)
for reader in readers: reader.start()
for reader in readers: reader.join()
print(*got, flush=True)
"""


def test_readers_of_four_processes_cost_one_read(folder: Path, tmp_path: Path) -> None:
    log, pipe = tmp_path / "log", tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PROCESS, str(tmp_path), str(log), str(pipe)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.stdout for process in processes]
    assert [output.readline() for output in outputs if output] == ["ready\n"] * 4
    pipe.write_text("go on")  # waits for the one that reads
    assert [output.readline() for output in outputs if output] == ["7 7 7\n"] * 4
    assert [process.wait() for process in processes] == [0] * 4
    assert log.read_text() == "read\n"


def test_the_file_belongs_to_the_user_alone(folder: Path) -> None:
    ask()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(folder).stat().st_mode) == 0o600


def test_another_name_is_another_answer(folder: Path) -> None:
    assert [ask(name)[1] for name in ("a", "a", "b", "b")] == [True, False, True, False]


@pytest.mark.parametrize(("status", "lifetime"), [(200, LIFETIME), (502, LIFETIME_OF_ERRORS)])
def test_an_answer_is_read_again_when_it_is_stale(folder: Path, status: int, lifetime: float) -> None:
    ask(status=status)
    for age, is_read in ((lifetime - 5, False), (lifetime + 1, True)):
        kept = json.loads(file_of(folder).read_text())
        file_of(folder).write_text(json.dumps({**kept, "read_at": time.time() - age}))
        assert ask(status=status)[1] is is_read


NOW = datetime.now(UTC).timestamp()
KEPT: dict[str, Any] = {"version": 1, "status": 200, "read_at": NOW, "document": {"number": 2}}
DAMAGED = (
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 20_000, b"9" * 5000, b"{}"),
    *(json.dumps({**KEPT, name: "x"}).encode() for name in KEPT),
    *(json.dumps({**KEPT, name: None}).encode() for name in KEPT),
    *(json.dumps({**KEPT, "read_at": at}).encode() for at in (NOW + 3600, 1e999, float("nan"), -1.0, 10**400)),
    json.dumps({**KEPT, "document": {"other": 1}}).encode(),
    json.dumps({**KEPT, "document": {"number": 2, "padding": "x" * LARGEST}}).encode(),
)


@pytest.mark.parametrize("damaged", DAMAGED, ids=range(len(DAMAGED)))
def test_what_cannot_be_right_is_not_believed(folder: Path, damaged: bytes) -> None:
    ask()
    file_of(folder).write_bytes(damaged)
    answer, is_read = ask()
    assert (answer.document, is_read) == ({"number": 1}, True)
    assert not ask()[1], "what was read then is shared"


def test_an_answer_that_is_too_large_is_not_shared(folder: Path) -> None:
    large = {"number": 1, "text": "x" * LARGEST}
    assert [ask(document=large)[1] for _ in range(2)] == [True, True]
    assert file_of(folder).stat().st_size == 0


def test_a_process_that_hangs_with_the_file_does_not_hang_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LONGEST_WAIT", 0.03)
    ask()
    with file_of(folder).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert ask()[1]


def test_a_folder_that_others_may_open_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    assert [ask()[1] for _ in range(2)] == [True, True]
    assert "other users may open" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    ask()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    file_of(folder).unlink()
    file_of(folder).symlink_to(elsewhere)
    assert ask()[1]
    assert elsewhere.read_text() == "precious"


def test_an_error_that_nobody_expects_is_shared_with_nobody(folder: Path) -> None:
    def fail() -> Answer:
        raise OSError("broken")

    for _ in range(2):
        with pytest.raises(OSError, match="broken"):
            share("a", fail, lambda answer: True)
    assert ask()[1]


def test_old_files_are_deleted_when_another_one_is_written(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    old, day_ago, locked_name = time.time() - 300, time.time() - 25 * 3600, "account-locked.json"
    left = {
        "account-old.json": old,
        locked_name: old,
        "catalogue-0.json": old,
        "0123.json": day_ago,
        "catalogue-1.json": day_ago,
        ".0123.part": day_ago,
    }
    for name, moment in left.items():
        (folder / name).write_text("{}")
        os.utime(folder / name, (moment, moment))
    (folder / "folder").mkdir()
    with (folder / locked_name).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ask()
    assert {each.name for each in folder.iterdir()} == {
        "account-a.json",
        locked_name,
        "catalogue-0.json",
        "folder",
    }


def test_a_file_that_is_deleted_while_it_is_waited_for_is_made_again(folder: Path) -> None:
    """Else one process would write to a file that no other one finds."""
    folder.mkdir(mode=0o700)
    path = file_of(folder)
    with shared_files.locked(path) as first:
        waiting = os.open(path, os.O_RDWR)
        path.unlink()
        with shared_files.locked(path) as second:
            assert os.fstat(first).st_ino != os.fstat(second).st_ino == path.stat().st_ino
        os.close(waiting)


class GenerousSegmind(SegmindHook):
    """A host that gives more rows than it is asked for."""

    def send(self, call: Call[Any]) -> Any:
        if "page" not in dict(call.query):
            return Credits(1.0)
        number = dict(call.query)["page"]
        return HistoryPage(
            tuple(HistoryEntry(f"{number}-{row}", "a", "COMPLETED") for row in range(300)), rows=300
        )


def test_a_host_that_gives_too_much_is_cut_short_and_that_is_said() -> None:
    read = read_statement(GenerousSegmind(), DAY, DAY)
    assert len(read.entries) == 1000
    assert read.unread == "the first 1000 of 3000 requests are shown"


def statement() -> dict[str, Any]:
    url = "https://media.segmind.com/outputs/a.mp4"
    made = datetime(2026, 11, 26, 9, tzinfo=UTC)
    entries = (
        HistoryEntry("a-1", "kling", "COMPLETED", 0.91, None, (url,), None, made, 12.5),
        HistoryEntry("a-2", "", "FAILED", error="blocked"),
    )
    return Statement(made, DAY, DAY, Credits(12.5), entries).as_json()


def test_a_statement_is_possible_as_it_was_written() -> None:
    assert is_statement(json.loads(json.dumps(statement())), DAY, DAY)
    assert not is_statement(statement(), date(2026, 11, 25), DAY)


WRONG: list[Any] = ["x", 1e999, float("nan"), [], {}, True, [["x"]], {"a": 1}]


@pytest.mark.parametrize("field", statement())
def test_no_field_of_a_statement_may_be_anything(field: str) -> None:
    for value in WRONG:
        expected = (value == "x" and field == "unread") or (value == [] and field == "requests")
        assert is_statement({**statement(), field: value}, DAY, DAY) is expected, value


@pytest.mark.parametrize("field", statement()["requests"][0])
def test_no_field_of_a_request_may_be_anything(field: str) -> None:
    texts, urls = ("request_id", "model", "state", "error"), ("output_urls",)
    for value in WRONG:
        expected = (value == "x" and field in texts) or (value == [] and field in urls)
        changed = {**statement(), "requests": [{**statement()["requests"][0], field: value}]}
        assert is_statement(changed, DAY, DAY) is expected, value
