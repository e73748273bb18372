"""The host name of each process is its name in the cluster: so Airflow's records say which one did what."""

import os


def process_name() -> str:
    """Return the name of this process, such as `triggerer-2`."""
    return os.environ["HARNESS_PROCESS"]
