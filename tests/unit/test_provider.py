"""What Airflow is told about the provider."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_segmind import __version__
from airflow_provider_segmind.compat import conf
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.media.allowed_paths import OPTION, SECTION, file_to_read

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


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_every_module_named_exists(kind: str) -> None:
    for name in INFO[kind][0]["python-modules"]:
        importlib.import_module(name)


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
