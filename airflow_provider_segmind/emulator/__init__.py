"""A local Segmind for demos and tests: every endpoint of the API, faults on demand, and no bill.

`python -m airflow_provider_segmind.emulator` serves it on a port; `running_emulator` runs it inside a test, and
`create_app` gives the bare aiohttp application.
"""

from airflow_provider_segmind.emulator.app import create_app
from airflow_provider_segmind.emulator.faults import FaultRule
from airflow_provider_segmind.emulator.models import Model, stand_in
from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.emulator.settings import Settings
from airflow_provider_segmind.emulator.worlds import World

__all__ = [
    "FaultRule",
    "Model",
    "RunningEmulator",
    "Settings",
    "World",
    "create_app",
    "running_emulator",
    "stand_in",
]
