"""Records that are no longer counted: kept beside the others, in a folder of their own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

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
