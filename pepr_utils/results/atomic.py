"""Write a file whole or not at all: under a temporary name beside it, synced, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `target`; it becomes `target` if the block succeeds.

    A reader sees the old file or the whole new one. Nothing is left behind on an error.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("model,pepr\\n")
    >>> [path.name for path in target.parent.iterdir()]
    ['scores.csv']
    """
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file, and its folder where that is missing: whole or not at all; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path
