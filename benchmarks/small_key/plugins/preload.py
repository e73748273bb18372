"""Imported once by the scheduler, whose forks the tasks are: so that no task has to import it again."""

import airflow_provider_segmind.operators.kling  # noqa: F401
