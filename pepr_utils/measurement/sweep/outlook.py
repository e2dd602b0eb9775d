"""What a plan costs, before anything is spent: block by block, with the basis of each figure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pepr_utils.measurement.datasets import dataset_kind
from pepr_utils.measurement.datasets.medmnist_sets import is_fetched
from pepr_utils.measurement.metering import Intensity
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.forecast import Forecast
from pepr_utils.measurement.sweep.plan import Plan, Planned
from pepr_utils.measurement.sweep.state import State
from pepr_utils.measurement.sweep.view import duration, energy, mass

#: Where neither the folder nor the machine names a GPU.
_NO_DEVICE = "device: that of the basis, since no GPU is here; --on names another"
#: Reasons for a missing basis that are named; the rest is counted.
_REASONS = 8


@dataclass
class Outlook:
    """What some runs are expected to take.

    Attributes
    ----------
    name : str
        The block, or ``all``.
    runs, done : int
        How many runs there are, and how many of them are done.
    seconds, energy_kwh : float or None
        Of those that are not done and have a basis; None if none has, 0 if all are done.
    without_time, without_energy : int
        Runs that are not done and have no basis.
    basis, why : Counter
        What the figures rest on, and why there are none, with the number of runs.
    """

    name: str
    runs: int = 0
    done: int = 0
    seconds: float | None = None
    energy_kwh: float | None = None
    without_time: int = 0
    without_energy: int = 0
    basis: Counter = field(default_factory=Counter)
    why: Counter = field(default_factory=Counter)

    def add(self, forecast: Forecast, *, done: bool) -> None:
        """Count one run in."""
        self.runs += 1
        if done:
            self.done += 1
            return
        if forecast.seconds is None:
            self.without_time += 1
            self.why[forecast.why] += 1
        else:
            self.seconds = (self.seconds or 0.0) + forecast.seconds
            self.basis[forecast.basis] += 1
        if forecast.energy_kwh is None:
            self.without_energy += 1
        else:
            self.energy_kwh = (self.energy_kwh or 0.0) + forecast.energy_kwh


def outlook(
    runs: Iterable[Planned], forecast: Callable[[Run], Forecast], done: set[str]
) -> list[Outlook]:
    """Sum the forecasts of runs up, by block; the last row is all of them.

    Parameters
    ----------
    runs : iterable of Planned
        A plan's, or a part's.
    forecast : callable
        A `Forecaster`.
    done : set of str
        Names of the runs that are done.
    """
    rows: dict[str, Outlook] = {}
    total = Outlook("all")
    for planned in runs:
        row = rows.setdefault(planned.block, Outlook(planned.block))
        for each in (row, total):
            each.add(forecast(planned.run), done=planned.run_id in done)
    found = [*rows.values(), total]
    for row in found:
        if row.done == row.runs:
            row.seconds = row.energy_kwh = 0.0
    return found


def not_fetched(plan: Plan) -> list[str]:
    """Data sets of a plan that are downloaded when a run first needs them."""
    names = dict.fromkeys(p.run.dataset for p in plan.runs if p.run_id is not None)
    found = {name: dataset_kind(name) for name in names}
    return [n for n, (kind, flag) in found.items() if kind == "medmnist" and not is_fetched(flag)]


def as_dict(row: Outlook, intensity: Intensity) -> dict[str, object]:
    """One row as an object for JSON."""
    return {
        "block": row.name,
        "runs": row.runs,
        "done": row.done,
        "seconds": row.seconds,
        "energy_kwh": row.energy_kwh,
        "co2eq_g": _co2eq_g(row, intensity),
        "runs_without_basis": row.without_time,
        "runs_without_energy_basis": row.without_energy,
        "basis": [{"runs": n, "words": words} for words, n in row.basis.most_common()],
        "no_basis": [{"runs": n, "words": words} for words, n in row.why.most_common()],
    }


def lines(
    plan: Plan,
    rows: Sequence[Outlook],
    intensity: Intensity,
    *,
    where: str,
    slots: int = 1,
    device: str | None = None,
) -> list[str]:
    """Lay a forecast out for a terminal.

    Parameters
    ----------
    plan : Plan
        What is forecast.
    rows : sequence of Outlook
        From `outlook`.
    intensity : Intensity
        Emissions per energy.
    where : str
        The folder of the records.
    slots : int
        Runs at once.
    device : str, optional
        What it is for.
    """
    total = rows[-1]
    left = total.runs - total.done
    slots = min(slots, left)
    several = slots > 1 and total.seconds is not None
    shown = rows if len(rows) > 2 else rows[-1:]
    width = max(len("block"), *(len(row.name) for row in shown))
    found = [
        f"study {plan.study}: {_runs(total.runs)}, {total.done:,} done in {where}, {left:,} to do",
        "",
        f"{'block':<{width}} {'runs':>6} {'to do':>6} {'time':>9} {'energy':>9} {'CO2eq':>8}",
        *(_row(row, intensity, width) for row in shown),
        "",
        *_wrapped(
            "time: training and evaluations, one run after another"
            + (f"; {slots} at a time: {duration(total.seconds / slots)}" if several else "")
        ),
        f"device: {device}" if device else _NO_DEVICE,
        *_wrapped(
            "energy: of the same, with what the building adds (PUE) as the basis has it; CO2eq at "
            f"{intensity.g_per_kwh:g} g/kWh ({intensity.source})"
        ),
    ]
    for words, n in total.basis.most_common():
        found += _wrapped(f"basis: {_runs(n)}: {words}")
    if total.without_time:
        found.append(f"no basis: {_runs(total.without_time)}, which no figure above contains")
        for words, n in total.why.most_common(_REASONS):
            found += _wrapped(f"  {_runs(n)}: {words}")
        more = total.why.most_common()[_REASONS:]
        if more:
            found.append(
                f"  {_runs(sum(n for _, n in more))}: {len(more)} more reasons of this kind"
            )
    only_time = total.without_energy - total.without_time
    if only_time:
        found.append(
            f"no basis for energy: {_runs(only_time)}, which energy and CO2eq do not contain"
        )
    for words, n in plan.missing.items():
        found += _wrapped(f"not there yet: {_runs(n)}, counted as not done: {words}")
    names = not_fetched(plan)
    if names:
        found += _wrapped(
            f"not fetched yet: {', '.join(names)}; the first run that needs one fetches it"
        )
    return found


def _wrapped(text: str) -> list[str]:
    """Lines of 80 columns, the second and later ones set in."""
    return textwrap.wrap(
        text, 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip


def done_names(state: State) -> set[str]:
    """Names of the runs that are done."""
    return {record.run_id for record in state.done}


def _row(row: Outlook, intensity: Intensity, width: int) -> str:
    co2eq = _co2eq_g(row, intensity)
    return (
        f"{row.name:<{width}} {row.runs:>6,} {row.runs - row.done:>6,} {duration(row.seconds):>9} "
        f"{energy(row.energy_kwh):>9} {mass(co2eq):>8}"
    )


def _co2eq_g(row: Outlook, intensity: Intensity) -> float | None:
    return None if row.energy_kwh is None else row.energy_kwh * intensity.g_per_kwh


def _runs(n: int) -> str:
    return f"{n:,} run" if n == 1 else f"{n:,} runs"
