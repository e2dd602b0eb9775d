"""A stamp beside a file of the cache: it was found to be right, and has not changed since.

Hashing gigabytes before each run takes longer than a small run. The stamp holds size and time of
change of the file and what it was found to be; a file put or changed by hand does not fit it.
"""

from __future__ import annotations

import json
from pathlib import Path

from pepr_utils.results.atomic import write_whole


def is_stamped(path: Path, content: str) -> bool:
    """Whether a file is there, unchanged since it was stamped as `content`."""
    try:
        return json.loads(_place(path).read_bytes()) == _seen(path, content)
    except (OSError, ValueError):
        return False


def stamp(path: Path, content: str) -> None:
    """Note that a file is what `content` says: its checksum, or the hash it was made from."""
    write_whole(_place(path), json.dumps(_seen(path, content)).encode())


def _seen(path: Path, content: str) -> dict[str, str | int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "content": content}


def _place(path: Path) -> Path:
    return path.with_name(f".{path.name}.stamp")
