"""Each answer to a question that the evidence about Segmind leaves open, as a client sees it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_segmind.emulator import World, running_emulator
from airflow_provider_segmind.emulator.worlds import CHOICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Client, Start

HISTORY = "/inference-request/request-history"
GENERATIONS = "/inference-request/generations"
CREDITS = "/v1/get-user-credits"


@pytest.fixture
def client(start: Start) -> Client:
    return start(latency=100.0)


def rows(client: Client, path: str = HISTORY, api_key: str | None = None, **query: Any) -> list[dict[str, Any]]:
    headers = {"x-api-key": api_key} if api_key else {}
    document = client.http.get(path, params=query, headers=headers).json()
    return list(document["data" if path == HISTORY else "generations"])


def item(client: Client, request_id: str) -> httpx.Response:
    return client.http.get(f"{HISTORY}/{request_id}")


def end(client: Client) -> None:
    client.emulator.advance(100)


class TestHistoryRows:
    def test_with_the_output(self, client: Client) -> None:
        client.emulator.change_world(history_rows="with_output", history_lag=5.0)
        request_id = client.submitted()
        client.emulator.advance(104)
        assert rows(client) == []
        assert item(client, request_id).status_code == 404
        client.emulator.advance(1)
        assert [row["model_status"] for row in rows(client)] == ["COMPLETED"]
        assert item(client, request_id).status_code == 200

    def test_with_the_output_a_failure_has_its_row_too(self, client: Client) -> None:
        client.emulator.change_world(history_rows="with_output")
        client.emulator.faults("on=submit,outcome=failed")
        client.submitted()
        assert rows(client) == []
        end(client)
        assert [row["model_status"] for row in rows(client)] == ["FAILED"]

    def test_its_time_may_be_that_of_the_row(self, client: Client) -> None:
        request_id = client.submitted()
        client.emulator.change_world(history_rows="with_output")
        end(client)
        accepted = item(client, request_id).json()
        client.emulator.change_world(history_created="recorded")
        recorded = item(client, request_id).json()
        assert accepted["model_created"] < accepted["model_updated"]
        assert recorded["model_created"] == recorded["model_updated"] == accepted["model_updated"]

    @pytest.mark.parametrize(
        ("form", "kept"), [("missing", {"prompt"}), ("rewritten", {"prompt", "start_image_url"})]
    )
    def test_media(self, client: Client, form: str, kept: set[str]) -> None:
        client.emulator.change_world(history_media=form)
        sent = client.kling()
        client.submitted(**sent)
        shown = ast.literal_eval(rows(client)[0]["request_body"])
        assert shown.keys() == kept
        assert shown["prompt"] == sent["prompt"]
        assert shown.get("start_image_url") != sent["start_image_url"]

    @pytest.mark.parametrize("form", ["without_output", "missing"])
    def test_after_expiry(self, client: Client, form: str) -> None:
        client.emulator.change_world(history_after_expiry=form)
        request_id = client.submitted()
        client.emulator.advance(3599)
        assert item(client, request_id).json()["generation_url"]
        client.emulator.advance(1)
        if form == "missing":
            assert item(client, request_id).status_code == 404
            assert rows(client) == []
        else:
            assert item(client, request_id).json()["model_status"] == "COMPLETED"
            assert [row["generation_url"] for row in rows(client)] == [None]
        assert rows(client, GENERATIONS) == []
        assert client.emulator.ledger()["count"] == 1


class TestTeam:
    @pytest.fixture
    def ids(self, client: Client) -> tuple[str, str]:
        """The ids of a request of one's own, and of one of a teammate."""
        own = client.submitted()
        headers = {"x-api-key": client.emulator.teammate_api_key or ""}
        answer = client.http.post("/v2/kling-o1-image-to-video", json=client.kling(), headers=headers)
        end(client)
        return own, answer.json()["request_id"]

    @pytest.mark.parametrize("path", [HISTORY, GENERATIONS])
    def test_the_lists_hold_the_accounts_own(self, client: Client, ids: tuple[str, str], path: str) -> None:
        assert [row["request_id"] for row in rows(client, path)] == [ids[0]]
        assert [row["request_id"] for row in rows(client, path, client.emulator.teammate_api_key)] == [ids[1]]

    @pytest.mark.parametrize("path", [HISTORY, GENERATIONS])
    def test_or_the_teams(self, client: Client, ids: tuple[str, str], path: str) -> None:
        client.emulator.change_world(history_owner="team")
        for api_key in (None, client.emulator.teammate_api_key):
            assert {row["request_id"] for row in rows(client, path, api_key)} == set(ids)

    @pytest.mark.parametrize("owner", ["account", "team"])
    def test_one_row_is_for_its_own_account_only(self, client: Client, ids: tuple[str, str], owner: str) -> None:
        client.emulator.change_world(history_owner=owner)
        own, teammates = ids
        assert item(client, own).status_code == 200
        assert item(client, teammates).status_code == 404

    def test_rows_of_generations_say_whose_they_are(self, client: Client, ids: tuple[str, str]) -> None:
        client.emulator.change_world(history_owner="team")
        shown = rows(client, GENERATIONS)
        assert len({row["user_id"] for row in shown}) == len({row["user_email"] for row in shown}) == 2

    def test_all_share_the_balance(self, client: Client, ids: tuple[str, str]) -> None:
        assert client.emulator.ledger()["balance"] == 98.18

    def test_all_other_keys_are_of_one_account(self, client: Client, ids: tuple[str, str]) -> None:
        assert [row["request_id"] for row in rows(client, api_key="SG_aaaaaaaaaaaaaaaa")] == [ids[0]]

    def test_a_teammate_needs_no_place_among_the_allowed_keys(self, start: Start) -> None:
        client = start(api_keys=("SG_aaaaaaaaaaaaaaaa",), teammate_keys=("SG_bbbbbbbbbbbbbbbb",))
        assert client.http.get(CREDITS, headers={"x-api-key": "SG_bbbbbbbbbbbbbbbb"}).status_code == 200


class TestGenerations:
    def test_a_row(self, client: Client) -> None:
        request_id = client.submitted()
        assert rows(client, GENERATIONS) == []
        end(client)
        (row,) = rows(client, GENERATIONS)
        assert (row["request_id"], row["model_name"]) == (request_id, "kling-o1-image-to-video")
        assert (row["status"], row["credits_deduction"], row["latency_ms"]) == ("COMPLETED", 0.91, 100_000)
        assert (row["prompt"], row["parameters"]) == ("a bud opens", client.kling())
        assert row["generation_url"].endswith(f"{request_id}.mp4")
        assert row["id"] != request_id

    def test_no_failures(self, client: Client) -> None:
        client.emulator.faults("on=submit,outcome=failed")
        client.submitted()
        end(client)
        assert rows(client, GENERATIONS) == []

    def test_the_record_may_land_later(self, client: Client) -> None:
        client.emulator.change_world(generations_lag=2.0, history_lag=5.0)
        client.submitted()
        end(client)
        assert rows(client, GENERATIONS) == []
        client.emulator.advance(2)
        late = ("status", "credits_deduction", "latency_ms", "prompt", "parameters")
        assert [rows(client, GENERATIONS)[0][name] for name in late] == [None] * 5
        client.emulator.advance(3)
        assert None not in [rows(client, GENERATIONS)[0][name] for name in late]

    def test_pages_and_filters(self, client: Client) -> None:
        for _ in range(21):
            client.submitted("fast-text-to-image", prompt="x")
        client.submitted()
        client.emulator.advance(86_400)
        assert [len(rows(client, GENERATIONS, page=page)) for page in (1, 2, 3)] == [20, 2, 0]
        assert len(rows(client, GENERATIONS, model_name="kling-o1-image-to-video")) == 1
        day = rows(client, GENERATIONS)[0]["created_at"][:10]
        assert len(rows(client, GENERATIONS, start_date=day, end_date=day)) == 20
        assert rows(client, GENERATIONS, end_date="2026-01-01") == []

    @pytest.mark.parametrize(
        "query", [{"page": 0}, {"start_date": "x"}, {"start_date": "2026-02-02", "end_date": "2026-01-01"}]
    )
    def test_queries_that_are_refused(self, client: Client, query: dict[str, Any]) -> None:
        assert client.http.get(GENERATIONS, params=query).status_code == 400


class TestSubmits:
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_error_may_leave_a_job(self, client: Client, status: int) -> None:
        client.emulator.faults({"on": "submit", "status": status})
        assert client.submit().status_code == status
        assert client.emulator.ledger()["submits"] == 0
        client.emulator.change_world(server_error_leaves_job=True)
        assert client.submit().status_code == status
        assert client.emulator.ledger()["submits"] == 1

    def test_it_may_still_be_said_of_one_rule(self, client: Client) -> None:
        client.emulator.change_world(server_error_leaves_job=True)
        client.emulator.faults("on=submit,status=503,accepted=false,count=1", "on=submit,status=429")
        assert [client.submit().status_code for _ in range(2)] == [503, 429]
        assert client.emulator.ledger()["submits"] == 0

    def test_no_credits(self, start: Start) -> None:
        client = start(credits=0.5, no_credits_status=402)
        answer = client.submit()
        assert (answer.status_code, answer.json()["error"][:20]) == (402, "Insufficient credits")
        assert client.http.post("/v1/kling-o1-image-to-video", json=client.kling()).status_code == 406


class TestRunning:
    @pytest.mark.parametrize("status", CHOICES["running_status"])
    @pytest.mark.parametrize("body", ["state", "error"])
    def test_the_result_of_a_running_job(self, client: Client, status: int, body: str) -> None:
        client.emulator.change_world(running_status=status, running_body=body)
        request_id = client.submitted()
        answer = client.result(request_id)
        assert answer.status_code == status
        assert answer.json().get("status") == ("QUEUED" if body == "state" else None)
        assert client.status(request_id).status_code == 200
        end(client)
        assert client.result(request_id).status_code == 200
        assert client.result("nobody").status_code == 404

    def test_a_failed_job_is_no_running_one(self, client: Client) -> None:
        client.emulator.change_world(running_status=425)
        client.emulator.faults("on=submit,outcome=failed")
        request_id = client.submitted()
        end(client)
        assert client.result(request_id).status_code == 422


class TestRateLimit:
    @pytest.mark.parametrize(
        ("world", "answered"),
        [
            ({}, {"status": False, "history": False, "credits": False}),
            ({"status_counts": False}, {"status": True, "history": False, "credits": False}),
            ({"platform_counts": False}, {"status": False, "history": True, "credits": False}),
        ],
    )
    def test_what_counts(self, start: Start, world: dict[str, Any], answered: dict[str, bool]) -> None:
        client = start(requests_per_minute=1, **world)
        request_id = client.submitted()
        paths = {"status": f"/v2/requests/{request_id}/status", "history": HISTORY, "credits": CREDITS}
        assert {name: client.http.get(path).is_success for name, path in paths.items()} == answered

    @pytest.mark.parametrize(
        ("form", "characters"),
        [("iso", "T:.Z"), ("rfc1123", " ,GMT"), ("epoch", "1"), ("epoch_ms", "1"), ("none", "")],
    )
    def test_the_reset(self, start: Start, form: str, characters: str) -> None:
        client = start(requests_per_minute=1, reset_format=form)
        first, second = client.http.get(CREDITS), client.http.get(CREDITS)
        assert second.status_code == 429
        client.emulator.clear_faults()
        client.emulator.faults("on=credits,status=429")
        third = client.http.get(CREDITS)
        for answer in (first, second, third):
            header = answer.headers.get("x-rate-limit-reset-at-utc")
            assert (header is None) == (form == "none")
            assert set(characters) <= set(header or "")
            assert len(header or "") == {"iso": 24, "rfc1123": 29, "epoch": 10, "epoch_ms": 13, "none": 0}[form]


class TestShapes:
    @pytest.mark.parametrize(
        ("ids", "gateway", "listed"), [("dashes", 36, 36), ("hex", 32, 32), ("mixed", 36, 32)]
    )
    def test_ids(self, start: Start, ids: str, gateway: int, listed: int) -> None:
        client = start(latency=0.0, ids=ids)
        request_id = client.submitted()
        shown = [row["request_id"] for path in (HISTORY, GENERATIONS) for row in rows(client, path)]
        assert (len(request_id), [len(each) for each in shown]) == (gateway, [listed] * 2)
        assert item(client, request_id).json()["request_id"] == item(client, shown[0]).json()["request_id"]
        assert client.http.get(client.result(shown[0]).json()["output"]).headers["content-type"] == "video/mp4"

    def test_optional_keys(self, start: Start) -> None:
        client = start(latency=0.0, optional_keys="absent")
        request_id = client.submitted()
        assert client.status(request_id).json().keys() == {"status", "metrics"}
        result = client.result(request_id).json()
        assert result.keys() == {"status", "output", "video", "metrics"}
        assert isinstance(result["video"]["file_size"], str)
        client.emulator.faults("on=submit,outcome=failed")
        failed = client.status(client.submitted()).json()
        assert failed.keys() == {"status", "error", "metrics"}
        assert failed["metrics"].keys() == {"inference_time", "queue_time"}

    @pytest.mark.parametrize("key", ["error", "error_message", "detail", "message"])
    def test_error_text(self, client: Client, key: str) -> None:
        client.emulator.change_world(error_key=key)
        client.emulator.faults("on=credits,status=500", "on=submit,outcome=failed,error=boom")
        assert client.http.get(CREDITS).json() == {key: "Internal server error"}
        assert client.submit("no-such-model").json() == {key: "Model not found: no-such-model"}
        request_id = client.submitted()
        end(client)
        assert client.result(request_id).json()[key] == "boom"

    def test_error_object(self, client: Client) -> None:
        client.emulator.change_world(error_key="error_object")
        answer = client.submit("no-such-model").json()
        assert answer == {"error_message": {"message": "Model not found: no-such-model", "code": 404}}
        unauthorized = client.http.get(CREDITS, headers={"x-api-key": ""}).json()
        assert unauthorized["error"] == "missing_api_key"

    def test_upload(self, client: Client) -> None:
        client.emulator.change_world(upload_key="urls")
        answer = client.http.post("/upload-asset", json={"data_urls": ["data:image/png;base64,AA=="]}).json()
        assert answer.keys() == {"urls", "message"}

    def test_catalogue(self, client: Client) -> None:
        client.emulator.change_world(catalogue_key="details", catalogue_parameters="parameters")
        titled = client.http.get("/inference-model-information/list").json()
        client.emulator.change_world(catalogue_key="none")
        listed = client.http.get("/inference-model-information/list").json()
        assert titled == {"Inference Segmind Model Information List With Details": listed}
        parameters = next(each["parameters"] for each in listed if each["slug"].startswith("kling"))
        assert parameters["start_image_url"] == {"isRequired": True, "affectsPricing": False}
        duration = {"isRequired": False, "affectsPricing": True, "default": 5, "options": [5, 10]}
        assert parameters["duration"] == duration


def other_answers() -> Iterator[tuple[str, Any]]:
    for name, choices in CHOICES.items():
        default = getattr(World(), name)
        yield from ((name, value) for value in choices or (1.5,) if value != default)


class TestSwitching:
    @pytest.mark.parametrize(("name", "value"), list(other_answers()))
    def test_each_answer_is_a_flag_a_setting_and_a_switch(self, client: Client, name: str, value: Any) -> None:
        from airflow_provider_segmind.emulator.__main__ import _parser, _settings

        flag = f"--{name.replace('_', '-')}"
        switch = {True: [flag], False: [flag.replace("--", "--no-", 1)]}
        arguments = switch[value] if isinstance(value, bool) else [flag, str(value)]
        from_flag = _settings(_parser().parse_args(arguments)).world
        switched = client.http.post("/__emulator__/world", json={name: value}).json()
        assert from_flag == client.emulator.world == World(**{name: value})
        assert switched == client.http.get("/__emulator__/world").json() == from_flag.as_json()
        assert from_flag.differences() == {name: value}

    def test_a_reset_returns_to_the_first_world(self, start: Start) -> None:
        client = start(world=World(ids="hex"), upload_key="urls")
        client.emulator.change_world(World(ids="mixed"))
        assert client.emulator.world.differences() == {"ids": "mixed"}
        client.emulator.reset()
        assert client.emulator.world.differences() == {"ids": "hex", "upload_key": "urls"}

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"ids": "roman"}, "ids must be one of dashes, hex, mixed; got 'roman'"),
            ({"running_status": 418}, "running_status"),
            ({"status_counts": 1}, "status_counts"),
            ({"history_lag": -1}, "history_lag must be a number of seconds, 0 or more; got -1"),
            ({"history_lag": True}, "history_lag"),
            ({"moon": "full"}, "no world with moon"),
        ],
    )
    def test_worlds_that_there_are_not(self, client: Client, changes: dict[str, Any], problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            client.emulator.change_world(**changes)
        refused = client.http.post("/__emulator__/world", json={"upload_key": "urls", **changes})
        assert refused.status_code == 400
        assert problem in refused.json()["error"]
        assert client.emulator.world == World()
        assert client.http.post("/__emulator__/world", json=["ids"]).status_code == 400

    def test_from_the_start(self) -> None:
        with running_emulator(history_lag=2, ids="hex") as emulator:
            assert emulator.world == World(history_lag=2, ids="hex")
