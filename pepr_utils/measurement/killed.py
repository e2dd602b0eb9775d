"""Runs whose process died without a word: recorded as failed, from the note that it left."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pepr_utils.measurement.kept import finished_record
from pepr_utils.measurement.locks import abandoned, note_path, noted_runs
from pepr_utils.results import Record, write_record


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
    """
    folder, written = Path(folder), []
    for identity in noted_runs(folder):
        if only is not None and identity not in only:
            continue
        with abandoned(folder, identity) as note:
            if note is None:
                continue
            if finished_record(folder, identity) is None:
                why = _words(note, because)
                try:
                    record = Record(**note["record"], status="failed", failure_reason=why)
                except (TypeError, ValidationError):
                    continue  # not a note of ours
                write_record(record, folder)
                written.append(record)
            note_path(folder, identity).unlink(missing_ok=True)
    return written


def forget_killed(folder: Path, runs: Collection[str]) -> None:
    """Remove the notes of runs that were ended on purpose: they have not failed."""
    for identity in runs:
        with abandoned(folder, identity) as note:
            if note is not None:
                note_path(folder, identity).unlink(missing_ok=True)


def _words(note: dict[str, Any], because: str | None) -> str:
    said = last_words(note.get("log"))
    return (
        f"killed: process {note['pid']} on {note['host']}, which began at {note['started']}, "
        + (because or "ended without a word")
        + (f"; the last that it said: {said}" if said else "")
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
