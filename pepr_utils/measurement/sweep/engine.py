"""The verb of the study: measure many runs, each once, despite interruptions and failures."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pepr_utils.errors import PeprError
from pepr_utils.measurement.run import Run, resolve
from pepr_utils.measurement.sweep.cluster import Workers, own_workers, their_workers
from pepr_utils.measurement.sweep.coordinator import Coordinator
from pepr_utils.measurement.sweep.folder import check_room, tidy_after, touch
from pepr_utils.measurement.sweep.gpus import find_gpus
from pepr_utils.measurement.sweep.notebook import read_notebook
from pepr_utils.measurement.sweep.state import Progress, State, SweepError, named_state
from pepr_utils.measurement.sweep.worker import Job
from pepr_utils.paths import user_path

#: Seconds between two looks at the jobs, at the folder with its workers, and two reports.
TICK_S, LOOK_S, WATCH_S = 0.1, 1.0, 2.0
#: The largest time limit (s) that Python's watchdog takes.
MOST_S = 9e9

#: What is asked: nothing, to finish the runs that are being measured, or to end at once.
GO_ON, FINISH, AT_ONCE = range(3)


def sweep(  # noqa: PLR0913 - the settings of a sweep, each with a default
    runs: Sequence[Run],
    notebook: Path,
    folder: Path,
    *,
    slots: int | None = None,
    gpus: int | Literal["auto"] | Sequence[str] = "auto",
    scheduler: str | None = None,
    attempts: int = 2,
    time_limit_s: float | None = None,
    until: Callable[[set[str]], Mapping[str, int | None]] | None = None,
    seconds: Callable[[Run], float | None] | None = None,
    options: Mapping[str, object] | None = None,
    watch: Callable[[Progress], object] | None = None,
) -> State:
    """Measure runs: each has a record in the folder when this ends, or is among the failed.

    The records are the only state. A run that is done is not repeated, a damaged record is moved
    to ``superseded`` and measured again, a run that fails is tried again by itself, up to
    `attempts` times. Several sweeps may work on one folder: each does the runs that no other has.
    The first Ctrl-C lets the runs that are being measured end; the second ends them at once, as do
    SIGTERM and the end of the terminal. The same call goes on from there.

    Runs are measured one at a time on a device. Several slots on the processor share it: times are
    then longer and not comparable, and the processor's energy is null.

    Parameters
    ----------
    runs : sequence of Run
        What to measure; a repeated one is measured once.
    notebook : pathlib.Path
        Measures some runs when papermill executes it: jupytext's ``.md``, or an ``.ipynb``, with a
        cell tagged ``parameters``, as in `notebooks/fine_tune.md`. Cells after the last one tagged
        ``measure`` are left out.
    folder : pathlib.Path
        The result set. Executed notebooks are kept in ``notebooks`` there, each with the kernel's
        log.
    slots : int, optional
        Runs at once on a machine without GPUs; by default 1.
    gpus : int, "auto" or sequence of str, default "auto"
        GPUs of this machine, one slot each: how many, every visible one, or which, as
        CUDA_VISIBLE_DEVICES would name them.
    scheduler : str, optional
        Address or file of a Dask scheduler whose workers are used instead of this machine, each as
        one slot.
    attempts : int, default 2
        How often a run is tried before it stays failed, earlier sweeps included. A run whose sweep
        was killed is tried once more by the next one in any case. A run that a worker cannot begin
        is left to the other workers first; it has failed when none of those that begin other runs
        can.
    time_limit_s : float, optional
        What a run may take (s) before its kernel is ended, and that attempt has failed; its log
        says where it was. Waiting for the device, or for room on the disk, does not count.
    until : callable, optional
        Which runs are wanted now, by run_id, and the epoch after which each is paused unless it is
        further already; None for its last one. Asked again whenever a run has ended, with those
        that have failed and have no attempts left; the sweep ends when it has them all. By default
        every run is trained to its end.
    seconds : callable, optional
        Forecast length of a run (s), or None; short ones share a kernel.
    options : mapping, optional
        Further parameters of the notebook, such as ``device`` or ``weights``.
    watch : callable, optional
        Is called with the progress when it changes and every two seconds, at the end with
        ``"ended"``.

    Returns
    -------
    State
        How far the runs are.

    Raises
    ------
    SweepError
        Before the first run, if it cannot begin: missing GPUs or scheduler, an unreadable notebook,
        invalid runs. Later, if the scheduler goes away, or no worker is left that can start a run.
        Existing records are safe.
    FolderError
        If the folder cannot be written, or has no room, before the first run; a disk that fills up
        later is a pause.
    """
    folder, given = Path(folder).absolute(), _options(options or {})
    if attempts < 1:
        raise SweepError(f"attempts is {attempts}; allowed: at least 1")
    if time_limit_s is not None and not 0 < time_limit_s < MOST_S:
        raise SweepError(f"time_limit_s is {time_limit_s}; allowed: above 0 and below {MOST_S:.0e}")
    check_room(folder)
    names, columns = _resolve_all(runs, given.get("weights"))
    source = read_notebook(Path(notebook))
    wanted = dict.fromkeys(names) if until is None else until(set())
    found = named_state(folder, {name: names[name] for name in wanted}, wanted)
    if len(found.done) == len(wanted) and not found.broken:
        if watch is not None:
            watch(Progress(found, "ended", datetime.now(UTC), 0))
        return found
    job = Job(
        sweep=uuid.uuid4().hex[:8],
        notebook=source,
        options=given,
        folder=folder,
        cwd=os.getcwd(),  # noqa: PTH109 - a string is sent
        time_limit_s=time_limit_s,
    )
    coordinator = None
    with interruptions() as interrupts:
        try:
            with _workers(slots, gpus, scheduler, folder, len(names)) as workers:
                workers.stop_waiting = lambda: interrupts.asked == AT_ONCE
                coordinator = Coordinator(
                    names, columns, workers, job,
                    attempts=attempts, seconds=seconds or (lambda _run: None), wanted=wanted,
                )  # fmt: skip
                reporter = _Reporter(watch, coordinator)
                _run(coordinator, interrupts, reporter, until)
        finally:
            # Kernels that could not be reached still need the file that tells them to stop.
            if coordinator is None or not coordinator.kernels_left:
                with suppress(OSError):  # a folder that is gone, or read-only by now
                    job.stop.unlink(missing_ok=True)
                    tidy_after(folder, job.sweep)
            with suppress(OSError):
                job.here.unlink(missing_ok=True)
        return reporter.report("ended", now=True)


def _run(
    coordinator: Coordinator,
    interrupts: Interrupts,
    reporter: _Reporter,
    until: Callable[[set[str]], Mapping[str, int | None]] | None,
) -> None:
    """Keep the workers busy until nothing is left to do or it is to stop."""
    coordinator.begin()
    stop, looked, doing = coordinator.job.stop, float("-inf"), "running"
    try:
        while True:
            if interrupts.asked and not stop.exists():
                touch(stop)
            if interrupts.asked == AT_ONCE:
                break
            changed = coordinator.collect()
            if changed or time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                coordinator.look()
                paused = coordinator.paused()
                if not (paused or interrupts.asked):
                    if until is not None:
                        reporter.report(doing, now=True)  # before other runs are wanted
                        coordinator.wanted = until(coordinator.without_attempts())
                    coordinator.give()
                if not coordinator.given and (interrupts.asked or not coordinator.open()):
                    break
                doing = "finishing" if interrupts.asked else coordinator.doing(paused)
            reporter.excluded = coordinator.excluded_lines()
            reporter.report(doing, now=changed)
            time.sleep(TICK_S)
    finally:
        if coordinator.given:
            touch(stop)
            coordinator.stop()


@dataclass
class Interrupts:
    """What has been asked of a sweep: ``GO_ON``, ``FINISH`` or ``AT_ONCE``."""

    asked: int = GO_ON


@contextmanager
def interruptions() -> Iterator[Interrupts]:
    """Count Ctrl-C within the block: the first says to finish, the second to end at once.

    SIGTERM, which Slurm sends before it kills, says to end at once, and so does SIGHUP, which comes
    when the terminal is closed, unless it is ignored as under ``nohup``. Outside the main thread,
    where Python takes no signals, nothing is ever asked.
    """
    interrupts = Interrupts()

    def count(_number: int, _frame: Any) -> None:
        interrupts.asked = min(AT_ONCE, interrupts.asked + 1)

    def at_once(_number: int, _frame: Any) -> None:
        interrupts.asked = AT_ONCE

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {signal.SIGINT: count, signal.SIGTERM: at_once}
        hangup = getattr(signal, "SIGHUP", None)  # not on every system
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            handlers[hangup] = at_once
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Reporter:
    """Reports the progress when it changes, and every two seconds."""

    def __init__(
        self, watch: Callable[[Progress], object] | None, coordinator: Coordinator
    ) -> None:
        self._watch, self._coordinator, workers = watch, coordinator, coordinator.workers
        self._slots, self._dashboard = workers.wanted or len(workers.slots()), workers.dashboard()
        self._began, self._reported, self._last = datetime.now(UTC), 0.0, ""
        self.excluded: tuple[str, ...] = ()

    def report(self, doing: str, *, now: bool = False) -> State | None:
        """Report the progress, if it is time or has changed."""
        if not (now or doing != self._last or time.monotonic() - self._reported > WATCH_S):
            return None
        wanted = self._coordinator.wanted
        names = {name: self._coordinator.runs[name] for name in wanted}
        found = named_state(self._coordinator.folder, names, wanted)
        self._reported, self._last = time.monotonic(), doing
        if self._watch is not None:
            so_far = found, doing, self._began, self._slots, self._dashboard, self.excluded
            self._watch(Progress(*so_far))
        return found


def _options(options: Mapping[str, object]) -> dict[str, Any]:
    """The notebook's further parameters; paths are absolute, since kernels may be elsewhere."""
    given = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    if given.get("weights"):
        given["weights"] = str(user_path(str(given["weights"])).absolute())
    return given


def _resolve_all(
    runs: Sequence[Run], weights: str | None
) -> tuple[dict[str, Run], dict[str, dict[str, Any]]]:
    """The runs by run_id, and the known columns of their records; one error for all that is wrong.

    The columns are for the record of a run that fails without writing one.
    """
    names, columns, errors = {}, {}, {}
    for run in runs:
        try:
            resolved = resolve(run, weights)
        except PeprError as error:
            errors[str(error)] = None
            continue
        names.setdefault(resolved.run_id, run)
        columns.setdefault(resolved.run_id, resolved.columns())
    if errors:
        raise SweepError("\n".join(errors) + "\nnothing was started")
    return names, columns


def _workers(
    slots: int | None,
    gpus: int | Literal["auto"] | Sequence[str],
    scheduler: str | None,
    folder: Path,
    n_runs: int,
) -> AbstractContextManager[Workers]:
    if slots is not None and slots < 1:
        raise SweepError(f"slots is {slots}; allowed: at least 1")
    if scheduler is not None:
        if slots is not None or gpus != "auto":
            raise SweepError("slots and gpus are of this machine; a scheduler has its own workers")
        return their_workers(scheduler)
    found = find_gpus(gpus, os.environ)
    if found and slots is not None:
        raise SweepError(
            f"slots is {slots}, and there are {len(found)} GPUs with one slot each; leave slots "
            "out, or ask for 0 GPUs to measure on the processor"
        )
    n = max(1, min(slots or 1, n_runs))
    return own_workers(n, found[: max(1, n_runs)], folder, hide_gpus=gpus == 0)
