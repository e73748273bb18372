"""What one writes without a provider: a Python task around the official client."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import get_current_context
from airflow.sdk.bases.hook import BaseHook
from dying import Death


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


class MortalPythonOperator(PythonOperator):
    """Calls the above."""

    def __init__(
        self, *, parameters: dict[str, Any], conn_id: str, dies_at: str, whole_worker: bool, **kwargs: Any
    ) -> None:
        self.dies_at = dies_at
        arguments = {
            "parameters": parameters,
            "conn_id": conn_id,
            "dies_at": dies_at,
            "whole_worker": whole_worker,
        }
        super().__init__(python_callable=make_clip, op_kwargs=arguments, **kwargs)

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Go through the last point."""
        Death(self.dies_at, context["ti"]).at("before_success")
