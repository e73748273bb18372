"""What Airflow reads about the provider."""

from __future__ import annotations

import importlib
import json
import pkgutil
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.triggers.base import BaseTrigger

from airflow_provider_segmind import __version__, compat
from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.media.allowed_paths import OPTION, SECTION, file_to_read

ROOT = Path(__file__).parents[2]
INFO = get_provider_info()


def test_the_metadata_is_valid_for_this_airflow() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


def test_the_option_for_local_files_is_known_and_allows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    option = INFO["config"][SECTION]["options"][OPTION]
    monkeypatch.delenv(f"AIRFLOW__{SECTION}__{OPTION}".upper())
    assert option["default"] == conf.get(SECTION, OPTION, fallback="") == ""
    with pytest.raises(InvalidParameterError, match="AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS=/data/images"):
        file_to_read("image", "/data/images/a.png")


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    (found,) = [point for point in entry_points(group="apache_airflow_provider") if "segmind" in point.value]
    assert found.load()() == INFO
    assert ProvidersManager().providers["airflow-provider-segmind"].version == __version__


def test_airflow_finds_the_decorator_by_its_name() -> None:
    (described,) = INFO["task-decorators"]
    module, _, name = described["class-name"].rpartition(".")
    found: Any = getattr(compat.task, described["name"])
    assert found is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("operators", compat.BaseOperator),
        ("sensors", compat.BaseSensorOperator),
        ("hooks", compat.BaseHook),
        ("triggers", BaseTrigger),
    ],
)
def test_every_module_with_such_a_class_is_named_and_no_other(kind: str, base: type) -> None:
    package = importlib.import_module(f"airflow_provider_segmind.{kind}")
    modules = [
        f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__) if each.name != "base"
    ]
    assert INFO[kind][0]["python-modules"] == [name for name in modules if has_one(name, base)]


def has_one(module: str, base: type) -> bool:
    """Whether a module defines a public class of a kind."""
    found = vars(importlib.import_module(module)).items()
    own = [each for name, each in found if isinstance(each, type) and each.__module__ == module and name[0] != "_"]
    return any(issubclass(each, base) for each in own)


def test_every_guide_named_exists() -> None:
    guides = INFO["integrations"][0]["how-to-guide"]
    assert sorted(guides) == sorted(f"/docs/howto/{page.name}" for page in (ROOT / "docs" / "howto").glob("*.md"))


def test_the_connection_type_has_its_hook_and_form() -> None:
    hook = ProvidersManager().hooks["segmind"]
    assert hook is not None
    assert hook.hook_class_name.endswith("SegmindHook")
    behaviour = SegmindHook.get_ui_field_behaviour()
    assert behaviour["relabeling"] == {"password": "API key", "host": "Gateway URL"}
    assert behaviour.keys() == {"hidden_fields", "relabeling", "placeholders"}


def test_the_form_of_older_airflows_has_the_same_fields() -> None:
    pytest.importorskip("flask_appbuilder", reason="only Airflow 2.11 has it; the checks run there too")
    assert SegmindHook.get_connection_form_widgets().keys() == INFO["connection-types"][0]["conn-fields"].keys()
