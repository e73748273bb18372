"""
What a hostile host, or a hostile author of a DAG, can make of the tab and the page: nothing but text.

Airflow's own React shows the components for each value, in a Chromium. All answers are made up: no Airflow runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from airflow_provider_segmind.plugins import bundle

SCRIPTS = Path(bundle.__file__).parent / "scripts"
ORIGIN = "http://localhost"
TYPES = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}

HOSTILE = "<img src=x onerror='window.hacked = true'>"
BACKWARDS = "\u202egnp.exe\u2066"
URL = "https://media.segmind.com/outputs/a.mp4"
LONG = "x" * 10_000_000

SHOW = """async ([component, props, answers]) => {
    const { SegmindTab, SegmindAccount } = await import(`/segmind-scripts/${component}`);
    const real = globalThis.fetch;
    globalThis.fetch = async (url) => {
        const path = new URL(url).pathname;
        const ending = Object.keys(answers).find((each) => path.endsWith(each));
        const found = ending === undefined ? {} : answers[ending];
        const body = typeof found === "string" ? found : JSON.stringify(found);
        return new Response(body, { headers: { "Content-Type": "application/json" } });
    };
    const place = document.createElement("div");
    document.body.append(place);
    const root = globalThis.createRoot(place);
    let failed = null;
    class Boundary extends React.Component {
        componentDidCatch(error) { failed = String(error); }
        static getDerivedStateFromError() { return { failed: true }; }
        render() { return this.state?.failed ? null : this.props.children; }
    }
    root.render(React.createElement(Boundary, null, React.createElement(SegmindTab ?? SegmindAccount, props)));
    const isUnderWay = () => place.textContent === "" || /Reading the|ooking at the/.test(place.textContent);
    while (!failed && isUnderWay()) await new Promise((done) => setTimeout(done, 5));
    const inline = [...place.querySelectorAll("bdi, code, a")];
    const shown = {
        failed,
        text: place.innerText,
        links: [...place.querySelectorAll("a")].map((each) => each.getAttribute("href")),
        loads: [...place.querySelectorAll("[src]")].map((each) => each.getAttribute("src")),
        elements: [...new Set([...place.querySelectorAll("*")].map((each) => each.localName))],
        hacked: globalThis.hacked ?? null,
        isolates: inline.filter((each) => getComputedStyle(each).unicodeBidi === "isolate").length,
        inlines: inline.length,
    };
    root.unmount();
    place.remove();
    globalThis.fetch = real;
    return shown;
}"""
ELEMENTS = {
    *("section", "style", "h1", "h2", "p", "strong", "div", "dl", "dt", "dd", "ul", "li", "figure", "figcaption"),
    *("a", "button", "code", "pre", "span", "bdi", "br", "video", "img", "audio", "details", "summary"),
    *("form", "label", "input", "select", "option", "datalist", "svg", "rect", "title"),
    *("table", "thead", "tbody", "tfoot", "tr", "th", "td"),
}
"""What the scripts make. Another one comes from a value."""

Show = Callable[..., dict[str, Any]]


def serve(route: Route) -> None:
    """Answer with Airflow's own files, and with the scripts. Airflow's page gets nothing to show."""
    path = urlsplit(route.request.url).path
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    dist = Path(spec.origin).parent / "ui" / "dist"
    folder = SCRIPTS if path.startswith("/segmind-scripts/") else dist / "assets"
    file = dist / "index.html" if path == "/" else folder / path.rpartition("/")[2]
    if not file.is_file():
        route.fulfill(status=404, body="")
        return
    body = file.read_bytes().replace(b"{{ backend_server_base_url }}", b"/")
    body = re.sub(rb"(\w+\.createRoot=function)", rb"globalThis.createRoot=\1", body)  # Airflow keeps it to itself
    route.fulfill(content_type=TYPES.get(file.suffix, "application/octet-stream"), body=body)


@pytest.fixture(scope="module")
def airflows_page(browser: Browser) -> Iterator[Page]:
    """A page with Airflow's React."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.route("**", serve)
    page.goto(ORIGIN, wait_until="commit")
    page.wait_for_function("Boolean(globalThis.React && globalThis.createRoot)")
    yield page
    context.close()


def check(shown: dict[str, Any]) -> dict[str, Any]:
    """Check what must hold whatever was shown."""
    assert shown["failed"] is None
    assert shown["hacked"] is None
    assert shown["isolates"] == shown["inlines"]
    assert set(shown["elements"]) <= ELEMENTS
    addresses = {address.partition("/models/")[0] for address in (*shown["links"], *shown["loads"]) if address}
    assert addresses <= {URL, "https://www.segmind.com"}
    for odd in ("NaN", "Infinity", "undefined", "[object", "native code", "e+"):
        assert odd not in shown["text"].replace(HOSTILE, ""), odd
    assert len(shown["text"]) < 200_000
    return shown


@pytest.fixture
def show_tab(airflows_page: Page) -> Show:
    """Show the tab of a task whose summary and instance are these."""

    def shown(summary: Any, instance: Any = None) -> dict[str, Any]:
        place = {"dagId": "d", "runId": "r", "taskId": "t", "mapIndex": "-1"}
        entries = [{"key": key, "map_index": -1} for key in ("summary", "request_id")]
        answers = {
            "/xcomEntries": {"xcom_entries": entries},
            "/xcomEntries/summary": {"value": summary, "timestamp": "2026-11-26T10:00:00Z"},
            "/xcomEntries/request_id": {"value": "a-1", "timestamp": "2026-11-26T10:00:00Z"},
            "/taskInstances/t": {
                "state": "success",
                "operator_name": "SegmindInferenceOperator",
                **(instance or {}),
            },
        }
        return check(airflows_page.evaluate(SHOW, ["tab.js", place, answers]))

    return shown


@pytest.fixture
def show_account(airflows_page: Page) -> Show:
    """Show the page of an account, as the server is made to describe it."""

    def shown(account: Any) -> dict[str, Any]:
        answers = {"/segmind-account/connections/segmind_default": account}
        return check(airflows_page.evaluate(SHOW, ["account.js", {}, answers]))

    return shown


WRONG: list[Any] = [None, True, 0, -1, 1.5, 1e300, "", HOSTILE, BACKWARDS, [], [[]], {}, {"a": 1}, [HOSTILE]]
FILE = {"url": URL, "output_path": "/clips/a.mp4", "bytes": 10, "sha256": "0" * 64, "content_type": "video/mp4"}
SUMMARY = {"request_id": "a-1", "model": "a", "cost": 0.91, "total_time": 12.0, "files": [FILE], "file_count": 1}


def test_no_field_of_a_summary_breaks_the_tab(show_tab: Show) -> None:
    for value in WRONG:
        show_tab(value)
        for field in (*SUMMARY, "queue_time", "inference_time"):
            show_tab({**SUMMARY, field: value})
        for field in FILE:
            show_tab({**SUMMARY, "files": [{**FILE, field: value}]})
        for field in ("rendered_fields", "operator_name", "state", "try_number", "start_date"):
            show_tab(SUMMARY, {field: value})


def test_no_address_but_a_web_address_is_opened(show_tab: Show) -> None:
    urls = [
        "javascript:window.hacked=true",
        " javascript:1",
        "data:text/html,<script>1</script>",
        "//evil.example",
    ]
    urls += [
        "https:evil.example",
        "https://user@evil.example/",
        "http://evil.example/",
        "vbscript:x",
        "blob:https://a",
    ]
    urls += ["java\nscript:1", "https://evil.example\\@www.segmind.com/", "file:///etc/passwd", "HTTPS://a b/"]
    files = [{**FILE, "url": url} for url in urls]
    shown = show_tab({**SUMMARY, "files": files, "file_count": len(files)})
    assert set(shown["links"]) == {"https://www.segmind.com/models/a"}


def test_names_that_every_object_has_are_only_names(show_tab: Show, show_account: Show) -> None:
    for name in ("__proto__", "constructor", "toString", "hasOwnProperty"):
        file = {**FILE, "content_type": f"{name}/x"}
        instance = {"operator_name": name, "rendered_fields": {name: name, "parameters": {name: {name: 1}}}}
        shown = show_tab({**SUMMARY, "files": [file], "model": None}, instance)
        assert "Open" in shown["text"]
        show_account({"requests": [{"request_id": name, "model": name, "state": name, "cost": 1}]})


def test_what_is_too_long_is_cut(show_tab: Show) -> None:
    many = {f"name {number}": LONG[:1000] for number in range(5000)}
    show_tab({**SUMMARY, "model": LONG, "files": [{**FILE, "output_path": LONG}, *[FILE] * 5000]})
    show_tab(SUMMARY, {"rendered_fields": {"prompt": LONG, "parameters": many, **many}})


def test_figures_that_cannot_be_right_are_left_out(show_tab: Show) -> None:
    text = show_tab({**SUMMARY, "cost": -5, "total_time": 1e12, "file_count": 1e12})["text"]
    assert "USD" not in text
    assert "more files" not in text


def row(**changes: Any) -> dict[str, Any]:
    made = {"request_id": "a-1", "model": "a", "state": "COMPLETED", "cost": 0.91, "duration": 12.0, "error": None}
    return {**made, "created_at": "2026-11-26T10:00:00Z", "output_urls": [URL], "output_count": 1, **changes}


def account(*requests: Any, **changes: Any) -> dict[str, Any]:
    days = {"first_day": "2026-11-20", "last_day": "2026-11-26", "read_at": "2026-11-26T10:00:00Z"}
    return {**days, "balance": 5.0, "requests": list(requests), "unread": None, "unreadable": 0, **changes}


def test_no_field_of_an_account_breaks_the_page(show_account: Show) -> None:
    for value in [*WRONG, "9999-12-31", "9999-99-99", "+275760-09-13T00:00:00Z"]:
        for field in account():
            show_account({**account(row()), field: value})
        for field in row():
            show_account(account(row(**{field: value}), row(request_id="a-2")))


@pytest.mark.parametrize("answer", ["", "<!doctype html><title>Log in</title>", "null", "[]", '"text"', "{"])
def test_an_answer_of_something_else_than_the_server_is_explained(show_account: Show, answer: str) -> None:
    """Such as the login page of a proxy."""
    assert "The answer is not an account." in show_account(answer)["text"]


def test_a_day_that_nobody_stated_is_named_so(show_account: Show) -> None:
    text = show_account(account(row(created_at=None), row(request_id="a-2")))["text"]
    assert "tated" not in text.replace("not stated", "")


def test_sums_agree_with_the_ledger_to_the_cent(show_account: Show) -> None:
    costs = [0.1, 0.2, 0.91, 0.005, 1e-7, -3.0, 1e300, None] * 100
    requests = [row(request_id=f"a-{number}", cost=cost) for number, cost in enumerate(costs)]
    lines = show_account(account(*requests))["text"].splitlines()
    assert f"{121.50001:,} USD" in lines, "Charged in this period"
    assert "800, 300 without a stated cost" in lines


def test_a_cost_that_is_not_stated_is_not_zero(show_account: Show) -> None:
    assert "0.00 USD on" not in show_account(account(row(cost=None)))["text"]


def test_marks_that_turn_a_text_around_stay_within_it(show_tab: Show, show_account: Show) -> None:
    show_tab({**SUMMARY, "model": BACKWARDS, "files": [{**FILE, "output_path": BACKWARDS}]})
    shown = show_account(account(row(model=BACKWARDS, error=BACKWARDS)))
    assert BACKWARDS in shown["text"]
    assert shown["isolates"] >= 3
