"""
The names of Airflow that this provider uses, wherever the installed version has them; and where versions differ.

``common.compat`` knows where they are: from its version 1.8 on for some, from 1.22 on for all. Airflow 3.0 came
with 1.7, and every Airflow up to 3.4 accepts 1.7.4. So the other homes of each name are here, too.
"""

from __future__ import annotations

import inspect
import os
import time
from configparser import ConfigParser
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import (  # noqa: I001 - one statement for all of them
        DAG as DAG,
        AirflowException as AirflowException,
        AirflowFailException as AirflowFailException,
        AirflowNotFoundException as AirflowNotFoundException,
        AirflowPlugin as AirflowPlugin,
        AirflowRescheduleException as AirflowRescheduleException,
        AirflowSensorTimeout as AirflowSensorTimeout,
        AirflowSkipException as AirflowSkipException,
        Asset as Asset,
        AssetAlias as AssetAlias,
        BaseHook as BaseHook,
        BaseOperator as BaseOperator,
        BaseOperatorLink as BaseOperatorLink,
        BaseSensorOperator as BaseSensorOperator,
        Connection as Connection,
        Context as Context,
        DecoratedOperator as DecoratedOperator,
        ObjectStoragePath as ObjectStoragePath,
        Param as Param,
        PokeReturnValue as PokeReturnValue,
        Stats as Stats,
        TaskDecorator as TaskDecorator,
        TaskDeferred as TaskDeferred,
        Variable as Variable,
        XCom as XCom,
        XComArg as XComArg,
        conf as conf,
        context_merge as context_merge,
        determine_kwargs as determine_kwargs,
        get_current_context as get_current_context,
        mask_secret as mask_secret,
        task as task,
        task_decorator_factory as task_decorator_factory,
    )

    ActionCommand: Any
    Arg: Any
    GroupCommand: Any
    lazy_load_command: Any

    def redact(value: Any) -> Any:
        """Return a JSON value with what Airflow masks in logs masked."""


COMMON = "airflow.providers.common.compat.sdk"
_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_SECRETS_MASKER = (
    "airflow.sdk.log",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.utils.log.secrets_masker",
)
_COMMANDS = ("airflow.cli.cli_config",)
_DECORATOR = ("airflow.sdk.bases.decorator", "airflow.decorators.base")
_OLDER_HOMES = {
    "ActionCommand": _COMMANDS,
    "Arg": _COMMANDS,
    "GroupCommand": _COMMANDS,
    "lazy_load_command": _COMMANDS,
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowPlugin": ("airflow.sdk.plugins_manager", "airflow.plugins_manager"),
    "AirflowRescheduleException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "TaskDeferred": _EXCEPTIONS,
    "Asset": ("airflow.sdk", "airflow.datasets"),
    "AssetAlias": ("airflow.sdk", "airflow.datasets"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "DecoratedOperator": _DECORATOR,
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "Param": ("airflow.sdk", "airflow.models.param"),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "XComArg": ("airflow.sdk", "airflow.models.xcom_arg"),
    "TaskDecorator": _DECORATOR,
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "context_merge": ("airflow.sdk.definitions.context", "airflow.utils.context"),
    "determine_kwargs": ("airflow.sdk.bases.decorator", "airflow.utils.operator_helpers"),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "Variable": ("airflow.sdk", "airflow.models.variable"),
    "mask_secret": _SECRETS_MASKER,
    "redact": _SECRETS_MASKER,
    "task": ("airflow.sdk", "airflow.decorators"),
    "task_decorator_factory": _DECORATOR,
}
_OLDER_NAMES = {
    ("airflow.datasets", "Asset"): "Dataset",
    ("airflow.datasets", "AssetAlias"): "DatasetAlias",
}
NAMES = tuple(_OLDER_HOMES)
"""What can be imported from here."""


def __getattr__(name: str) -> Any:
    """
    Find a name of Airflow. Each is imported only when something asks for it: all of them would take seconds.

    :raises ImportError: If the installed Airflow has it nowhere.
    """
    if name not in _OLDER_HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = (COMMON, *_OLDER_HOMES[name])
    for home in homes:
        try:
            found = getattr(import_module(home), _OLDER_NAMES.get((home, name), name))
        except (ImportError, AttributeError):
            continue
        globals()[name] = found
        return found
    raise ImportError(f"the installed Airflow has {name} in none of {', '.join(homes)}")


def does_clear_forget() -> bool:
    """
    Whether clearing a task deletes what its task state store has, unless one asks to keep it.

    From 3.4 on the browser and the API do: ``keep_task_state`` of ``clearTaskInstances`` is False by default.
    """
    return _version() >= (3, 4)


def can_show_apps() -> bool:
    """Whether a plugin can add React apps: a tab on the page of a task instance, a page in the navigation."""
    return _version() >= (3, 1)


def can_scope_tabs() -> bool:
    """Whether a plugin's tab can be on the pages of some operators' tasks alone. Before, it is on all."""
    return _version() >= (3, 4)


def can_add_commands() -> bool:
    """Whether Airflow asks providers for commands: ``airflow segmind``."""
    return _version() >= (3, 2)


def has_event_triggers() -> bool:
    """Whether assets can have watchers, whose triggers start DAGs."""
    return _version() >= (3, 0)


def event_trigger_class() -> Any:
    """Return the base class of triggers for asset watchers; before Airflow 3.0, that of all triggers."""
    triggers = import_module("airflow.triggers.base")
    return getattr(triggers, "BaseEventTrigger", triggers.BaseTrigger)


def use_database() -> None:
    """
    Let this process find connections in Airflow's database, as Airflow's own commands about connections do.

    Airflow 3 has tasks ask its API server in place of that, and so any process that does not say what it is.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def requires_access_connection(method: str) -> Any:
    """
    Return the dependency of a FastAPI route that lets in whom Airflow's auth manager lets use a connection so.

    The route has to have ``{connection_id}`` in its path. Airflow 3 alone has it.
    """
    return import_module("airflow.api_fastapi.core_api.security").requires_access_connection(method)


def _version() -> tuple[int, int]:
    """Return the installed Airflow's version, such as (3, 3)."""
    major, minor = import_module("airflow").__version__.split(".")[:2]
    return int(major), int(minor)


def is_mapped_instance(task: object) -> bool:
    """Whether this is what a mapped task becomes in a worker, for one map index. All versions mark it alike."""
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


def is_deferral_timeout(error: Exception) -> bool:
    """
    Whether Airflow has ended a deferral because of its timeout.

    Airflow 3 has an exception for that. In 2.11 it is a ``TaskDeferralError``, known by its text.
    """
    return type(error).__name__ == "TaskDeferralTimeout" or str(error) == "Trigger/execution timeout"


def default_deferrable() -> bool | None:
    """
    Return ``[operators] default_deferrable`` if airflow.cfg or the environment sets it; else None.

    Airflow's default is False, and ``conf.get`` cannot tell it from what a deployment sets. The parser's sections
    hold airflow.cfg alone, as Airflow keeps its defaults apart. ``conf.as_dict`` tells, too, but on 3.0 it runs
    the commands of other options.
    """
    from airflow_provider_segmind.compat import conf

    in_file = ConfigParser.has_option(conf, "operators", "default_deferrable")
    if not in_file and "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE" not in os.environ:
        return None
    return bool(conf.getboolean("operators", "default_deferrable"))


def read_variable(name: str) -> str | None:
    """
    Return an Airflow variable; None if there is none.

    Without a default, ``get`` raises: a ``KeyError`` in Airflow 2, another error in Airflow 3. The argument for
    the default has a different name in each.
    """
    from airflow_provider_segmind.compat import Variable

    arguments = inspect.signature(Variable.get).parameters
    default: dict[str, Any] = {"default_var" if "default_var" in arguments else "default": None}
    found = Variable.get(name, **default)
    return None if found is None else str(found)


def triggering_events(context: Context, asset: Asset) -> list[Any]:
    """
    Return the events of an asset that this DAG run was started for; none if it was started in another way.

    A run may have several: those that came while the DAG was busy, say. On Airflow 3.4, ``[scheduler]
    batch_asset_events=False`` starts a run for each. Airflow 2 calls assets datasets, and keeps events by URI.
    """
    values: Any = context
    if "triggering_asset_events" in values:
        events = values["triggering_asset_events"]
        return list(events[asset]) if asset in events else []
    return list(values["triggering_dataset_events"].get(asset.uri, ()))


def xcom_of(ti_key: Any, key: str) -> Any:
    """
    Return an XCom of a task instance, for a link on its page; None if there is none.

    :param ti_key: What Airflow gives to ``get_link``: on 3.x the running task instance, on 2.11 its key.
    """
    from airflow_provider_segmind.compat import XCom

    return XCom.get_value(ti_key=ti_key, key=key)


def rendered_argument(operator: Any, ti_key: Any, name: str) -> Any:
    """
    Return an argument of a task as it was rendered for a task instance, for a link on its page.

    Airflow 3 gives ``get_link`` the operator that has run. On 2.11 it is the serialized one, with its templates,
    or a mapped one, and the database has what they were rendered to. None if the task has no such argument, or
    has not started.
    """
    if _version() >= (3, 0):
        return getattr(operator, name, None)
    rendered = import_module("airflow.models.renderedtifields").RenderedTaskInstanceFields
    return (rendered.get_templated_fields(ti_key) or {}).get(name)


def first_start(context: Context) -> float:
    """
    Return when a sensor looked for the first time, in seconds since the epoch.

    A rescheduled sensor starts again for each look. Airflow 3 has a method that returns its first start. Airflow 2
    keeps that in ``start_date``, which its ``airflow dags test`` leaves empty: then it is now.
    """
    ti = context["ti"]
    ask = getattr(ti, "get_first_reschedule_date", None)
    moment = (ask(context) if ask else None) or ti.start_date
    return time.time() if moment is None else float(moment.timestamp())
