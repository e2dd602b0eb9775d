"""Where derived arrays are kept: unpacked archives and images brought to one size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pepr_utils.results.download import cache_root, made


def cache_folder(kind: str, content_hash: str = "") -> Path:
    """Folder of a kind of derived file, made where it is missing.

    Raises
    ------
    DataUnavailableError
        If it cannot be made.
    """
    return made(cache_root() / kind / content_hash[:32])


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Let one process at a time make `target`; the others wait and find it made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        yield
