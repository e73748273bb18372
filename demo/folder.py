"""The folder in which a demo keeps everything, made fresh for each."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo.failure import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "demo.lock"


@dataclass(frozen=True)
class DemoFolder:
    """Where things are in the folder of a demo."""

    root: Path

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME: configuration and database."""
        return self.root / "airflow"

    @property
    def logs(self) -> Path:
        """One log file per process, and below `tasks` one per task."""
        return self.root / "logs"

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

    :raises DemoError: If it is in use, or holds what no demo has put there.
    """
    root = root.resolve()
    lock = root / _LOCK
    if root.exists() and not lock.is_file() and (not root.is_dir() or any(root.iterdir())):
        raise DemoError(f"{root} is not empty, and no folder of the demo: choose another one with --folder")
    root.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(f"another demo is using {root}: stop it, or choose a --folder") from None
        for entry in root.iterdir():
            if entry != lock:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        folder = DemoFolder(root)
        folder.airflow_home.mkdir()
        folder.logs.mkdir()
        yield folder


def shown(path: Path) -> str:
    """Return a path as a reader in the current directory would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
