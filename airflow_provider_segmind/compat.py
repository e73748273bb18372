"""
The names of Airflow that this provider uses, wherever the installed version has them.

``common.compat`` knows where they are: from its version 1.8 on for some, from 1.22 on for all. Airflow 3.0 came
with 1.7, and every Airflow up to 3.4 accepts 1.7.4. So the other homes of each name are here, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import (  # noqa: I001 - one statement for all of them
        DAG as DAG,
        AirflowException as AirflowException,
        AirflowFailException as AirflowFailException,
        AirflowNotFoundException as AirflowNotFoundException,
        AirflowSensorTimeout as AirflowSensorTimeout,
        AirflowSkipException as AirflowSkipException,
        Asset as Asset,
        AssetAlias as AssetAlias,
        BaseHook as BaseHook,
        BaseOperator as BaseOperator,
        BaseSensorOperator as BaseSensorOperator,
        Connection as Connection,
        Context as Context,
        ObjectStoragePath as ObjectStoragePath,
        Param as Param,
        PokeReturnValue as PokeReturnValue,
        Stats as Stats,
        TaskDeferred as TaskDeferred,
        conf as conf,
        get_current_context as get_current_context,
        mask_secret as mask_secret,
        task as task,
    )

COMMON = "airflow.providers.common.compat.sdk"
_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_OLDER_HOMES = {
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "TaskDeferred": _EXCEPTIONS,
    "Asset": ("airflow.sdk", "airflow.datasets"),
    "AssetAlias": ("airflow.sdk", "airflow.datasets"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "Param": ("airflow.sdk", "airflow.models.param"),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "mask_secret": (
        "airflow.sdk.log",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ),
    "task": ("airflow.sdk", "airflow.decorators"),
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
