"""Where derived arrays are kept: unpacked archives and images brought to one size.

What is complete is only read, so a cache may lie on a disk that cannot be written. The room that a
file needs is asked for before it is begun: a disk that fills up is told in words.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from pepr_utils.errors import DataUnavailableError, PeprError
from pepr_utils.measurement.datasets.source import DatasetError
from pepr_utils.measurement.datasets.stamps import is_stamped, stamp
from pepr_utils.results.download import CACHE_VARIABLE, cache_root, made

#: What the system says where there is no room: on the disk, in a quota, or for so large a file.
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def cache_folder(kind: str, content_hash: str = "") -> Path:
    """Folder of a kind of derived file, made where it is missing.

    Raises
    ------
    DataUnavailableError
        If it cannot be made.
    """
    return made(cache_root() / kind / content_hash[:32])


def made_once(target: Path, content: str, make: Callable[[], None]) -> None:
    """Call `make` unless `target` is there as `content`; a complete file is not locked.

    Raises
    ------
    DataUnavailableError
        If it is to be made and the folder cannot be written.
    """
    if is_stamped(target, content):
        return
    with exclusive(target):
        if not is_stamped(target, content):
            make()
            stamp(target, content)


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Let one process at a time make `target`; the others wait and find it made.

    Raises
    ------
    DataUnavailableError
        In place of an OSError, with the folder and the reason.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            yield
    except PeprError:
        raise
    except OSError as error:
        raise DataUnavailableError(
            f"the cache folder {target.parent} cannot be written "
            f"({error.strerror or type(error).__name__}); make room, or set {CACHE_VARIABLE} to a "
            "folder that can be written"
        ) from None


@contextmanager
def written_whole(target: Path, n_bytes: int, what: str) -> Iterator[BinaryIO]:
    """Give a file to write, with room for it reserved; it becomes `target` if the block succeeds.

    Parameters
    ----------
    target : pathlib.Path
        Its place; nothing is left there on an error.
    n_bytes : int
        Size that it will have.
    what : str
        What it holds, for the message.

    Raises
    ------
    DatasetError
        If there is no room, with the folder, the room needed and the room there.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)  # a killed process has left it, with all its room
    check_room(target.parent, n_bytes, what)
    try:
        with temporary.open("wb") as file:
            _reserve(file, n_bytes)
            yield file
            file.truncate()
        temporary.replace(target)
    except PeprError:
        raise
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        temporary.unlink(missing_ok=True)  # so that the room there is what it was before
        raise _no_room(target.parent, n_bytes, what, f" ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_room(folder: Path, n_bytes: int, what: str) -> None:
    """Raise unless a disk has room.

    Raises
    ------
    DatasetError
        With the folder, the room needed and the room there.
    """
    if n_bytes > shutil.disk_usage(folder).free:
        raise _no_room(folder, n_bytes, what)


def _no_room(folder: Path, n_bytes: int, what: str, why: str = "") -> DatasetError:
    free = shutil.disk_usage(folder).free
    return DatasetError(
        f"{what} needs {_room(n_bytes)} in {folder}, where {_room(free)} are free{why}; make room, "
        f"or set {CACHE_VARIABLE} to a folder on a larger disk"
    )


def _room(n_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def _reserve(file: BinaryIO, n_bytes: int) -> None:
    """Reserve room where the system can; elsewhere it is found lacking when it is written."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
