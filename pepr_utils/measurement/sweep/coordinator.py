"""The coordinator of a sweep: it keeps workers busy and keeps account of those that begin nothing.

Which run comes next, and how a run ended, follows from the folder alone: its records, the locks of
runs that are being measured, the notes of runs whose process is gone, and the claims of workers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from statistics import fmean
from typing import Any

from pepr_utils.errors import FolderError
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import (
    ended_unseen,
    failed_attempts,
    is_claimed,
    is_held,
    noted_runs,
    read_note,
    record_killed,
    remove_notes,
)
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.folder import check_room, tidy, touch
from pepr_utils.measurement.sweep.state import SweepError, cached_record
from pepr_utils.measurement.sweep.worker import (
    KERNEL_RUNS,
    Job,
    Offer,
    Report,
    has_record_since,
    is_taken,
    record_failure,
    shared_parameters,
)
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_path

#: Runs that a worker is offered: more than it claims, since others may be quicker.
OFFERS = 4 * KERNEL_RUNS
#: A worker that has begun none of so many jobs in a row gets no more.
IN_ROW = 4
#: Without a forecast, a run's length is the mean of so many recent ones.
RECENT = 100


@dataclass
class Given:
    """A job that a worker has."""

    job: Job
    slot: Slot
    future: Any
    waits: bool = False  # whether its kernel waits for the device, which another has


class Coordinator:
    """The runs of a sweep and its workers.

    Parameters
    ----------
    runs, columns : mapping
        The runs by run_id, in their order, and the known columns of the record of each.
    workers : Workers
        The workers.
    job : Job
        What all jobs have in common.
    attempts, seconds
        See `sweep`.
    wanted : mapping
        What ``until`` of `sweep` has said last: it is assigned anew while the sweep goes on.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        columns: Mapping[str, Mapping[str, Any]],
        workers: Workers,
        job: Job,
        *,
        attempts: int,
        seconds: Callable[[Run], float | None],
        wanted: Mapping[str, int | None],
    ) -> None:
        self.runs, self.columns, self.workers = runs, columns, workers
        self.job = replace(job, environment=workers.environment)
        self.folder = job.folder
        self._attempts, self._seconds, self.wanted = attempts, seconds, wanted
        self.given: list[Given] = []  # the jobs that workers have
        self.excluded: dict[str, str] = {}  # why a worker gets no more runs
        self.kernels_left = False  # whether kernels may be alive on workers that do not answer
        self._began, self._n_jobs = datetime.now(UTC), 0
        self._slots: list[Slot] = []
        self._refused: dict[str, dict[str, str]] = {}  # by worker, why it could not begin a run
        self._in_row: Counter[str] = Counter()  # by worker, jobs of which it began nothing
        self._most: dict[str, int] = {}  # runs that may share a kernel with one that did not begin
        self._died: set[str] = set()  # logs of kernels whose worker died
        self._unseen: dict[str, int] = {}  # attempts that a kill before this sweep ended
        self._lengths: dict[str, float] = {}  # of the runs that are done

    # -- the folder --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Tidy the folder; raise FolderError where it takes no files, or no record of a run."""
        tidy(self.folder)
        self._record_killed()
        for name in self.runs:
            path = record_path(self.folder, name)
            record = cached_record(path)
            if record is not None and ended_unseen(record):
                self._unseen[name] = record.attempt
            elif path.is_dir():
                raise FolderError(f"{path} is a folder in place of a record; move it away")

    def open(self) -> dict[str, int]:
        """The wanted runs that may be tried, with the number of attempts so far."""
        found = {}
        for name, until_epoch in self.wanted.items():
            record = cached_record(record_path(self.folder, name))
            if record is None:
                found[name] = 0
            elif record.has_reached(until_epoch):
                took_s = (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
                self._lengths.setdefault(name, took_s)
            elif record.status == "paused" or self._may_try(record):
                found[name] = failed_attempts(record)
        return found

    def without_attempts(self) -> set[str]:
        """The runs that have failed and have no attempts left."""
        records = (cached_record(record_path(self.folder, name)) for name in self.runs)
        failed = (r for r in records if r is not None and r.status == "failed")
        return {record.run_id for record in failed if not self._may_try(record)}

    def _may_try(self, record: Record) -> bool:
        """Whether a failed run has attempts left, or one more since nobody saw its end.

        After a kill before this sweep it has one more in any case; after one during this sweep up
        to one above what is allowed, so that a run that kills its sweep is not tried for ever.
        """
        if record.attempt < self._attempts:
            return True
        return ended_unseen(record) and (
            record.attempt <= self._attempts or record.attempt == self._unseen.get(record.run_id)
        )

    def _length(self, name: str) -> float | None:
        """How long a run is expected to take (s): as forecast, else as the last ones took."""
        run, until_epoch = self.runs[name], self.wanted[name]
        if (forecast := self._seconds(run)) is not None and until_epoch is not None:
            return forecast * until_epoch / protocol(run.protocol).epochs
        if forecast is not None or not self._lengths:
            return forecast
        return fmean([*self._lengths.values()][-RECENT:])

    def _record_killed(self) -> None:
        """Record the runs whose process is gone, where no worker is about to do so."""
        for name in noted_runs(self.folder):
            if name in self.runs and not is_claimed(self.folder, name):
                log = (read_note(self.folder, name) or {}).get("log")
                because = "its worker died" if log in self._died else None
                record_killed(self.folder, only=[name], because=because)

    # -- workers -----------------------------------------------------------------------------------

    def collect(self) -> bool:
        """Take note of the jobs that have ended; return whether there were any."""
        ended = [given for given in self.given if given.future.done()]
        for given in ended:
            report = self.workers.result(given.future)
            self.given.remove(given)
            if report is None:
                self._worker_died(given)
            else:
                self._note(given, report)
        return bool(ended)

    def look(self) -> None:
        """Look which workers are up, and what those that are gone have left in the folder."""
        self._slots = self.workers.slots()
        there = {slot.address for slot in self._slots}
        for given in [g for g in self.given if g.slot.address not in there]:
            if not given.future.done():
                self.given.remove(given)
                given.future.cancel()
                self._worker_died(given)
        for given in self.given:
            given.waits = given.job.waiting.exists()
        with suppress(FolderError):  # a full disk: they are looked at again
            self._record_killed()

    def give(self) -> None:
        """Give every free worker a job, as long as there are runs that it may claim."""
        busy = {given.slot.address for given in self.given}
        idle = [s for s in self._slots if s.address not in busy and s.name not in self.excluded]
        if not idle and (self.given or not self._slots):
            return
        tried = self.open()
        for slot in idle:
            if offers := self._offers(slot, tried):
                self._n_jobs += 1
                name = f"{self._began:%Y%m%dT%H%M%S}-{self._n_jobs:04d}-{self.job.sweep}"
                job = replace(
                    self.job, name=name, offers=offers, slot=slot.name, at_once=slot.at_once
                )
                touch(job.here)
                self.given.append(Given(job, slot, self.workers.submit(job, slot)))
        self._give_up(tried)

    def _offers(self, slot: Slot, tried: Mapping[str, int]) -> tuple[Offer, ...]:
        """The runs that a worker may claim, in the order in which it is to do so."""
        refused = self._refused.get(slot.name, {})
        # A worker that could not begin a run is offered runs of other parameters first.
        others_first = (
            {shared_parameters(self.runs[name]) for name in refused}
            if self._in_row[slot.name]
            else ()
        )
        names = sorted(
            (name for name in tried if name not in refused),
            key=lambda name: (shared_parameters(self.runs[name]) in others_first, tried[name] > 0),
        )
        free = (
            name
            for name in names
            if not (is_taken(self.folder, name) or is_claimed(self.folder, name))
        )
        at_once = self.workers.wanted or len(self._slots)
        share = 1 if self._in_row[slot.name] else max(1, -(-len(names) // at_once))
        return tuple(
            Offer(
                run_id=name,
                run=self.runs[name],
                attempt=tried[name],
                columns=self.columns[name],
                seconds=self._length(name),
                most=1 if tried[name] else min(share, self._most.get(name, KERNEL_RUNS)),
                until_epoch=self.wanted[name],
            )
            for name in islice(free, OFFERS)
        )

    def _note(self, given: Given, report: Report) -> None:
        """Take note of a worker's report."""
        worker, n = given.slot.name, len(report.not_begun)
        fresh = {offer.run_id for offer in given.job.offers if not offer.attempt}
        if report.begun:
            self._in_row[worker] = 0
        # A run that has failed before says less about the worker.
        elif report.error == FolderError.__name__ or fresh.intersection(report.not_begun):
            self._in_row[worker] += 1
        for name in report.not_begun:
            # One of them may keep all from beginning: find it by halves.
            self._most[name] = max(1, n // 2)
        if len(report.claimed) == n == 1:
            self._refused.setdefault(worker, {})[report.not_begun[0]] = report.why
        if self._in_row[worker] >= IN_ROW:
            why = " ".join(report.why.split())
            self.excluded[worker] = f"it began none of the last ones: {why}"

    def _worker_died(self, given: Given) -> None:
        """Take note of a worker that died; the runs that it had begun have notes."""
        log, name = str(given.job.log), given.slot.name
        self._died.add(log)
        notes = [read_note(self.folder, noted) or {} for noted in noted_runs(self.folder)]
        begun = log in [note.get("log") for note in notes] or any(
            has_record_since(self.folder, offer) for offer in given.job.offers
        )
        self._in_row[name] = 0 if begun else self._in_row[name] + 1
        if self._in_row[name] >= IN_ROW:
            self.excluded[name] = "it died before starting any of its last runs"

    def _give_up(self, tried: Mapping[str, int]) -> None:
        """Record the runs that no worker can begin; raise where no worker begins any.

        A run that every remaining worker has refused has failed, if one of them has begun another
        since, or they have nothing else to begin.
        """
        workers = [slot.name for slot in self._slots if slot.name not in self.excluded]
        if self._slots and not workers and not self.given and tried:
            raise SweepError(
                f"no worker of {self.workers.where} is left that can start a run:\n"
                + "\n".join(self.excluded_lines())
                + "\nput it right and give the same command again; no attempt was counted for it"
            )
        if not workers or (self.given and all(self._in_row[worker] for worker in workers)):
            return
        for name in tried:
            if all(name in self._refused.get(worker, ()) for worker in workers):
                why = self._refused[workers[-1]][name]
                offer = Offer(name, self.runs[name], tried[name], self.columns[name])
                with suppress(FolderError):  # it is tried again
                    record_failure(self.folder, offer, why)
                    for worker in workers:
                        del self._refused[worker][name]
                        self._in_row[worker] = 0

    # -- reports -----------------------------------------------------------------------------------

    def doing(self, paused: str | None) -> str:
        """What the sweep does now; see `Progress`."""
        if paused:
            return f"paused: {paused}"
        if self.given and all(given.waits for given in self.given):
            return "waiting: another sweep has the device"
        if self.given:
            without = ", ".join(self.excluded)
            return f"running without worker {without}" if without else "running"
        n = len(self.open())
        if n and not self._slots:
            return f"waiting: {self.workers.where} has no free worker"
        if n:
            return f"waiting: {n} {'run is' if n == 1 else 'runs are'} measured by another process"
        return "running"

    def excluded_lines(self) -> tuple[str, ...]:
        """A line for each worker that gets no more runs."""
        return tuple(
            f"worker {name} gets no more runs, since {why}" for name, why in self.excluded.items()
        )

    def paused(self) -> str | None:
        """Why nothing is begun now; None where the folder takes files."""
        try:
            check_room(self.folder)
        except FolderError as error:
            return str(error)
        return None

    def stop(self) -> None:
        """End what is being measured, at once; it has not failed."""
        self.workers.end_kernels(self.job.sweep)
        logs = {str(given.job.log) for given in self.given}
        noted = {name: read_note(self.folder, name) or {} for name in noted_runs(self.folder)}
        own = [name for name, note in noted.items() if note.get("log") in logs]
        end = time.monotonic() + 5
        while time.monotonic() < end and any(is_held(self.folder, name) for name in own):
            time.sleep(0.1)
        self.kernels_left = any(is_held(self.folder, name) for name in own)
        with suppress(FolderError):  # the next sweep finds what is left
            remove_notes(self.folder, own)
        self.given.clear()
