"""What the page "Segmind" reads of an account: from Airflow's real API server, with its real auth manager."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_segmind.account import statement
from airflow_provider_segmind.emulator.running import RunningEmulator
from airflow_provider_segmind.hooks.segmind import SegmindHook

pytestmark = pytest.mark.skipif(
    Version(version("apache-airflow")).release < (3, 1), reason="before Airflow 3.1, there are no such pages"
)

ROLES = ("viewer", "user", "op", "admin")
ACCOUNT = "/segmind-account/connections/{}"
KLING = "kling-o1-image-to-video"
MOCK = "mock-inference"


@pytest.fixture(scope="module")
def server(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Airflow's API server, in this process, with a user for each role."""
    testing = pytest.importorskip("fastapi.testclient")
    passwords = tmp_path_factory.mktemp("auth") / "passwords.json"
    passwords.write_text(json.dumps({role: role for role in ROLES}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as `airflow api-server` has it
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", ",".join(f"{role}:{role}" for role in ROLES))
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of this test" * 4)
        from airflow.api_fastapi.app import create_app, purge_cached_app

        purge_cached_app()
        with testing.TestClient(create_app()) as client:
            yield client
        purge_cached_app()


@pytest.fixture
def restart(server: Any) -> Callable[[], None]:
    """Let the API server forget what it has read, as another process has not read it either."""

    def restarted() -> None:
        for route in server.app.routes:
            if getattr(route, "path", "") == "/segmind-account":
                route.app._app = None

    return restarted


@pytest.fixture
def fresh(restart: Callable[[], None]) -> None:
    """An API server that has read nothing yet."""
    restart()


@pytest.fixture
def ask(server: Any, fresh: None) -> Callable[..., Any]:
    """Ask for an account, as a user of some role; without one, without a session."""

    def asked(role: str | None, conn_id: str = "segmind_default", **query: Any) -> Any:
        headers = {}
        if role:
            given = server.post("/auth/token", json={"username": role, "password": role})
            headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
        return server.get(ACCOUNT.format(conn_id), params=query, headers=headers)

    return asked


def asked_of(emulator: RunningEmulator) -> int:
    """Return how many requests the emulator has had."""
    return int(emulator.requests()["total"])


def submit(model: str = MOCK, **parameters: Any) -> str:
    return SegmindHook().submit(model, parameters).request_id


def test_nobody_reads_an_account_without_a_session(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    assert ask(None).status_code == 401
    assert asked_of(emulator) == 0


@pytest.mark.parametrize("role", ["viewer", "user"])
@pytest.mark.parametrize("conn_id", ["segmind_default", "not_there"])
def test_who_may_not_read_a_connection_learns_nothing(
    ask: Callable[..., Any], emulator: RunningEmulator, role: str, conn_id: str
) -> None:
    answer = ask(role, conn_id)
    assert answer.status_code == 403
    assert asked_of(emulator) == 0


def test_what_was_read_for_others_stays_hidden(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    assert ask("op").status_code == 200
    assert ask("viewer").status_code == 403


@pytest.mark.parametrize("role", ["op", "admin"])
def test_the_account_is_what_the_ledger_says(
    ask: Callable[..., Any], emulator: RunningEmulator, role: str
) -> None:
    ids = [submit(KLING, prompt="turn", start_image_url="https://a.test/a.jpg")]
    ids += [submit("fast-text-to-image", prompt="a fox", samples=3)]
    emulator.advance(60)
    answer = ask(role)
    assert answer.status_code == 200
    account = answer.json()
    ledger = emulator.ledger()
    assert account["balance"] == ledger["balance"]
    assert [each["request_id"] for each in account["requests"]] == ids[::-1]
    assert sum(each["cost"] for each in account["requests"]) == pytest.approx(ledger["total"])
    images, clip = account["requests"]
    assert (clip["model"], clip["state"], clip["output_count"]) == (KLING, "COMPLETED", 1)
    assert (images["output_count"], len(images["output_urls"])) == (3, 3)
    assert clip["duration"] > 0
    assert (account["unread"], account["unreadable"]) == (None, 0)


def test_ten_readers_cost_no_more_than_one(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    submit()
    before = asked_of(emulator)
    with ThreadPoolExecutor(10) as readers:
        at_once = [answer.content for answer in readers.map(lambda _: ask("op"), range(10))]
    later = ask("admin").content
    assert {*at_once, later} == {later}
    assert asked_of(emulator) - before == 2  # a page of the history, and the balance


def test_another_process_of_the_machine_reads_nothing_again(
    ask: Callable[..., Any], restart: Callable[[], None], emulator: RunningEmulator
) -> None:
    submit()
    content = ask("op").content
    before = asked_of(emulator)
    restart()
    assert ask("op").content == content
    assert ask("viewer").status_code == 403
    assert asked_of(emulator) == before


@pytest.mark.parametrize("is_restarted", [True, False])
def test_another_key_or_address_is_not_answered_with_what_the_old_one_has_made(
    ask: Callable[..., Any],
    restart: Callable[[], None],
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    is_restarted: bool,
) -> None:
    submit()
    assert len(ask("op").json()["requests"]) == 1
    other_key = "SG_00000000000000ff"
    emulator.revoke_key(other_key)
    for change in ({"password": other_key}, {"extra": {"platform_url": "http://127.0.0.1:9"}}):
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({**emulator.connection(), **change}))
        if is_restarted:
            restart()
        assert ask("op").status_code == 502


def test_readers_of_a_key_that_is_rejected_share_the_answer_too(
    ask: Callable[..., Any], emulator: RunningEmulator
) -> None:
    emulator.revoke_key(emulator.connection()["password"])
    answers = [ask("op") for _ in range(3)]
    emulator.restore_key(emulator.connection()["password"])
    assert [answer.status_code for answer in answers] == [502] * 3
    assert "Segmind" in answers[0].json()["detail"]
    assert asked_of(emulator) == 1


def test_another_period_is_another_answer(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    submit()
    today = ask("op", days=1).json()
    assert today["first_day"] == today["last_day"]
    assert len(today["requests"]) == 1
    earlier = ask("op", days=31, until="2026-01-31").json()
    assert (earlier["first_day"], earlier["last_day"], earlier["requests"]) == ("2026-01-01", "2026-01-31", [])
    assert ask("op", until="2099-01-01").json()["last_day"] == today["last_day"]


@pytest.mark.parametrize("query", [{"days": 0}, {"days": 32}, {"until": "yesterday"}, {"until": "0001-01-01"}])
def test_a_period_that_segmind_does_not_answer_for_is_refused(
    ask: Callable[..., Any], emulator: RunningEmulator, query: dict[str, Any]
) -> None:
    assert ask("op", **query).status_code == 422
    assert asked_of(emulator) == 0


def test_a_request_is_shown_once_though_it_is_on_two_pages(
    ask: Callable[..., Any], emulator: RunningEmulator
) -> None:
    for _ in range(98):
        submit(sleep=0, credits=0.001)
    submit("fast-text-to-image", prompt="a fox", samples=4)
    for _ in range(98):
        submit(sleep=0, credits=0.001)
    emulator.advance(60)
    account = ask("op").json()
    ids = [each["request_id"] for each in account["requests"]]
    assert len(ids) == len(set(ids)) == 197
    assert account["requests"][98]["output_count"] == 4
    assert sum(each["cost"] for each in account["requests"]) == pytest.approx(emulator.ledger()["total"])


def test_an_account_with_more_says_so(
    ask: Callable[..., Any], emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "MOST_PAGES", 1)
    for _ in range(101):
        submit(sleep=0, credits=0.001)
    account = ask("op").json()
    assert len(account["requests"]) == 100
    assert account["unread"] == "the newest 100 rows are shown, and there may be more"


def test_a_page_that_cannot_be_read_leaves_the_ones_before_it(
    ask: Callable[..., Any], emulator: RunningEmulator
) -> None:
    for _ in range(101):
        submit(sleep=0, credits=0.001)
    emulator.faults("on=history,skip=1,status=400")
    account = ask("op").json()
    assert len(account["requests"]) == 100
    assert "HTTP 400" in account["unread"]


def test_a_busy_key_is_not_asked_out_of_turn(
    ask: Callable[..., Any], emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate limit is there for tasks. A reader is told to try again."""
    monkeypatch.setattr(statement, "PATIENCE", 0.0)
    connection = {**emulator.connection(), "extra": {"requests_per_minute": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))
    submit()
    before = asked_of(emulator)
    answer = ask("op")
    assert answer.status_code == 503
    assert "rate limit" in answer.json()["detail"]
    assert asked_of(emulator) == before


def test_a_balance_that_is_unreadable_hides_no_request(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    submit()
    emulator.faults("on=credits,status=500")
    account = ask("op").json()
    assert account["balance"] is None
    assert len(account["requests"]) == 1


def test_a_connection_of_airflows_database_is_read(
    server: Any, ask: Callable[..., Any], emulator: RunningEmulator
) -> None:
    token = server.post("/auth/token", json={"username": "op", "password": "op"}).json()["access_token"]
    stored = {**emulator.connection(), "connection_id": "segmind_stored"}
    extra = stored.get("extra")
    if isinstance(extra, dict):
        stored["extra"] = json.dumps(extra)
    headers = {"Authorization": f"Bearer {token}"}
    made = server.post("/api/v2/connections", json=stored, headers=headers)
    assert made.status_code == 201, made.text
    submit()
    try:
        assert len(ask("op", "segmind_stored").json()["requests"]) == 1
        assert ask("viewer", "segmind_stored").status_code == 403
    finally:
        server.delete("/api/v2/connections/segmind_stored", headers=headers)


def test_a_connection_that_is_not_segminds_is_refused(
    ask: Callable[..., Any], emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://user:secret-word@db.test/x")
    for conn_id in ("warehouse", "not_there", "segmind://:SG_0123456789abcdef@", "a b"):
        answer = ask("op", conn_id)
        assert answer.status_code == 404, conn_id
        assert "secret-word" not in answer.text
        assert "SG_0123456789abcdef" not in answer.text
    assert asked_of(emulator) == 0


def test_no_answer_has_the_key_or_what_was_asked_for(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    key = emulator.connection()["password"]
    submit("fast-text-to-image", prompt=f"a secret prompt with {key}")
    emulator.advance(60)
    answer = ask("op")
    assert answer.json()["requests"]
    assert key not in answer.text
    assert "secret prompt" not in answer.text


def test_a_browser_neither_shows_nor_keeps_an_answer(ask: Callable[..., Any], emulator: RunningEmulator) -> None:
    for answer in (ask("op"), ask("viewer"), ask(None)):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_an_account_is_only_read(server: Any, fresh: None, method: str) -> None:
    assert getattr(server, method)(ACCOUNT.format("segmind_default")).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/connections", "/connections/"])
def test_there_is_nothing_else(server: Any, fresh: None, path: str) -> None:
    assert server.get(f"/segmind-account{path}").status_code == 404
