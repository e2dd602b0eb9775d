"""A result set's folder in a sweep: room on the disk, leftovers of killed processes."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path

from pepr_utils.errors import FolderError
from pepr_utils.measurement.store import check_writable, folder_errors, is_locked
from pepr_utils.results.file_content import regular_bytes

#: Nothing is begun with less room: for records with their predictions, and executed notebooks.
ROOM_BYTES = 20_000_000
#: Signals and temporary files that killed processes have left are removed when they are so old (s);
#: kernels on workers that could not be reached may still need them.
KEPT_S = 30 * 86400
LEFTOVERS = ("running/*.stop", "running/*.here", "running/*.waiting", "running/*.claim",
             "running/*.lock", "notebooks/*.log", ".*.tmp", "*/.*.tmp")  # fmt: skip


def touch(path: Path) -> None:
    """Make an empty file; where that is impossible, writing the next record reports it."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tidy(folder: Path) -> None:
    """Name the notebooks of killed processes, and remove their old signals and temporary files."""
    name_notebooks(folder)
    for path in (path for pattern in LEFTOVERS for path in folder.glob(pattern)):
        with suppress(OSError):  # another sweep has removed it
            found = path.stat()
            needed = path.suffix == ".log" and found.st_size
            if path.suffix in (".claim", ".lock"):
                needed = is_locked(path)
            if not needed and time.time() - found.st_mtime > KEPT_S:
                path.unlink()


def tidy_after(folder: Path, sweep: str) -> None:
    """Name the notebooks of a sweep whose workers have ended, and remove its signals."""
    name_notebooks(folder, sweep)
    for pattern in (f"running/*-{sweep}.waiting", f"notebooks/*-{sweep}.log"):
        for path in folder.glob(pattern):
            with suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()


def hidden_notebook(target: Path) -> Path:
    """Path of an executed notebook until its job has ended.

    Examples
    --------
    >>> hidden_notebook(Path("notebooks/t-1.ipynb")).as_posix()
    'notebooks/.t-1.ipynb.tmp'
    """
    return target.with_name(f".{target.name}.tmp")


def name_notebooks(folder: Path, sweep: str | None = None) -> None:
    """Give executed notebooks their names where a killed job has not done so.

    A job that is not killed after all replaces its notebook when it ends. Without `sweep`, those
    of every sweep are named.
    """
    pattern = hidden_notebook(Path(f"*-{sweep}.ipynb" if sweep else "*.ipynb")).name
    for path in folder.glob(f"notebooks/{pattern}"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if json.loads(regular_bytes(path))["cells"]:  # it is whole
                path.replace(path.with_name(path.name[1:].removesuffix(".tmp")))


def check_room(folder: Path) -> None:
    """Raise unless a folder takes files, and has room for some records.

    Raises
    ------
    FolderError
        With the folder and the reason.
    """
    check_writable(folder)
    with folder_errors(folder):
        free = shutil.disk_usage(folder).free
    if free < ROOM_BYTES:
        raise FolderError(
            f"the output folder {folder} has {free / 1e6:.1f} MB left, and a sweep needs "
            f"{ROOM_BYTES / 1e6:.0f} MB; make room"
        )
