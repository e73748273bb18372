"""Imported once by the scheduler, whose forks the tasks are: what a task imports is no part of its memory then."""

from importlib import import_module

for name in (
    "airflow.providers.amazon.aws.fs.s3",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.standard.operators.python",
    "airflow_provider_segmind.operators.kling",
    "s3fs",
    "segmind",
):
    import_module(name)
