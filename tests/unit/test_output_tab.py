"""The tab on a task's page and the page in the navigation, as Airflow gets them. tests/browser/ shows them."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind import compat, exceptions
from airflow_provider_segmind.get_provider_info import get_provider_info
from airflow_provider_segmind.plugins import account_page, bundle, output_tab, segmind_plugin
from airflow_provider_segmind.plugins.lazy_app import LazyApp
from airflow_provider_segmind.plugins.static_files import StaticFiles

SCRIPTS = Path(output_tab.__file__).with_name("scripts")
VARIABLE = "AIRFLOW__SEGMIND__OUTPUT_TAB"
PAGE_VARIABLE = "AIRFLOW__SEGMIND__ACCOUNT_PAGE"


@pytest.fixture
def reload(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Read the plugin again, as an API server does that starts with another configuration."""
    yield lambda: importlib.reload(segmind_plugin).SegmindPlugin
    monkeypatch.undo()
    importlib.reload(segmind_plugin)


def versions(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    monkeypatch.setattr(compat, "_version", lambda: version)


@pytest.mark.parametrize(
    ("version", "option", "shown"),
    [
        ((2, 11), "True", False),
        ((3, 0), "True", False),
        *(((3, minor), "", False) for minor in (1, 2, 3)),
        *(((3, minor), "True", True) for minor in (1, 2, 3, 4)),
        ((3, 4), "", True),
        ((3, 5), "", True),
        ((3, 4), "False", False),
    ],
)
def test_where_the_tab_is_shown(
    monkeypatch: pytest.MonkeyPatch, reload: Any, version: tuple[int, int], option: str, shown: bool
) -> None:
    versions(monkeypatch, version)
    monkeypatch.setenv(VARIABLE, option)
    monkeypatch.setenv(PAGE_VARIABLE, "False")
    plugin = reload()
    assert [app["destination"] for app in plugin.react_apps] == ["task_instance"] * shown
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == [bundle.PREFIX] * shown


@pytest.mark.parametrize(
    ("version", "option", "shown"),
    [
        ((2, 11), "True", False),
        ((3, 0), "True", False),
        *(((3, minor), None, True) for minor in (1, 2, 3, 4)),
        *(((3, minor), "False", False) for minor in (1, 4)),
    ],
)
def test_where_the_page_is_shown(
    monkeypatch: pytest.MonkeyPatch, reload: Any, version: tuple[int, int], option: str | None, shown: bool
) -> None:
    versions(monkeypatch, version)
    monkeypatch.setenv(VARIABLE, "False")
    if option is not None:
        monkeypatch.setenv(PAGE_VARIABLE, option)
    plugin = reload()
    assert [app["destination"] for app in plugin.react_apps] == ["nav"] * shown
    assert [app["url_prefix"] for app in plugin.fastapi_apps] == [bundle.PREFIX, account_page.PREFIX] * shown


def test_the_tab_and_the_page_have_one_name_and_one_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow keeps the component of a script under the name of its app, and imports each script once."""
    tab, page = output_tab.describe_tab(), account_page.describe_page()
    assert tab["name"] == page["name"]
    assert tab["bundle_url"] == page["bundle_url"]
    assert tab["url_route"] != page["url_route"]


def test_a_worker_that_loads_the_plugin_imports_no_web_framework() -> None:
    code = "import sys; from airflow_provider_segmind.plugins import segmind_plugin; print(*sys.modules)"
    base = "import sys; from airflow_provider_segmind.compat import AirflowPlugin, conf; print(*sys.modules)"
    new = modules_after(code) - modules_after(base)
    assert "airflow_provider_segmind.plugins.segmind_plugin" in new
    heavy = {"fastapi", "starlette", "requests", "aiohttp", "tenacity"}
    assert not {name.partition(".")[0] for name in new} & heavy
    assert not [name for name in new if name.startswith("airflow_provider_segmind.account")]


def modules_after(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    return set(done.stdout.splitlines()[-1].split())


def test_an_app_is_made_once_by_its_first_request() -> None:
    made: list[int] = []
    answered: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answered.append(scope["path"])

    def make() -> Any:
        made.append(1)
        return app

    async def ask_twice() -> None:
        lazy = LazyApp(make)
        assert made == []
        await asyncio.gather(*(lazy({"path": path}, None, None) for path in ("a", "b")))  # type: ignore[arg-type]

    asyncio.run(ask_twice())
    assert len(made) == 1
    assert sorted(answered) == ["a", "b"]


@pytest.mark.parametrize(("version", "scoped"), [((3, 3), False), ((3, 4), True)])
def test_from_3_4_on_the_tab_is_on_tasks_of_this_provider_alone(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], scoped: bool
) -> None:
    versions(monkeypatch, version)
    applies_to = {"operator_name": list(output_tab.OPERATORS)} if scoped else None
    assert output_tab.describe_tab().get("applies_to") == applies_to


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [("", ""), ("https://airflow.test", ""), ("https://airflow.test/team/a/", "/team/a")],
)
def test_the_script_is_below_the_base_path(monkeypatch: pytest.MonkeyPatch, base_url: str, prefix: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    address = output_tab.describe_tab()["bundle_url"]
    assert re.fullmatch(rf"{prefix}/segmind-scripts/[0-9a-f]{{16}}/segmind\.js", address)


def test_airflow_finds_the_plugin_by_its_entry_point_and_in_the_metadata() -> None:
    (found,) = entry_points(group="airflow.plugins", name="segmind")
    assert found.load().name == "segmind"
    (described,) = get_provider_info()["plugins"]
    assert described["plugin-class"] == found.value.replace(":", ".")


def answer(path: str, method: str = "GET", kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing of a request is read")

    asyncio.run(StaticFiles(SCRIPTS)({"type": kind, "path": path, "method": method}, receive, send))
    return sent


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
def test_each_script_is_served_as_it_is(script: str) -> None:
    start, body = answer(f"/segmind-scripts/0123456789abcdef/{script}")
    headers = dict(start["headers"])
    assert (start["status"], body["body"]) == (200, (SCRIPTS / script).read_bytes())
    assert headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"immutable" in headers[b"cache-control"]


@pytest.mark.parametrize(
    "path",
    ["", "/", "/segmind-scripts/", "/x/../tab.py", "/x/..%2f..%2f__init__.py", "/x/tab.js/", "/etc/passwd"],
)
def test_nothing_else_is_served(path: str) -> None:
    assert answer(path)[0]["status"] == 404


def test_scripts_are_only_read() -> None:
    assert answer("/x/tab.js", "POST")[0]["status"] == 405
    assert answer("/x/tab.js", "HEAD")[1]["body"] == b""
    assert answer("/x/tab.js", kind="websocket") == [{"type": "websocket.close", "code": 1000}]
    assert answer("/x/tab.js", kind="lifespan") == []


def test_another_content_has_another_address(tmp_path: Path) -> None:
    found = []
    for content in ("a", "b"):
        (tmp_path / "tab.js").write_text(content)
        found.append(StaticFiles(tmp_path).version)
    assert found[0] != found[1]


def test_no_script_makes_html_of_a_text() -> None:
    """What comes from XCom becomes text, or an address that `openable` has checked."""
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|dangerouslySet"
    for script in SCRIPTS.iterdir():
        assert not re.search(dangerous, script.read_text()), script.name


def names_in_script(constant: str) -> set[str]:
    """Return the texts in a set of the script."""
    pattern = rf"const {constant} = new Set\(\[(.*?)\]\);"
    (listed,) = re.findall(pattern, (SCRIPTS / "tab.js").read_text(), re.DOTALL)
    return set(re.findall(r'"([@.\w]+)"', listed))


def test_the_errors_of_the_script_are_those_of_the_provider() -> None:
    failed = {each.__name__ for each in vars(exceptions).values() if is_error(each, exceptions.RequestFailedError)}
    assert names_in_script("REQUEST_FAILED") == failed
    known = {each.__name__ for each in vars(exceptions).values() if is_error(each, exceptions.SegmindError)}
    assert names_in_script("NOT_CHARGED") < known - failed


def is_error(value: object, base: type[Exception]) -> bool:
    return isinstance(value, type) and issubclass(value, base)


def test_the_operators_of_the_script_are_those_of_the_plugin() -> None:
    assert names_in_script("OPERATORS") == set(output_tab.OPERATORS)
