"""What a folder has of a run: its record, and how often it was tried."""

from __future__ import annotations

from pathlib import Path

from pepr_utils.measurement.locks import read_note
from pepr_utils.measurement.superseded import whole_record
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_path


def finished_record(folder: Path, identity: str) -> Record | None:
    """The record of a run that is done; None where it is not, failed, or is damaged."""
    record = _record(folder, identity)
    return record if record is not None and record.status == "done" else None


def next_attempt(folder: Path, identity: str) -> int:
    """The number of the next attempt at a run, for the holder of its lock.

    One more than its record's, or than that of the note which a killed process has left.
    """
    record, note = _record(folder, identity), read_note(folder, identity)
    killed = note["record"].get("attempt") if note else None
    tried = [0 if record is None else record.attempt, killed if isinstance(killed, int) else 0]
    return 1 + max(tried)


def _record(folder: Path, identity: str) -> Record | None:
    return whole_record(record_path(folder, identity))
