"""Since when a sensor has been waiting. Versions of Airflow differ in where they keep that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_segmind.compat import Context


def first_start(context: Context) -> float:
    """
    Return when the sensor looked for the first time, in seconds since the epoch.

    A rescheduled sensor starts anew for each look. Airflow 2 keeps the first start in ``start_date``;
    Airflow 3 has it for the asking.
    """
    ti = context["ti"]
    ask = getattr(ti, "get_first_reschedule_date", None)
    moment = (ask(context) if ask else None) or ti.start_date
    return float(moment.timestamp())
