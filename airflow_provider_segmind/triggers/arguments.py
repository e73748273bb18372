"""
The arguments of a trigger, as another version of the provider may have written them.

Airflow keeps them in its database while a task is deferred, and builds the trigger with ``cls(**kwargs)``. The
triggerer survives a TypeError of that constructor; any other error ends it, and with it every wait in it. So a
constructor takes what comes, and what is wrong becomes the trigger's one event.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from airflow_provider_segmind.api.text import first_names

UNREADABLE = "the trigger cannot be read from Airflow's database"

log = logging.getLogger(__name__)


def ignore_unknown(trigger: type, unknown: Mapping[str, object]) -> None:
    """Log the names of arguments that this version does not know, in one line."""
    if unknown:
        names = ", ".join(first_names(unknown))
        log.debug("%s: ignoring arguments that this version does not know: %s", trigger.__name__, names)
