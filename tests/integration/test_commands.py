"""The command line: what a person on call sees of Segmind. It never submits, and never replaces a file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_segmind.__main__ import read_arguments
from airflow_provider_segmind.cli import running
from airflow_provider_segmind.compat import can_add_commands
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook

KLING = "kling-o1-image-to-video"
CLIP = {"prompt": "zoom", "start_image_url": "https://example.com/a.png"}
MODULE = (sys.executable, "-m", "airflow_provider_segmind")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\r\nforged line"


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(emulator: RunningEmulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Carry a command out in this process: a new one takes long to import Airflow."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")

    def run_command(*arguments: str) -> Done:
        capsys.readouterr()
        code = 0
        try:
            options = read_arguments(arguments)
            getattr(running, options.function)(options)
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run_command


@pytest.fixture(autouse=True)
def nothing_is_paid(emulator: RunningEmulator) -> Any:
    """What a test submits, it submits with the hook."""
    yield
    assert emulator.requests()["endpoints"].get("submit", 0) == emulator.ledger()["submits"] <= 2


def submit(model: str = KLING, **parameters: Any) -> str:
    return SegmindHook().submit(model, {**CLIP, **parameters} if model == KLING else parameters).request_id


def finished(model: str = KLING, **parameters: Any) -> str:
    request_id = submit(model, **parameters)
    deadline = time.monotonic() + 60
    while SegmindHook().get_status(request_id).state in ("QUEUED", "PROCESSING"):
        assert time.monotonic() < deadline
    return request_id


def in_process(*command: str) -> Done:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.timeout(900)  # on a machine that is busy with other things, an Airflow takes minutes to import
class TestAsAProcess:
    def test_wrong_usage_ends_with_2(self) -> None:
        for arguments in ((), ("request",), ("requests", "--days", "40"), ("request", "an id")):
            done = in_process(*MODULE, *arguments)
            assert (done.code, done.out) == (2, ""), arguments
            assert "usage: python -m airflow_provider_segmind" in done.err

    def test_it_writes_what_was_asked_for_and_nothing_else(
        self, emulator: RunningEmulator, tmp_path: Path
    ) -> None:
        request_id = finished()
        path = tmp_path / "clips" / "clip.mp4"
        done = in_process(*MODULE, "request", request_id, "--download", str(path), "--json")
        assert done.code == 0, done.err
        (stored,) = done.document["stored"]
        assert stored["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.usefixtures("airflow_db")  # or Airflow itself would complain about its missing database
    def test_an_error_is_plain_and_ends_with_1(self, emulator: RunningEmulator) -> None:
        done = in_process(*MODULE, "credits", "--conn-id", "not_there")
        assert (done.code, done.out) == (1, "")
        assert "there is no connection 'not_there'" in done.err
        assert "Traceback" not in done.err

    @pytest.mark.skipif(not can_add_commands(), reason="Airflow asks providers for commands from 3.2 on")
    def test_as_a_command_of_airflow(self, emulator: RunningEmulator) -> None:
        airflow = str(Path(sys.executable).with_name("airflow"))
        done = in_process(airflow, "segmind", "credits", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out[done.out.index("{\n") :]) == {"credits": 100.0, "free_credits": 0.0}


@pytest.mark.skipif(can_add_commands(), reason="it is about older versions of Airflow")
def test_older_airflows_take_the_metadata_without_the_commands() -> None:
    from airflow.providers_manager import ProvidersManager

    assert ProvidersManager().providers["airflow-provider-segmind"].data["cli"]


@pytest.mark.usefixtures("airflow_db")
def test_a_connection_of_airflows_database_is_found(
    run: Run, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    made = emulator.connection()
    with create_session() as session:
        connection = Connection(conn_id="in_database", extra=json.dumps(made.pop("extra")), **made)
        session.add(connection)
    try:
        assert run("credits", "--conn-id", "in_database", "--json").document["credits"] == 100
    finally:
        with create_session() as session:
            session.query(Connection).filter(Connection.conn_id == "in_database").delete()


class TestModels:
    def test_a_table_of_all(self, run: Run) -> None:
        lines = run("models").out.splitlines()
        assert lines[0].split() == ["model", "retired", "parameters"]
        assert [line.split()[0] for line in lines[1:]] == sorted(line.split()[0] for line in lines[1:])
        assert "retired-image-to-video   yes      duration, end_image_url, prompt" in "\n".join(lines)

    def test_those_with_a_text_in_their_slug(self, run: Run) -> None:
        (model,) = run("models", "--contains", "KLING", "--json").document
        assert (model["slug"], model["retired"], "duration" in model["parameters"]) == (KLING, False, True)

    @pytest.mark.parametrize("form", ["parameters_schema", "parameters", "schema_text"])
    def test_one_with_its_parameters(self, run: Run, emulator: RunningEmulator, form: str) -> None:
        emulator.change_world(catalogue_parameters=form)
        out = run("model", KLING).out
        assert f"https://www.segmind.com/models/{KLING}" in out
        (duration,) = [line.split() for line in out.splitlines() if line.startswith("duration")]
        assert [each for each in duration if each in ("no", "5,", "10", "5")] == ["no", "5,", "10", "5"]
        parameters = {each["name"]: each for each in run("model", KLING, "--json").document["parameters"]}
        assert (parameters["prompt"]["required"], parameters["duration"]["default"]) == (True, 5)

    def test_an_unknown_one(self, run: Run) -> None:
        done = run("model", "kling-01-image-to-video")
        assert (done.code, done.out) == (1, "")
        message = f"Segmind's catalogue has no model 'kling-01-image-to-video'; did you mean '{KLING}'?\n"
        assert done.err.endswith(message)

    def test_a_catalogue_that_is_down(self, run: Run, emulator: RunningEmulator) -> None:
        emulator.faults({"on": "catalogue", "status": 404})
        done = run("models")
        assert (done.code, done.out) == (1, "")


class TestRequests:
    def test_a_table_of_the_last_ones(self, run: Run) -> None:
        completed, failed = finished(), finished(start_image_url="s3://x/a.png")
        out = run("requests").out
        assert out.splitlines()[0].split() == ["request", "submitted", "model", "state", "USD", "seconds", "error"]
        assert f"{completed}  " in out
        (line,) = [each for each in out.splitlines() if each.startswith(failed)]
        assert "FAILED" in line
        assert "Failed to download start_image_url" in line

    def test_filters(self, run: Run) -> None:
        completed = finished()
        finished(start_image_url="s3://x/a.png")
        (entry,) = run("requests", "--status", "COMPLETED", "--model", "kling", "--days", "1", "--json").document
        assert (entry["request_id"], entry["cost"], entry["parameters"]["prompt"]) == (completed, 0.91, "zoom")
        assert run("requests", "--model", "mock-chat", "--json").document == []
        assert len(run("requests", "--limit", "1", "--json").document) == 1

    def test_no_key(self, run: Run, emulator: RunningEmulator) -> None:
        emulator.faults({"on": "history", "status": 401})
        done = run("requests")
        assert (done.code, done.out) == (1, "")
        assert "Segmind did not accept the API key" in done.err


class TestRequest:
    def test_one_that_is_done(self, run: Run) -> None:
        request_id = finished()
        fields = dict(line.split(maxsplit=1) for line in run("request", request_id).out.splitlines())
        assert fields["request"] == request_id
        assert (fields["state"], fields["model"], fields["USD"]) == ("COMPLETED", KLING, "0.91")
        assert fields["output"].endswith(".mp4")
        document = run("request", request_id, "--json").document
        assert (document["cost"], document["outputs"], document["stored"]) == (0.91, [fields["output"]], [])

    def test_one_that_runs(self, run: Run, emulator: RunningEmulator, tmp_path: Path) -> None:
        emulator.faults({"on": "submit", "outcome": "stuck"})
        request_id = submit()
        assert run("request", request_id, "--json").document["state"] in ("QUEUED", "PROCESSING")
        done = run("request", request_id, "--download", str(tmp_path / "a.mp4"))
        assert done.code == 1
        assert "there is no output to store: the request is" in done.err

    def test_one_that_failed(self, run: Run) -> None:
        document = run("request", finished(start_image_url="s3://x/a.png"), "--json").document
        assert (document["state"], document["outputs"]) == ("FAILED", [])
        assert "Failed to download start_image_url" in document["error"]

    def test_one_whose_record_has_expired(self, run: Run, emulator: RunningEmulator, tmp_path: Path) -> None:
        request_id = finished()
        emulator.advance(7200)
        done = run("request", request_id, "--download", f"{tmp_path}/", "--json")
        assert done.document["cost"] == 0.91
        assert [path.name for path in tmp_path.iterdir()] == [f"{request_id}.mp4"]

    def test_one_that_is_not_in_the_history_yet(self, run: Run, emulator: RunningEmulator) -> None:
        emulator.change_world(history_lag=600.0)
        document = run("request", finished(), "--json").document
        assert (document["state"], document["model"], document["cost"]) == ("COMPLETED", None, 0.91)

    def test_the_history_is_down(self, run: Run, emulator: RunningEmulator) -> None:
        request_id = finished()
        emulator.faults({"on": "history_item", "status": 503})
        done = run("request", request_id, "--json")
        assert (done.document["state"], done.document["cost"]) == ("COMPLETED", 0.91)
        assert "Without the request history: Segmind has a server error" in done.err

    def test_one_that_nobody_knows(self, run: Run) -> None:
        done = run("request", "nobody-knows-this")
        assert (done.code, done.out) == (1, "")
        assert "Segmind has no record of this request" in done.err

    def test_segmind_does_not_say(self, run: Run, emulator: RunningEmulator) -> None:
        request_id = finished()
        emulator.faults({"on": "poll", "status": 503})
        done = run("request", request_id)
        assert (done.code, done.out) == (1, "")
        assert "server error" in done.err


class TestDownload:
    def test_several_files(self, run: Run, tmp_path: Path) -> None:
        request_id = finished("fast-text-to-image", prompt="a fox", samples=2)
        stored = run("request", request_id, "--download", str(tmp_path / "fox.png"), "--json").document["stored"]
        assert [Path(each["path"]).name for each in stored] == ["fox-1.png", "fox-2.png"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["fox-1.png", "fox-2.png"]

    def test_a_text(self, run: Run, tmp_path: Path) -> None:
        request_id = finished("mock-text", prompt="a fox")
        assert run("request", request_id, "--download", str(tmp_path)).code == 0
        (path,) = tmp_path.iterdir()
        assert (path.suffix, "a fox" in path.read_text()) == (".txt", True)

    def test_no_file_is_replaced(self, run: Run, tmp_path: Path) -> None:
        request_id = finished()
        there = tmp_path / "clip.mp4"
        there.write_text("another one")
        done = run("request", request_id, "--download", str(there))
        assert (done.code, done.out) == (1, "")
        assert "is there already, and is not replaced" in done.err
        (tmp_path / f"{request_id}.mp4").write_text("another one")
        done = run("request", request_id, "--download", str(tmp_path))
        assert (done.code, done.out) == (1, "")
        assert "already, which is not replaced: choose another path for --download" in done.err
        assert {path.read_text() for path in tmp_path.iterdir()} == {"another one"}

    def test_no_link_is_followed_or_replaced(self, run: Run, tmp_path: Path) -> None:
        request_id = finished()
        (tmp_path / f"{request_id}.mp4").symlink_to(tmp_path / "elsewhere")
        assert run("request", request_id, "--download", str(tmp_path)).code == 1
        assert not (tmp_path / "elsewhere").exists()
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("fault", [{"body": "html"}, {"drop": "midway"}, {"status": 404}], ids=str)
    def test_half_a_file_is_none(
        self,
        run: Run,
        emulator: RunningEmulator,
        tmp_path: Path,
        fault: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("airflow_provider_segmind.hooks.downloads.ATTEMPTS", 1)
        request_id = finished()
        emulator.faults({"on": "media", **fault})
        done = run("request", request_id, "--download", str(tmp_path / "a.mp4"))
        assert (done.code, done.out) == (1, "")
        assert request_id in done.err
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_too_large(self, run: Run, tmp_path: Path) -> None:
        done = run("request", finished(), "--download", str(tmp_path / "a.mp4"), "--max-output-bytes", "10")
        assert done.code == 1
        assert "The output is too large" in done.err
        assert list(tmp_path.iterdir()) == []

    def test_no_object_store(self, run: Run) -> None:
        done = run("request", "r1", "--download", "s3://clips/a.mp4")
        assert done.code == 1
        assert "must be a path on this machine" in done.err

    def test_a_folder_that_nobody_may_write_to(self, run: Run) -> None:
        done = run("request", finished(), "--download", "/proc/nothing/a.mp4")
        assert done.code == 1
        assert "Traceback" not in done.err


def test_credits(run: Run) -> None:
    assert run("credits").out == "credits (USD)  100\n"
    assert run("credits", "--json").document == {"credits": 100.0, "free_credits": 0.0}


def test_nothing_that_a_host_writes_steers_the_terminal(run: Run, emulator: RunningEmulator) -> None:
    row = {
        "request_id": "r1",
        "model_name": HOSTILE,
        "model_status": HOSTILE,
        "error": HOSTILE,
        "request_body": json.dumps({HOSTILE: HOSTILE}),
        "credits_deduction": HOSTILE,
    }
    schema = {
        "properties": {"prompt": {"description": HOSTILE, "default": HOSTILE, "enum": [HOSTILE]}, HOSTILE: {}}
    }
    models = [{"slug": "fox", "parameters_schema": schema}, {"slug": HOSTILE}]
    result = {"status": "COMPLETED", "output": HOSTILE, "metrics": {"cost": HOSTILE, "total_time": HOSTILE}}
    emulator.faults(
        {"on": "history", "json": {"data": [row]}},
        {"on": "history_item", "json": row},
        {"on": "poll", "json": result},
        {"on": "catalogue", "json": models},
    )
    for command in (("models",), ("model", "fox"), ("requests",), ("request", "r1")):
        for flags in ((), ("--json",)):
            done = run(*command, *flags)
            assert done.code == 0, done.err
            text = done.out + done.err
            assert all(line.isprintable() for line in text.split("\n")), (command, flags)
            assert not any(line.startswith("forged") for line in text.split("\n"))
    emulator.faults({"on": "credits", "status": 400, "json": {"error": HOSTILE}})
    done = run("credits")
    assert done.code == 1
    assert all(line.isprintable() for line in done.err.split("\n"))


def test_both_command_lines_have_the_same_commands() -> None:
    pytest.importorskip("airflow.cli.cli_config")
    from airflow_provider_segmind.cli.commands import COMMANDS
    from airflow_provider_segmind.cli.definition import get_segmind_commands

    (group,) = get_segmind_commands()
    assert [each.name for each in group.subcommands] == [each.name for each in COMMANDS]
    for command in COMMANDS:
        assert callable(getattr(running, command.function))
