"""What of a sweep is still to be begun, and what the folder says of each run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pepr_utils.errors import FolderError, RunningElsewhereError
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import ended_unseen, is_held, note_path, record_killed, run_lock
from pepr_utils.measurement.sweep.failures import Failure, record_failure
from pepr_utils.measurement.sweep.shards import MOST, cut
from pepr_utils.measurement.sweep.state import read_or_none
from pepr_utils.measurement.sweep.upkeep import check_room, tidy
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_path

#: Seconds without a new shard after a record could not be written.
HOLD_S = 10
#: The lengths of how many runs the next one's is taken from, where there is no forecast.
RECENT = 100


class Backlog:
    """The runs that are not done, in the order in which they are begun.

    Parameters
    ----------
    runs : dict
        The runs, by name and in their order.
    columns : dict
        What the record of each says before anything is done.
    folder : pathlib.Path
        The result set.
    attempts : int
        How often a run is tried.
    seconds : callable
        Forecast length of a run (s), or None.

    Attributes
    ----------
    pending : list of str
        Runs that may share a shard.
    parts : list of list of str
        Halves of a shard in which one run stands in the way of the others.
    again : list of str
        Runs that a worker has refused alone: another one is asked first of all.
    alone : list of str
        Runs that have failed, or are suspected: each is a shard of its own.
    elsewhere : set of str
        Runs that another process has; they are looked at again.
    once_more : set of str
        Runs whose process was killed before this sweep: tried once whatever their attempts.
    untold : Counter
        Tries that no record counts.
    owed : dict
        Failures that could not be recorded yet.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        columns: Mapping[str, Mapping[str, Any]],
        folder: Path,
        *,
        attempts: int,
        seconds: Callable[[Run], float | None],
    ) -> None:
        self.runs, self.columns, self.folder = runs, columns, folder
        self._attempts, self._seconds = attempts, seconds
        self.pending: list[str] = list(runs)
        self.parts: list[list[str]] = []
        self.again: list[str] = []
        self.alone: list[str] = []
        self.elsewhere: set[str] = set()
        self.once_more: set[str] = set()
        self.untold: Counter[str] = Counter()
        self.owed: dict[str, Failure] = {}
        self._because: dict[str, str] = {}  # what is known of kills
        self._held_until = 0.0
        self._lengths: list[float] = []

    def look(self) -> None:
        """Look at the folder before anything is begun: damaged records, runs that were killed.

        Raises
        ------
        FolderError
            If the folder takes no files, or has something else in place of a record.
        """
        tidy(self.folder)
        record_killed(self.folder, only=self.runs)
        for name in self.runs:
            record = self.record(name)
            if record is not None:
                if ended_unseen(record):  # whoever has recorded it
                    self.once_more.add(name)
            elif record_path(self.folder, name).is_file():
                with suppress(RunningElsewhereError), run_lock(self.folder, name, {}):
                    pass  # whoever takes the lock sets a damaged record aside
            elif record_path(self.folder, name).is_dir():
                raise FolderError(
                    f"{record_path(self.folder, name)} is a folder, where a run's record belongs; "
                    "move it away"
                )

    def left(self) -> int:
        """Runs that are still to be begun."""
        shared = len(self.pending) + sum(map(len, self.parts))
        return shared + len(self.again) + len(self.alone)

    def empty(self) -> bool:
        """Whether nothing is left to do; looks at every record once more before it says so."""
        if self.left() or self.elsewhere:
            return False
        for name in self.runs:
            self.sort(name)
        return not (self.left() or self.elsewhere)

    # -- what is begun next ----------------------------------------------------------------------

    def take_again(self, *, but: Collection[str]) -> list[str]:
        """Take a run that was refused by a worker, other than some."""
        for name in [name for name in self.again if name not in but]:
            self.again.remove(name)
            if self._wanted(name, alone=True):
                return [name]
        return []

    def take(self, *, slots: int, start_up_s: float, most: int = MOST) -> list[str]:
        """Take the next shard; runs that failed go alone, when the others have been begun.

        Parameters
        ----------
        slots : int
            How many shards can be done at once.
        start_up_s : float
            How long a kernel takes before its first run (s).
        most : int
            How many runs it may have.
        """
        while self.pending:
            # Looked at as far as a shard can reach: a thousand locks are slow on a network's disk.
            front = [name for name in self.pending[:MOST] if self._wanted(name, alone=False)]
            self.pending = front + self.pending[MOST:]
            if not front:
                continue
            n = cut(
                [self.runs[name] for name in self.pending],
                seconds=self._length,
                start_up_s=start_up_s,
                slots=slots,
            )
            n = min(n, len(front), most)
            names, self.pending = self.pending[:n], self.pending[n:]
            return names
        while self.parts:
            names = [name for name in self.parts.pop(0) if self._wanted(name, alone=False)]
            if names[most:]:
                self.parts.insert(0, names[most:])
            if names:
                return names[:most]
        while self.alone:
            name = self.alone.pop(0)
            if self._wanted(name, alone=True):
                return [name]
        return []

    def _wanted(self, name: str, *, alone: bool) -> bool:
        """Whether a run is to be begun now: not done, not being measured, with attempts left.

        One that has failed goes alone: it is put there where it is asked about with others.
        """
        record = self.record(name)
        if record is not None and record.status == "done":
            return False
        if self.is_anothers(name):
            self.elsewhere.add(name)
            return False
        if record is None:
            return True
        if not self._may_try(record):
            return False
        if not alone and name not in self.alone:
            self.alone.append(name)
        return alone

    def _may_try(self, record: Record) -> bool:
        """Whether a failed run has attempts left, or one more since nobody saw its end.

        That one is given for a kill before this sweep in any case, and for one during it up to
        one attempt above what is allowed: a run that takes its sweep down is not tried for ever.
        """
        tried = record.attempt + self.untold[record.run_id]
        if tried < self._attempts or record.run_id in self.once_more:
            return True
        return ended_unseen(record) and tried <= self._attempts

    def attempt(self, name: str) -> int:
        """How often a run was tried, by its record."""
        record = self.record(name)
        return 0 if record is None else record.attempt

    def note_length(self, record: Record) -> None:
        """Learn from a run that was done how long the next one may be."""
        length_s = (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
        self._lengths = [*self._lengths[1 - RECENT :], length_s]

    def _length(self, run: Run) -> float | None:
        forecast = self._seconds(run)
        if forecast is None and self._lengths:
            return sum(self._lengths) / len(self._lengths)
        return forecast

    # -- what the folder says of a run ------------------------------------------------------------

    def record(self, name: str) -> Record | None:
        """The record of a run, if it can be read."""
        return read_or_none(record_path(self.folder, name))

    def is_anothers(self, name: str) -> bool:
        """Whether another process has a run, or has left it without recording how it ended."""
        return is_held(self.folder, name) or note_path(self.folder, name).exists()

    def record_killed(self, name: str, because: str | None = None) -> bool:
        """Record a run if its process is gone; where that cannot be, it is looked at again."""
        if not note_path(self.folder, name).exists():
            return True
        if because:
            self._because[name] = because
        try:
            record_killed(self.folder, only=[name], because=self._because.get(name))
        except FolderError:
            self._look_later(name)
            return False
        if not note_path(self.folder, name).exists():  # else its process has yet to end
            self._because.pop(name, None)
        return True

    def _look_later(self, name: str) -> None:
        """Look at a run again later, and begin nothing for a while."""
        self.elsewhere.add(name)
        self.hold()

    def hold(self) -> None:
        """Begin nothing for a while: the folder takes no files."""
        self._held_until = time.monotonic() + HOLD_S

    def held(self) -> bool:
        """Whether nothing is to be begun yet."""
        return time.monotonic() < self._held_until

    def look_elsewhere(self) -> None:
        """Take up the runs that another process had and has no longer."""
        for name in sorted(self.elsewhere):
            self.elsewhere.discard(name)
            self.sort(name, alone=name in self.owed)

    def sort(self, name: str, *, alone: bool = False) -> None:
        """Put a run where its record and its lock say that it belongs, else into a queue.

        Parameters
        ----------
        name : str
            Its run_id.
        alone : bool, default False
            Whether that queue is the one of runs that go alone.
        """
        if is_held(self.folder, name):
            self.elsewhere.add(name)
            return
        if note_path(self.folder, name).exists():
            if not self.record_killed(name):
                return
            if note_path(self.folder, name).exists():  # someone looked at it at the same moment
                self.elsewhere.add(name)
                return
        if name in self.owed:
            if not record_failure(self.folder, name, self.columns[name], self.owed[name]):
                self._look_later(name)
                return
            del self.owed[name]
        record = self.record(name)
        if record is not None and (record.status == "done" or not self._may_try(record)):
            return
        if name not in self.alone and name not in self.pending:
            (self.alone if alone else self.pending).append(name)

    def paused(self) -> str | None:
        """Why nothing is begun now; None where the folder takes files."""
        try:
            check_room(self.folder)
        except FolderError as error:
            return str(error)
        return self.why_held()

    def why_held(self) -> str | None:
        """Why nothing is begun for a while; None where it may be."""
        return f"a record could not be written to {self.folder}" if self.held() else None
