"""Imported once by the scheduler, whose forks the tasks are: so that each task need not import it again."""

from importlib import import_module

for name in (
    "airflow.providers.amazon.aws.fs.s3",
    "airflow.providers.standard.operators.python",
    "airflow_provider_segmind.operators.kling",
    "s3fs",
):
    import_module(name)
