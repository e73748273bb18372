"""What one writes without a provider: a Python task around the official client."""

from __future__ import annotations

from typing import Any

from dying import Death

from airflow_provider_segmind.compat import BaseHook, get_current_context, task


def make_clip(parameters: dict[str, Any], conn_id: str, dies_at: str, whole_worker: bool) -> str:
    """Submit, wait, return the video's URL. The deaths apart, this is the client's own example."""
    from segmind import SegmindClient

    death = Death(dies_at, get_current_context()["ti"], whole_worker=whole_worker)
    connection = BaseHook.get_connection(conn_id)
    client = SegmindClient(api_key=connection.password, base_url=f"{connection.host}/v1")
    death.at("before_post")
    death.once_accepted("no_answer", conn_id)
    job = client.submit_async("kling-o1-image-to-video", **parameters)
    death.at("before_persist")
    death.at("persisted")
    job.status()
    death.at("while_waiting")
    result = job.wait(interval=0.5)
    death.at("before_result")
    return str(result["video"]["url"])


def add_clips(parameters: dict[str, Any], instances: int, task_arguments: dict[str, Any], **mortal: Any) -> None:
    """
    Add a task that calls the above to the current DAG.

    :param instances: Of the task; it is mapped if there are several.
    :param task_arguments: Of the task.
    :param mortal: The other arguments of the function.
    """
    if instances == 1:

        def die_before_success(context: Any, _result: Any = None) -> None:
            Death(mortal["dies_at"], context["ti"]).at("before_success")

        task(post_execute=die_before_success, **task_arguments)(make_clip)(parameters, **mortal)
        return
    task(**task_arguments)(make_clip).partial(**mortal).expand(parameters=[parameters] * instances)
