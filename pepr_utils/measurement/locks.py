"""One process measures a run: a lock on its run_id, and a note of who holds it.

The operating system frees a lock when its holder dies. The note stays, so a note beside a free
lock says which run was killed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pepr_utils.measurement.files import FolderError, folder_errors, write_whole
from pepr_utils.measurement.orders import device_lock, log_path, note_begun
from pepr_utils.measurement.run import RunError
from pepr_utils.measurement.superseded import set_aside_damaged

FOLDER = "running"


class RunningElsewhereError(RunError):
    """Another process measures this run at this moment."""


@contextmanager
def run_lock(
    folder: Path, run_id: str, note: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
) -> Iterator[None]:
    """Hold the lock of a run, with a note of the run and its holder beside it.

    In a kernel of a sweep that of its device is held too, and waited for. A damaged record of the
    run is set aside, so that the block may write one.

    Parameters
    ----------
    folder : pathlib.Path
        The result set's folder.
    run_id : str
        The run.
    note : mapping, or function that returns one
        What its record would say so far; goes into the record if this process is killed. A
        function is called under the lock.

    Raises
    ------
    RunningElsewhereError
        If another process, or another machine with the same folder, holds it.
    FolderError
        If the note cannot be written.
    """
    with device_lock(), _held(folder, run_id):
        path = note_path(folder, run_id)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        holder["log"] = log_path()
        with folder_errors(folder):
            set_aside_damaged(folder, run_id)
        record = dict(note() if callable(note) else note)
        with folder_errors(path.parent):
            write_whole(path, json.dumps(holder | {"record": record}).encode())
        note_begun(run_id)
        try:
            yield
        finally:
            with suppress(OSError):  # a folder that takes no files; else its own error is lost
                path.unlink(missing_ok=True)  # this process lives and reports for itself


@contextmanager
def _held(folder: Path, run_id: str) -> Iterator[None]:
    try:
        lock = _lock(folder, run_id)
        # `abandoned` takes the lock for a moment, to look at the note.
        lock.acquire(timeout=1)
    except Timeout:
        holder = read_note(folder, run_id)
        who = f" (process {holder['pid']} on {holder['host']})" if holder else ""
        raise RunningElsewhereError(
            f"{run_id} is being measured by another process{who}; wait for it, or end it"
        ) from None
    except OSError as error:
        raise FolderError(
            f"no lock can be taken in {folder} ({error.strerror}); make room, or name another"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def abandoned(folder: Path, run_id: str) -> Iterator[dict[str, Any] | None]:
    """Give the note of a run whose holder is gone, under its lock; None where it lives.

    The note is empty where it is not there, or is damaged.

    Raises
    ------
    FolderError
        If the lock cannot be taken, as in a folder without room.
    """
    with folder_errors(folder):
        lock = _lock(folder, run_id)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            lock = None
    if lock is None:
        yield None
        return
    try:
        yield read_note(folder, run_id) or {}
    finally:
        lock.release()


@contextmanager
def claim(folder: Path, run_id: str) -> Iterator[bool]:
    """Claim a run for the worker of a sweep; False where another worker has claimed it.

    A worker holds the claim from before its kernel is started until the end of the run is recorded.
    It keeps two workers from starting kernels for one run; that they do not measure it twice
    is for `run_lock` to see to.

    Raises
    ------
    FolderError
        If no lock can be taken, as in a folder without room.
    """
    with folder_errors(folder):
        path = _claim_path(folder, run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            lock = None
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # an empty file is in nobody's way
            path.unlink(missing_ok=True)
        lock.release()


def is_claimed(folder: Path, run_id: str) -> bool:
    """Whether the worker of a sweep that lives has claimed a run."""
    return is_locked(_claim_path(folder, run_id))


def is_held(folder: Path, run_id: str) -> bool:
    """Whether a living process holds the lock of a run; looks without writing anything."""
    return is_locked(Path(folder) / FOLDER / f"{run_id}.lock")


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock on a file; looks without writing anything."""
    if not path.is_file():
        return False
    try:
        import fcntl
    except ImportError:  # no flock on this system: take the lock for a moment
        try:
            with FileLock(path).acquire(timeout=0):
                return False
        except Timeout:
            return True
    try:
        file = path.open("rb")
    except FileNotFoundError:  # removed since
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def noted_runs(folder: Path) -> list[str]:
    """The runs that have a note, running or abandoned."""
    return sorted(p.stem for p in (Path(folder) / FOLDER).glob("*.json"))


def note_path(folder: Path, run_id: str) -> Path:
    """Where the note of a run lies."""
    return Path(folder) / FOLDER / f"{run_id}.json"


def _claim_path(folder: Path, run_id: str) -> Path:
    return Path(folder) / FOLDER / f"{run_id}.claim"


def read_note(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Read the note of a run; None where there is none that can be read."""
    try:
        note = json.loads(note_path(folder, run_id).read_bytes())
        return note if {"pid", "host", "started", "record"} <= note.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _lock(folder: Path, run_id: str) -> FileLock:
    path = Path(folder) / FOLDER / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
