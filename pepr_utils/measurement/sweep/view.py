"""A sweep as text: a table that is drawn anew on a terminal, plain lines everywhere else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.pace import Seconds, aware, is_open, time_left
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


class View:
    """Draws the progress of a sweep; its `update` is what `sweep` is given as ``watch``.

    Parameters
    ----------
    stream : text stream
        Where to; stderr, so that stdout stays for results.
    seconds : callable
        Forecast of a run, or None without a basis.
    names : mapping
        The runs by name.
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
        names: Mapping[str, Run],
        *,
        before: State | None = None,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.clock = stream, clock
        self.seconds, self.names = seconds, names
        self.live = stream.isatty() if live is None else live
        self.drawn = 0
        self.first, self.before = before, before
        self.dashboard: str | None = None
        self.doing, self.said_at = "", float("-inf")

    def update(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        if self.first is None:
            self.first = progress.state
        left = time_left(progress, self.first, self.seconds, self.names)
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
        news = lines or self.doing != progress.doing or self.clock() - self.said_at >= QUIET_S
        if news and progress.doing != "ended":  # the end is told by whoever has swept
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
    took = (now - aware(progress.started_at)).total_seconds()
    lines = [_said(progress) + counts(state)]
    lines.append(f"  {spent(state)}{_rest(progress, left)}")
    lines.append(f"  for {duration(max(0.0, took))} on {_slots(progress.slots)}")
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
    state = progress.state
    return f"{_said(progress)}{counts(state)}; {spent(state)}{_rest(progress, left)}"


def _said(progress: Progress) -> str:
    return "" if progress.doing == "running" else f"{progress.doing}: "


def _rest(progress: Progress, left: float | None) -> str:
    """How long still; of a sweep that ends early there is nothing to say."""
    told = is_open(progress.state) and progress.doing not in ("finishing", "ended")
    return f"; to finish: {left_words(left)}" if told else ""


def _running(running: Running, now: datetime) -> str:
    since = (now - aware(running.started)).total_seconds()
    name = f"{running.architecture or running.run_id} on {running.dataset or '?'}"
    tries = f", attempt {running.attempt}" if running.attempt > 1 else ""
    return f"{name}{tries}, {duration(max(0.0, since))} ({running.host}, process {running.pid})"


def _more(n: int, what: str) -> list[str]:
    return [f"  {what:<9} and {n - NAMED} more"] if n > NAMED else []


def _slots(n: int) -> str:
    return f"{n} slot" if n == 1 else f"{n} slots"
