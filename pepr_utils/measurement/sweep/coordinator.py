"""Which runs go to which worker, and what follows from how a shard ended: by the records alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pepr_utils.errors import FolderError
from pepr_utils.measurement.store import forget_killed, is_held, noted_runs, read_note
from pepr_utils.measurement.sweep.backlog import Backlog
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.failures import Failure, by_a_coordinator, failure
from pepr_utils.measurement.sweep.flight import Flight
from pepr_utils.measurement.sweep.refusals import HOPELESS, SUSPECT, Refusals, kind_of
from pepr_utils.measurement.sweep.shards import MOST, START_UP_S, parameters
from pepr_utils.measurement.sweep.task import Outcome, Task

#: Errors that say nothing against a run: it is given to a worker again.
PASSING = ("RunningElsewhereError", "FolderError", "StoppedError")
#: How often a worker may die before a run has begun that it was given alone: not the run's fault.
LOST = 3
WORKER_DIED = "WorkerDied"


class Coordinator:
    """What is to be done, what is being done, and what follows.

    Parameters
    ----------
    backlog : Backlog
        What is still to be begun.
    workers : Workers
        Who does it.
    make : callable
        Makes a task of its name, its parameters, its slot and the names of its runs.
    options : dict
        Further parameters of the notebook.

    Attributes
    ----------
    flights : list of Flight
        What is being done.
    refusals : Refusals
        What ended before it had begun, and which workers get no more for it.
    start_up_s : float
        How long a kernel takes before its first run (s), learnt on the way.
    may_live : bool
        Whether kernels may have outlived the sweep, on workers that cannot be reached.
    """

    def __init__(
        self,
        backlog: Backlog,
        workers: Workers,
        *,
        make: Callable[[str, Mapping[str, Any], Slot, Sequence[str]], Task],
        options: dict[str, Any],
    ) -> None:
        self.backlog, self.workers, self.make, self.options = backlog, workers, make, options
        self.folder = backlog.folder
        self.flights: list[Flight] = []
        self.refusals = Refusals()
        self.start_up_s = START_UP_S
        self.may_live = False
        self._name, self._n_tasks = f"{datetime.now(UTC):%Y%m%dT%H%M%S}", 0
        self._slots: list[Slot] = []
        self._lost: Counter[str] = Counter()

    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not self.flights and self.backlog.empty()

    # -- giving work -----------------------------------------------------------------------------

    def give(self) -> None:
        """Give every free slot a shard, as long as there are any."""
        if not self.backlog.left() or self.backlog.held():
            return
        busy = {flight.slot.address for flight in self.flights}
        there = self._there()
        for slot in there:
            names = [] if slot.address in busy else self._next(slot, others=len(there) > 1)
            if not names:
                continue
            self._n_tasks += 1
            runs = [self.backlog.runs[name] for name in names]
            given = parameters(runs, self.folder, self.options)
            task = self.make(f"{self._name}-{self._n_tasks:04d}", given, slot, names)
            before = {name: self.backlog.attempt(name) for name in names}
            future = self.workers.submit(task, slot)
            self.flights.append(Flight(task, slot, future, names, before, time.monotonic()))
        if there and not self.flights:  # nobody is left who could be asked
            again = list(self.backlog.again)
            for name in again:
                self._judge(name)
            if not again:  # nor is there a run to ask about
                self.refusals.in_row.clear()

    def _there(self) -> list[Slot]:
        """The workers that may be given runs."""
        there = [slot for slot in self._slots if slot.address not in self.refusals.aside]
        if self._slots and not there and not self.flights:
            raise SweepError(
                f"no worker of {self.workers.where} is left that begins a run:\n"
                + "\n".join(self.refusals.words())
                + "\nput it right and give the same command again; no attempt was counted for it"
            )
        return there

    def _next(self, slot: Slot, *, others: bool) -> list[str]:
        """What a worker is to do: first of all what another has refused."""
        refused = [name for name, by in self.refusals.by.items() if slot.address in by]
        if names := self.backlog.take_again(but=refused):
            return names
        if others and self.refusals.gets_none(slot):
            return []
        at_once = max(1, self.workers.wanted or len(self._slots))
        most = 1 if self.refusals.in_row[slot.address] else MOST
        return self.backlog.take(slots=at_once, start_up_s=self.start_up_s, most=most)

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

    def _settle(self, flight: Flight, outcome: Outcome | None) -> None:
        """Sort the runs of a shard by their records, and record what nobody else has."""
        if outcome is None:
            outcome = Outcome("died", WORKER_DIED, "its worker died")
        if outcome.error == FolderError.__name__:
            self.backlog.hold()
        stopped = outcome.ended == "stopped" or flight.task.stop.exists()
        passing = stopped or outcome.error in PASSING
        with suppress(OSError):  # a kernel that was killed as it waited
            flight.waiting_path().unlink(missing_ok=True)
        found = {name: self._settle_run(flight, outcome, name, passing) for name in flight.runs}
        untouched = [name for name, is_now in found.items() if is_now == "untouched"]
        blamed = "failed" in found.values()
        ours = [name for name, is_now in found.items() if is_now in ("done", "failed")]
        # What another process measures of the shard says nothing of this worker.
        begun = flight.has_begun or not flight.others.issuperset(ours)
        if begun:
            self.refusals.began(flight.slot, ours)
        if not (begun or passing) and len(untouched) > 1:
            if self._is_refusal(outcome):
                self.refusals.refused(flight.slot, outcome.why)
            # One of them stands in the way of all: look in which half it is.
            half = len(untouched) // 2
            self.backlog.parts += [untouched[:half], untouched[half:]]
            return
        suspects = [] if passing or not begun else self._suspects(outcome, untouched, blamed)
        for name in untouched:
            self.backlog.sort(name, alone=name in suspects)

    def _settle_run(self, flight: Flight, outcome: Outcome, name: str, passing: bool) -> str:
        """Sort one run of a shard; say what its own try came to.

        That is ``done``, ``failed``, ``untouched`` where nothing is known of it, ``another's``, or
        ``blamed`` where it was alone and has not said a word.
        """
        if outcome.ended == "died" and not self.backlog.record_killed(name, outcome.why):
            self.backlog.once_more.discard(name)
            return "failed"  # and recorded when there is room
        record = self.backlog.record(name)
        new = record is not None and record.attempt > flight.attempts[name]
        # What another coordinator may have recorded was a try of its own, and not this one.
        if new and not by_a_coordinator(record):
            self.backlog.once_more.discard(name)
            if record.status == "done":
                self.backlog.note_length(record)
            self.backlog.sort(name, alone=True)
            return record.status
        if not passing and self._to_blame(flight, outcome, name):
            told = failure(outcome, flight.task, flight.attempts[name])
            if self._is_refusal(outcome) and not flight.has_begun:
                self._refused(flight.slot, name, told, outcome.why)
            else:
                self._charge(name, told)
            return "blamed"
        if new:
            self.backlog.sort(name, alone=True)
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
            ours = [name for name in suspects if not self.backlog.is_anothers(name)]
            self.backlog.untold.update(ours)
        return suspects

    def _to_blame(self, flight: Flight, outcome: Outcome, name: str) -> bool:
        """Whether a run without a word of its own has failed: it was alone in its shard."""
        if len(flight.runs) > 1:
            return False
        if outcome.error == WORKER_DIED:
            self._lost[name] += 1
            if self._lost[name] <= LOST:
                return False
        return not self.backlog.is_anothers(name)

    def _charge(self, name: str, told: Failure) -> None:
        """Record a failure of a run, which may have attempts left."""
        self.backlog.once_more.discard(name)
        self.backlog.owed[name] = replace(told, untold=self.backlog.untold.pop(name, 0))
        self.backlog.sort(name, alone=True)

    def _is_refusal(self, outcome: Outcome) -> bool:
        """Whether a shard of which no run has begun ended by its kernel or its notebook."""
        return outcome.ended in ("error", "died") and outcome.error != WORKER_DIED

    def _refused(self, slot: Slot, name: str, told: Failure, why: str) -> None:
        """Find out whose fault it is that a run has not begun that was alone; see `Refusals`."""
        refusals, weights = self.refusals, self.backlog.columns[name].get("weights")
        architecture = self.backlog.runs[name].architecture
        refusals.refused(slot, why)
        refusals.alone(name, slot, told, kind_of(why, [name, weights, architecture]))
        self.backlog.again.append(name)
        open_still = [f for f in self.flights if refusals.in_row[f.slot.address] < SUSPECT]
        if refusals.alike() >= HOPELESS and not open_still:
            raise SweepError(
                f"{refusals.alike()} runs failed before they began, all alike, and none "
                f"succeeded:\n{why}\nput it right and give the same command again; no attempt was "
                "counted"
            )
        there = {slot.address for slot in self._there()}
        if not refusals.begun or there - refusals.by[name].keys():
            return  # another worker is asked, or it is too early to say
        if slot.address in refusals.begun or len(refusals.by[name]) > 1:
            self._judge(name)
        elif refusals.in_row[slot.address] > HOPELESS:  # others have begun theirs, and are gone
            refusals.set_aside(slot.address)

    def _judge(self, name: str) -> None:
        """Take a run that has not begun to be to blame for it."""
        self.backlog.again.remove(name)
        if told := self.refusals.judge(name):
            self._charge(name, told)
        else:
            self.backlog.sort(name, alone=True)

    def _watch_start_up(self) -> None:
        """Learn how long a kernel takes before its first run begins."""
        fresh = [flight for flight in self.flights if not flight.has_begun]
        if not fresh:
            return
        noted = set(noted_runs(self.folder))
        for flight in fresh:
            if found := noted.intersection(flight.runs):
                notes = {name: read_note(self.folder, name) for name in found}
                logs = {name: note.get("log") for name, note in notes.items() if note is not None}
                own = {name for name, log in logs.items() if log == str(flight.task.log)}
                flight.others |= logs.keys() - own
                if own:
                    flight.has_begun = True
                    self.refusals.began(flight.slot, own)
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
