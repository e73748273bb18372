"""The folder in which a demo keeps everything, made fresh for each."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "demo.lock"


@dataclass(frozen=True)
class DemoFolder:
    """Where things are in the folder of a demo, beside what its Airflow keeps there."""

    root: Path

    @property
    def images(self) -> Path:
        """The images that clips are made of."""
        return self.root / "images"

    @property
    def clips(self) -> Path:
        """The clips that the demo made."""
        return self.root / "clips"

    @property
    def contact_sheet(self) -> Path:
        """A picture of the clips."""
        return self.root / "contact-sheet.png"


@contextmanager
def fresh_folder(root: Path) -> Iterator[DemoFolder]:
    """Empty the folder of earlier demos, and keep other demos out for the length of a `with` block.

    :raises HarnessError: If it is in use, or holds what no demo has put there.
    """
    root = root.resolve()
    lock = root / _LOCK
    if root.exists() and not lock.is_file() and (not root.is_dir() or any(root.iterdir())):
        raise HarnessError(f"{root} is not empty, and no folder of the demo: choose another one with --folder")
    root.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HarnessError(f"another demo is using {root}: stop it, or choose a --folder") from None
        for entry in root.iterdir():
            if entry != lock:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        yield DemoFolder(root)


def short_path(path: Path) -> str:
    """Return a path as a reader in the current directory would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
