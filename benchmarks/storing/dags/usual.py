"""What one would write instead: the official client, requests, and the S3Hook."""

import requests
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, task
from airflow.sdk.bases.hook import BaseHook
from segmind import SegmindClient

with DAG("usual", schedule=None, params={"folder": "", "conn_id": ""}):

    @task
    def find_images(params: dict | None = None) -> list[str]:
        hook, folder = S3Hook("storage"), params["folder"]
        made = set(hook.list_keys("products", prefix=f"{folder}/clips/") or ())
        images = hook.list_keys("products", prefix=f"{folder}/images/")
        return [key for key in images if clip_of(key) not in made]

    def clip_of(key: str) -> str:
        return f"{key.replace('/images/', '/clips/')}.mp4"

    @task(retries=1)
    def make_clip(key: str, params: dict | None = None) -> str:
        hook = S3Hook("storage")
        connection = BaseHook.get_connection(params["conn_id"])
        client = SegmindClient(api_key=connection.password, base_url=f"{connection.host}/v1")
        job = client.submit_async(
            "kling-o1-image-to-video",
            prompt="The camera circles the product slowly",
            start_image_url=hook.generate_presigned_url("get_object", {"Bucket": "products", "Key": key}),
        )
        url = job.wait()["video"]["url"]
        hook.load_bytes(requests.get(url, timeout=600).content, clip_of(key), "products", replace=True)
        return url

    make_clip.expand(key=find_images())
