"""The output folder of a sweep that could not begin: it is not left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pepr_utils.errors import PeprError


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
