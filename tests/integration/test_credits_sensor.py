"""Waiting for a balance, against the emulator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_segmind.emulator.running import RunningEmulator, running_emulator
from airflow_provider_segmind.exceptions import InvalidParameterError
from airflow_provider_segmind.sensors.credits import SegmindCreditsSensor


def sensor(min_credits: Any) -> SegmindCreditsSensor:
    return SegmindCreditsSensor(task_id="credits", min_credits=min_credits)


@pytest.mark.parametrize(
    ("wanted", "enough"), [(0, True), (4.5, True), ("4.5", True), (4.51, False), (900, False)]
)
def test_a_balance_is_enough_or_not(monkeypatch: pytest.MonkeyPatch, wanted: Any, enough: bool) -> None:
    with running_emulator(credits=4.5) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(emulator.connection()))
        found = sensor(wanted).poke({})  # type: ignore[typeddict-item]
        assert (found.is_done, found.xcom_value) == (enough, 4.5)
        assert emulator.ledger()["count"] == 0, "asking is free"


def test_trouble_that_may_pass_is_waited_out(emulator: RunningEmulator) -> None:
    emulator.faults({"on": "credits", "status": 503})
    assert not sensor(1).poke({}).is_done  # type: ignore[typeddict-item]


def test_a_rejected_key_is_not(emulator: RunningEmulator) -> None:
    emulator.revoke_key(emulator.api_key)
    try:
        with pytest.raises(AirflowFailException, match="API key"):
            sensor(1).poke({})  # type: ignore[typeddict-item]
    finally:
        emulator.restore_key(emulator.api_key)


@pytest.mark.parametrize("wanted", [-1, "much", None, True, "nan"])
def test_a_wrong_amount_fails_when_the_dag_is_parsed(wanted: Any) -> None:
    with pytest.raises(InvalidParameterError, match="min_credits"):
        sensor(wanted)


def test_it_holds_no_worker_slot_between_looks() -> None:
    assert sensor("{{ params.needed }}").mode == "reschedule"
