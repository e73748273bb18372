"""
An output in Google Cloud Storage: published whole, with its type; a failure leaves nothing.

gcsfs is used as it is, without Airflow's provider for Google: that one brings sixty packages, and changes only
where the login comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_segmind.media import bucket
from airflow_provider_segmind.media.publishing import UnpublishedObject, open_unpublished
from tests.storages.killing import kill_once_sent

if TYPE_CHECKING:
    from tests.storages.servers import Google

MIB = 1024 * 1024
SMALL = b"s" * 3000
LARGE = b"l" * 20 * MIB
CONTENT = {"small": SMALL, "large": LARGE}
UPLOADS = {"small": {"begin": 1, "send": 1}, "large": {"begin": 1, "send": 3}}
WRITING = {"begin", "send", "cancel"}
"""What the right storage.objects.create allows."""

OLD = b"an older clip"
PATH = "products/clips/a b+ü.mp4"
NAME = PATH.removeprefix("products/")


@contextmanager
def new_object(bucket_of: Any, content: bytes) -> Iterator[UnpublishedObject]:
    """Return an object that has its content, and is not published. What is not published is discarded."""
    upload = open_unpublished(bucket_of, PATH, "video/mp4", 2 * 1024 * MIB)
    assert upload is not None
    try:
        for start in range(0, len(content), MIB):
            upload.write(content[start : start + MIB])
        yield upload
    finally:
        upload.discard()


def check(bucket_of: Any) -> None:
    bucket.check_writable(bucket_of, PATH, "products/clips/.a.part", "video/mp4")


@pytest.mark.parametrize("size", CONTENT)
def test_one_upload_with_the_right_to_create_alone(google: Google, bucket_of: Any, size: str) -> None:
    google.gate.allowed = WRITING
    check(bucket_of)
    assert dict(google.gate.calls) == {"begin": 1, "cancel": 1}
    assert google.contents() == {}
    google.gate.calls.clear()
    google.gate.sent = 0
    with new_object(bucket_of, CONTENT[size]) as upload:
        upload.publish(len(CONTENT[size]))
    assert dict(google.gate.calls) == UPLOADS[size]
    assert google.gate.sent <= 1.001 * len(CONTENT[size]) + 2000
    assert google.contents() == {NAME: CONTENT[size]}
    assert google.content_type(NAME) == "video/mp4"


@pytest.mark.parametrize("size", CONTENT)
@pytest.mark.parametrize("before", [{}, {NAME: OLD}], ids=["new", "replaced"])
def test_nobody_sees_an_object_or_a_change_before_it_is_published(
    google: Google, bucket_of: Any, size: str, before: dict[str, bytes]
) -> None:
    for name, content in before.items():
        bucket_of.pipe_file(f"products/{name}", content)
    with new_object(bucket_of, CONTENT[size]) as upload:
        assert google.contents() == before
        upload.publish(len(CONTENT[size]))
    assert google.contents() == {NAME: CONTENT[size]}


@pytest.mark.parametrize("size", CONTENT)
def test_a_failure_in_the_middle_changes_nothing(google: Google, bucket_of: Any, size: str) -> None:
    bucket_of.pipe_file(PATH, OLD)
    google.gate.calls.clear()
    with new_object(bucket_of, CONTENT[size]):
        assert google.contents() == {NAME: OLD}
    assert google.contents() == {NAME: OLD}
    assert google.gate.calls["cancel"] == google.gate.calls["begin"] == (size == "large")


@pytest.mark.parametrize("size", CONTENT)
def test_an_upload_that_the_storage_refuses_changes_nothing(google: Google, bucket_of: Any, size: str) -> None:
    bucket_of.pipe_file(PATH, OLD)
    google.gate.allowed = {"begin", "cancel"}
    with pytest.raises(OSError, match="Forbidden"), new_object(bucket_of, CONTENT[size]) as upload:
        upload.publish(len(CONTENT[size]))
    assert google.contents() == {NAME: OLD}


def test_an_upload_that_cannot_be_aborted_is_said_to_end_by_itself(
    google: Google, bucket_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    google.gate.allowed = {"begin", "send"}
    with new_object(bucket_of, LARGE):
        pass
    (warning,) = caplog.messages
    assert warning.startswith(f"The unfinished upload of {PATH} could not be aborted: ")
    assert warning.endswith("it takes space until Google deletes it, after a week")
    assert google.contents() == {}


def test_a_storage_that_may_not_be_written_to_is_known(google: Google, bucket_of: Any) -> None:
    google.gate.allowed = {"get", "list"}
    with pytest.raises(PermissionError):
        check(bucket_of)
    assert google.contents() == {}


def test_a_bucket_that_is_not_there_is_known(google: Google, bucket_of: Any) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.check_writable(bucket_of, "nothing-here/a.mp4", "nothing-here/.a.part", "video/mp4")


def test_who_may_not_look_is_told_so(google: Google, bucket_of: Any) -> None:
    google.gate.allowed = WRITING
    with pytest.raises(PermissionError):
        bucket.size_of(bucket_of, PATH)
    assert not bucket.is_folder(bucket_of, PATH), "so the check before the submit continues without looking"


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_that_is_seen(
    google: Google, bucket_of: Any
) -> None:
    bucket_of.pipe_file(PATH, OLD)
    script = (
        "import sys; import gcsfs; from tests.storages.test_google import LARGE, new_object\n"
        "bucket_of = gcsfs.GCSFileSystem(token='anon', endpoint_url=sys.argv[1])\n"
        "with new_object(bucket_of, LARGE):\n"
        "    print('sent', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    kill_once_sent(script, f"http://{google.gate.address}")
    assert google.gate.calls["send"] == 2
    assert google.contents() == {NAME: OLD}
