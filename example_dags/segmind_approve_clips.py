"""
Clips that a person approves before they are published, for Airflow 3.1 and later.

Each image becomes a clip. Airflow's page "Required Actions" then shows a link to the clip, and asks. An approved
clip is copied to the published ones. A rejected clip is dropped, or made again with the prompt that the reviewer
writes, and reviewed again. A second rejection drops it.

No worker waits for a person, and each clip is reviewed when it is ready. The link works for seven days, for which
Segmind keeps the video; the draft in the folder stays.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, Param, task, task_group

from airflow_provider_segmind.compat import AirflowSkipException
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGES = (".png", ".jpg", ".jpeg", ".webp")
BODY = """\
{%%- set clip = ti.xcom_pull(task_ids='review.%s', key='summary', map_indexes=ti.map_index) -%%}
{%%- set file = clip.files[0] -%%}
[Watch the clip]({{ file.url }}), for {{ clip.cost }} USD. Its draft: `{{ file.output_path.rpartition('/')[2] }}`
"""


def make(task_id: str, image: Any, prompt: Any, folder: str) -> KlingImageToVideoOperator:
    """Return a task that makes a clip and stores it as a draft."""
    return KlingImageToVideoOperator(
        task_id=task_id,
        prompt=prompt,
        start_image_url=image,
        input_conn_id="{{ params.conn_id }}",
        output_path=f"{{{{ params.clips.rstrip('/') }}}}/{folder}/",
        output_conn_id="{{ params.conn_id }}",
        name_output_after="start_image_url",
        expected_duration="{{ params.expected_duration }}",
        retries=3,
    )


with DAG(
    dag_id="segmind_approve_clips",
    schedule=None,
    max_active_runs=1,
    tags=["segmind"],
    params={
        "images": Param(str(Path(__file__).parent / "images"), type="string"),
        "clips": Param(str(Path(tempfile.gettempdir()) / "segmind_clips"), type="string"),
        "conn_id": Param("", enum=["", "aws_default", "google_cloud_default", "storage"]),
        "prompt": Param("The camera circles the product slowly", type="string"),
        "expected_duration": Param(
            None, type=["null", "number"], description="Seconds that a clip usually takes, if not about 145"
        ),
    },
) as dag:

    @task
    def find_images(params: dict[str, str] | None = None) -> list[str]:
        """Return all images, in the order of their names."""
        given = params or {}
        images = ObjectStoragePath(given["images"], conn_id=given["conn_id"] or None)
        return sorted(str(image) for image in images.iterdir() if image.suffix in IMAGES)

    @task
    def publish(summary: dict[str, Any], answer: dict[str, Any], params: dict[str, str] | None = None) -> str:
        """
        Copy an approved draft to the published clips, and return where it is now.

        It looks at the answer itself: a rejection skips what follows, but Airflow 3.3 does not find that in a
        mapped task group.
        """
        if answer["chosen_options"] != [ApprovalOperator.APPROVE]:
            raise AirflowSkipException("The clip was rejected")
        given = params or {}
        conn_id = given["conn_id"] or None
        draft = ObjectStoragePath(summary["files"][0]["output_path"], conn_id=conn_id)
        published = ObjectStoragePath(f"{given['clips'].rstrip('/')}/published/{draft.name}", conn_id=conn_id)
        published.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("rb") as source, published.open("wb") as target:
            shutil.copyfileobj(source, target)
        return str(published)

    @task(trigger_rule="none_failed")
    def read_other_prompt(ti: Any = None) -> str:
        """Return the prompt for another attempt. Without one, the clip was approved or is dropped."""
        answer = ti.xcom_pull(task_ids="review.approve", map_indexes=ti.map_index)
        prompt = str((answer["params_input"] or {}).get("other_prompt") or "").strip()
        if answer["chosen_options"] != [ApprovalOperator.REJECT] or not prompt:
            raise AirflowSkipException("The clip was approved, or is dropped")
        return prompt

    @task_group
    def review(image: str) -> None:
        """Make a clip of one image, and ask, twice at most."""
        clip = make("make_clip", image, "{{ params.prompt }}", "drafts")
        approve = ApprovalOperator(
            task_id="approve",
            subject="Publish this clip?",
            body=BODY % "make_clip",
            params={
                "other_prompt": Param(
                    None,
                    type=["null", "string"],
                    description="If you reject: the prompt of another clip; empty to have none",
                )
            },
        )
        clip >> approve
        other_prompt = read_other_prompt()
        publish(clip.output["summary"], approve.output) >> other_prompt
        other_clip = make("make_other_clip", image, other_prompt, "other_drafts")
        approve_other = ApprovalOperator(
            task_id="approve_other", subject="Publish the other clip?", body=BODY % "make_other_clip"
        )
        other_clip >> approve_other
        publish.override(task_id="publish_other")(other_clip.output["summary"], approve_other.output)

    review.expand(image=find_images())
