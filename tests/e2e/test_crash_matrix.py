"""Whatever dies, a task run pays for one video: on a real Airflow, with the emulator's ledger as the judge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from crash.dags.events import CASES, FORGETFUL, IN_FILES, Case, Side
from crash.rounds import ROUND_SECONDS, Outcome, campaign
from crash.table import markdown

from harness import processes_below

ROUNDS = int(os.environ.get("ROUNDS", "1"))
OPERATOR_CASES = [case for case in CASES if case.side is not Side.PLAIN]
PLAIN = {"before_post": 1, "no_answer": 2, "before_persist": 2, "dropped": 2, "gateway_504": 2, "failed": 1}
"""What the official client in a Python task pays at least: else the matrix would prove nothing."""

pytestmark = [
    pytest.mark.timeout(900 + (ROUNDS + 1) * ROUND_SECONDS),
    pytest.mark.skipif(
        FORGETFUL and not IN_FILES, reason="the tasks may pay twice: `python -m tests.e2e.crash` shows which ones"
    ),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash") / "airflow"


@pytest.fixture(scope="module")
def rounds(root: Path) -> list[dict[Case, Outcome]]:
    os.environ.setdefault("CRASH_HISTORY_LAG", "45")  # not to wait for minutes for a row that never comes
    with campaign(root) as running:
        outcomes = [running.round() for _ in range(ROUNDS)]
        if any(not _died(outcomes, case) for case in OPERATOR_CASES):
            # Airflow itself failed an attempt, so that the planned death did not happen.
            outcomes.append(running.round())
    print(markdown(outcomes))  # noqa: T201 - pytest shows it when something is wrong
    return outcomes


def _died(rounds: list[dict[Case, Outcome]], case: Case) -> bool:
    return any(outcomes[case].died for outcomes in rounds)


@pytest.mark.parametrize("case", OPERATOR_CASES, ids=lambda case: case.task_id)
def test_one_video_is_paid_and_delivered(rounds: list[dict[Case, Outcome]], case: Case) -> None:
    assert _died(rounds, case), "the task was to be killed, and was not"
    for outcomes in rounds:
        outcome = outcomes[case]
        assert (outcome.states, outcome.charged) == (("success",), case.event.videos), outcome
        assert outcome.delivered == case.event.videos, outcome


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.side is Side.PLAIN and case.event.name in PLAIN],
    ids=lambda case: case.task_id,
)
def test_what_a_python_task_pays(rounds: list[dict[Case, Outcome]], case: Case) -> None:
    for outcomes in rounds:
        assert not outcomes[case].died or outcomes[case].charged >= PLAIN[case.event.name], outcomes[case]


def test_nothing_is_left_running(rounds: list[dict[Case, Outcome]], root: Path) -> None:
    assert processes_below(root) == []
