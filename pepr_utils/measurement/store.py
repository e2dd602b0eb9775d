"""The folder of a result set: which file is where in it, and which process may write what.

::

    runs/<run_id>.json         record of a run that has ended, done or failed
    predictions/<run_id>.npz   its test predictions
    checkpoints/<run_id>.safetensors   what a paused run needs to go on; gone when it is done
    data-warnings/<dataset>-<hash>.csv   images behind the `data_warnings` of records
    superseded/<run_id>.json   a record that no longer counts, such as a damaged one
    running/<run_id>.lock      locked, by the operating system, by the process that measures the run
    running/<run_id>.claim     locked by the worker of a sweep that has claimed the run
    running/<run_id>.json      a note of the measuring process: its pid and host, and the record
                               so far
    manifest.json              the model of device that the set is measured on

Every file appears whole or not at all. A lock ends with its process and the note remains, so a note
beside a free lock is that of a run whose process was killed, or could not record how it ended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pepr_utils.errors import FolderError, InvalidTableError, RunError, RunningElsewhereError
from pepr_utils.measurement.sweep_environment import (
    device_lock,
    log_path,
    note_begun,
    reached_time_limit,
    wait_to_retry,
)
from pepr_utils.results import Record, read_record, write_record
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.file_content import regular_bytes
from pepr_utils.results.record_files import (
    PREDICTIONS_FOLDER,
    RUNS_FOLDER,
    record_path,
    record_paths,
)

if TYPE_CHECKING:
    from pepr_utils.measurement.predictions import Predictions

MANIFEST, RUNNING, SUPERSEDED = "manifest.json", "running", "superseded"
CHECKPOINTS = "checkpoints"

#: How the end of a process is described where nobody saw it, as when a whole sweep was killed; the
#: pattern also reads records of earlier versions.
_UNKNOWN_END = "ended for an unknown reason, such as too little memory or a full disk"
_ENDED_UNSEEN = re.compile(
    r"killed: process \S+ on \S+, which began at \S+, "
    rf"({_UNKNOWN_END}|ended for an unknown reason|ended without a word)(;|$)"
)


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
    """Raise `FolderError` unless files can be written to a folder, which is created if missing."""
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

    Energies of different devices are not comparable. A folder without records belongs to no device,
    unless a run is being measured in it now.

    Raises
    ------
    RunError
        If the set is measured on another device and `any_device` is not set.
    """
    first = measured_on(folder)
    if first is None:
        notes = [read_note(folder, name) for name in noted_runs(folder) if is_held(folder, name)]
        devices = [note["record"].get("device") for note in notes if note is not None]
        first = next((found for found in devices if found not in (None, device)), None)
    if first not in (None, device) and not any_device:
        raise RunError(
            f"the result set in {folder} was measured on {first}, and this is {device}; "
            "choose another folder, or say --any-device to add runs that are scored apart"
        )


def measured_on(folder: Path) -> str | None:
    """The model of device that the records of a folder are measured on; None without records."""
    path = Path(folder) / MANIFEST
    if not (record_paths(folder) and path.is_file()):
        return None
    try:
        return str(json.loads(path.read_bytes())["device"])
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} is damaged; remove it, and the next run writes it again") from None


# -- records ---------------------------------------------------------------------------------------


def record_or_none(path: Path) -> Record | None:
    """Read a record; None where there is none, it is damaged or is that of another run."""
    try:
        record = read_record(path)
    except InvalidTableError:
        return None
    return record if record.run_id == path.stem else None


def finished_record(folder: Path, run_id: str, until_epoch: int | None = None) -> Record | None:
    """The record of a run that is done; None where it failed, is damaged or does not exist.

    With an epoch given, also that of a run which is paused after it or later.
    """
    record = record_or_none(record_path(folder, run_id))
    return record if record is not None and record.has_reached(until_epoch) else None


def checkpoint_path(folder: Path, run_id: str) -> Path:
    """Path of the checkpoint of a run, ``folder/checkpoints/<run_id>.safetensors``."""
    return Path(folder) / CHECKPOINTS / f"{run_id}.safetensors"


def next_attempt(folder: Path, run_id: str) -> int:
    """The number of the next attempt at a run, for the holder of its lock.

    One more than its record's, or than that of the note which a killed process has left. A paused
    run goes on with the same attempt.
    """
    record, note = record_or_none(record_path(folder, run_id)), read_note(folder, run_id)
    killed = note["record"].get("attempt") if note else None
    return 1 + max(failed_attempts(record), killed if isinstance(killed, int) else 0)


def failed_attempts(record: Record | None) -> int:
    """How many attempts at a run have failed, by its record or None without one."""
    return 0 if record is None else record.attempt - (record.status == "paused")


def supersede(path: Path) -> None:
    """Move a record from ``runs`` to ``superseded``; one of its name that is there is kept."""
    place = path.parent.parent / SUPERSEDED
    place.mkdir(exist_ok=True)
    target, number = place / path.name, 1
    while target.exists():
        number += 1
        target = place / f"{path.stem}.{number}{path.suffix}"
    with suppress(FileNotFoundError):  # another process was quicker
        path.replace(target)


def _supersede_damaged(folder: Path, run_id: str) -> None:
    path = record_path(folder, run_id)
    if path.is_file() and record_or_none(path) is None:
        supersede(path)


def write_result(folder: Path, record: Record, predictions: Predictions | None) -> Record:
    """Write record and predictions of a run; in a sweep, wait for room rather than lose them.

    Outside of a sweep the error names a temporary folder that they were saved to instead. Returns
    the record as it was written, with the SHA-256 of the predictions.
    """
    while True:
        try:
            return _write(folder, record, predictions)
        except OSError as error:
            if not wait_to_retry(even_if_stopping=True):
                place = _rescue(record, predictions)
                then = f"copy there what {place} has of it" if place else "run it again"
                raise FolderError(
                    f"the record of {record.run_id} cannot be written to {folder} "
                    f"({error.strerror}); make room, and {then}"
                ) from None


def _write(folder: Path, record: Record, predictions: Predictions | None) -> Record:
    """Write the record last: once it exists, the run has ended."""
    from pepr_utils.measurement.predictions import write_predictions

    if predictions is not None:
        digest = write_predictions(folder, record.run_id, predictions)
        record = record.model_copy(update={"predictions_sha256": digest})
    manifest = Path(folder) / MANIFEST
    if record.device is not None and not (manifest.is_file() and record_paths(folder)):
        write_whole(manifest, (json.dumps({"device": record.device}) + "\n").encode())
    write_record(record, folder)
    return record


def _rescue(record: Record, predictions: Predictions | None) -> Path | None:
    """Write a result to a temporary folder; None where that is impossible too."""
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

    In a kernel of a sweep the lock of its device is waited for and held too. A damaged record of
    the run is moved to ``superseded``, so that the block may write one. The note outlives a block
    that ends in `FolderError`: how the run ended is not recorded, and the attempt counts.

    Parameters
    ----------
    folder, run_id
        Of the run.
    note : mapping, or function that returns one
        The record so far; becomes the record if this process is killed. A function is called under
        the lock.

    Raises
    ------
    RunningElsewhereError
        If another process, or another machine with the same folder, holds it.
    FolderError
        If the lock cannot be taken or the note cannot be written.
    """
    # `record_killed` takes a lock for a moment, to look at the note: hence a second.
    with device_lock(), exclusive(_running(folder, run_id, "lock"), timeout_s=1) as free:
        if not free:
            holder = read_note(folder, run_id)
            who = f" (process {holder['pid']} on {holder['host']})" if holder else ""
            raise RunningElsewhereError(
                f"{run_id} is being measured by another process{who}; wait for it, or end it"
            )
        path = note_path(folder, run_id)
        with folder_errors(folder):
            _supersede_damaged(folder, run_id)
            holder = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "log": log_path(),
                "record": dict(note() if callable(note) else note),
            }
            write_whole(path, json.dumps(holder).encode())
        note_begun(run_id)
        ended = True
        try:
            yield
        except FolderError:
            ended = False
            raise
        finally:
            with suppress(OSError):  # a folder that takes no files: the block's error is raised
                if ended:
                    path.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path, *, timeout_s: float = 0) -> Iterator[bool]:
    """Hold a lock for the block, unless another process has it; give whether it is held here."""
    from filelock import FileLock, Timeout

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

    A worker holds the claim from before its kernel is started until the end of the run is recorded,
    which keeps two workers from starting kernels for one run. `run_lock` is what keeps two
    processes from measuring it.
    """
    path = _running(folder, run_id, "claim")
    with exclusive(path) as free:
        try:
            yield free
        finally:
            if free:
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def is_claimed(folder: Path, run_id: str) -> bool:
    """Whether a living worker of a sweep has claimed a run."""
    return is_locked(_running(folder, run_id, "claim"))


def is_held(folder: Path, run_id: str) -> bool:
    """Whether a living process holds the lock of a run."""
    return is_locked(_running(folder, run_id, "lock"))


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock on a file; nothing is written."""
    try:
        import fcntl
    except ImportError:  # no flock on this system: take the lock for a moment
        if not path.is_file():
            return False
        with exclusive(path) as free:
            return not free
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _running(folder: Path, run_id: str, suffix: str) -> Path:
    return Path(folder) / RUNNING / f"{run_id}.{suffix}"


def noted_runs(folder: Path) -> list[str]:
    """The runs that have a note: those that are running, and those whose process was killed."""
    return sorted(p.stem for p in (Path(folder) / RUNNING).glob("*.json"))


def note_path(folder: Path, run_id: str) -> Path:
    """Path of the note of a run."""
    return _running(folder, run_id, "json")


def read_note(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Read the note of a run; None where there is none that can be read."""
    try:
        note = json.loads(regular_bytes(note_path(folder, run_id)))
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
        How their process ended, where that is known.

    Returns
    -------
    list of Record
        What was written, one per killed run.

    Raises
    ------
    FolderError
        If a record cannot be written: its note remains, and the same call does it later.
    """
    folder, written = Path(folder), []
    for run_id in noted_runs(folder):
        if only is not None and run_id not in only:
            continue
        with exclusive(_running(folder, run_id, "lock")) as free, folder_errors(folder):
            if not free:
                continue
            note = read_note(folder, run_id)
            if note is not None and not _has_ended(folder, run_id, note["record"]):
                # Without a record's fields nothing was begun under this note.
                with suppress(TypeError, ValidationError):
                    ended = {"status": "failed", "failure_reason": _reason(note, because)}
                    record = Record.model_validate_json(json.dumps(note["record"] | ended))
                    _supersede_damaged(folder, run_id)
                    write_record(record, folder)
                    written.append(record)
            note_path(folder, run_id).unlink(missing_ok=True)
    return written


def _has_ended(folder: Path, run_id: str, noted: Mapping[str, Any]) -> bool:
    """Whether a process has recorded the end of the run that its note is of, or another did."""
    record = record_or_none(record_path(folder, run_id))
    if record is not None and record.status == "paused":
        return record.epochs_done > len(noted.get("epochs", ()))
    return record is not None and record.status == "done"


def remove_notes(folder: Path, runs: Collection[str]) -> None:
    """Remove the notes of runs that were ended on purpose: they have not failed."""
    for run_id in runs:
        with exclusive(_running(folder, run_id, "lock")) as free, folder_errors(folder):
            if free:
                note_path(folder, run_id).unlink(missing_ok=True)


def ended_unseen(record: Record) -> bool:
    """Whether a run failed by a kill that nobody saw: of its sweep, its job or its machine.

    The run may not be to blame for it.

    Examples
    --------
    >>> seen = "killed: process 7 on here, which began at noon, its kernel was killed by SIGKILL"
    >>> unseen = "killed: process 7 on here, which began at noon, ended for an unknown reason"
    >>> failed = {"run_id": "r", "architecture": "a", "dataset": "d", "status": "failed"}
    >>> [ended_unseen(Record(**failed, failure_reason=why)) for why in (seen, unseen, None)]
    [False, True, False]
    """
    return (
        record.status == "failed" and _ENDED_UNSEEN.match(record.failure_reason or "") is not None
    )


def _reason(note: dict[str, Any], because: str | None) -> str:
    log = note.get("log")
    if log and reached_time_limit(Path(log)):  # the log ends in the traceback of every thread
        end, how = "", because or f"ended at its time limit; {Path(log).name} says where it was"
    else:
        end, how = end_of_log(log), because or _UNKNOWN_END
    who = f"process {note['pid']} on {note['host']}, which began at {note['started']}"
    return f"killed: {who}, {how}" + (f"; its log ends: {end}" if end else "")


def end_of_log(log: Path | str | None, length: int = 600) -> str:
    """The end of a log in one line; empty where there is none."""
    if not log or not Path(log).is_file():  # a pipe would be waited for
        return ""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4 * length))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return " ".join(text.split())[-length:]
