"""Runs whose process died without a word: recorded as failed, from the note that it left."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pepr_utils.measurement.locks import abandoned, note_path, noted_runs
from pepr_utils.measurement.measuring import finished_record
from pepr_utils.results import Record, write_record


def record_killed(folder: Path | str) -> list[Record]:
    """Record the runs of a folder whose measuring process is gone, as failed.

    A run that is being measured is left alone: its process holds its lock.

    Parameters
    ----------
    folder : path
        A result set's folder.

    Returns
    -------
    list of Record
        What was written, one per killed run.
    """
    folder, written = Path(folder), []
    for identity in noted_runs(folder):
        with abandoned(folder, identity) as note:
            if note is None:
                continue
            if finished_record(folder, identity) is None:
                why = (
                    f"killed: process {note['pid']} on {note['host']}, which began at "
                    f"{note['started']}, ended without a word"
                )
                try:
                    record = Record(**note["record"], status="failed", failure_reason=why)
                except (TypeError, ValidationError):
                    continue  # not a note of ours
                write_record(record, folder)
                written.append(record)
            note_path(folder, identity).unlink(missing_ok=True)
    return written
