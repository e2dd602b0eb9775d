"""Runs whose process died without a word: recorded as failed, from the note that it left."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pepr_utils.measurement.files import folder_errors
from pepr_utils.measurement.kept import finished_record
from pepr_utils.measurement.locks import abandoned, note_path, noted_runs
from pepr_utils.measurement.orders import hung
from pepr_utils.measurement.superseded import set_aside_damaged
from pepr_utils.results import Record, write_record

#: How the reason begins in the record of a run whose process is gone, what it says where nobody
#: saw the end, as when the whole sweep was killed, and what comes before the process's own words.
KILLED, UNSEEN, SAID = "killed: ", "ended without a word", "; the last that it said: "


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
    for identity in noted_runs(folder):
        if only is not None and identity not in only:
            continue
        with abandoned(folder, identity) as note, folder_errors(folder):
            if note is None:
                continue
            if note and finished_record(folder, identity) is None:
                why = _words(note, because)
                try:
                    record = Record(**note["record"], status="failed", failure_reason=why)
                except (TypeError, ValidationError):
                    record = None  # nothing was begun under this note
                if record is not None:
                    set_aside_damaged(folder, identity)
                    write_record(record, folder)
                    written.append(record)
            note_path(folder, identity).unlink(missing_ok=True)
    return written


def forget_killed(folder: Path, runs: Collection[str]) -> None:
    """Remove the notes of runs that were ended on purpose: they have not failed.

    Raises
    ------
    FolderError
        If a note cannot be removed.
    """
    for identity in runs:
        with abandoned(folder, identity) as note, folder_errors(folder):
            if note is not None:
                note_path(folder, identity).unlink(missing_ok=True)


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
        and why.startswith(KILLED)
        and why.partition(SAID)[0].endswith(UNSEEN)
    )


def _words(note: dict[str, Any], because: str | None) -> str:
    log = note.get("log")
    if log and hung(Path(log)):  # its last words are the stack of every thread
        said, ended = "", because or f"ended at its time limit; {Path(log).name} says where it was"
    else:
        said, ended = last_words(log), because or UNSEEN
    return (
        f"{KILLED}process {note['pid']} on {note['host']}, which began at {note['started']}, "
        + ended
        + (f"{SAID}{said}" if said else "")
    )


def last_words(log: Path | str | None, length: int = 600) -> str:
    """The end of a log in one line; empty where there is none."""
    try:
        with Path(log or "").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4 * length))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return " ".join(text.split())[-length:]
