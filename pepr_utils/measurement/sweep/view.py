"""A sweep as text: a table that is drawn anew on a terminal, plain lines everywhere else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.quantities import duration
from pepr_utils.measurement.sweep.state import Progress, Running, State
from pepr_utils.measurement.sweep.words import (
    counts,
    ended,
    failure,
    left_words,
    printable,
    spent,
)

#: Running runs and failures that the table names; the rest it counts.
NAMED = 8
#: Pause between two plain lines that say nothing but how far it is.
QUIET_S = 60.0

Seconds = Callable[[Run], float | None]


class View:
    """Draws the progress of a sweep; its `update` is what `sweep` is given as ``watch``.

    Parameters
    ----------
    stream : text stream
        Where to; stderr, so that stdout stays for results.
    seconds : callable
        Forecast of a run, or None without a basis.
    before : State, optional
        How far the runs were when the sweep began: what had ended by then is not said.
    live : bool, optional
        Whether to draw a table in place; by default if the stream is a terminal.
    clock : callable, optional
        For tests.
    """

    def __init__(
        self,
        stream: TextIO,
        seconds: Seconds,
        *,
        before: State | None = None,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.seconds, self.clock = stream, seconds, clock
        self.live = stream.isatty() if live is None else live
        self.drawn = 0
        self.first, self.before = before, before
        self.dashboard: str | None = None
        self.doing, self.said_at = "", float("-inf")

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drawn = 0  # what is on the terminal stays

    def update(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        if self.first is None:
            self.first = progress.state
        left = time_left(progress, self.first, self.seconds)
        if self.live:
            size = shutil.get_terminal_size()
            self._draw(table(progress, left, width=size.columns)[: max(1, size.lines - 1)])
        else:
            self._say(progress, left)
        self.before, self.doing = progress.state, progress.doing

    def _draw(self, lines: Sequence[str]) -> None:
        # Up over the last table, and each line cleared behind what it now says.
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        text = "".join(f"\r{line}\x1b[K\n" for line in lines)
        self.stream.write(f"{up}{text}\x1b[J")
        self.stream.flush()
        self.drawn = len(lines)

    def _say(self, progress: Progress, left: float | None) -> None:
        """Write a line for each run that ended, and now and then how far it is."""
        lines = ended(progress.state, self.before)
        changed = self.doing != progress.doing
        if changed or lines or self.clock() - self.said_at >= QUIET_S:
            lines.append(summary(progress, left))
            if progress.dashboard and self.dashboard != progress.dashboard:
                self.dashboard = progress.dashboard
                lines.append(f"dashboard: {progress.dashboard}")
            self.said_at = self.clock()
        for line in lines:
            self.stream.write(f"{line}\n")
        self.stream.flush()


def table(
    progress: Progress, left: float | None, *, width: int = 80, now: datetime | None = None
) -> list[str]:
    """Lines of the live table, none wider than the terminal.

    Parameters
    ----------
    progress : Progress
        From the engine.
    left : float or None
        Forecast to finish (s), from `time_left`.
    width : int
        Columns of the terminal.
    now : datetime, optional
        For tests.
    """
    state, now = progress.state, now or datetime.now(UTC)
    took = (now - _aware(progress.started_at)).total_seconds()
    lines = [summary(progress, left)]
    lines.append(f"  for {duration(max(0.0, took))}, {_slots(progress.slots)}")
    if progress.dashboard:
        lines.append(f"  dashboard {progress.dashboard}")
    for running in state.running[:NAMED]:
        lines.append(f"  running   {_running(running, now)}")
    lines += _more(len(state.running), "running")
    for record in state.failed[-NAMED:]:
        lines.append(f"  failed    {failure(record)}")
    lines += _more(len(state.failed), "failed")
    return [printable(line)[: max(20, width - 1)] for line in lines]


def summary(progress: Progress, left: float | None) -> str:
    """One line: how far, how much energy so far, how long still."""
    rest = "" if not _open(progress.state) else f"; to finish: {left_words(left)}"
    said = "" if progress.doing == "running" else f"{progress.doing}: "
    return f"{said}{counts(progress.state)}; {spent(progress.state)}{rest}"


def time_left(
    progress: Progress, first: State, seconds: Seconds, *, now: datetime | None = None
) -> float | None:
    """Forecast time (s) until the last run ends.

    Once some runs ended in this sweep, by their pace; before, by the forecasts of the runs and the
    number of slots. Runs that run are counted half. None while there is nothing to go by.

    Parameters
    ----------
    progress : Progress
        How far the sweep is.
    first : State
        How far it was when it began.
    seconds : callable
        Forecast of a run.
    now : datetime, optional
        For tests.
    """
    state, now = progress.state, now or datetime.now(UTC)
    forecasts = [seconds(run) for run in state.waiting]
    complete = None not in forecasts
    known = {r.run_id for r in first.done}
    new = [r for r in state.done if r.run_id not in known]
    took = (now - _aware(progress.started_at)).total_seconds()
    open_ = len(state.waiting) + len(state.running) / 2
    if not _open(state):
        return 0.0
    spent_s = [(r.train_time_s or 0.0) + (r.eval_time_s or 0.0) for r in new]
    if complete and forecasts and not new:
        mean = sum(forecasts) / len(forecasts)
        return (sum(forecasts) + mean * len(state.running) / 2) / max(1, progress.slots)
    if len(new) < 3 or not sum(spent_s):
        return None
    if complete and forecasts:
        # What the records say was trained, over what passed: start-up and idle slots are in it.
        mean = sum(forecasts) / len(forecasts)
        work = sum(forecasts) + mean * len(state.running) / 2
        return work * took / sum(spent_s)
    return open_ * took / len(new)


def _running(running: Running, now: datetime) -> str:
    since = (now - _aware(running.started)).total_seconds()
    name = f"{running.architecture or running.run_id} on {running.dataset or '?'}"
    tries = f", attempt {running.attempt}" if running.attempt > 1 else ""
    return f"{name}{tries}, {duration(max(0.0, since))} ({running.host}, process {running.pid})"


def _more(n: int, what: str) -> list[str]:
    return [f"  {what:<9} and {n - NAMED} more"] if n > NAMED else []


def _slots(n: int) -> str:
    return f"{n} slot" if n == 1 else f"{n} slots"


def _open(state: State) -> bool:
    return bool(state.running or state.waiting)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.astimezone()
