"""A sweep as text: a table that is drawn anew on a terminal, plain lines everywhere else.

Also the pieces that other tables share: counts, failures, durations, energies, the time left.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.state import Progress, Running, State
from pepr_utils.results import Record

#: Running runs and failures that the table names; the rest it counts.
NAMED = 8
#: Pause between two plain lines that report nothing but how far it is.
QUIET_S = 60.0
#: Runs that have to end before their pace says more than forecasts do.
ENOUGH = 3
Seconds = Callable[[Run], float | None]


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
        How far the runs were when the sweep began: what had ended by then is not reported.
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
        self.doing, self.written_at = "", float("-inf")

    def update(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        if self.first is None:
            self.first = progress.state
        left = time_left(progress, self.first, self.seconds, self.names)
        if self.live:
            size = shutil.get_terminal_size()
            self._draw(table(progress, left, width=size.columns)[: max(1, size.lines - 1)])
        else:
            self._write(progress, left)
        self.before, self.doing = progress.state, progress.doing

    def _draw(self, lines: Sequence[str]) -> None:
        # Up over the last table, and each line cleared behind what it now says.
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        text = "".join(f"\r{line}\x1b[K\n" for line in lines)
        self.stream.write(f"{up}{text}\x1b[J")
        self.stream.flush()
        self.drawn = len(lines)

    def _write(self, progress: Progress, left: float | None) -> None:
        """Write a line for each run that ended, and now and then how far it is."""
        lines = ended(progress.state, self.before)
        news = lines or self.doing != progress.doing or self.clock() - self.written_at >= QUIET_S
        if news and progress.doing != "ended":  # the end is told by whoever has swept
            lines.append(summary(progress, left))
            if progress.dashboard and self.dashboard != progress.dashboard:
                self.dashboard = progress.dashboard
                lines.append(f"dashboard: {progress.dashboard}")
            self.written_at = self.clock()
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
    lines = [_doing(progress) + counts(state)]
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
    return f"{_doing(progress)}{counts(state)}; {spent(state)}{_rest(progress, left)}"


def _doing(progress: Progress) -> str:
    return "" if progress.doing == "running" else f"{progress.doing}: "


def _rest(progress: Progress, left: float | None) -> str:
    """How long still; of a sweep that ends early there is nothing to say."""
    forecast = is_open(progress.state) and progress.doing not in ("finishing", "ended")
    return f"; to finish: {left_text(left)}" if forecast else ""


def _running(running: Running, now: datetime) -> str:
    since = (now - aware(running.started)).total_seconds()
    name = f"{running.architecture or running.run_id} on {running.dataset or '?'}"
    tries = f", attempt {running.attempt}" if running.attempt > 1 else ""
    return f"{name}{tries}, {duration(max(0.0, since))} ({running.host}, process {running.pid})"


def _more(n: int, what: str) -> list[str]:
    return [f"  {what:<9} and {n - NAMED} more"] if n > NAMED else []


def _slots(n: int) -> str:
    return f"{n} slot" if n == 1 else f"{n} slots"


# -- runs and records ------------------------------------------------------------------------------


def counts(state: State) -> str:
    """Counts of the runs by how far they are.

    Examples
    --------
    >>> counts(State())
    '0 of 0 runs done, 0 running, 0 failed, 0 waiting'
    """
    done, running = len(state.done), len(state.running)
    failed, waiting = len(state.failed), len(state.waiting)
    total = done + running + failed + waiting
    return (
        f"{done:,} of {total:,} runs done, {running} running, {failed} failed, {waiting:,} waiting"
    )


def energy_of(records: Sequence[Record]) -> tuple[float | None, int]:
    """Facility energy of some runs (kWh), evaluations included, and how many have none."""
    found, without = 0.0, 0
    for record in records:
        if record.energy_kwh is None:
            without += 1
            continue
        apart = record.energy_window == "train" and record.eval_energy_kwh
        found += record.energy_kwh + (apart or 0.0)
    return (found if without < len(records) else None), without


def spent(state: State) -> str:
    """Energy of the finished runs, as text."""
    used, without = energy_of(state.done)
    text = f"energy so far {energy(used)}" if state.done else "no energy yet"
    return text + (
        f" ({without} run{'s' * (without > 1)} without)" if without and used is not None else ""
    )


def ended(state: State, before: State | None) -> list[str]:
    """A line for each run that has ended since."""
    if before is None:
        return []
    done = {r.run_id for r in before.done}
    failed = {(r.run_id, r.attempt) for r in before.failed}
    lines = [f"done    {_label(r)}: {_result(r)}" for r in state.done if r.run_id not in done]
    new = [r for r in state.failed if (r.run_id, r.attempt) not in failed]
    return [printable(line) for line in [*lines, *(f"failed  {failure(r)}" for r in new)]]


def failure(record: Record) -> str:
    """A failed run and its reason, in one line."""
    tries = f", attempt {record.attempt}" if record.attempt > 1 else ""
    reason = " ".join((record.failure_reason or "no reason recorded").split())
    return f"{_label(record)}{tries}: {reason}"


def left_text(left: float | None) -> str:
    """A forecast of time as text; no number where there is none."""
    return "no forecast yet" if left is None else f"about {duration(left)}"


def _label(record: Record) -> str:
    arm = "" if record.pretrained is None else " pretrained" if record.pretrained else " scratch"
    share = record.train_fraction
    part = "" if share in (None, 1) else f" {share:.3g}"
    seed = "" if record.seed is None else f" seed {record.seed}"
    return f"{record.architecture} on {record.dataset}{arm}{part}{seed}"


def _result(record: Record) -> str:
    took = (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
    used, _ = energy_of([record])
    return f"accuracy {record.test_accuracy:.4f}, {duration(took)}, {energy(used)}"


def printable(text: str) -> str:
    """Without what would move the cursor: reasons come from logs."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


# -- the time left ---------------------------------------------------------------------------------


def time_left(
    progress: Progress,
    first: State,
    seconds: Seconds,
    names: Mapping[str, Run],
    *,
    now: datetime | None = None,
) -> float | None:
    """Forecast time (s) until the last run ends.

    What the open runs are forecast to take, over the slots; once three runs have ended in this
    sweep, at the pace at which they came. Without forecasts, by the number of runs at that pace.
    None while there is nothing to go by.

    Parameters
    ----------
    progress : Progress
        How far the sweep is.
    first : State
        How far it was when it began.
    seconds : callable
        Forecast of a run, or None without a basis.
    names : mapping
        The runs by name, to know those that run.
    now : datetime, optional
        For tests.
    """
    state, now = progress.state, now or datetime.now(UTC)
    if not is_open(state):
        return 0.0
    known = {r.run_id for r in first.done}
    new = [r for r in state.done if r.run_id not in known]
    took = (now - aware(progress.started_at)).total_seconds()
    spent_s = sum((r.train_time_s or 0.0) + (r.eval_time_s or 0.0) for r in new)
    settled = len(new) >= ENOUGH and spent_s > 0
    work = _work(state, seconds, names, now)
    if work is not None:
        # What the records say was trained, over what passed: start-up and idle slots are in it.
        return work * took / spent_s if settled else work / max(1, progress.slots)
    if not settled:
        return None
    return (len(state.waiting) + len(state.running) / 2) * took / len(new)


def _work(state: State, seconds: Seconds, names: Mapping[str, Run], now: datetime) -> float | None:
    """What the open runs still take, one after another; None where one has no forecast."""
    left = [seconds(run) for run in state.waiting]
    for running in state.running:
        run = names.get(running.run_id)
        forecast = None if run is None else seconds(run)
        passed = (now - aware(running.started)).total_seconds()
        left.append(None if forecast is None else max(0.0, forecast - passed))
    return None if None in left else sum(left)


def is_open(state: State) -> bool:
    """Whether runs are left to wait for."""
    return bool(state.running or state.waiting)


def aware(moment: datetime) -> datetime:
    """A moment with its time zone: this machine's, where it has none."""
    return moment if moment.tzinfo else moment.astimezone()


# -- quantities ------------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """Write a duration in a unit that fits.

    Examples
    --------
    >>> duration(None), duration(41.7), duration(600), duration(9000), duration(234000)
    ('-', '42 s', '10.0 min', '2.5 h', '65 h')
    """
    return _scaled(seconds, ((1, "s", 90), (60, "min", 90), (3600, "h", float("inf"))))


def energy(kwh: float | None) -> str:
    """Write an energy in a unit that fits.

    Examples
    --------
    >>> energy(None), energy(0.0000123), energy(0.0123), energy(37.3)
    ('-', '0.0123 Wh', '12.3 Wh', '37.3 kWh')
    """
    return _scaled(kwh, ((1e-3, "Wh", 1000), (1, "kWh", 10_000), (1000, "MWh", float("inf"))))


def mass(grams: float | None) -> str:
    """Write emissions in a unit that fits.

    Examples
    --------
    >>> mass(None), mass(0), mass(512.3), mass(18400)
    ('-', '0 g', '512 g', '18.4 kg')
    """
    return _scaled(grams, ((1, "g", 1000), (1000, "kg", 10_000), (1e6, "t", float("inf"))))


def _scaled(value: float | None, units: tuple[tuple[float, str, float], ...]) -> str:
    if value is None:
        return "-"
    scale, unit = next((s, u) for s, u, below in units if value / s < below)
    number = value / scale
    if unit == "s" or number >= 100:
        return f"{number:,.0f} {unit}"
    if unit in ("min", "h"):
        return f"{number:.1f} {unit}" if number < 30 else f"{number:.0f} {unit}"
    return f"{number:.3g} {unit}"
