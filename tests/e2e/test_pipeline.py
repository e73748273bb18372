"""A folder of images becomes a folder of clips, whichever process dies: each is there once, and was paid once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from tests.e2e.pipeline.played import Outcome, played

IMAGES = 12
CLIPS = int(os.environ.get("CLIPS", "100"))
"""How many clips the cluster makes."""
SEED = int(os.environ.get("SEED") or secrets.randbelow(10_000))
"""Chooses who dies, and when."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3000, method="signal"),  # the other method would leave processes
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="only Airflow 3.3 and later remember"),
]


def test_each_image_has_its_clip_and_each_was_paid_once(tmp_path: Path) -> None:
    outcome = played(tmp_path / "airflow", IMAGES, deaths=3, pause=3.0, seed=7)
    assert_paid_once(outcome, IMAGES)


@pytest.mark.usefixtures("cluster_services")
def test_a_cluster_that_loses_processes_at_random_pays_once_for_each_clip(tmp_path: Path) -> None:
    print(f"{CLIPS} clips, seed {SEED}")  # noqa: T201 - to repeat it
    outcome = played(tmp_path / "airflow", CLIPS, max(5, CLIPS // 4), pause=4.0, seed=SEED, executor="celery")
    print(outcome)  # noqa: T201
    assert_paid_once(outcome, CLIPS)
    assert {"worker", "triggerer", "scheduler"} & outcome.killed.keys(), outcome


def assert_paid_once(outcome: Outcome, clips: int) -> None:
    assert outcome.state == "success", outcome
    assert (outcome.stored, outcome.charged, outcome.submits) == (clips, clips, clips), outcome
    assert outcome.strangers == (), outcome
    assert outcome.killed, outcome
