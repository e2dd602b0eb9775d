"""Records that are no longer counted: kept beside the others, in a folder of their own.

A damaged one is moved there by whoever holds the lock of its run, before another takes its place.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pepr_utils.errors import InvalidTableError
from pepr_utils.results import Record, read_record
from pepr_utils.results.record_files import record_path

FOLDER = "superseded"


def set_aside(path: Path) -> None:
    """Move a record from ``runs`` to ``superseded``; one of its name that is there is kept."""
    place = path.parent.parent / FOLDER
    place.mkdir(exist_ok=True)
    target, number = place / path.name, 1
    while target.exists():
        number += 1
        target = place / f"{path.stem}.{number}{path.suffix}"
    with suppress(FileNotFoundError):  # another process was quicker
        path.replace(target)


def set_aside_damaged(folder: Path, identity: str) -> None:
    """Move the record of a run to ``superseded`` if it is damaged; for the holder of its lock."""
    path = record_path(folder, identity)
    if path.is_file() and whole_record(path) is None:
        set_aside(path)


def whole_record(path: Path) -> Record | None:
    """Read a record; None where there is none, it is damaged or bears another run's name."""
    try:
        record = read_record(path)
    except InvalidTableError:
        return None
    return record if record.run_id == path.stem else None
