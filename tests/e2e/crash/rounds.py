"""A round: every case once, in one Airflow, and what came of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_segmind.emulator.running import RunningEmulator
from harness import AIRFLOW_2, ENDED, NOTICE_DEATHS_SOON, Cluster, HarnessError, Run, TaskRow

from . import acts
from .dags.events import (
    CASES,
    DEATHS_FAIL,
    IN_FILES,
    LOSSES,
    MARKS,
    OUTPUTS,
    VIDEO,
    Act,
    Case,
    Event,
    Side,
    chosen,
)
from .segminds import environment, segminds

PAUSE = 0.75
ALL_EVERY = timedelta(seconds=10)
OVERLAP = timedelta(seconds=3)
ROUND_SECONDS = 900.0
SLOTS = 12
XCOM_SECONDS = 20.0
PRELOADED = (
    "airflow.decorators" if AIRFLOW_2 else "airflow.providers.standard.operators.python",
    "airflow_provider_segmind.operators.kling",
)


@dataclass(frozen=True)
class Outcome:
    """
    What came of a case.

    :param states: Of its task instances, without repetition.
    :param attempts: Of the task instance with the most.
    :param submits: How many requests Segmind accepted.
    :param charged: How many it charged and did not refund.
    :param delivered: How many different charged videos are return values of tasks.
    :param died: Whether each death that was planned has happened.
    """

    event: str
    side: str
    states: tuple[str, ...]
    attempts: int
    submits: int
    charged: int
    delivered: int
    died: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def paid_once(self, case: Case) -> bool:
        """Tell whether it is what the operator promises; nobody promises it for a plain Python task."""
        kept = (self.states, self.charged, self.died) == (("success",), case.event.videos, True)
        return case.side is Side.PLAIN or (kept and self.delivered == case.event.videos)


@dataclass(frozen=True)
class Campaign:
    """
    An Airflow and its emulators, for any number of rounds.

    :param marks: The folder in which each death leaves a mark.
    :param outputs: The folder that videos are stored in.
    """

    cluster: Cluster
    emulators: Mapping[Case, RunningEmulator]
    marks: Path
    outputs: Path

    def round(self) -> dict[Case, Outcome]:
        """
        Let everything happen once.

        :raises TimeoutError: If it takes too long. It says what is missing.
        """
        for emulator in self.emulators.values():
            emulator.reset()
        for output in self.outputs.iterdir():
            shutil.rmtree(output)
        return _Round(self).played()


@contextmanager
def campaign(folder: Path | None) -> Iterator[Campaign]:
    """
    Start what rounds need, and leave nothing running.

    :param folder: Where to keep everything; None for a folder that is thrown away.
    """
    with segminds() as emulators, TemporaryDirectory(prefix="segmind-crash-") as name:
        marks, outputs, records = (Path(name) / each for each in ("marks", "outputs", "records"))
        for each in (marks, outputs, records):
            each.mkdir()
        settings = {**NOTICE_DEATHS_SOON, "SEGMIND__ALLOWED_LOCAL_PATHS": outputs}
        cluster = Cluster(
            folder,
            dags=Path(__file__).parent / "dags",
            # With SQLite, Airflow 2 runs one task at a time: they would wait for each other.
            database="postgresql" if AIRFLOW_2 else None,
            slots=SLOTS,
            settings={**settings, "SEGMIND__RECORDS_PATH": records} if IN_FILES else settings,
            environment={**environment(emulators), MARKS: str(marks), OUTPUTS: str(outputs)},
            preload=PRELOADED,
        )
        with cluster:
            yield Campaign(cluster, emulators, marks, outputs)


class _Round:
    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._cluster = campaign.cluster
        self._runs: dict[str, Run] = {}
        self._start(case for case in CASES if not case.event.last)
        self._returned_before: dict[Case, set[str]] = {}
        self._rows = _Rows(self._runs)

    def played(self) -> dict[Case, Outcome]:
        give_up_at = time.monotonic() + ROUND_SECONDS
        playing: list[tuple[acts.Steps, str]] = [(act, "") for act in self._acts()]
        last = [event for event in chosen(LOSSES) if event.last]
        while True:
            self._cluster.waiting.check()
            self._rows.refresh()
            playing = [(act, missing) for act, _ in playing if (missing := next(act, None)) is not None]
            unfinished = self._unfinished()
            if not playing and not unfinished and self._rows.complete:
                if not last:
                    return {case: self._outcome(case) for case in CASES}
                playing = [(self._last_act(last.pop(0)), "")]
            if not playing and self._rows.complete:
                self._resume_ended_runs()
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"missing: {[missing for _, missing in playing]}, {unfinished}")
            time.sleep(PAUSE)

    def _start(self, cases: Iterable[Case]) -> None:
        self._runs.update(
            {dag_id: self._cluster.run(dag_id) for dag_id in sorted({case.dag_id for case in cases})}
        )

    def _last_act(self, event: Event) -> acts.Steps:
        cases = [case for case in CASES if case.event is event]
        self._start(cases)
        with_workers = event.act is Act.MACHINE_LOST
        return acts.scheduler_replaced(
            self._cluster, [self._stage(case) for case in cases], with_workers=with_workers
        )

    def _acts(self) -> Iterator[acts.Steps]:
        staged = {case.event.act: self._stage(case) for case in CASES}
        if Act.TRIGGERER_RESTARTED in staged:
            yield acts.triggerers(self._cluster, staged[Act.TRIGGERER_RESTARTED], staged[Act.TRIGGERER_REPLACED])
        for case in CASES:
            if case.event.act in acts.ALONE:
                yield acts.ALONE[case.event.act](self._stage(case))
            elif case.event.dies_at and DEATHS_FAIL:
                yield acts.cleared_after_death(self._stage(case))

    def _stage(self, case: Case) -> acts.Stage:
        def clear() -> None:
            self._returned_before.setdefault(case, set()).update(self._returned(case))
            self._runs[case.dag_id].clear(case.task_id, keep_state=case.event.clear_keeps)

        def look() -> TaskRow:
            return next(iter(self._rows.of(case)), TaskRow(case.task_id))

        output = self._campaign.outputs / case.task_id / VIDEO
        return acts.Stage(case, self._campaign.emulators[case], output, look, clear)

    def _resume_ended_runs(self) -> None:
        """
        Let runs go on that have ended before their tasks.

        Airflow 2 may notice a death twice. A task that has succeeded meanwhile then waits for a retry, and its run
        is over.
        """
        for dag_id in {case.dag_id for case in CASES if case.dag_id in self._runs and self._waits_for_retry(case)}:
            if self._runs[dag_id].has_ended():
                self._runs[dag_id].resume()

    def _waits_for_retry(self, case: Case) -> bool:
        return AIRFLOW_2 and any(row.state == "up_for_retry" for row in self._rows.of(case))

    def _unfinished(self) -> list[str]:
        unfinished = []
        for case in CASES:
            if case.dag_id not in self._runs:
                continue
            rows = self._rows.of(case)
            if len(rows) < case.event.instances or any(row.state not in ENDED for row in rows):
                unfinished.append(f"{case.task_id} {[row.state for row in rows]}")
        return unfinished

    def _outcome(self, case: Case) -> Outcome:
        emulator = self._campaign.emulators[case]
        run = self._runs[case.dag_id]
        rows = self._rows.of(case)
        ledger = emulator.ledger()
        charges = [each for each in ledger["charges"] if each["charged"]]
        charged = {f"{emulator.url}/outputs/{each['request_id']}.mp4" for each in charges}
        strangers = [each for each in charges if each["parameters"]["prompt"] != case.task_id]
        if strangers:
            raise AssertionError(f"{case.task_id} was charged for others: {strangers}")
        returned = self._returned(case) | self._returned_before.get(case, set())
        mark = self._campaign.marks / f"{run.run_id}.{case.task_id}.-1"
        return Outcome(
            event=case.event.name,
            side=str(case.side),
            states=tuple(sorted({str(row.state) for row in rows})),
            attempts=max(row.try_number for row in rows),
            submits=ledger["submits"],
            charged=len(charges),
            delivered=len(returned & charged),
            died=mark.exists() == bool(case.event.dies_at),
        )

    def _returned(self, case: Case) -> set[str]:
        """Return the return values of a case's task instances."""
        return {self._value(case, row) for row in self._rows.of(case) if row.state == "success"}

    def _value(self, case: Case, row: TaskRow) -> str | None:
        """Return what a task instance has returned. Airflow shows it a moment after the success, if at all."""
        run = self._runs[case.dag_id]
        try:
            return self._cluster.until(
                "a return value", lambda: run.xcom(row.task_id, map_index=row.map_index), seconds=XCOM_SECONDS
            )
        except HarnessError:
            return None


class _Rows:
    """
    What Airflow says of the task instances of some runs.

    To ask for all of them costs Airflow's API more than all tasks do: so usually only the changes are asked for.
    """

    def __init__(self, runs: Mapping[str, Run]) -> None:
        self._runs = runs
        self._rows: dict[tuple[str, int], TaskRow] = {}
        self._asked_at = datetime.min.replace(tzinfo=UTC)
        self._all_at = self._asked_at
        self.complete = False
        """Whether the last look was at all of them."""

    def refresh(self) -> None:
        now = datetime.now(UTC)
        self.complete = now - self._all_at > ALL_EVERY
        since = None if self.complete else self._asked_at - OVERLAP
        rows = [row for run in self._runs.values() for row in run.rows(since=since)]
        if self.complete:
            self._rows.clear()
            self._all_at = now
        self._asked_at = now
        self._rows.update({(row.task_id, row.map_index): row for row in rows})

    def of(self, case: Case) -> list[TaskRow]:
        return [row for row in self._rows.values() if row.task_id == case.task_id]
