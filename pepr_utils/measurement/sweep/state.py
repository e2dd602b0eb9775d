"""How far the runs of a folder are, read from its records and locks: there is no other state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from pepr_utils.errors import PeprError
from pepr_utils.measurement.run import Run, run_id
from pepr_utils.measurement.store import is_held, note_path, noted_runs, read_note, whole_record
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_paths


class SweepError(PeprError, RuntimeError):
    """A sweep cannot begin, or cannot go on; the records that there are stay as they are."""


@dataclass(frozen=True)
class Running:
    """A run that a process measures at this moment.

    Attributes
    ----------
    run_id : str
        The run.
    architecture, dataset : str or None
        What it trains, and on what.
    attempt : int
        How often it was tried, this time included.
    pid, host : int, str
        The process, and the machine that it is on.
    started : datetime.datetime
        When it began.
    """

    run_id: str
    architecture: str | None
    dataset: str | None
    attempt: int
    pid: int
    host: str
    started: datetime


@dataclass(frozen=True)
class State:
    """How far the runs are; each run is in one of the first four, by the order here.

    Attributes
    ----------
    done : tuple of Record
        Runs with a finished record.
    running : tuple of Running
        Runs that a living process holds the lock of, whichever sweep has started it.
    failed : tuple of Record
        Runs whose last attempt failed; they may have attempts left.
    waiting : tuple of Run
        The other runs that were asked about, in their order.
    broken : tuple of pathlib.Path
        Records that cannot be read. Their runs are in one of the others, by what else is known.
    killed : tuple of Running
        Runs whose process is gone and has not recorded how it ended; the next one on the folder
        does. They too are in one of the others, where they were asked about.
    """

    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    running: tuple[Running, ...] = ()
    waiting: tuple[Run, ...] = ()
    broken: tuple[Path, ...] = ()
    killed: tuple[Running, ...] = ()


@dataclass(frozen=True)
class Progress:
    """What a watcher of a sweep is given.

    Attributes
    ----------
    state : State
        How far the runs are.
    doing : str
        ``"running"``, or ``"running without ..."`` workers that begin no run, ``"finishing"`` after
        a first Ctrl-C, ``"paused: ..."`` with the reason, ``"waiting: ..."`` for another sweep or
        for workers, ``"ended"`` the last time.
    started_at : datetime.datetime
        When the sweep began.
    slots : int
        How many runs can be measured at once.
    dashboard : str or None
        Address of Dask's dashboard, where there is one.
    aside : tuple of str
        A line for each worker that gets no more runs, with the reason.
    """

    state: State
    doing: str
    started_at: datetime
    slots: int
    dashboard: str | None = None
    aside: tuple[str, ...] = ()


def state(
    folder: Path | str, runs: Sequence[Run] | None = None, *, weights_folder: Path | None = None
) -> State:
    """Read how far runs are.

    Parameters
    ----------
    folder : path
        A result set's folder; one that is not there holds nothing.
    runs : sequence of Run, optional
        The runs to ask about. Without them, every run that has a record or is running.
    weights_folder : pathlib.Path, optional
        Where pretrained weights lie: they are part of a run's name.

    Examples
    --------
    >>> import tempfile
    >>> run = Run("resnet18d", "phantom", protocol="demo", pretrained=False)
    >>> state(tempfile.mkdtemp(), [run]).waiting == (run,)
    True
    """
    names = None if runs is None else {run_id(run, weights_folder): run for run in runs}
    return named_state(Path(folder), names)


def named_state(folder: Path, runs: Mapping[str, Run] | None) -> State:
    """Read how far runs are that have their names already; see `state`."""
    records: dict[str, Record] = {}
    broken = []
    for path in record_paths(folder):
        if runs is not None and path.stem not in runs:
            continue
        record = read_or_none(path)
        if record is None:
            broken.append(path)
        else:
            records[path.stem] = record
    done = {name for name, record in records.items() if record.status == "done"}
    running, killed = {}, []
    for name in noted_runs(folder):
        if name in done or (runs is not None and name not in runs):
            continue
        lives, found = is_held(folder, name), _noted(folder, name)
        if found is not None and lives:
            running[name] = found
        elif found is not None and note_path(folder, name).exists():  # else it has just ended
            killed.append(found)
    names = list(records) if runs is None else list(runs)
    return State(
        done=tuple(records[name] for name in names if name in done),
        failed=tuple(
            records[name]
            for name in names
            if name in records and name not in done and name not in running
        ),
        running=tuple(running.values()),
        waiting=tuple(
            run for name, run in (runs or {}).items() if name not in records and name not in running
        ),
        broken=tuple(broken),
        killed=tuple(killed),
    )


def read_or_none(path: Path) -> Record | None:
    """Read a record; None where it is damaged or bears another run's name."""
    try:
        stamp = path.stat()
        return _read(path, stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)
    except OSError:
        return None


@lru_cache(maxsize=8192)
def _read(path: Path, *_stamp: int) -> Record | None:
    return whole_record(path)


def _noted(folder: Path, name: str) -> Running | None:
    """The run of a note; None where there is none that can be read."""
    note = read_note(folder, name)
    if note is None:
        return None
    try:
        return Running(
            name,
            note["record"].get("architecture"),
            note["record"].get("dataset"),
            int(note["record"].get("attempt", 1)),
            int(note["pid"]),
            str(note["host"]),
            datetime.fromisoformat(note["started"]),
        )
    except (AttributeError, TypeError, ValueError):
        return None  # not a note of ours
