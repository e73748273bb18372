"""The demo, as `make demo` runs it: a real Airflow against the emulator, and nothing left of it afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from harness import processes_below

ROOT = Path(__file__).parents[2]
SECONDS_FOR_ALL = 300.0
SECONDS_FOR_A_STEP = 240.0


class RunningDemo:
    """A demo in a new folder, and what it has printed."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self._output = folder.with_suffix(".out")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo", "--folder", str(folder), *arguments],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_environment(), **environment},
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> str:
        deadline = time.monotonic() + SECONDS_FOR_A_STEP
        while text not in self.printed:
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.1)
        return self.printed

    def ended(self) -> int:
        return self.process.wait(SECONDS_FOR_ALL)

    def survivors(self) -> list[psutil.Process]:
        """What still runs below the folder, in which every process of the demo is started."""
        return processes_below(self.folder)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("LIVE", "SEGMIND_API_KEY")}


@pytest.fixture
def start(tmp_path):
    """Start demos; whatever a failing test leaves of them is killed."""
    started = []

    def run(*arguments: str, **environment: str) -> RunningDemo:
        started.append(RunningDemo(tmp_path / "demo", *arguments, **environment))
        return started[-1]

    yield run
    for demo in started:
        for process in [demo.process, *demo.survivors()]:
            process.kill()
        demo.process.wait()


def test_a_clip_for_each_image_and_none_again(start):
    demo = start()

    assert demo.ended() == 0, demo.printed

    positions = [
        demo.printed.find(word) for word in ("submitted:", "deferred:", "completed:", "again:", "Nothing was")
    ]
    assert positions == sorted(positions)
    assert -1 not in positions
    assert len(re.findall(r"video +http://127\.0\.0\.1:\d+/outputs/[0-9a-f-]{36}\.mp4\n", demo.printed)) == 3
    assert "default_pool: 0 occupied, 3 deferred" in demo.printed
    assert demo.printed.count("3 charges, 2.73 USD") == 2
    assert _seconds("slots were held for", demo.printed) < _seconds("the jobs at Segmind took", demo.printed)
    clips = sorted((demo.folder / "clips").iterdir())
    assert [clip.name for clip in clips] == ["lamp.jpg.mp4", "mug.jpg.mp4", "plant.jpg.mp4"]
    assert [_frames(clip) for clip in clips] == [60, 60, 60]
    assert _size(demo.folder / "contact-sheet.png") == (978, 558)
    assert demo.survivors() == []


@pytest.mark.interrupted
def test_kept_running_until_it_is_stopped(start):
    demo = start("--keep")
    demo.wait_for("Ctrl-C stops everything")

    ui = re.search(r"Airflow's UI: (\S+)", demo.printed)[1]
    with urlopen(f"{ui}/api/v2/dags/segmind_folder_of_images/dagRuns") as response:  # noqa: S310 - on loopback
        assert json.load(response)["total_entries"] == 2
    for dag_id, task_id in (("segmind_image_to_video", "make_clip"), ("segmind_fire_and_forget", "submit")):
        with urlopen(f"{ui}/api/v2/dags/{dag_id}/dagRuns/~/taskInstances?task_id={task_id}") as response:  # noqa: S310
            states = {each["task_id"]: each["state"] for each in json.load(response)["task_instances"]}
        assert states[task_id] == ("failed" if task_id == "make_clip" else "success")

    places = dict(re.findall(rf"^ +(\w+) +\S.*\n +{re.escape(ui)}/(\S+)$", demo.printed, re.MULTILINE))
    assert places.pop("account") == "plugin/segmind-account"
    states = {name: _task_at(ui, place)["state"] for name, place in places.items()}
    waits = "awaiting_input" if states["approval"] == "awaiting_input" else "deferred"  # before Airflow 3.3
    assert states == {"clip": "success", "failed": "failed", "forgotten": "success", "approval": waits}
    assert _task_at(ui, places["clip"], "/xcomEntries/request_id"), "of the run that made it"
    assert places["approval"].endswith("/required_actions")

    demo.process.terminate()

    assert demo.ended() == 0, demo.printed
    assert demo.survivors() == []


@pytest.mark.interrupted
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle(start, number, code):
    demo = start()
    demo.wait_for("Starting its api-server")

    demo.process.send_signal(number)

    assert demo.ended() == code, demo.printed
    assert demo.survivors() == []


@pytest.mark.interrupted
def test_says_so_when_the_emulator_dies(start):
    demo = start()
    demo.wait_for("Creating Airflow's database")

    for each in demo.survivors():
        if "airflow_provider_segmind.emulator" in each.cmdline():
            each.kill()

    assert demo.ended() == 1
    assert "FAILED: emulator has stopped (SIGKILL)" in demo.printed
    assert "emulator.log" in demo.printed
    assert demo.survivors() == []


def test_spends_no_money_without_a_key(start):
    demo = start(LIVE="1")

    assert demo.ended() == 2
    assert "needs your key in SEGMIND_API_KEY" in demo.printed
    assert not demo.folder.exists()


def test_empties_no_folder_but_its_own(start, tmp_path):
    precious = tmp_path / "demo" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")

    demo = start()

    assert demo.ended() == 1
    assert "is not empty" in demo.printed
    assert precious.read_text() == "mine"


def _task_at(ui: str, place: str, rest: str = "") -> dict:
    """Return what Airflow's API says of the task whose page this is."""
    _, dag_id, _, run_id, _, task_id, *mapped = place.partition("/plugin/")[0].split("/")
    index = mapped[1] if mapped[:1] == ["mapped"] else "-1"
    tasks = f"{ui}/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    address = f"{tasks}/{task_id}{rest}?map_index={index}" if rest else tasks
    with urlopen(address) as response:  # noqa: S310 - on loopback
        found = json.load(response)
    if rest:
        return found
    (task,) = [
        each for each in found["task_instances"] if (each["task_id"], str(each["map_index"])) == (task_id, index)
    ]
    return task


def _seconds(before: str, printed: str) -> float:
    found = re.search(rf"{before} ([\d.]+) s", printed)
    assert found, printed
    return float(found[1])


def _frames(clip: Path) -> int:
    av = pytest.importorskip("av")
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def _size(picture: Path) -> tuple[int, int]:
    av = pytest.importorskip("av")
    with av.open(str(picture)) as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height
