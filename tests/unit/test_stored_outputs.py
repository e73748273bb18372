"""What a task remembers of files that it has stored."""

from __future__ import annotations

from typing import Any

from airflow_provider_segmind.durability.store import RecordStore
from airflow_provider_segmind.media.storing import StoredOutput


class Kept(dict[str, Any]):
    """A task state store that counts what is written to it."""

    def __init__(self) -> None:
        self.written = 0

    def set(self, key: str, value: Any) -> None:
        self.written += len(repr(value))
        self[key] = value


def remembered(kept: Kept | None) -> RecordStore:
    context: Any = {"task_state_store": kept, "ti": object()}
    return RecordStore(context, durable=True)


def output(number: int) -> dict[str, Any]:
    return StoredOutput(f"/clips/a-{number}.png", 1000, "cafe" * 16, "image/png").as_json()


def test_many_files_are_remembered_one_by_one() -> None:
    kept = Kept()
    store = remembered(kept)
    for number in range(1, 101):
        store.keep_output("req-1", number, output(number))
    assert store.read_outputs("req-1") == [output(number) for number in range(1, 101)]
    assert kept.written < 100 * 300, "each is written once, and not the list of all for each"


def test_files_of_another_request_are_not_taken_for_those_of_this_one() -> None:
    store = remembered(Kept())
    for number in (1, 2, 3):
        store.keep_output("req-1", number, output(number))
    store.keep_output("req-2", 1, output(1))
    assert store.read_outputs("req-2") == [output(1)]
    assert store.read_outputs("req-1") == []


def test_an_airflow_without_a_store_remembers_none() -> None:
    store = remembered(None)
    store.keep_output("req-1", 1, output(1))
    assert store.read_outputs("req-1") == []
