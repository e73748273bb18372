"""This provider's way: the DAG of the README, for every file in the folder."""

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

with DAG("ours", schedule=None, params={"folder": "", "conn_id": ""}):

    @task
    def find_images(params: dict | None = None) -> list[dict]:
        folder = ObjectStoragePath(f"s3://products/{params['folder']}", conn_id="storage")
        clips = {image: folder / "clips" / f"{image.name}.mp4" for image in (folder / "images").iterdir()}
        return [
            {"start_image_url": str(image), "output_path": str(clip)}
            for image, clip in clips.items()
            if not clip.exists()
        ]

    KlingImageToVideoOperator.partial(
        task_id="make_clip",
        prompt="The camera circles the product slowly",
        segmind_conn_id="{{ params.conn_id }}",
        input_conn_id="storage",
        output_conn_id="storage",
        retries=1,
    ).expand_kwargs(find_images())
