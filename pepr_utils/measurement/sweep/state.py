"""How far the runs of a folder are, by its records and locks: there is no other state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from pepr_utils.errors import PeprError
from pepr_utils.measurement.run import Run, run_id
from pepr_utils.measurement.store import is_held, note_path, noted_runs, read_note, record_or_none
from pepr_utils.results import Record
from pepr_utils.results.record_files import record_paths


class SweepError(PeprError, RuntimeError):
    """A sweep cannot begin, or cannot go on; existing records are untouched."""


@dataclass(frozen=True)
class Running:
    """A run that a process measures at this moment."""

    run_id: str
    architecture: str | None
    dataset: str | None
    attempt: int  # the number of this attempt
    pid: int
    host: str
    started: datetime


@dataclass(frozen=True)
class State:
    """How far the runs are; each run is in exactly one of the first five.

    Attributes
    ----------
    done : tuple of Record
        Runs with a finished record; where they are to be trained up to an epoch only, those that
        are paused after it too.
    failed : tuple of Record
        Runs whose last attempt failed; they may have attempts left.
    running : tuple of Running
        Runs whose lock a living process holds, whichever sweep has started it.
    waiting : tuple of Run
        The other runs that were named, in their order.
    paused : tuple of Record
        Runs that were stopped after some of their epochs and can go on from there.
    broken : tuple of pathlib.Path
        Records that cannot be read. Their runs are in one of the others, by what else is known.
    killed : tuple of Running
        Runs whose process is gone and has not recorded how it ended; the next one on the folder
        does. They too are in one of the others, where they were named.
    """

    done: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    running: tuple[Running, ...] = ()
    waiting: tuple[Run, ...] = ()
    paused: tuple[Record, ...] = ()
    broken: tuple[Path, ...] = ()
    killed: tuple[Running, ...] = ()


@dataclass(frozen=True)
class Progress:
    """The progress of a sweep, for whoever watches it.

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
        Address of Dask's dashboard, where this sweep has started it.
    excluded : tuple of str
        A line for each worker that gets no more runs, with the reason.
    """

    state: State
    doing: str
    started_at: datetime
    slots: int
    dashboard: str | None = None
    excluded: tuple[str, ...] = ()


def state(
    folder: Path | str, runs: Sequence[Run] | None = None, *, weights_folder: Path | None = None
) -> State:
    """Read how far runs are.

    Parameters
    ----------
    folder : path
        A result set's folder; a missing one holds nothing.
    runs : sequence of Run, optional
        The runs to look for; by default every run that has a record or is running.
    weights_folder : pathlib.Path, optional
        Folder of pretrained weights, which are part of a run_id.

    Examples
    --------
    >>> import tempfile
    >>> run = Run("resnet18d", "phantom", protocol="demo", pretrained=False)
    >>> state(tempfile.mkdtemp(), [run]).waiting == (run,)
    True
    """
    names = None if runs is None else {run_id(run, weights_folder): run for run in runs}
    return named_state(Path(folder), names)


def named_state(
    folder: Path,
    runs: Mapping[str, Run] | None,
    until: Mapping[str, int | None] | None = None,
) -> State:
    """Read how far runs are, given by run_id, some with the epoch to pause after; see `state`."""
    records: dict[str, Record] = {}
    broken = []
    for path in record_paths(folder):
        if runs is not None and path.stem not in runs:
            continue
        record = cached_record(path)
        if record is None:
            broken.append(path)
        else:
            records[path.stem] = record
    epochs = until or {}
    done = {name for name, record in records.items() if record.has_reached(epochs.get(name))}
    running, killed = {}, []
    for name in noted_runs(folder):
        if name in done or (runs is not None and name not in runs):
            continue
        alive, found = is_held(folder, name), _noted(folder, name)
        if found is not None and alive:
            running[name] = found
        elif found is not None and note_path(folder, name).exists():  # else it has just ended
            killed.append(found)
    names = list(records) if runs is None else list(runs)
    others = [records[n] for n in names if n in records and n not in done and n not in running]
    return State(
        done=tuple(records[name] for name in names if name in done),
        failed=tuple(record for record in others if record.status == "failed"),
        paused=tuple(record for record in others if record.status == "paused"),
        running=tuple(running.values()),
        waiting=tuple(
            run for name, run in (runs or {}).items() if name not in records and name not in running
        ),
        broken=tuple(broken),
        killed=tuple(killed),
    )


def cached_record(path: Path) -> Record | None:
    """Read a record if its file has changed; None where it is damaged or that of another run."""
    try:
        stamp = path.stat()
    except OSError:
        return None
    return _read(path, stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)


@lru_cache(maxsize=8192)
def _read(path: Path, *_stamp: int) -> Record | None:
    return record_or_none(path)


def _noted(folder: Path, name: str) -> Running | None:
    """The run of a note; None where there is none that can be read."""
    note = read_note(folder, name)
    try:
        record = note["record"]
        return Running(
            name,
            record.get("architecture"),
            record.get("dataset"),
            int(record.get("attempt", 1)),
            int(note["pid"]),
            str(note["host"]),
            datetime.fromisoformat(note["started"]),
        )
    except (AttributeError, TypeError, ValueError):
        return None
