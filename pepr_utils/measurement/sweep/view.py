"""A sweep as text: a table that is redrawn on a terminal, plain lines everywhere else.

Also what other tables share: counts, failures, durations, energies, the time left.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.state import Progress, Running, State
from pepr_utils.printable import clean
from pepr_utils.results import Record

#: Running runs and failures that the table names; the rest it counts.
NAMED = 8
#: Pause between two plain lines where no run has ended (s).
QUIET_S = 60.0
#: Runs that have to end before their pace is used instead of the number of slots.
ENOUGH = 3
Seconds = Callable[[Run], float | None]


class View:
    """Shows the progress of a sweep; its `update` is the ``watch`` of `sweep`.

    Parameters
    ----------
    stream : text stream
        Where to; a table is redrawn in place if it is a terminal, unless `live` says otherwise.
    seconds : callable, optional
        Forecast of a run (s), or None without a basis; no time left is shown without it.
    names : mapping
        The runs by run_id.
    before : State, optional
        How far the runs were when the sweep began: what had ended by then is not reported.
    """

    def __init__(
        self,
        stream: TextIO,
        seconds: Seconds | None,
        names: Mapping[str, Run],
        *,
        before: State | None = None,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.clock = stream, clock
        self.seconds, self.names = seconds, names
        self.live = stream.isatty() if live is None else live
        self.drawn: list[str] = []
        self.first, self.before = before, before
        self.dashboard: str | None = None
        self.doing, self.written_at = "", float("-inf")

    def update(self, progress: Progress) -> None:
        """Show how far the sweep is."""
        self.first = self.first or progress.state
        left = 0.0
        if self.seconds is not None:
            left = time_left(progress, self.first, self.seconds, self.names)
        if self.live:
            size = shutil.get_terminal_size()
            lines = table(progress, left, width=size.columns)[: max(1, size.lines - 1)]
            # Up over the last table; each line is cleared to its end.
            up = f"\x1b[{len(self.drawn)}A" if self.drawn else ""
            self.drawn = [f"\r{line}\x1b[K\n" for line in lines]
            self.stream.write(up + "".join(self.drawn) + "\x1b[J")
        else:
            self._write(progress, left)
        self.stream.flush()
        self.before, self.doing = progress.state, progress.doing

    @contextmanager
    def above(self) -> Iterator[None]:
        """Within the block others write to the terminal: above the table, which is drawn again."""
        if self.drawn:
            self.stream.write(f"\x1b[{len(self.drawn)}A\x1b[J")
        yield
        self.stream.write("".join(self.drawn))
        self.stream.flush()

    def _write(self, progress: Progress, left: float | None) -> None:
        """Write a line for each run that ended, and sometimes how far the sweep is."""
        lines = ended(progress.state, self.before)
        news = lines or self.doing != progress.doing or self.clock() - self.written_at >= QUIET_S
        if news and progress.doing != "ended":  # the command reports the end
            lines.append(_heading(progress) + "; " + _so_far(progress, left))
            if progress.dashboard and self.dashboard != progress.dashboard:
                self.dashboard = progress.dashboard
                lines.append(f"dashboard: {progress.dashboard}")
            self.written_at = self.clock()
        self.stream.writelines(f"{line}\n" for line in lines)


def table(
    progress: Progress, left: float | None, *, width: int = 80, now: datetime | None = None
) -> list[str]:
    """Lines of the live table, at most `width` wide, with the forecast (s) of `time_left`."""
    state, now = progress.state, now or datetime.now(UTC)
    slots = f"{progress.slots} slot{'s' * (progress.slots > 1)}"
    lines = [
        _heading(progress),
        f"  {_so_far(progress, left)}",
        f"  for {duration(_since(progress.started_at, now))} on {slots}",
    ]
    if progress.dashboard:
        lines.append(f"  dashboard {progress.dashboard}")
    running = [_running(running, now) for running in state.running]
    failed = [failure(record) for record in state.failed]
    for what, shown, n in (
        ("running", running[:NAMED], len(running)),
        ("failed", failed[-NAMED:], len(failed)),
    ):
        lines += [f"  {what:<9} {line}" for line in shown]
        if n > NAMED:
            lines.append(f"  {what:<9} and {n - NAMED} more")
    return [clean(line)[: max(20, width - 1)] for line in lines]


def _heading(progress: Progress) -> str:
    doing = "" if progress.doing == "running" else f"{progress.doing}: "
    return doing + counts(progress.state)


def _so_far(progress: Progress, left: float | None) -> str:
    """Energy so far, and the time left unless the sweep ends before its runs are done."""
    if left == 0 or progress.doing in ("finishing", "ended"):
        return spent(progress.state)
    forecast = "no forecast yet" if left is None else f"about {duration(left)}"
    return f"{spent(progress.state)}; to finish: {forecast}"


def _running(running: Running, now: datetime) -> str:
    name = f"{running.architecture or running.run_id} on {running.dataset or '?'}"
    tries = f", attempt {running.attempt}" if running.attempt > 1 else ""
    took = duration(_since(running.started, now))
    return f"{name}{tries}, {took} ({running.host}, process {running.pid})"


def _since(moment: datetime, now: datetime) -> float:
    """Seconds since a moment, which is of this machine's time zone where it has none."""
    moment = moment if moment.tzinfo else moment.astimezone()
    return max(0.0, (now - moment).total_seconds())


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
    total = done + running + failed + waiting + len(state.paused)
    return (
        f"{done:,} of {total:,} runs done, {running} running, {failed} failed, {waiting:,} waiting"
        + (f", {len(state.paused):,} paused" if state.paused else "")
    )


def energy_of(records: Sequence[Record]) -> tuple[float | None, int]:
    """Facility energy of some runs (kWh), evaluations included, and how many have none."""
    known = [record for record in records if record.energy_kwh is not None]
    evaluations = (r.eval_energy_kwh for r in known if r.energy_window == "train")
    total = sum(r.energy_kwh for r in known) + sum(filter(None, evaluations))
    return (total if known else None), len(records) - len(known)


def spent(state: State) -> str:
    """Energy of the finished and paused runs, as text."""
    records = (*state.done, *state.paused)
    if not records:
        return "no energy yet"
    used, without = energy_of(records)
    missing = f" ({without} run{'s' * (without > 1)} without)" if without and used else ""
    return f"energy so far {energy(used)}{missing}"


def ended(state: State, before: State | None) -> list[str]:
    """A line for each run that has ended since."""
    if before is None:
        return []
    known = {(r.run_id, r.epochs_done) for r in (*before.done, *before.paused)}
    failed = {(r.run_id, r.attempt) for r in before.failed}
    lines = []
    for record in state.done:
        if (record.run_id, record.epochs_done) not in known:
            took = (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
            used, _ = energy_of([record])
            result = f"accuracy {fraction(record.test_accuracy)}"
            if record.status == "paused":
                accuracy = fraction(record.epochs[-1].val_accuracy)
                result = f"epoch {record.epochs_done}, validation accuracy {accuracy}"
            cost = f"{duration(took)}, {energy(used)}"
            lines.append(f"{record.status:<7} {_label(record)}: {result}, {cost}")
    new = [r for r in state.failed if (r.run_id, r.attempt) not in failed]
    return [clean(line) for line in [*lines, *(f"failed  {failure(r)}" for r in new)]]


def failure(record: Record) -> str:
    """A failed run and its reason, in one line."""
    tries = f", attempt {record.attempt}" if record.attempt > 1 else ""
    reason = " ".join((record.failure_reason or "no reason recorded").split())
    return f"{_label(record)}{tries}: {reason}"


def _label(record: Record) -> str:
    arm = "" if record.pretrained is None else " pretrained" if record.pretrained else " scratch"
    share = record.train_fraction
    part = "" if share in (None, 1) else f" {share:.3g}"
    seed = "" if record.seed is None else f" seed {record.seed}"
    return f"{record.architecture} on {record.dataset}{arm}{part}{seed}"


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
    None without either. `first` is the state when the sweep began; `names` has the runs by run_id.
    """
    state, now = progress.state, now or datetime.now(UTC)
    if not is_open(state):
        return 0.0
    known = {r.run_id for r in first.done}
    new = [r for r in state.done if r.run_id not in known]
    took = _since(progress.started_at, now)
    spent_s = sum((r.train_time_s or 0.0) + (r.eval_time_s or 0.0) for r in new)
    settled = len(new) >= ENOUGH and spent_s > 0
    paused = [names[record.run_id] for record in state.paused if record.run_id in names]
    waiting = [*state.waiting, *paused]
    left = [seconds(run) for run in waiting]
    for running in state.running:
        run = names.get(running.run_id)
        forecast = None if run is None else seconds(run)
        passed = _since(running.started, now)
        left.append(None if forecast is None else max(0.0, forecast - passed))
    if None not in left:
        # Start-up and idle slots are in the time that passed, not in that of the records.
        return sum(left) * took / spent_s if settled else sum(left) / max(1, progress.slots)
    if not settled:
        return None
    return (len(waiting) + len(state.running) / 2) * took / len(new)


def is_open(state: State) -> bool:
    """Whether runs are left to wait for."""
    return bool(state.running or state.waiting or state.paused)


# -- quantities ------------------------------------------------------------------------------------


def fraction(value: float | None) -> str:
    """Write an accuracy with four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"


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
