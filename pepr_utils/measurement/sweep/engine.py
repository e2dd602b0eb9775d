"""The verb of the study: measure many runs, each once, whatever happens on the way."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pepr_utils.errors import PeprError
from pepr_utils.measurement.run import Run, resolve
from pepr_utils.measurement.sweep.backlog import Backlog
from pepr_utils.measurement.sweep.cluster import Slot, Workers, own_workers, their_workers
from pepr_utils.measurement.sweep.coordinator import Coordinator
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.folder import no_empty_folder
from pepr_utils.measurement.sweep.gpus import find_gpus
from pepr_utils.measurement.sweep.interrupts import AT_ONCE, FINISH, Interrupts
from pepr_utils.measurement.sweep.notebook import read_notebook
from pepr_utils.measurement.sweep.state import Progress, State, named_state
from pepr_utils.measurement.sweep.task import Task
from pepr_utils.measurement.sweep.tracker import start_quiet_tracker
from pepr_utils.measurement.sweep.upkeep import check_room, tidy_after

#: Seconds between two looks at the tasks, at the folder with its workers, and two words to whoever
#: watches.
TICK_S, LOOK_S, WATCH_S = 0.1, 1.0, 2.0
#: No limit of a run reaches so many seconds: what Python's watchdog can count.
MOST_S = 9e9


def sweep(  # noqa: PLR0913 - all that a sweep is asked for, each with a default
    runs: Sequence[Run],
    notebook: Path,
    folder: Path,
    *,
    slots: int | None = None,
    gpus: int | Literal["auto"] | Sequence[str] = "auto",
    scheduler: str | None = None,
    attempts: int = 2,
    time_limit_s: float | None = None,
    seconds: Callable[[Run], float | None] | None = None,
    options: Mapping[str, object] | None = None,
    watch: Callable[[Progress], object] | None = None,
) -> State:
    """Measure runs: each has a record in the folder when this ends, or is among the failed.

    The records are the only state. A run that is done is not repeated, a damaged record is moved
    to ``superseded`` and measured again, a run that fails is tried again by itself, up to
    `attempts` times. Several sweeps may work on one folder: each does the runs that no other has.
    The first Ctrl-C lets the runs that are being measured end, the second ends them at once, as
    SIGTERM does and the end of the terminal; the same call goes on from there.

    Runs are measured one at a time on a device. With several slots on the processor they share
    it: times are then longer than alone, and not comparable with others, and the processor's
    energy is null, since it cannot be told whose it was.

    Parameters
    ----------
    runs : sequence of Run
        What to measure; one that is named twice is measured once.
    notebook : pathlib.Path
        Measures a shard of runs when papermill executes it: jupytext's ``.md``, or an ``.ipynb``,
        with a cell tagged ``parameters``, as `notebooks/fine_tune.md` has it. Cells after the last
        one tagged ``measure`` are left out.
    folder : pathlib.Path
        The result set. Executed notebooks are kept in ``notebooks`` there, each with the kernel's
        log.
    slots : int, optional
        Runs at once on a machine without graphics cards; by default 1.
    gpus : int, "auto" or sequence of str, default "auto"
        Graphics cards of this machine, one slot each: how many, every visible one, or which, as
        CUDA_VISIBLE_DEVICES would name them.
    scheduler : str, optional
        Address or file of a Dask scheduler whose workers are used instead of this machine. Each
        is taken for one slot, whatever its threads.
    attempts : int, default 2
        How often a run is tried before it stays failed, earlier sweeps included. A run whose
        sweep was killed is tried once more by the next one in any case, whoever has recorded the
        kill; if a process dies unseen while this sweep goes on, up to one attempt above this. A
        run that ends a shard without a record, with an exception of the notebook's, has been
        tried, but is given another one alone before it is recorded as failed. A run that does not
        begin at all is given to another worker first, where there is one, before that counts
        against it. Sweeps that work on one folder at once count what has left a record or a note,
        whoever tried it; a try that has left neither is known to its own sweep alone, so a run
        that always ends in that way is tried by each of them.
    time_limit_s : float, optional
        What a run may take (s) before its kernel is ended, and that try has failed. Its log then
        says where it was. Waiting for the device, or for room on the disk, does not count.
    seconds : callable, optional
        Forecast length of a run (s), or None; sizes the shards.
    options : mapping, optional
        Further parameters of the notebook, such as ``device`` or ``weights``.
    watch : callable, optional
        Is told the progress when it changes and every two seconds, at the end with ``"ended"``.

    Returns
    -------
    State
        How far the runs are.

    Raises
    ------
    SweepError
        Before the first run, if it cannot begin: graphics cards or a scheduler that are not there,
        a notebook that cannot be read, runs that are not defined. Later, if the scheduler goes
        away. What is measured by then stays.
    FolderError
        If the folder cannot be written, or has no room, before the first run; a disk that fills up
        later is a pause.
    """
    folder, given = Path(folder).absolute(), _options(options or {})
    if attempts < 1:
        raise SweepError(f"attempts is {attempts}; allowed: at least 1")
    if time_limit_s is not None and not 0 < time_limit_s < MOST_S:
        raise SweepError(f"time_limit_s is {time_limit_s}; allowed: above 0 and below {MOST_S:.0e}")
    with no_empty_folder(folder):
        check_room(folder)
        names, columns = _names(runs, given.get("weights"))
        source = read_notebook(Path(notebook))
        own = uuid.uuid4().hex[:8]
        stop = folder / "running" / f"{own}.stop"

        def make(name: str, parameters: Mapping[str, Any], slot: Slot, runs: Sequence[str]) -> Task:
            task = Task(
                sweep=own,
                name=f"{name}-{own}",
                notebook=source,
                parameters=parameters,
                folder=folder,
                stop=stop,
                slot=slot.name,
                at_once=slot.at_once,
                environment=workers.environment,
                cwd=os.getcwd(),  # noqa: PTH109 - a string is sent
                runs=tuple(runs),
                time_limit_s=time_limit_s,
            )
            _touch(task.here)
            return task

        found = named_state(folder, names)
        if len(found.done) == len(names) and not found.broken:
            if watch is not None:
                watch(Progress(found, "ended", datetime.now(UTC), 0))
            return found
        coordinator = None
        with Interrupts() as interrupts:
            try:
                with _workers(slots, gpus, scheduler, folder, len(names)) as workers:
                    workers.hurried = lambda: interrupts.asked == AT_ONCE
                    forecast = seconds or (lambda _run: None)
                    backlog = Backlog(names, columns, folder, attempts=attempts, seconds=forecast)
                    coordinator = Coordinator(backlog, workers, make=make, options=given)
                    teller = _Teller(watch, names, folder, workers)
                    _run(coordinator, interrupts, teller, stop, own)
            finally:
                # Where kernels may still be measuring, on workers that cannot be reached, it stays:
                # they end after their run.
                if not coordinator or not coordinator.may_live:
                    with suppress(OSError):  # a folder that is gone, or read-only by now
                        stop.unlink(missing_ok=True)
                        tidy_after(folder, own)
                with suppress(OSError):
                    stop.with_suffix(".here").unlink(missing_ok=True)
            return teller.tell("ended", now=True)


def _run(
    coordinator: Coordinator, interrupts: Interrupts, teller: _Teller, stop: Path, sweep: str
) -> None:
    """Give work and settle what ends, until nothing is left or it is to stop."""
    coordinator.backlog.look()
    looked, doing, paused = 0.0, "running", None
    try:
        while not coordinator.over():
            if interrupts.asked and not stop.exists():
                _touch(stop)
            if interrupts.asked == AT_ONCE:
                break
            changed = coordinator.collect()
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                paused = coordinator.backlog.paused()
                coordinator.lose()
                coordinator.look_waiting()
                coordinator.backlog.look_elsewhere()
            if interrupts.asked == FINISH:
                doing = "finishing"
                if not coordinator.flights:
                    break
            else:
                if not paused:
                    coordinator.give()
                doing = _doing(coordinator, paused)
            teller.aside = tuple(coordinator.refusals.words())
            teller.tell(doing, now=changed)
            time.sleep(TICK_S)
    finally:
        if coordinator.flights:
            _touch(stop)
            coordinator.stop(sweep)


def _doing(coordinator: Coordinator, paused: str | None) -> str:
    paused = paused or coordinator.backlog.why_held()
    if paused:
        return f"paused: {paused}"
    if coordinator.flights:
        without = ", ".join(name for name, _why in coordinator.refusals.aside.values())
        running = f"running without worker {without}" if without else "running"
        return "waiting: another sweep has the device" if coordinator.waits() else running
    if coordinator.backlog.left():
        return f"waiting: {coordinator.workers.where} has no free worker"
    if n := len(coordinator.backlog.elsewhere):
        return f"waiting: {n} {'run is' if n == 1 else 'runs are'} measured by another process"
    return "running"


class _Teller:
    """Tells whoever watches, not more often than it is of use."""

    def __init__(
        self,
        watch: Callable[[Progress], object] | None,
        names: Mapping[str, Run],
        folder: Path,
        workers: Workers,
    ) -> None:
        self._watch, self._names, self._folder = watch, names, folder
        self._slots, self._dashboard = workers.wanted or len(workers.slots()), workers.dashboard()
        self._began, self._told, self._last = datetime.now(UTC), 0.0, ""
        self.aside: tuple[str, ...] = ()

    def tell(self, doing: str, *, now: bool = False) -> State | None:
        """Tell the progress, if it is time or has changed."""
        if not (now or doing != self._last or time.monotonic() - self._told > WATCH_S):
            return None
        found = named_state(self._folder, self._names)
        self._told, self._last = time.monotonic(), doing
        if self._watch is not None:
            so_far = found, doing, self._began, self._slots, self._dashboard, self.aside
            self._watch(Progress(*so_far))
        return found


def _touch(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:  # a folder that takes no file: the kernels cannot write either
        return


def _options(options: Mapping[str, object]) -> dict[str, Any]:
    """The notebook's further parameters; paths are absolute, since kernels may be elsewhere."""
    given = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    if given.get("weights"):
        given["weights"] = str(Path(str(given["weights"])).expanduser().absolute())
    return given


def _names(
    runs: Sequence[Run], weights: str | None
) -> tuple[dict[str, Run], dict[str, dict[str, Any]]]:
    """The runs by their run_id, and what their records say before anything is done.

    Every one that is not defined is an error, all at once.
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
        raise SweepError("\n".join(errors) + "\nnothing was begun")
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
    cards = find_gpus(gpus, os.environ)
    if cards and slots is not None:
        raise SweepError(
            f"slots is {slots}, and there are {len(cards)} GPUs with one slot each; leave slots "
            "out, or ask for 0 GPUs to measure on the processor"
        )
    n = max(1, min(slots or 1, n_runs))
    start_quiet_tracker()
    return own_workers(n, cards[: max(1, n_runs)], folder, hide_gpus=gpus == 0)
