"""Whatever dies, a task run pays for one video: on a real Airflow, with the emulator's ledger as the judge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from crash.dags.events import CASES, Case, Side
from crash.rounds import ROUND_SECONDS, Outcome, campaign
from crash.table import markdown
from packaging.version import Version

ROUNDS = int(os.environ.get("ROUNDS", "1"))
OPERATOR_CASES = [case for case in CASES if case.side is not Side.PLAIN]

pytestmark = [
    pytest.mark.timeout(240 + ROUNDS * ROUND_SECONDS),
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="only Airflow 3.3 and later remember"),
]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Case, Outcome]]:
    root: Path = tmp_path_factory.mktemp("crash") / "airflow"
    with campaign(root) as running:
        outcomes = [running.round() for _ in range(ROUNDS)]
    print(markdown(outcomes))  # noqa: T201 - pytest shows it when something is wrong
    return outcomes


@pytest.mark.parametrize("case", OPERATOR_CASES, ids=lambda case: case.task_id)
def test_one_video_is_paid_and_delivered(rounds: list[dict[Case, Outcome]], case: Case) -> None:
    for outcomes in rounds:
        outcome = outcomes[case]
        assert outcome.died, "the task was to be killed, and was not"
        assert (outcome.states, outcome.charged) == (("success",), case.event.videos), outcome
        assert outcome.delivered == case.event.videos, outcome


def test_the_official_client_in_a_python_task_pays_again(rounds: list[dict[Case, Outcome]]) -> None:
    """What the operator is compared with: else the matrix would prove nothing."""
    for outcomes in rounds:
        plain = {case.event.name: outcome for case, outcome in outcomes.items() if case.side is Side.PLAIN}
        assert all(outcome.died for outcome in plain.values())
        assert plain["no_answer"].charged == plain["dropped"].charged == 2
        assert plain["before_post"].charged == plain["failed"].charged == 1
