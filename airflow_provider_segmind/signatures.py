"""
What type checkers and editors know of the arguments of a task, beside those that its class lists.

A constructor hands the arguments of every task on as ``**kwargs``, in which a type checker would accept any name.
So the names are written down here. Nothing imports this module at run time.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Required, TypeAlias, TypedDict

Callback: TypeAlias = Callable[[Any], Any]


class TaskArguments(TypedDict, total=False):
    """
    What every task of Airflow takes, on one of the versions 2.11 to 3.4 at least.

    A test compares the names with the constructor of the installed Airflow. Airflow itself refuses at run time
    what the installed version does not take.
    """

    task_id: Required[str]
    allow_nested_operators: bool
    dag: Any
    default_args: dict[str, Any] | None
    depends_on_past: bool
    do_xcom_push: bool
    doc: str | None
    doc_json: str | None
    doc_md: str | None
    doc_rst: str | None
    doc_yaml: str | None
    email: str | Sequence[str] | None
    email_on_failure: bool
    email_on_retry: bool
    end_date: datetime | None
    execution_timeout: timedelta | None
    executor: str | None
    executor_config: dict[str, Any] | None
    ignore_first_depends_on_past: bool
    inlets: Any
    logger_name: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    max_retry_delay: timedelta | float | None
    multiple_outputs: bool
    on_execute_callback: Callback | list[Callback] | None
    on_failure_callback: Callback | list[Callback] | None
    on_retry_callback: Callback | list[Callback] | None
    on_skipped_callback: Callback | list[Callback] | None
    on_success_callback: Callback | list[Callback] | None
    outlets: Any
    owner: str
    params: MutableMapping[str, Any] | None
    pool: str | None
    pool_slots: int
    post_execute: Callable[..., None] | None
    pre_execute: Callable[..., None] | None
    priority_weight: int
    queue: str
    render_template_as_native_obj: bool | None
    resources: dict[str, Any] | None
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    retry_policy: Any
    run_as_user: str | None
    sla: timedelta | None
    start_date: datetime | None
    task_concurrency: int | None
    task_display_name: str | None
    task_group: Any
    trigger_rule: str
    wait_for_downstream: bool
    wait_for_past_depends_before_skipping: bool
    weight_rule: Any


class SensorArguments(TaskArguments, total=False):
    """What every sensor of Airflow takes, without what the sensors of this provider list."""

    silent_fail: bool
