"""A run of the folder DAG that is cleared: each image has one clip, and each clip was paid once."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from harness import AIRFLOW_2, Cluster, EmulatedSegmind

EXAMPLES = Path(__file__).parents[2] / "example_dags"
DAG_ID, TASK_ID = "segmind_folder_of_images", "make_clip"
IMAGES, REVOKED = 8, 3
SECONDS_FOR_ALL = 300.0

pytestmark = pytest.mark.timeout(SECONDS_FOR_ALL + 60, method="signal")  # the other method would leave processes


def test_a_cleared_run_pays_for_nothing_again(tmp_path: Path) -> None:
    """Three tasks fail after they have paid, while five deliver. Then the run is cleared."""
    images, clips = tmp_path / "images", tmp_path / "clips"
    images.mkdir()
    for number in range(IMAGES):
        shutil.copy(EXAMPLES / "images" / "mug.jpg", images / f"mug-{number}.jpg")
    segmind = EmulatedSegmind(latency=2.0, fault=[f"on=poll,status=401,count={REVOKED}"])
    settings = {"SEGMIND__ALLOWED_LOCAL_PATHS": f"{images},{clips}"}
    (tmp_path / "dags").mkdir()
    shutil.copy(EXAMPLES / f"{DAG_ID}.py", tmp_path / "dags")
    with Cluster(
        tmp_path / "airflow", dags=tmp_path / "dags", segmind=segmind, settings=settings, seconds=SECONDS_FOR_ALL
    ) as cluster:
        if AIRFLOW_2 and cluster.database.kind == "sqlite":
            pytest.skip("the SequentialExecutor runs one task at a time, which takes minutes")
        run = cluster.run(DAG_ID, {"images": str(images), "clips": str(clips), "expected_duration": 3})
        cluster.until("the run to end", run.has_ended)
        assert Counter(row.state for row in run.rows(TASK_ID)) == {"failed": REVOKED, "success": IMAGES - REVOKED}
        summaries = [run.xcom(TASK_ID, "summary", index) for index in range(IMAGES)]
        paid = {each["request_id"] for each in summaries if each}
        assert segmind.ledger()["submits"] == IMAGES

        run.clear_all()
        cluster.until("the run to begin again", lambda: not run.has_ended())
        cluster.until("the run to succeed", run.has_succeeded)

        assert sorted(path.name for path in clips.glob("*.mp4")) == [f"mug-{n}.jpg.mp4" for n in range(IMAGES)]
        assert (segmind.ledger()["submits"], segmind.ledger()["count"]) == (IMAGES, IMAGES)
        ids = {run.xcom(TASK_ID, "request_id", index) for index in range(IMAGES)}
        assert ids == set(segmind.charged_ids()) >= paid
