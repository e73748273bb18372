"""The provider loads wherever the installed Airflow and common.compat have the names that it needs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_provider_segmind
from airflow_provider_segmind import compat
from tests.examples import loadable_examples

EXAMPLES = loadable_examples()
NOT_FOR_ALL = {"openlineage", "__main__", *(() if find_spec("fastapi") else ("web",))}
"""One needs an extra, one starts the emulator, and one is for the API server of Airflow 3."""
MODULES = [
    each.name
    for each in pkgutil.walk_packages(airflow_provider_segmind.__path__, f"{airflow_provider_segmind.__name__}.")
    if each.name.rpartition(".")[2] not in NOT_FOR_ALL
]
WITHOUT_SDK = """
import importlib, runpy, sys
from airflow_provider_segmind import compat
COMMON = compat.COMMON
compat.COMMON = "airflow.providers.common.compat.absent"  # as with common.compat 1.7
"""


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_module_and_example_loads_without_the_sdk_of_common_compat() -> None:
    assert len(MODULES) > 50
    assert EXAMPLES
    run(
        f"{WITHOUT_SDK}\n"
        f"for name in {MODULES}: importlib.import_module(name)\n"
        f"for path in {[str(path) for path in EXAMPLES]}: runpy.run_path(path)\n"
    )


def test_without_it_the_names_are_the_same_things() -> None:
    """Another class of the same name would not be what Airflow raises, or what it looks for."""
    run(
        f"{WITHOUT_SDK}\n"
        "found = {name: getattr(compat, name) for name in compat.NAMES}\n"
        "try: sdk = importlib.import_module(COMMON)\n"
        "except ImportError: sys.exit()\n"
        "others = [name for name, each in found.items() if getattr(sdk, name, each) is not each]\n"
        "assert not others, others\n"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(compat, "NoSuchName")


CLIP = compat.Asset("product_clips")


def triggering_context(*extras: dict[str, str]) -> Any:
    """Return what the installed Airflow's context has of the events that a run was started for."""
    try:
        from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor
    except ImportError:
        events = [SimpleNamespace(extra=extra) for extra in extras]
        return {"triggering_dataset_events": {CLIP.uri: events} if events else {}}
    asset = SimpleNamespace(name=CLIP.name, uri=CLIP.uri)
    events = [SimpleNamespace(asset=asset, source_aliases=[], extra=extra) for extra in extras]
    return {"triggering_asset_events": TriggeringAssetEventsAccessor.build(events)}


@pytest.mark.parametrize("urls", [[], ["https://x/1.mp4"], ["https://x/1.mp4", "https://x/2.mp4"]])
def test_a_run_is_for_all_events_that_started_it(urls: list[str]) -> None:
    """One with each run on Airflow 3.4 and `batch_asset_events=False`; else all that came since the last run."""
    found = compat.triggering_events(triggering_context(*({"url": url} for url in urls)), CLIP)
    assert [event.extra["url"] for event in found] == urls
