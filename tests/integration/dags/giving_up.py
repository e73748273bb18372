"""A task whose first request is stuck. Between its attempts, somebody gives that request up."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.exceptions import RequestTimeoutError
from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator


class GivenUpOperator(KlingImageToVideoOperator):
    """The operator, and a person who reads its message and sets the variable."""

    def execute(self, context: Any) -> Any:
        """Read the message, if there is one."""
        return self._read_by_a_person(lambda: super(GivenUpOperator, self).execute(context))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Read the message, if there is one."""
        resume = super().resume_execution
        return self._read_by_a_person(lambda: resume(next_method, next_kwargs, context))

    def _read_by_a_person(self, run: Callable[[], Any]) -> Any:
        try:
            return run()
        except RequestTimeoutError as error:
            os.environ["AIRFLOW_VAR_SEGMIND_ABANDON_REQUEST"] = error.request_id or ""
            raise


with DAG("giving_up", schedule=None) as dag:
    GivenUpOperator(
        task_id="clip",
        prompt="zoom",
        start_image_url="https://example.com/a.png",
        retries=2,
        retry_delay=timedelta(0),
        timeout=1,
        poll_interval=0.2,
    )
