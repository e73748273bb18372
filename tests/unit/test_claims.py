"""The instances of a mapped task that look for their requests at the same time: each takes another one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_segmind.durability import claims as claims_module
from airflow_provider_segmind.durability.claims import CLAIM_KEY, CLAIM_WRITE_TIME, Claims

ID, OTHER_ID = "0f6c1d2e-3b4a-4c5d-8e9f-001122334455", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
WITHOUT_DASHES = ID.replace("-", "")


class Xcoms(dict[tuple[str, int], Any]):
    """The XComs of all instances of a task."""


class Ti:
    """One instance, as it sees the XComs of all. Of one value alone, Airflow makes no list."""

    task_id = "clip"

    def __init__(self, xcoms: Xcoms, map_index: int | None) -> None:
        self.xcoms, self.map_index = xcoms, map_index

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key, -1 if self.map_index is None else self.map_index] = value

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        assert task_ids == self.task_id
        if map_indexes is not None:
            return self.xcoms.get((key, map_indexes))
        values = [value for (name, _), value in sorted(self.xcoms.items()) if name == key]
        return values if len(values) != 1 else values[0]


@pytest.fixture
def xcoms() -> Xcoms:
    return Xcoms()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What the other instances do while one waits for their claims."""
    acts: list[Callable[[], object]] = []

    def wait(seconds: float) -> None:
        assert seconds == CLAIM_WRITE_TIME
        for act in acts:
            act()

    monkeypatch.setattr(claims_module.time, "sleep", wait)
    return acts


def of(xcoms: Xcoms, map_index: int | None) -> Claims:
    context: Any = {"ti": Ti(xcoms, map_index)}
    return Claims(context)


def claim(map_index: int, request_id: str = ID) -> dict[str, Any]:
    return {"version": 1, "map_index": map_index, "request_id": request_id}


@pytest.mark.parametrize(("map_index", "mapped"), [(None, False), (-1, False), (0, True), (7, True)])
def test_only_a_mapped_task_has_other_instances(xcoms: Xcoms, map_index: int | None, mapped: bool) -> None:
    xcoms["request_id", 3] = ID
    assert of(xcoms, map_index).is_mapped is mapped
    assert of(xcoms, map_index).read_taken_ids() == ({ID} if mapped else set())


def test_a_task_that_is_not_mapped_takes_the_first_and_leaves_no_claim(
    xcoms: Xcoms, meanwhile: list[Callable[[], object]]
) -> None:
    assert of(xcoms, -1).claim_first_free([ID, OTHER_ID]) == ID
    assert not xcoms


def test_its_own_request_is_not_another_s_unless_another_has_it_too(xcoms: Xcoms) -> None:
    xcoms["request_id", 0] = xcoms["request_id", 1] = ID
    xcoms["request_id", 2] = OTHER_ID
    assert of(xcoms, 2).read_taken_ids() == {ID}
    assert of(xcoms, 0).read_taken_ids() == {ID, OTHER_ID}
    del xcoms["request_id", 1]
    assert of(xcoms, 0).read_taken_ids() == {OTHER_ID}


def test_what_others_have_is_not_free_however_it_is_written(xcoms: Xcoms) -> None:
    xcoms["request_id", 0] = WITHOUT_DASHES.upper()
    assert of(xcoms, 1).free([ID, OTHER_ID]) == (OTHER_ID,)
    assert of(xcoms, 1).free([WITHOUT_DASHES]) == ()


def test_a_claim_says_whose_it_is_and_of_what(xcoms: Xcoms, meanwhile: list[Callable[[], object]]) -> None:
    seen: list[dict[tuple[str, int], Any]] = []
    meanwhile.append(lambda: seen.append(dict(xcoms)))
    assert of(xcoms, 4).claim_first_free([ID]) == ID
    assert seen == [{("request_id", 4): ID, (CLAIM_KEY, 4): claim(4)}], "it is there before the others are read"
    assert dict(xcoms) == seen[0]


@pytest.mark.parametrize(("own", "other", "wins"), [(0, 1, True), (2, 1, False), (11, 9, False)])
def test_of_two_that_claim_the_same_the_lower_index_wins(
    xcoms: Xcoms, meanwhile: list[Callable[[], object]], own: int, other: int, wins: bool
) -> None:
    def the_other_claims_it_too() -> None:
        xcoms["request_id", other] = WITHOUT_DASHES
        xcoms[CLAIM_KEY, other] = claim(other, WITHOUT_DASHES)

    meanwhile.append(the_other_claims_it_too)
    assert of(xcoms, own).claim_first_free([ID]) == (ID if wins else None)
    assert xcoms["request_id", own] == (ID if wins else None), "its owner would take it for another's"


def test_the_loser_takes_the_next_one(xcoms: Xcoms, meanwhile: list[Callable[[], object]]) -> None:
    def the_other_claims_the_first() -> None:
        xcoms["request_id", 0], xcoms[CLAIM_KEY, 0] = ID, claim(0)

    meanwhile.append(the_other_claims_the_first)
    assert of(xcoms, 1).claim_first_free([ID, OTHER_ID]) == OTHER_ID
    assert xcoms["request_id", 1] == OTHER_ID
    assert xcoms[CLAIM_KEY, 1] == claim(1, OTHER_ID)


def test_what_is_taken_is_passed_over(xcoms: Xcoms, meanwhile: list[Callable[[], object]]) -> None:
    xcoms["request_id", 0] = ID
    assert of(xcoms, 1).claim_first_free([ID, OTHER_ID]) == OTHER_ID
    assert of(xcoms, 2).claim_first_free([ID, OTHER_ID]) is None


def test_who_has_it_by_the_answer_to_its_own_submit_keeps_it(
    xcoms: Xcoms, meanwhile: list[Callable[[], object]]
) -> None:
    def the_answer_comes() -> None:
        xcoms["request_id", 5] = WITHOUT_DASHES

    meanwhile.append(the_answer_comes)
    assert of(xcoms, 1).claim_first_free([ID]) is None


def test_a_claim_that_cannot_be_read_is_taken_for_a_better_one(
    xcoms: Xcoms, meanwhile: list[Callable[[], object]], caplog: pytest.LogCaptureFixture
) -> None:
    def another_version_claims_it() -> None:
        xcoms["request_id", 5], xcoms[CLAIM_KEY, 5] = ID, {"version": 99}

    meanwhile.append(another_version_claims_it)
    assert of(xcoms, 1).claim_first_free([ID]) is None
    assert "an instance's claim of a request cannot be read" in caplog.text


def test_a_claim_of_another_request_is_no_rival(xcoms: Xcoms, meanwhile: list[Callable[[], object]]) -> None:
    xcoms[CLAIM_KEY, 0] = claim(0, OTHER_ID)
    assert of(xcoms, 1).claim_first_free([ID]) == ID


def test_an_instance_sees_that_another_took_what_it_submitted(xcoms: Xcoms) -> None:
    assert not of(xcoms, 3).is_claimed_by_another(ID)
    xcoms[CLAIM_KEY, 0] = claim(0, WITHOUT_DASHES)
    assert of(xcoms, 3).is_claimed_by_another(ID)
    assert not of(xcoms, 3).is_claimed_by_another(OTHER_ID)
    assert not of(xcoms, -1).is_claimed_by_another(ID)


def test_what_is_paid_for_is_kept_if_the_claims_cannot_be_read(
    xcoms: Xcoms, caplog: pytest.LogCaptureFixture
) -> None:
    claims = of(xcoms, 3)

    def fail(**_: Any) -> None:
        raise ConnectionError("the API server does not answer")

    claims._ti.xcom_pull = fail
    with caplog.at_level(logging.ERROR):
        assert claims.is_claimed_by_another(ID) is False
    assert f"keeping request {ID}" in caplog.text
