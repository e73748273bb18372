"""Hostile answers over the wire, to the hook and to the trigger."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_segmind.api.fingerprint import fingerprint
from airflow_provider_segmind.api.unresolved_submit import UnresolvedSubmit
from airflow_provider_segmind.exceptions import SubmitUnresolvedError, UnreadableResponseError
from airflow_provider_segmind.hooks.segmind import SegmindHook
from airflow_provider_segmind.triggers.submit_events import read_search_event
from airflow_provider_segmind.triggers.unresolved_submit import SegmindUnresolvedSubmitTrigger
from tests.raw_server import RawServer, answer_of, raw_server


def connect(monkeypatch: pytest.MonkeyPatch, server: RawServer) -> None:
    urls = {"platform_url": server.url, "storage_url": server.url}
    connection = {"conn_type": "segmind", "password": "SG_0123456789abcdef", "host": server.url, "extra": urls}
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))


@pytest.mark.parametrize("request_id", ["a/../b", "a b", "None", 7, {"id": "a"}])
def test_a_submit_with_an_id_that_cannot_be_one_is_sent_once_and_unresolved(
    monkeypatch: pytest.MonkeyPatch, request_id: Any
) -> None:
    with raw_server(answer_of(json.dumps({"request_id": request_id, "status": "QUEUED"}).encode())) as server:
        connect(monkeypatch, server)
        with pytest.raises(SubmitUnresolvedError, match="request_id"):
            SegmindHook().submit("some-model", {})
        assert len(server.requests) == 1


@pytest.mark.parametrize("bad", ["9" * 5000, "[" * 600 + "]" * 600, "[" * 100_000 + "]" * 100_000])
def test_an_unresolved_submit_is_found_in_a_page_with_a_hostile_row(
    monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    now = time.time()
    good = json.dumps({"request_id": "req-1", "model_name": "m", "created_at": now, "request_body": "{'a': 1}"})
    page = f'{{"data": [{{"request_id": "bad", "model_name": "m", "x": {bad}}}, {good}]}}'.encode()
    with raw_server(answer_of(page)) as server:
        connect(monkeypatch, server)
        submit = UnresolvedSubmit("m", fingerprint("m", {"a": 1}), now - 5, now, now, now + 30)

        async def event() -> Any:
            trigger = SegmindUnresolvedSubmitTrigger("segmind_default", submit.as_json())
            return (await anext(trigger.run())).payload

        _, matches = read_search_event(json.loads(json.dumps(asyncio.run(event()))))
        assert matches.request_ids == ("req-1",)
        assert SegmindHook().get_history(model="m").unreadable == 1


def test_a_balance_of_sixteen_megabytes_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"[" + b"[]," * (16 * 2**20 // 3) + b"[]]"
    with raw_server(answer_of(body)) as server:
        connect(monkeypatch, server)
        with pytest.raises(UnreadableResponseError, match="too large after 65536 bytes"):
            SegmindHook().get_credits()
