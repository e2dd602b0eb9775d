"""Records of runs that failed without writing one: the coordinator writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pepr_utils.errors import FolderError, RunningElsewhereError
from pepr_utils.measurement.store import (
    end_of_log,
    finished_record,
    folder_errors,
    next_attempt,
    run_lock,
)
from pepr_utils.measurement.sweep.task import Outcome, Task
from pepr_utils.results import Record, write_record

#: How the reason begins in the record of a run that a coordinator has written.
NO_RECORD = "left no record: "


@dataclass(frozen=True)
class Failure:
    """A failure that is still to be recorded.

    Attributes
    ----------
    why : str
        The reason.
    attempt : int
        Its number, as far as it was known when the run was begun.
    untold : int
        Tries before it that no record has counted.
    """

    why: str
    attempt: int
    untold: int = 0


def failure(outcome: Outcome, task: Task, before: int) -> Failure:
    """What is to be recorded of a run that was alone in its task and has left no record."""
    why = outcome.why or "the notebook ended"
    if said := end_of_log(task.log):
        why += f"; the last that its kernel said: {said}"
    return Failure(NO_RECORD + " ".join(why.split()), before + 1)


def by_a_coordinator(record: Record) -> bool:
    """Whether a failed run has left no record of its own, and a coordinator has written it.

    Examples
    --------
    >>> why = NO_RECORD + "ValueError: the notebook is wrong"
    >>> failed = {"run_id": "r", "architecture": "a", "dataset": "d", "status": "failed"}
    >>> by_a_coordinator(Record(**failed, failure_reason=why))
    True
    """
    return record.status == "failed" and (record.failure_reason or "").startswith(NO_RECORD)


def record_failure(folder: Path, name: str, columns: Mapping[str, Any], found: Failure) -> bool:
    """Write the record of a failure; say whether it need not be tried again.

    It has to be where the folder takes no file, or another process has the run. What defines the
    run is as it was when the sweep began, whatever has become of its data set.
    """
    try:
        with run_lock(folder, name, {}), folder_errors(folder):
            if finished_record(folder, name) is not None:
                return True
            attempt = max(found.attempt, next_attempt(folder, name)) + found.untold
            record = Record(
                **columns,
                status="failed",
                failure_reason=found.why,
                attempt=attempt,
            )
            write_record(record, folder)
    except (RunningElsewhereError, FolderError):
        return False
    return True
