"""A request that fails once, and a retry policy that names its error, as docs/howto/recipes.md has it."""

from datetime import timedelta

from airflow.sdk import DAG, ExceptionRetryPolicy, RetryRule

from airflow_provider_segmind.operators.inference import SegmindInferenceOperator

ERRORS = "airflow_provider_segmind.exceptions"

with DAG("retry_policy", schedule=None):
    SegmindInferenceOperator(
        task_id="fails_once",
        model="failing-once-job",
        parameters={"sleep": 0},
        retries=1,
        retry_delay=timedelta(hours=1),
        retry_policy=ExceptionRetryPolicy(
            rules=[RetryRule(f"{ERRORS}.RequestFailedError", retry_delay=timedelta(seconds=1))]
        ),
    )
