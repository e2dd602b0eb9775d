"""The folder of a result set: what lies where in it, and which process may write what.

::

    runs/<run_id>.json         record of a run that has ended, done or failed
    predictions/<run_id>.npz   its test predictions
    superseded/<run_id>.json   a record that no longer counts, such as a damaged one
    running/<run_id>.lock      locked, by the operating system, by the process that measures the run
    running/<run_id>.claim     locked by the worker of a sweep that has claimed the run
    running/<run_id>.json      a note of that process: who it is, and what the record holds so far
    manifest.json              the model of device that the set is measured on

Every file appears whole or not at all. A lock ends with its process and the note stays, so a note
beside a free lock tells of a run whose process was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from pepr_utils.errors import FolderError, InvalidTableError, RunError, RunningElsewhereError
from pepr_utils.measurement.orders import device_lock, hold, hung, log_path, note_begun
from pepr_utils.results import Record, read_record, write_record
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.record_files import (
    PREDICTIONS_FOLDER,
    RUNS_FOLDER,
    record_path,
    record_paths,
)

if TYPE_CHECKING:
    from pepr_utils.measurement.predictions import Predictions

MANIFEST, RUNNING, SUPERSEDED = "manifest.json", "running", "superseded"

#: The parts of the reason in the record of a run whose process is gone: how it begins, what it
#: says where nobody saw the end, as when a whole sweep was killed, and what the log comes after.
_KILLED, _UNSEEN, _LOG = "killed: ", "ended without a word", "; the last that it said: "


# -- the folder ------------------------------------------------------------------------------------


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Raise `FolderError` with folder and reason in place of the block's OSError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FolderError(
            f"nothing can be written to {folder} ({why}); make room, or name another"
        ) from None


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


def check_device(folder: Path, device: str, *, any_device: bool = False) -> None:
    """Compare a device with the one that a result set is measured on; nothing is written.

    Energies of different devices are not comparable, and runs of different devices are different
    experiments: a folder with both would look like one study and be two. A folder without a
    record is nobody's, unless a run is being measured in it now.

    Raises
    ------
    RunError
        If the set is measured on another device and `any_device` is not set.
    """
    first = _device_of(Path(folder), device)
    if first not in (None, device) and not any_device:
        raise RunError(
            f"the result set in {folder} was measured on {first}, and this is {device}; "
            "choose another folder, or say --any-device to add runs that are scored apart"
        )


def _device_of(folder: Path, own: str) -> str | None:
    """The device of a folder, by its records, or by a run that another process measures in it."""
    path = folder / MANIFEST
    if record_paths(folder) and path.is_file():
        try:
            return str(json.loads(path.read_bytes())["device"])
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{path} is damaged; remove it, and the next run writes it anew"
            ) from None
    notes = [read_note(folder, name) for name in noted_runs(folder) if is_held(folder, name)]
    found = [note["record"].get("device") for note in notes if note is not None]
    return next((device for device in found if device not in (None, own)), None)


# -- records ---------------------------------------------------------------------------------------


def whole_record(path: Path) -> Record | None:
    """Read a record; None where there is none, it is damaged or bears another run's name."""
    try:
        record = read_record(path)
    except InvalidTableError:
        return None
    return record if record.run_id == path.stem else None


def finished_record(folder: Path, run_id: str) -> Record | None:
    """The record of a run that is done; None where it is not, failed, or is damaged."""
    record = whole_record(record_path(folder, run_id))
    return record if record is not None and record.status == "done" else None


def next_attempt(folder: Path, run_id: str) -> int:
    """The number of the next attempt at a run, for the holder of its lock.

    One more than its record's, or than that of the note which a killed process has left.
    """
    record, note = whole_record(record_path(folder, run_id)), read_note(folder, run_id)
    killed = note["record"].get("attempt") if note else None
    return 1 + max(record.attempt if record else 0, killed if isinstance(killed, int) else 0)


def set_aside(path: Path) -> None:
    """Move a record from ``runs`` to ``superseded``; one of its name that is there is kept."""
    place = path.parent.parent / SUPERSEDED
    place.mkdir(exist_ok=True)
    target, number = place / path.name, 1
    while target.exists():
        number += 1
        target = place / f"{path.stem}.{number}{path.suffix}"
    with suppress(FileNotFoundError):  # another process was quicker
        path.replace(target)


def _set_aside_damaged(folder: Path, run_id: str) -> None:
    path = record_path(folder, run_id)
    if path.is_file() and whole_record(path) is None:
        set_aside(path)


def keep(folder: Path, record: Record, predictions: Predictions | None) -> None:
    """Write what a run gave; in a sweep, wait until that can be done rather than lose it.

    Raises
    ------
    FolderError
        If it cannot be written, with the place of what could be saved.
    """
    while True:
        try:
            _write(folder, record, predictions)
            return
        except OSError as error:
            if not hold(2):
                place = _rescue(record, predictions)
                then = f"copy there what {place} has of it" if place else "run it again"
                raise FolderError(
                    f"the record of {record.run_id} cannot be written to {folder} "
                    f"({error.strerror}); make room, and {then}"
                ) from None


def _write(folder: Path, record: Record, predictions: Predictions | None) -> None:
    """Write a record last: with it the run is over."""
    from pepr_utils.measurement.predictions import write_predictions

    if predictions is not None:
        write_predictions(folder, record.run_id, predictions)
    manifest = Path(folder) / MANIFEST
    if record.device is not None and not (manifest.is_file() and record_paths(folder)):
        write_whole(manifest, (json.dumps({"device": record.device}) + "\n").encode())
    write_record(record, folder)


def _rescue(record: Record, predictions: Predictions | None) -> Path | None:
    """Write what a run gave where temporary files go; None where that cannot be done either."""
    try:
        place = Path(tempfile.mkdtemp(prefix="pepr-rescued-"))
    except OSError:
        return None
    try:
        _write(place, record, predictions)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        return None
    return place


# -- locks and notes -------------------------------------------------------------------------------


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
        If the lock cannot be taken or the note cannot be written.
    """
    # `record_killed` takes a lock for a moment, to look at the note: hence a second.
    with device_lock(), _exclusive(_lock_path(folder, run_id), timeout_s=1) as free:
        if not free:
            holder = read_note(folder, run_id)
            who = f" (process {holder['pid']} on {holder['host']})" if holder else ""
            raise RunningElsewhereError(
                f"{run_id} is being measured by another process{who}; wait for it, or end it"
            )
        path = note_path(folder, run_id)
        with folder_errors(folder):
            _set_aside_damaged(folder, run_id)
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "log": log_path(),
            "record": dict(note() if callable(note) else note),
        }
        with folder_errors(path.parent):
            write_whole(path, json.dumps(holder).encode())
        note_begun(run_id)
        try:
            yield
        finally:
            with suppress(OSError):  # a folder that takes no files; else its own error is lost
                path.unlink(missing_ok=True)  # this process lives and reports for itself


@contextmanager
def _exclusive(path: Path, *, timeout_s: float = 0) -> Iterator[bool]:
    """Hold a lock for the block, unless another process has it; give whether it is held here."""
    with folder_errors(path.parent.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        with suppress(Timeout):
            lock.acquire(timeout=timeout_s)
    try:
        yield lock.is_locked
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
    path = _claim_path(folder, run_id)
    with _exclusive(path) as free:
        try:
            yield free
        finally:
            if free:
                with suppress(OSError):  # an empty file is in nobody's way
                    path.unlink(missing_ok=True)


def is_claimed(folder: Path, run_id: str) -> bool:
    """Whether the worker of a sweep that lives has claimed a run."""
    return is_locked(_claim_path(folder, run_id))


def is_held(folder: Path, run_id: str) -> bool:
    """Whether a living process holds the lock of a run; looks without writing anything."""
    return is_locked(_lock_path(folder, run_id))


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


def _claim_path(folder: Path, run_id: str) -> Path:
    return Path(folder) / RUNNING / f"{run_id}.claim"


def _lock_path(folder: Path, run_id: str) -> Path:
    return Path(folder) / RUNNING / f"{run_id}.lock"


def noted_runs(folder: Path) -> list[str]:
    """The runs that have a note: those that are running, and those whose process was killed."""
    return sorted(p.stem for p in (Path(folder) / RUNNING).glob("*.json"))


def note_path(folder: Path, run_id: str) -> Path:
    """Where the note of a run lies."""
    return Path(folder) / RUNNING / f"{run_id}.json"


def read_note(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Read the note of a run; None where there is none that can be read."""
    try:
        note = json.loads(note_path(folder, run_id).read_bytes())
        return note if {"pid", "host", "started", "record"} <= note.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


# -- runs whose process was killed -----------------------------------------------------------------


def record_killed(
    folder: Path | str, *, only: Collection[str] | None = None, because: str | None = None
) -> list[Record]:
    """Record the runs of a folder whose measuring process is gone, as failed.

    A run that is being measured is left alone: its process holds its lock.

    Parameters
    ----------
    folder : path
        A result set's folder.
    only : collection of str, optional
        The run_ids to look at; by default every run.
    because : str, optional
        What is known of the end of their process.

    Returns
    -------
    list of Record
        What was written, one per killed run.

    Raises
    ------
    FolderError
        If a record cannot be written: its note stays, and the same call does it later.
    """
    folder, written = Path(folder), []
    for run_id in noted_runs(folder):
        if only is not None and run_id not in only:
            continue
        with _exclusive(_lock_path(folder, run_id)) as free, folder_errors(folder):
            if not free:
                continue
            note = read_note(folder, run_id)
            if note is not None and finished_record(folder, run_id) is None:
                # Without a record's fields nothing was begun under this note.
                with suppress(TypeError, ValidationError):
                    why = _reason(note, because)
                    record = Record(**note["record"], status="failed", failure_reason=why)
                    _set_aside_damaged(folder, run_id)
                    write_record(record, folder)
                    written.append(record)
            note_path(folder, run_id).unlink(missing_ok=True)
    return written


def forget_killed(folder: Path, runs: Collection[str]) -> None:
    """Remove the notes of runs that were ended on purpose: they have not failed.

    Raises
    ------
    FolderError
        If a note cannot be removed.
    """
    for run_id in runs:
        with _exclusive(_lock_path(folder, run_id)) as free, folder_errors(folder):
            if free:
                note_path(folder, run_id).unlink(missing_ok=True)


def ended_unseen(record: Record) -> bool:
    """Whether a run failed by a kill that nobody saw: of its sweep, its job or its machine.

    It may be nothing of the run's doing, whoever has recorded it.

    Examples
    --------
    >>> seen = "killed: process 7 on here, which began at noon, its kernel was killed by SIGKILL"
    >>> unseen = "killed: process 7 on here, which began at noon, ended without a word"
    >>> failed = {"run_id": "r", "architecture": "a", "dataset": "d", "status": "failed"}
    >>> [ended_unseen(Record(**failed, failure_reason=why)) for why in (seen, unseen, None)]
    [False, True, False]
    """
    why = record.failure_reason or ""
    return (
        record.status == "failed"
        and why.startswith(_KILLED)
        and why.partition(_LOG)[0].endswith(_UNSEEN)
    )


def _reason(note: dict[str, Any], because: str | None) -> str:
    log = note.get("log")
    if log and hung(Path(log)):  # it ends in the stack of every thread
        end, ended = "", because or f"ended at its time limit; {Path(log).name} says where it was"
    else:
        end, ended = end_of_log(log), because or _UNSEEN
    who = f"process {note['pid']} on {note['host']}, which began at {note['started']}"
    return f"{_KILLED}{who}, {ended}" + (f"{_LOG}{end}" if end else "")


def end_of_log(log: Path | str | None, length: int = 600) -> str:
    """The end of a log in one line; empty where there is none."""
    try:
        with Path(log or "").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4 * length))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return " ".join(text.split())[-length:]
