"""A folder of images becomes a folder of clips, whoever dies meanwhile: each is there once, and was paid once."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from tests.e2e.pipeline.played import played

IMAGES = 12

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="only Airflow 3.3 and later remember"),
]


def test_each_image_has_its_clip_and_each_was_paid_once(tmp_path: Path) -> None:
    outcome = played(tmp_path / "airflow", IMAGES, deaths=3, pause=3.0, seed=7)
    assert outcome.state == "success", outcome
    assert (outcome.stored, outcome.charged, outcome.submits) == (IMAGES, IMAGES, IMAGES), outcome
    assert outcome.strangers == (), outcome
    assert outcome.killed_tasks + outcome.killed_workers > 0, outcome
