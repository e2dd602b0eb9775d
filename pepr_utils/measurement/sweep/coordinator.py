"""Which runs go to which worker, and what follows from how a shard ended: by the records alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pepr_utils.measurement.files import FolderError
from pepr_utils.measurement.killed import ended_unseen, forget_killed, record_killed
from pepr_utils.measurement.locks import (
    RunningElsewhereError,
    is_held,
    note_path,
    noted_runs,
    read_note,
    run_lock,
)
from pepr_utils.measurement.orders import waiting_path
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.failures import (
    Failure,
    by_a_coordinator,
    failure,
    record_failure,
)
from pepr_utils.measurement.sweep.shards import MOST, START_UP_S, cut, parameters
from pepr_utils.measurement.sweep.state import read_or_none
from pepr_utils.measurement.sweep.task import Outcome, Task
from pepr_utils.measurement.sweep.upkeep import check_room, tidy
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_path

#: Errors that say nothing against a run: it is given to a worker again.
PASSING = ("RunningElsewhereError", "FolderError", "StoppedError")
#: Runs that fail alike before they begin, and none that succeeds: the sweep itself is wrong.
HOPELESS = 3
#: How often a worker may die before a run has begun that it was given alone: not the run's fault.
LOST = 3
#: Seconds without a new shard after a record could not be written.
HOLD_S = 10
WORKER_DIED = "WorkerDied"


@dataclass
class Flight:
    """A shard that a worker has.

    Attributes
    ----------
    task, slot, future
        What was given, to whom, and Dask's word on it.
    runs : sequence of str
        Its runs, in their order.
    attempts : mapping
        How often each had been tried.
    began : float
        When, by the monotonic clock (s).
    started_up : bool
        Whether one of its runs was seen to be measured.
    has_begun : bool
        Whether that was by its own kernel, as far as was seen.
    waits : bool
        Whether its kernel waits for the device, which another has.
    """

    task: Task
    slot: Slot
    future: Any
    runs: Sequence[str]
    attempts: Mapping[str, int]
    began: float
    started_up: bool = False
    has_begun: bool = False
    waits: bool = False

    def waiting_path(self) -> Path:
        """Where its kernel says that it waits."""
        return waiting_path(self.task.stop, self.task.log)


class Coordinator:
    """What is to be done, what is being done, and what follows.

    Parameters
    ----------
    runs : dict
        The runs, by name and in their order.
    folder : pathlib.Path
        The result set.
    workers : Workers
        Who does them.
    make : callable
        Makes a task of its name, its parameters and its slot.
    attempts : int
        How often a run is tried.
    seconds : callable
        Forecast length of a run (s), or None.
    options : dict
        Further parameters of the notebook.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        folder: Path,
        workers: Workers,
        *,
        make: Callable[[str, Mapping[str, Any], Slot], Task],
        attempts: int,
        seconds: Callable[[Run], float | None],
        options: dict[str, Any],
    ) -> None:
        self.runs, self.folder, self.workers, self.make = runs, Path(folder), workers, make
        self.attempts, self.options, self._seconds = attempts, options, seconds
        self.pending: list[str] = list(runs)
        self.parts: list[list[str]] = []
        self.alone: list[str] = []
        self.elsewhere: set[str] = set()
        self.flights: list[Flight] = []
        self.once_more: set[str] = set()
        self.start_up_s = START_UP_S
        self._name, self._n_tasks = f"{datetime.now(UTC):%Y%m%dT%H%M%S}", 0
        self._slots: list[Slot] = []
        self._held_until = 0.0
        self._lost: Counter[str] = Counter()
        # Tries that no record counts, failures that could not be recorded, what is known of kills.
        self._untold: Counter[str] = Counter()
        self._owed: dict[str, Failure] = {}
        self._because: dict[str, str] = {}
        self._lengths: list[float] = []
        self._done_here, self._hopeless = False, {}
        self.may_live = False  # whether kernels may have outlived the sweep

    # -- what is there ---------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the folder before anything is begun: damaged records, runs that were killed.

        Raises
        ------
        FolderError
            If the folder takes no files.
        """
        tidy(self.folder)
        record_killed(self.folder, only=self.runs)
        for name in self.runs:
            record = self._record(name)
            if record is not None:
                if ended_unseen(record):  # whoever has recorded it
                    self.once_more.add(name)
            elif self._path(name).is_file():
                with suppress(RunningElsewhereError), run_lock(self.folder, name, {}):
                    pass  # whoever takes the lock sets a damaged record aside

    def left(self) -> int:
        """Runs that are still to be begun."""
        return len(self.pending) + sum(map(len, self.parts)) + len(self.alone)

    def over(self) -> bool:
        """Whether nothing is left to do; looks at every record once more before it says so."""
        if self.left() or self.flights or self.elsewhere:
            return False
        for name in self.runs:
            self._sort(name, self.pending)
        return not (self.left() or self.elsewhere)

    def _path(self, name: str) -> Path:
        return record_path(self.folder, name)

    def _record(self, name: str) -> Record | None:
        return read_or_none(self._path(name))

    # -- giving work -----------------------------------------------------------------------------

    def give(self) -> None:
        """Give every free slot a shard, as long as there are any."""
        if not self.left() or time.monotonic() < self._held_until:
            return
        busy = {flight.slot.address for flight in self.flights}
        for slot in self._slots:
            if slot.address in busy:
                continue
            names = self._next()
            if not names:
                return
            self._n_tasks += 1
            runs = [self.runs[name] for name in names]
            given = parameters(runs, self.folder, self.options)
            task = self.make(f"{self._name}-{self._n_tasks:04d}", given, slot)
            before = {name: self._attempt(name) for name in names}
            future = self.workers.submit(task, slot)
            self.flights.append(Flight(task, slot, future, names, before, time.monotonic()))

    def _next(self) -> list[str]:
        """Take the next shard; runs that failed go alone, when the others have been begun."""
        while self.pending:
            # Looked at as far as a shard can reach: a thousand locks are slow on a network's disk.
            front = [name for name in self.pending[:MOST] if self._wanted(name, alone=False)]
            self.pending = front + self.pending[MOST:]
            if not front:
                continue
            n = cut(
                [self.runs[name] for name in self.pending],
                seconds=self._length,
                start_up_s=self.start_up_s,
                slots=max(1, self.workers.wanted or len(self._slots)),
            )
            n = min(n, len(front))
            names, self.pending = self.pending[:n], self.pending[n:]
            return names
        while self.parts:
            names = [name for name in self.parts.pop(0) if self._wanted(name, alone=False)]
            if names:
                return names
        while self.alone:
            name = self.alone.pop(0)
            if self._wanted(name, alone=True):
                return [name]
        return []

    def _wanted(self, name: str, *, alone: bool) -> bool:
        """Whether a run is to be begun now: not done, not being measured, with attempts left.

        One that has failed goes alone: it is put there where it is asked about with others.
        """
        record = self._record(name)
        if record is not None and record.status == "done":
            return False
        if self._is_anothers(name):
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
        tried = record.attempt + self._untold[record.run_id]
        if tried < self.attempts or record.run_id in self.once_more:
            return True
        return ended_unseen(record) and tried <= self.attempts

    def _attempt(self, name: str) -> int:
        record = self._record(name)
        return 0 if record is None else record.attempt

    def _length(self, run: Run) -> float | None:
        forecast = self._seconds(run)
        if forecast is None and self._lengths:
            return sum(self._lengths) / len(self._lengths)
        return forecast

    # -- what came of it -------------------------------------------------------------------------

    def collect(self) -> bool:
        """Settle the shards that have ended; return whether there were any."""
        self._watch_start_up()
        ended = [flight for flight in self.flights if flight.future.done()]
        for flight in ended:
            outcome = self.workers.result(flight.future)
            if outcome is None:
                self._slots = self.workers.slots()  # or the scheduler itself is gone
            self.flights.remove(flight)
            self._settle(flight, outcome)
        return bool(ended)

    def lose(self) -> None:
        """Look which workers there are, and settle the shards of those that are gone."""
        self._slots = self.workers.slots()
        there = {slot.address for slot in self._slots}
        for flight in [f for f in self.flights if f.slot.address not in there]:
            if not flight.future.done():
                self.flights.remove(flight)
                flight.future.cancel()
                self._settle(flight, None)

    def look_waiting(self) -> None:
        """Look which kernels wait for their device."""
        for flight in self.flights:
            flight.waits = flight.waiting_path().exists()

    def waits(self) -> bool:
        """Whether nothing is measured since every kernel waits for its device."""
        return bool(self.flights) and all(flight.waits for flight in self.flights)

    def look_elsewhere(self) -> None:
        """Take up the runs that another process had and has no longer."""
        for name in sorted(self.elsewhere):
            self.elsewhere.discard(name)
            self._sort(name, self.alone if name in self._owed else self.pending)

    def _settle(self, flight: Flight, outcome: Outcome | None) -> None:
        """Sort the runs of a shard by their records, and record what nobody else has."""
        if outcome is None:
            outcome = Outcome("died", WORKER_DIED, "its worker died")
        if outcome.error == FolderError.__name__:
            self._held_until = time.monotonic() + HOLD_S
        stopped = outcome.ended == "stopped" or flight.task.stop.exists()
        passing = stopped or outcome.error in PASSING
        with suppress(OSError):  # a kernel that was killed as it waited
            flight.waiting_path().unlink(missing_ok=True)
        found = {name: self._settle_run(flight, outcome, name, passing) for name in flight.runs}
        untouched = [name for name, is_now in found.items() if is_now == "untouched"]
        blamed = "failed" in found.values()
        begun = flight.has_begun or blamed or "done" in found.values()
        if not (begun or passing) and len(untouched) > 1:
            # One of them stands in the way of all: look in which half it is.
            half = len(untouched) // 2
            self.parts += [untouched[:half], untouched[half:]]
            return
        suspects = [] if passing or not begun else self._suspects(outcome, untouched, blamed)
        for name in untouched:
            self._sort(name, self.alone if name in suspects else self.pending)

    def _settle_run(self, flight: Flight, outcome: Outcome, name: str, passing: bool) -> str:
        """Sort one run of a shard; say what its own try came to.

        That is ``done``, ``failed``, ``untouched`` where nothing is known of it, or ``another's``.
        """
        if outcome.ended == "died" and not self._record_killed(name, outcome.why):
            self.once_more.discard(name)
            return "failed"  # and recorded when there is room
        record = self._record(name)
        new = record is not None and record.attempt > flight.attempts[name]
        # What another coordinator may have recorded was a try of its own, and not this one.
        if new and not by_a_coordinator(record):
            self.once_more.discard(name)
            if record.status == "done":
                self._done_here = True
                self._lengths = [*self._lengths[-99:], _duration(record)]
            self._sort(name, self.alone)
            return record.status
        if not passing and self._to_blame(flight, outcome, name):
            self.once_more.discard(name)
            untold = self._untold.pop(name, 0)
            self._owed[name] = failure(outcome, flight.task, flight.attempts[name], untold)
            self._sort(name, self.alone)
            self._note_hopeless(name, outcome)
            return "failed"
        if new:
            self._sort(name, self.alone)
            return "another's"
        return "untouched"

    def _suspects(self, outcome: Outcome, untouched: list[str], blamed: bool) -> list[str]:
        """The runs of a shard that may have failed without a word; they go alone from now on.

        Runs go in their order, so the first without a word is the likeliest to have ended the
        shard, unless another is to blame; a notebook that came to its end was at each of them.
        Either way it was a try.
        """
        first = [] if blamed else untouched[:1]
        suspects = untouched if outcome.ended == "whole" else first
        if outcome.ended != "died":
            self._untold.update(name for name in suspects if not self._is_anothers(name))
        return suspects

    def _to_blame(self, flight: Flight, outcome: Outcome, name: str) -> bool:
        """Whether a run without a word of its own has failed: it was alone in its shard."""
        if len(flight.runs) > 1:
            return False
        if outcome.error == WORKER_DIED:
            self._lost[name] += 1
            if self._lost[name] <= LOST:
                return False
        return not self._is_anothers(name)

    def _is_anothers(self, name: str) -> bool:
        """Whether another process has a run, or has left it without recording how it ended."""
        return is_held(self.folder, name) or note_path(self.folder, name).exists()

    def _record_killed(self, name: str, because: str | None = None) -> bool:
        """Record a run if its process is gone; where that cannot be, it is looked at again."""
        if not note_path(self.folder, name).exists():
            return True
        if because:
            self._because[name] = because
        try:
            record_killed(self.folder, only=[name], because=self._because.get(name))
        except FolderError:
            self._hold(name)
            return False
        if not note_path(self.folder, name).exists():  # else its process has yet to end
            self._because.pop(name, None)
        return True

    def _hold(self, name: str) -> None:
        """Look at a run again later, and begin nothing for a while: the folder takes no files."""
        self.elsewhere.add(name)
        self._held_until = time.monotonic() + HOLD_S

    def _note_hopeless(self, name: str, outcome: Outcome) -> None:
        """End the sweep where every run fails alike before it begins."""
        if self._done_here or outcome.ended != "error":
            return
        alike = self._hopeless.setdefault(outcome.why.replace(name, ""), set())
        alike.add(name)
        if len(alike) >= HOPELESS:
            raise SweepError(
                f"{len(alike)} runs failed before they began, all alike, and none succeeded:\n"
                f"{outcome.why}\nput it right and give the same command again; runs that have used "
                "up their attempts need a larger number of them"
            )

    def _sort(self, name: str, queue: list[str]) -> None:
        """Put a run where its record and its lock say that it belongs, else into a queue."""
        if is_held(self.folder, name):
            self.elsewhere.add(name)
            return
        if note_path(self.folder, name).exists():
            if not self._record_killed(name):
                return
            if note_path(self.folder, name).exists():  # someone looked at it at the same moment
                self.elsewhere.add(name)
                return
        if name in self._owed:
            if not record_failure(self.folder, name, self.runs[name], self._owed[name]):
                self._hold(name)
                return
            del self._owed[name]
        record = self._record(name)
        if record is not None and (record.status == "done" or not self._may_try(record)):
            return
        if name not in self.alone and name not in self.pending:
            queue.append(name)

    def _watch_start_up(self) -> None:
        """Learn how long a kernel takes before its first run begins."""
        fresh = [flight for flight in self.flights if not flight.started_up]
        if not fresh:
            return
        noted = set(noted_runs(self.folder))
        for flight in fresh:
            if found := noted.intersection(flight.runs):
                flight.started_up = True
                notes = [read_note(self.folder, name) or {} for name in found]
                flight.has_begun = str(flight.task.log) in [note.get("log") for note in notes]
                took = time.monotonic() - flight.began
                self.start_up_s = max(1.0, min(took, 2 * self.start_up_s))

    # -- the end ---------------------------------------------------------------------------------

    def stop(self, sweep: str) -> None:
        """End what is being done, at once; what was being measured has not failed."""
        self.workers.end_kernels(sweep)
        own = [name for flight in self.flights for name in flight.runs]
        end = time.monotonic() + 5
        while time.monotonic() < end and any(is_held(self.folder, name) for name in own):
            time.sleep(0.1)
        self.may_live = any(is_held(self.folder, name) for name in own)
        with suppress(FolderError, OSError):  # what is left is found by the next sweep
            forget_killed(self.folder, own)
            for flight in self.flights:
                flight.waiting_path().unlink(missing_ok=True)
        self.flights.clear()

    def paused(self) -> str | None:
        """Why nothing is begun now; None where the folder takes files."""
        try:
            check_room(self.folder)
        except FolderError as error:
            return str(error)
        if time.monotonic() < self._held_until:
            return f"a record could not be written to {self.folder}"
        return None


def _duration(record: Record) -> float:
    return (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
