"""A real Airflow between an emulated Segmind and a real object store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider_segmind.emulator import media
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from tests.s3 import S3, s3_server

from ..crash.database import database
from ..crash.real_airflow import RealAirflow, real_airflow

BUCKET = "products"


@dataclass(frozen=True)
class Rig:
    """All that runs. Airflow knows the store as the connection ``storage``, and Segmind as ``segmind_default``."""

    airflow: RealAirflow
    segmind: RunningEmulator
    storage: S3


@contextmanager
def rigged(root: Path, settings: Mapping[str, str], **of_segmind: Any) -> Iterator[Rig]:
    """
    Run all of it for the length of a ``with`` block.

    :param root: A folder that does not exist yet.
    :param settings: Of Airflow, without the ``AIRFLOW__`` of their environment variables.
    :param of_segmind: Settings of the emulator.
    """
    with (
        patch.object(media, "rendering", None),  # all clips look alike: rendering would take the time of the tasks
        running_emulator(**of_segmind) as segmind,
        s3_server(BUCKET) as storage,
        database() as (_, of_database),
    ):
        surroundings = {
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            **segmind.environment(),
            "AIRFLOW_CONN_STORAGE": json.dumps(storage.connection),
            **of_database,
        }
        with real_airflow(root, surroundings) as airflow:
            yield Rig(airflow, segmind, storage)
