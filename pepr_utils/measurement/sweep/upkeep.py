"""What a result set's folder needs for a sweep: room, and no leftovers of killed processes."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from pepr_utils.measurement.files import FolderError, check_writable, folder_errors

#: Room without which nothing is begun: records with their predictions, executed notebooks.
ROOM_BYTES = 20_000_000
#: How long a word to stop is kept for kernels that could not be reached.
STOP_KEPT_S = 30 * 86400
#: How long a file under a temporary name is taken to be still written.
HALF_KEPT_S = 3600


def tidy(folder: Path) -> None:
    """Remove what processes that were killed have left: words to stop, and files half written."""
    kept = {
        "running/*.stop": STOP_KEPT_S,
        "running/*.waiting": STOP_KEPT_S,
        "*/.*.tmp": HALF_KEPT_S,
    }
    for pattern, kept_s in kept.items():
        for path in folder.glob(pattern):
            with suppress(OSError):  # another sweep tidies too
                if time.time() - path.stat().st_mtime > kept_s:
                    path.unlink()


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
