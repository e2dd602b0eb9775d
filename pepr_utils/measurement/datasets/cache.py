"""Downloaded files, unpacked archives and resized images: each made once, whole, by one process.

What is complete is only read, so the cache may be on a disk that cannot be written. A stamp beside
each file holds its size, its time of change and its content: gigabytes are not hashed again before
each run, and a file that was put or changed by hand is checked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from pepr_utils.errors import DataUnavailableError
from pepr_utils.results.download import CACHE_VARIABLE, cache_root, made, retrieve

_RETRIES = 2


def cache_folder(kind: str, content_hash: str = "") -> Path:
    """Folder of a kind of file, made where it is missing.

    Raises
    ------
    DataUnavailableError
        If it cannot be made.
    """
    return made(cache_root() / kind / content_hash[:32])


def downloaded(url: str, target: Path, md5: str | None = None, *, progress: bool = False) -> Path:
    """Return `target`, downloaded from a mirror or `url` on first use.

    Parameters
    ----------
    url : str
        Where the file comes from.
    target : pathlib.Path
        Where it goes. One that was put there by hand is checked too.
    md5 : str, optional
        Its MD5 sum, where one was published; else the caller checks what is in it.
    progress : bool, default False
        Show a progress bar on stderr.

    Raises
    ------
    DataUnavailableError
        If no source gave the file with the right sum, the file that is there has another, or the
        folder cannot be written.
    """

    def bring() -> None:
        if not target.is_file():
            also = f"put it into {target.parent}, "
            retrieve(url, target, md5=md5, retries=_RETRIES, progress=progress, also=also)
        elif md5 and (found := _md5(target)) != md5:
            raise DataUnavailableError(
                f"{target} is not the published file: its MD5 is {found}, expected {md5}; remove "
                "it, and it is downloaded again"
            )

    made_once(target, md5 or url, bring)
    return target


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def made_once(target: Path, content: str, make: Callable[[], None]) -> None:
    """Call `make` unless `target` is there with this `content`; a complete file is not locked.

    Raises
    ------
    DataUnavailableError
        If it is to be made and the folder cannot be written.
    """
    stamp = target.with_name(f".{target.name}.stamp")

    def stamp_text() -> str:
        found = target.stat()
        seen = {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "content": content}
        return json.dumps(seen)

    def is_complete() -> bool:
        try:
            return stamp.read_text("utf-8") == stamp_text()
        except (OSError, ValueError):
            return False

    if is_complete():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not is_complete():
                make()
                stamp.write_text(stamp_text(), "utf-8")
    except OSError as error:
        if error.errno is None:  # not of the system: `make` has its own, or bzip2 found damage
            raise
        raise DataUnavailableError(
            f"the cache folder {target.parent} cannot be written ({error.strerror}); make room, or "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from None


@contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it becomes `target` if the block succeeds, else nothing is left."""
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
