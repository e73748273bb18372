"""A task whose parameters render to something else in each attempt, like a URL that a macro signs."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_segmind.operators.kling import KlingImageToVideoOperator

VALUES = {"deferrable": True, "timeout": 60, "poll_interval": 0.1}
given = json.loads(os.environ.get("SEGMIND_TEST_CONF", "{}"))

with DAG("resigned", schedule=None, params={**VALUES, "later_prompt": None}) as dag:
    KlingImageToVideoOperator(
        task_id="clip",
        prompt=(
            "{% if ti.try_number == 1 or params.later_prompt is none %}zoom at {{ macros.uuid.uuid4() }}"
            "{% else %}{{ params.later_prompt }}{% endif %}"
        ),
        start_image_url="https://example.com/a.png?nonce={{ macros.uuid.uuid4() }}",
        retries=2,
        retry_delay=timedelta(0),
        **{name: given.get(name, value) for name, value in VALUES.items()},
    )
