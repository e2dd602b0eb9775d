"""How long a sweep still takes: by forecasts at first, then by the pace at which runs come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.state import Progress, State

#: Runs that have to end before their pace says more than forecasts do.
ENOUGH = 3

Seconds = Callable[[Run], float | None]


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
