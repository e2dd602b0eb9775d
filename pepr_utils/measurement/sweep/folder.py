"""A result set's folder in a sweep: room, no leftovers of killed processes, no empty folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pepr_utils.errors import FolderError, PeprError
from pepr_utils.measurement.store import check_writable, folder_errors, is_locked

#: Room without which nothing is begun: records with their predictions, executed notebooks.
ROOM_BYTES = 20_000_000
#: How long a file that says to stop is kept for kernels that could not be reached.
STOP_KEPT_S = 30 * 86400
#: A kernel that waits for its device touches its file every second.
WAITING_KEPT_S = 60
#: How long a file under a temporary name is taken to be still written.
HALF_KEPT_S = 3600


def touch(path: Path) -> None:
    """Make an empty file; a folder that takes none is reported where records are written."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tidy(folder: Path) -> None:
    """Remove what processes that were killed have left: signals to others, files half written.

    Executed notebooks of theirs get their names.
    """
    adopt_notebooks(folder)
    kept = {
        "running/*.stop": STOP_KEPT_S,
        "running/*.here": STOP_KEPT_S,
        "running/*.waiting": WAITING_KEPT_S,
        "running/*.claim": HALF_KEPT_S,
        "notebooks/*.log": STOP_KEPT_S,
        ".*.tmp": HALF_KEPT_S,
        "*/.*.tmp": HALF_KEPT_S,
    }
    for pattern, kept_s in kept.items():
        for path in folder.glob(pattern):
            with suppress(OSError):  # another sweep tidies too
                found = path.stat()
                if path.suffix == ".log" and found.st_size:
                    continue
                if path.suffix == ".claim" and is_locked(path):
                    continue
                if time.time() - found.st_mtime > kept_s:
                    path.unlink()


def tidy_after(folder: Path, sweep: str) -> None:
    """Name the notebooks of a sweep whose workers have ended, and remove what is of no use."""
    adopt_notebooks(folder, sweep)
    for path in folder.glob(f"running/*-{sweep}.waiting"):
        with suppress(OSError):
            path.unlink()
    for path in folder.glob(f"notebooks/*-{sweep}.log"):
        with suppress(OSError):
            if not path.stat().st_size:
                path.unlink()


def hidden_notebook(target: Path) -> Path:
    """Where an executed notebook is as long as its task has not ended.

    Examples
    --------
    >>> hidden_notebook(Path("notebooks/t-1.ipynb")).as_posix()
    'notebooks/.t-1.ipynb.tmp'
    """
    return target.with_name(f".{target.name}.tmp")


def adopt_notebooks(folder: Path, sweep: str | None = None) -> None:
    """Give executed notebooks their names where their task has not done so.

    A task that lives after all replaces its notebook when it ends.

    Parameters
    ----------
    folder : pathlib.Path
        The result set's.
    sweep : str, optional
        Whose; by default every sweep's.
    """
    pattern = hidden_notebook(Path(f"*-{sweep}.ipynb" if sweep else "*.ipynb")).name
    for path in folder.glob(f"notebooks/{pattern}"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if json.loads(path.read_bytes())["cells"]:  # whole
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
            f"the output folder {folder} has {free / 1e6:.1f} MB left, and a sweep wants "
            f"{ROOM_BYTES / 1e6:.0f} MB; make room"
        )


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that was made within the block, and its parents, where it fails.

    Only if they are empty: whatever is in them is kept.
    """
    folder = Path(folder).absolute()
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except PeprError:
        # The engine's own folder for locks and logs comes first.
        for place in (folder / "running", *made) if made else ():
            with suppress(OSError):  # not empty, or never made
                place.rmdir()
        raise
