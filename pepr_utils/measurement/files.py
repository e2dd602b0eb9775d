"""Files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pepr_utils.measurement.run import RunError
from pepr_utils.results.atomic import replacing
from pepr_utils.results.record_files import PREDICTIONS_FOLDER, RUNS_FOLDER


class FolderError(RunError):
    """Nothing can be written to a result set's folder: it is full, read-only or gone."""


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turn what the system says of a result set's folder into an error in words.

    Raises
    ------
    FolderError
        In place of an OSError, with the folder and the reason.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FolderError(
            f"nothing can be written to {folder} ({why}); make room, or name another"
        ) from None


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file under a temporary name, sync it, and move it to its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def check_writable(folder: Path) -> None:
    """Raise unless files can be written to a result set's folder, which is made if need be.

    Raises
    ------
    FolderError
        With the folder and the reason.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        places = [folder, folder / RUNS_FOLDER, folder / PREDICTIONS_FOLDER]
        for place in filter(Path.is_dir, places):
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"\0" * 4096)
                file.flush()
    except OSError as error:
        raise FolderError(
            f"the output folder {folder} cannot be written ({error.strerror}); name another"
        ) from None
