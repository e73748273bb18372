"""Three clips, each a separate task."""

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG("three_clips", schedule=None):
    for number in range(3):
        KlingImageToVideoOperator(
            task_id=f"make_clip_{number}",
            prompt=f"The camera circles product {number}",
            start_image_url="https://example.com/first.png",
            timeout=2 * 3600,
            poll_interval=1,
        )
