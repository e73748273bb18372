"""A clip that no triggerer waits for. Airflow ends the deferral after seconds, not after half an hour."""

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator


class ImpatientOperator(KlingImageToVideoOperator):
    """The operator as it is, but with an early end of each deferral."""

    def defer(self, **deferral: Any) -> Any:
        """Defer for seconds at most."""
        super().defer(**{**deferral, "timeout": timedelta(seconds=10)})


with DAG("impatient", schedule=None):
    ImpatientOperator(
        task_id="make_clip",
        prompt="The camera circles the product",
        start_image_url="https://example.com/first.png",
        timeout=2 * 3600,
        poll_interval=1,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
