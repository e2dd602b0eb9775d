"""Which runs go to which worker, and what follows from how a shard ended: by the records alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pepr_utils.measurement.files import FolderError, check_writable
from pepr_utils.measurement.kept import next_attempt
from pepr_utils.measurement.killed import forget_killed, last_words, record_killed
from pepr_utils.measurement.locks import (
    RunningElsewhereError,
    is_held,
    note_path,
    noted_runs,
    run_lock,
)
from pepr_utils.measurement.measuring import definition_columns
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.superseded import set_aside
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.shards import MOST, START_UP_S, cut, parameters
from pepr_utils.measurement.sweep.state import read_or_none
from pepr_utils.measurement.sweep.task import Outcome, Task
from pepr_utils.results import Record, write_record
from pepr_utils.results.record_files import RUNS_FOLDER

#: Errors that say nothing against a run: it is given to a worker again.
PASSING = ("RunningElsewhereError", "FolderError", "StoppedError")
#: Runs that fail alike before they begin, and none that succeeds: the sweep itself is wrong.
HOPELESS = 3
#: How often a worker may die before a run has begun that it was given alone: not the run's fault.
LOST = 3
WORKER_DIED = "WorkerDied"
#: How long a word to stop is kept for kernels that could not be reached.
STOP_KEPT_S = 30 * 86400


@dataclass
class Flight:
    """A shard that a worker has."""

    task: Task
    slot: Slot
    future: Any
    runs: Sequence[str]
    attempts: Mapping[str, int]
    began: float
    started_up: bool = False


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
        self._lost: Counter[str] = Counter()
        self._lengths: list[float] = []
        self._done_here, self._hopeless = False, {}
        self.may_live = False  # whether kernels may have outlived the sweep

    # -- what is there ---------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the folder before anything is begun: damaged records, runs that were killed."""
        for name in self.runs:
            path = self._path(name)
            if path.is_file() and read_or_none(path) is None:
                set_aside(path)
        for path in self.folder.glob("running/*.stop"):
            if time.time() - path.stat().st_mtime > STOP_KEPT_S:
                path.unlink(missing_ok=True)
        found = record_killed(self.folder, only=self.runs)
        self.once_more |= {record.run_id for record in found}

    def left(self) -> int:
        """Runs that are still to be begun."""
        return len(self.pending) + sum(map(len, self.parts)) + len(self.alone)

    def over(self) -> bool:
        """Whether nothing is left to do; looks at every record once more before it says so."""
        if self.left() or self.flights or self.elsewhere:
            return False
        for name in self.runs:
            path = self._path(name)
            if path.is_file() and read_or_none(path) is None:  # damaged since
                set_aside(path)
            self._sort(name, self.pending)
        return not (self.left() or self.elsewhere)

    def _path(self, name: str) -> Path:
        return self.folder / RUNS_FOLDER / f"{name}.json"

    def _record(self, name: str) -> Record | None:
        return read_or_none(self._path(name))

    # -- giving work -----------------------------------------------------------------------------

    def give(self) -> None:
        """Give every free slot a shard, as long as there are any."""
        if not self.left():
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
        if is_held(self.folder, name) or note_path(self.folder, name).exists():
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
        return record.attempt < self.attempts or record.run_id in self.once_more

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

    def look_elsewhere(self) -> None:
        """Take up the runs that another process had and has no longer."""
        for name in sorted(self.elsewhere):
            self.elsewhere.discard(name)
            self._sort(name, self.pending)

    def _settle(self, flight: Flight, outcome: Outcome | None) -> None:
        """Sort the runs of a shard by their records, and record what nobody else has."""
        if outcome is None:
            outcome = Outcome("died", WORKER_DIED, "its worker died")
        untouched, blamed = [], False
        for name in flight.runs:
            if outcome.ended == "died":
                record_killed(self.folder, only=[name], because=outcome.why)
            record = self._record(name)
            if record is not None and record.attempt > flight.attempts[name]:
                self.once_more.discard(name)
                if record.status == "done":
                    self._done_here = True
                    self._lengths = [*self._lengths[-99:], _duration(record)]
                else:
                    blamed = True
                self._sort(name, self.alone)
            elif self._to_blame(flight, outcome, name):
                self.once_more.discard(name)
                self._record_failure(flight, outcome, name)
                self._note_hopeless(name, outcome)
                self._sort(name, self.alone)
            else:
                untouched.append(name)
        begun = len(untouched) < len(flight.runs)
        if begun or len(untouched) == 1 or outcome.ended == "stopped" or outcome.error in PASSING:
            # Runs go in their order: the first without a word is the likeliest to have ended it.
            suspect = begun and not blamed and outcome.ended in ("error", "died")
            suspect = suspect and outcome.error not in PASSING
            for i, name in enumerate(untouched):
                self._sort(name, self.alone if suspect and i == 0 else self.pending)
        else:  # one of them stands in the way of all: look in which half it is
            half = len(untouched) // 2
            self.parts += [untouched[:half], untouched[half:]]

    def _to_blame(self, flight: Flight, outcome: Outcome, name: str) -> bool:
        """Whether a run without a word of its own has failed: it was alone in its shard."""
        if len(flight.runs) > 1 or outcome.ended == "stopped" or outcome.error in PASSING:
            return False
        if outcome.error == WORKER_DIED:
            self._lost[name] += 1
            if self._lost[name] <= LOST:
                return False
        return not is_held(self.folder, name) and not note_path(self.folder, name).exists()

    def _record_failure(self, flight: Flight, outcome: Outcome, name: str) -> None:
        """Write the record of a run that failed before, or without, writing one."""
        why = outcome.why or "the notebook ended without a record of the run"
        if said := last_words(flight.task.log):
            why += f"; the last that its kernel said: {said}"
        try:
            with run_lock(self.folder, name, {}):
                if self._record(name) is not None and self._record(name).status == "done":
                    return
                known = definition_columns(self.runs[name], name)
                attempt = max(flight.attempts[name] + 1, next_attempt(self.folder, name))
                record = Record(**known, status="failed", failure_reason=why, attempt=attempt)
                write_record(record, self.folder)
        except (RunningElsewhereError, FolderError, OSError):
            return  # it is looked at again

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
            record_killed(self.folder, only=[name])
            if note_path(self.folder, name).exists():  # someone looked at it at the same moment
                self.elsewhere.add(name)
                return
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
            if noted.intersection(flight.runs):
                flight.started_up = True
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
        forget_killed(self.folder, own)
        self.flights.clear()

    def writable(self) -> str | None:
        """Why the folder takes no files; None where it does."""
        try:
            check_writable(self.folder)
        except FolderError as error:
            return str(error)
        return None


def _duration(record: Record) -> float:
    return (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
