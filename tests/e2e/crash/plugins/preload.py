"""Imported once by the scheduler, whose forks the tasks are: so that each task need not import it again."""

import airflow.providers.standard.operators.python  # noqa: F401
