"""What one would write with the official client, in a `PythonOperator`."""

from __future__ import annotations

from airflow.sdk.bases.hook import BaseHook

IMAGE = "https://example.com/first.png"


def make_clip(prompt: str, conn_id: str) -> str:
    """Submit, wait, return the video's URL: the client's own example."""
    from segmind import SegmindClient

    connection = BaseHook.get_connection(conn_id)
    client = SegmindClient(api_key=connection.password, base_url=f"{connection.host}/v1")
    job = client.submit_async("kling-o1-image-to-video", prompt=prompt, start_image_url=IMAGE)
    return str(job.wait()["video"]["url"])
