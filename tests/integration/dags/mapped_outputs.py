"""Mapped tasks with the same output, each by another way to write it; and with outputs that differ."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task_group

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

IMAGE = "https://example.com/a.png"
PATHS = {
    "of_the_run": "{{ params.folder }}/{{ ds }}.mp4",
    "by_its_number": "{{ params.folder }}/{{ ti.map_index }}.mp4",
    "by_its_request": "{{ params.folder }}/",
}

with DAG("mapped_outputs", schedule=None, params={"folder": ""}) as dag:
    for name, path in PATHS.items():
        KlingImageToVideoOperator.partial(
            task_id=name, start_image_url=IMAGE, output_path=path, poll_interval=0.1
        ).expand(prompt=["zoom", "pan"])
    KlingImageToVideoOperator.partial(
        task_id="by_one_image",
        start_image_url=IMAGE,
        output_path="{{ params.folder }}/",
        name_output_after="start_image_url",
        poll_interval=0.1,
    ).expand(prompt=["zoom", "pan"])

    @task_group
    def group(prompt):
        """Map a group with a task that is not mapped."""
        KlingImageToVideoOperator(
            task_id="clip", prompt=prompt, start_image_url=IMAGE, output_path="/clips/clip.mp4"
        )

    group.expand(prompt=["zoom", "pan"])
