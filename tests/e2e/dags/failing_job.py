"""A request that fails at Segmind, in a task that may not take the memory of the machine."""

import resource

from airflow_provider_segmind.compat import DAG
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator

# Every process that reads this file has this limit, the task's own among them.
resource.setrlimit(resource.RLIMIT_DATA, (2 * 1024**3, 2 * 1024**3))

with DAG("failing_job", schedule=None):
    SegmindInferenceOperator(
        task_id="failing_job",
        model="failing-job",
        parameters={"sleep": 1},
        poll_interval=1,
        deferrable=False,
        retries=0,
    )
