"""Files of a worker: only below the folders that an administrator allows, and only files."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_segmind.exceptions import InvalidParameterError, UnreadableInputError
from airflow_provider_segmind.media import disk
from airflow_provider_segmind.media.allowed_paths import file_to_read, file_to_write
from airflow_provider_segmind.media.reading import read_image
from airflow_provider_segmind.media.storing import OutputStore

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
VARIABLE = "AIRFLOW__SEGMIND__ALLOWED_LOCAL_PATHS"
Allow = Callable[..., None]


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Allow:
    return lambda *folders: monkeypatch.setenv(VARIABLE, ",".join(map(str, folders)))


@pytest.fixture
def inside(tmp_path: Path, allow: Allow) -> Path:
    folder = tmp_path / "inside"
    folder.mkdir()
    allow(folder)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    return folder


def read(path: object) -> bytes:
    return read_image("start_image_url", path, None).content


def check(path: object) -> None:
    OutputStore(path, None, 1000, lambda *_: iter(())).check()


def store(path: object) -> None:
    list(OutputStore(path, None, 1000, lambda *_: iter([PNG])).store(["https://host/a.png"], "7d1c"))


def test_nothing_is_read_or_written_unless_it_is_allowed(tmp_path: Path, allow: Allow) -> None:
    allow("")
    (tmp_path / "a.png").write_bytes(PNG)
    for use, name in ((read, "start_image_url"), (check, "output_path")):
        for path in (f"{tmp_path}/a.png", f"file://{tmp_path}/a.png", tmp_path / "a.png"):
            with pytest.raises(InvalidParameterError) as caught:
                use(path)
            assert caught.value.name == name
            assert f"'{tmp_path}/a.png'" in caught.value.problem
            assert f"[segmind] allowed_local_paths, {'a comma-separated'}" in caught.value.problem
            assert f"{VARIABLE}={tmp_path}" in caught.value.problem


def test_what_is_below_an_allowed_folder_is_read_and_written(tmp_path: Path, inside: Path, allow: Allow) -> None:
    allow("/no/such/folder", f" {inside}/ ", "", tmp_path / "second", "")
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "deep" / "er" / "a.png").write_bytes(PNG)
    assert read(f"{inside}/deep//er/a.png") == PNG
    for path in (f"{inside}/new/b.png", f"{tmp_path}/second/c.png"):
        check(path)
        store(path)
        assert read(path) == PNG


@pytest.mark.parametrize("name", ["outside/a.png", "inside.png", "inside2/a.png", "insidé/a.png"])
def test_what_is_beside_an_allowed_folder_is_not(tmp_path: Path, inside: Path, outside: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PNG)
    for use in (read, check):
        with pytest.raises(InvalidParameterError, match="allowed_local_paths"):
            use(path)


@pytest.mark.parametrize(
    "option", ["data", "~/data", "./data", "../data", "/data/../etc", "s3://bucket", "/ok,data"]
)
def test_an_option_that_is_not_clear_allows_nothing(allow: Allow, option: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    allow(tmp_path, option)
    with pytest.raises(InvalidParameterError, match=r"option \[segmind\] allowed_local_paths .* has "):
        read(f"{tmp_path}/a.png")


def test_everything_may_be_allowed(tmp_path: Path, allow: Allow) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    allow("/")
    assert read(f"{tmp_path}/a.png") == PNG
    store(f"{tmp_path}/b.png")
    assert read(f"{tmp_path}/b.png") == PNG


def test_the_allowed_folder_may_be_a_link(tmp_path: Path, outside: Path, allow: Allow) -> None:
    (tmp_path / "link").symlink_to(outside)
    allow(tmp_path / "link")
    assert read(f"{tmp_path}/link/a.png") == read(f"{outside}/a.png") == PNG


def test_a_link_leads_nowhere_else(inside: Path, outside: Path) -> None:
    (inside / "file.png").symlink_to(outside / "a.png")
    (inside / "folder").symlink_to(outside)
    (inside / "relative").symlink_to("../outside")
    (inside / "loop").symlink_to("loop")
    for name in ("file.png", "folder/a.png", "relative/a.png"):
        with pytest.raises(InvalidParameterError, match="which is not in an allowed folder"):
            read(inside / name)
    for name in ("folder/new.png", "relative/new.png", "folder/"):
        for use in (check, store):
            with pytest.raises(Exception, match="allowed_local_paths"):
                use(f"{inside}/{name}")
    with pytest.raises(InvalidParameterError):
        read(inside / "loop")
    assert os.listdir(outside) == ["a.png"]  # noqa: PTH208


def test_a_link_inside_is_followed_to_a_file_inside(inside: Path) -> None:
    (inside / "a.png").write_bytes(PNG)
    (inside / "link.png").symlink_to("a.png")
    (inside / "here").symlink_to(inside)
    assert read(f"{inside}/here/link.png") == PNG
    store(f"{inside}/here/b.png")
    assert (inside / "b.png").read_bytes() == PNG


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(inside: Path, outside: Path) -> None:
    """Between looking where a path leads and opening it."""
    (inside / "folder").mkdir()
    (inside / "folder" / "a.png").write_bytes(PNG)
    to_read = file_to_read("image", f"{inside}/folder/a.png")
    to_write = file_to_write("output_path", f"{inside}/folder/new.png")
    (inside / "folder").rename(inside / "moved")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(NotADirectoryError):
        disk.read_file(to_read, 100)
    with pytest.raises(NotADirectoryError), disk.partial_file(to_write, ".p.part"):
        pass
    with pytest.raises(NotADirectoryError):
        disk.check_writable(to_write, ".p.part")
    (inside / "moved" / "a.png").unlink()
    (inside / "moved" / "a.png").symlink_to(outside / "a.png")
    with pytest.raises(OSError, match="symbolic links"):
        disk.read_file(
            file_to_read("image", f"{inside}/moved/b.png").__class__(str(inside), ("moved",), "a.png"), 9
        )
    assert os.listdir(outside) == ["a.png"]  # noqa: PTH208


def test_what_is_no_file_is_not_opened_for_ever(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(inside / "pipe.png")
    monkeypatch.chdir(inside)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        for name, words in (("pipe.png", "not a regular file"), ("socket.png", "cannot be read|regular file")):
            with pytest.raises(InvalidParameterError, match=words):
                read(inside / name)


def test_devices_and_files_of_the_kernel_are_not_read(allow: Allow) -> None:
    allow("/dev", "/proc")
    with pytest.raises(InvalidParameterError, match="not a regular file"):
        read("/dev/zero")
    with pytest.raises(InvalidParameterError, match="is empty"):
        read("/proc/self/environ")
    with pytest.raises(InvalidParameterError):
        read("/dev/stdin")


def test_a_huge_file_is_not_read(inside: Path) -> None:
    with (inside / "huge.png").open("wb") as file:
        file.write(PNG)
        file.truncate(2**40)
    with pytest.raises(InvalidParameterError, match="larger than 20 MiB"):
        read(inside / "huge.png")


def test_a_file_that_is_written_while_it_is_read_may_be_read_again(inside: Path, monkeypatch: Any) -> None:
    path = inside / "a.png"
    path.write_bytes(PNG)
    real = disk._check_regular

    def meanwhile(found: os.stat_result) -> None:
        real(found)
        with path.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(disk, "_check_regular", meanwhile)
    with pytest.raises(UnreadableInputError, match="changed while it was read") as caught:
        read(path)
    assert caught.value.can_retry


def test_names_in_messages_cannot_forge_lines(inside: Path) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(f"{inside}/a\n\x1b[31mERROR \u202eforged.png")
    assert str(caught.value).isprintable()


def test_a_partial_file_that_was_replaced_is_not_moved(inside: Path) -> None:
    """Where locks do not work another attempt may have replaced it: its half of a file must not get the name."""
    file = file_to_write("output_path", f"{inside}/a.mp4")
    with disk.partial_file(file, ".p.part") as partial:
        partial.write(PNG)
        (inside / ".p.part").unlink()
        (inside / ".p.part").write_bytes(b"half of another")
        with pytest.raises(disk.ChangedMeanwhileError):
            partial.move_to("a.mp4", len(PNG))
    assert [each.name for each in inside.iterdir()] == [".p.part"], "that of the other attempt stays"


def test_a_living_attempt_keeps_its_partial_file(inside: Path) -> None:
    file = file_to_write("output_path", f"{inside}/a.mp4")
    with disk.partial_file(file, ".p.part") as one, disk.partial_file(file, ".p.part") as other:
        one.write(b"one")
        other.write(b"other")
        other.move_to("a.mp4", 5)
        assert (inside / "a.mp4").read_bytes() == b"other"
        one.move_to("a.mp4", 3)
    assert [(each.name, each.read_bytes()) for each in inside.iterdir()] == [("a.mp4", b"one")]


@pytest.mark.parametrize("obstacle", ["file", "link", "broken link", "pipe"])
def test_what_is_in_the_way_of_a_partial_file_is_replaced(inside: Path, outside: Path, obstacle: str) -> None:
    path = inside / ".p.part"
    if obstacle == "file":
        path.write_bytes(b"left by a killed attempt")
    elif obstacle == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(outside / ("a.png" if obstacle == "link" else "new.png"))
    file = file_to_write("output_path", f"{inside}/a.mp4")
    with disk.partial_file(file, ".p.part") as partial:
        partial.write(b"video")
        partial.move_to("a.mp4", 5)
    assert [(each.name, each.read_bytes()) for each in inside.iterdir()] == [("a.mp4", b"video")]
    assert [(each.name, each.read_bytes()) for each in outside.iterdir()] == [("a.png", PNG)]


def test_many_tasks_may_check_the_same_folder_at_the_same_time(inside: Path) -> None:
    trouble: list[Exception] = []

    def checking() -> None:
        try:
            for _ in range(20):
                check(f"{inside}/")
        except Exception as error:  # noqa: BLE001 - whatever it is
            trouble.append(error)

    threads = [threading.Thread(target=checking) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert list(inside.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_reported(inside: Path) -> None:
    inside.chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = os.geteuid()
    if before == 0:
        os.chown(inside, 65534, 65534)
        inside.parent.chmod(0o711)
        inside.parent.parent.chmod(0o711)
        os.seteuid(65534)
    try:
        with pytest.raises(InvalidParameterError, match=r"output_path: .* may not be written to: PermissionError"):
            check(f"{inside}/a.mp4")
    finally:
        os.seteuid(before)


def test_a_check_writes_nothing_outside_of_the_allowed_folder(tmp_path: Path, allow: Allow) -> None:
    (tmp_path / "locked").mkdir()
    allow(tmp_path / "locked" / "clips")
    check(f"{tmp_path}/locked/clips/new/a.mp4")
    assert [each.name for each in (tmp_path / "locked").iterdir()] == ["clips"]
    assert list((tmp_path / "locked" / "clips").iterdir()) == []
