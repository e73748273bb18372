"""Whether a task waits in the triggerer, if its DAG does not say."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.arguments import flag
from airflow_provider_segmind.compat import conf, default_deferrable

SECTION, OPTION = "segmind", "deferrable"


def read_deferrable(value: Any) -> bool:
    """
    Return the argument ``deferrable`` of a task, or what the deployment says if it is None.

    That is ``[segmind] deferrable``; if that is empty, ``[operators] default_deferrable``, if the deployment sets
    it; else True. A deployment without a triggerer sets one of them to False: its tasks wait in the worker then.

    :raises InvalidParameterError: If it is neither True, False nor None.
    """
    if value is not None:
        return flag("deferrable", value)
    if conf.get(SECTION, OPTION, fallback=""):
        return bool(conf.getboolean(SECTION, OPTION))
    chosen = default_deferrable()
    return True if chosen is None else chosen
