"""What the harness says when it cannot start, wait or go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.emulator import World
from harness import (
    Cluster,
    EmulatedSegmind,
    HarnessError,
    NotedSignals,
    Processes,
    StoppedError,
    Waiting,
    check_broker,
    check_postgres,
)
from harness.storage import s3_server


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"executor": "celery"}, "Celery needs workers"),
        ({"workers": 2}, "only Celery has any"),
        ({"schedulers": 2, "database": "sqlite"}, "need PostgreSQL"),
        ({"executor": "celery", "workers": 1, "database": "sqlite"}, "need PostgreSQL"),
        ({"executor": "kubernetes"}, "local or celery, not kubernetes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_impossible_cluster_is_not_started(wishes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=message), Cluster(tmp_path, **wishes):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_postgresql_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg2", reason="part of the group postgres")
    monkeypatch.setattr("harness.database.POSTGRES", "postgres@127.0.0.1:1")
    with pytest.raises(
        HarnessError, match=r"no PostgreSQL answers at postgres@127\.0\.0\.1:1 .*HARNESS_POSTGRES="
    ):
        check_postgres()


def test_a_redis_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.celery", reason="part of the group celery")
    monkeypatch.setattr("harness.broker.REDIS", "redis://127.0.0.1:1/0")
    with pytest.raises(HarnessError, match=r"no Redis answers at redis://127\.0\.0\.1:1/0 .*HARNESS_REDIS="):
        check_broker()


def test_a_wait_ends_with_what_the_log_says(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    log.write_text("first\nlast words\n")
    with pytest.raises(HarnessError, match="gave up waiting for the run") as caught:
        Waiting(0).until("the run", lambda: None, log=log)
    assert "last words" in caught.value.__notes__[0]


def test_a_wait_returns_what_is_neither_none_nor_false() -> None:
    looks = iter([None, False, 0])
    assert Waiting(60).until("a number", lambda: next(looks)) == 0


def test_a_wait_ends_when_a_check_fails() -> None:
    def fail() -> None:
        raise HarnessError("the scheduler has stopped")

    waiting = Waiting(60)
    waiting.add_check(fail)
    with pytest.raises(HarnessError, match="the scheduler has stopped"):
        waiting.until("the run", lambda: True)


def test_an_emulator_can_be_another_segmind(tmp_path: Path) -> None:
    segmind = EmulatedSegmind(ids="hex", status_counts=False, server_error_leaves_job=True, fetch_images=False)
    processes = Processes(tmp_path)
    try:
        segmind.start(processes, Waiting(60))
        segmind.change_world(running_status=425)
        world = segmind.ask("GET", "/__emulator__/world")
    finally:
        processes.stop()
    expected = World(ids="hex", status_counts=False, server_error_leaves_job=True, running_status=425)
    assert world == expected.as_json()


def test_a_signal_is_acted_on_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with NotedSignals() as signals:
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError, match="SIGTERM") as caught:
            signals.check()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_nothing_checked_is_acted_on_in_the_end() -> None:
    with pytest.raises(StoppedError, match="SIGHUP"), NotedSignals():
        os.kill(os.getpid(), signal.SIGHUP)


def test_a_bucket_is_empty_whatever_an_earlier_server_of_the_process_held() -> None:
    pytest.importorskip("moto", reason="part of the group storage")
    with s3_server("harness") as before:
        before.bucket.put_object(Key="clips/a.mp4", Body=b"a clip")
        before.bucket.Object("clips/b.mp4").initiate_multipart_upload()
    with s3_server("harness") as after:
        assert after.contents("") == {}
        assert after.unfinished_uploads() == 0
