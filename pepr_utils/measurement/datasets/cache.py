"""Where derived arrays are kept: unpacked archives and images brought to one size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock

from pepr_utils.errors import DataUnavailableError
from pepr_utils.results.download import CACHE_VARIABLE


def cache_folder(kind: str, content_hash: str = "") -> Path:
    """Folder of a kind of derived file: under ``PEPR_DATA_CACHE``, else the user's cache.

    Raises
    ------
    DataUnavailableError
        If it cannot be made.
    """
    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("pepr")
    folder = Path(root).expanduser() / kind / content_hash[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataUnavailableError(
            f"the cache folder {folder} cannot be made ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from None
    return folder


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Let one process at a time make `target`; the others wait and find it made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        yield
