"""What a plan is forecast to take, block by block, with the basis of each figure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pepr_utils.measurement.datasets import dataset_kind
from pepr_utils.measurement.datasets.medmnist_sets import is_fetched
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.forecast import Forecast
from pepr_utils.measurement.sweep.plan import Plan, Planned
from pepr_utils.measurement.sweep.view import duration, energy, mass

if TYPE_CHECKING:
    from pepr_utils.measurement.metering import Intensity

#: Reasons for a missing basis that are named; the rest is counted.
_REASONS = 8


@dataclass
class Total:
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
        Number of runs by basis, and by the reason for which they have none.
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

    def add(self, forecast: Forecast, *, done: bool = False) -> None:
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

    def co2eq_g(self, intensity: Intensity) -> float | None:
        """Emissions (g); None without an energy."""
        return None if self.energy_kwh is None else self.energy_kwh * intensity.g_per_kwh


def totals(
    runs: Iterable[Planned], forecast: Callable[[Run], Forecast], done: Collection[str] = ()
) -> list[Total]:
    """Add up the forecasts of the runs that are not done, by block; the last row is all of them."""
    rows: dict[str, Total] = {}
    every = Total("all")
    for planned in runs:
        row = rows.setdefault(planned.block, Total(planned.block))
        for each in (row, every):
            each.add(forecast(planned.run), done=planned.run_id in done)
    found = [*rows.values(), every]
    for row in found:
        if row.done == row.runs:
            row.seconds = row.energy_kwh = 0.0
    return found


def as_dict(row: Total, intensity: Intensity) -> dict[str, Any]:
    """One row as an object for JSON."""
    return {
        "block": row.name,
        "runs": row.runs,
        "done": row.done,
        "seconds": row.seconds,
        "energy_kwh": row.energy_kwh,
        "co2eq_g": row.co2eq_g(intensity),
        "runs_without_basis": row.without_time,
        "runs_without_energy_basis": row.without_energy,
        "basis": [{"runs": n, "words": text} for text, n in row.basis.most_common()],
        "no_basis": [{"runs": n, "words": text} for text, n in row.why.most_common()],
    }


def lines(
    plan: Plan,
    rows: Sequence[Total],
    intensity: Intensity,
    *,
    where: str,
    slots: int = 1,
    device: str | None = None,
) -> list[str]:
    """Return the rows of `totals` as lines for a terminal.

    `where` is the folder of the records, `slots` the number of runs at once, `device` what the
    forecast is for.
    """
    every = rows[-1]
    left = every.runs - every.done
    slots = min(slots, left)
    shown = rows if len(rows) > 2 else rows[-1:]
    width = max(len("block"), *(len(row.name) for row in shown))
    time = "time: training and evaluations, one run after another"
    if slots > 1 and every.seconds is not None:
        time += f"; {slots} at a time: {duration(every.seconds / slots)}"
    found = [
        f"study {plan.study}: {_runs(every.runs)}, {every.done:,} done in {where}, {left:,} to do",
        "",
        f"{'block':<{width}} {'runs':>6} {'to do':>6} {'time':>9} {'energy':>9} {'CO2eq':>8}",
        *(
            f"{row.name:<{width}} {row.runs:>6,} {row.runs - row.done:>6,} "
            f"{duration(row.seconds):>9} {energy(row.energy_kwh):>9} "
            f"{mass(row.co2eq_g(intensity)):>8}"
            for row in shown
        ),
        "",
        *_wrapped(time),
        *_wrapped(f"device: {device or 'as in the measured runs that the forecast is based on'}"),
        *_wrapped(
            "energy: of those runs, with the PUE that they record; CO2eq at "
            f"{intensity.g_per_kwh:g} g/kWh ({intensity.source})"
        ),
    ]
    for basis, n in every.basis.most_common():
        found += _wrapped(f"basis: {_runs(n)}: {basis}")
    if every.without_time:
        found.append(f"no basis: {_runs(every.without_time)}, not included in any figure above")
        for why, n in every.why.most_common(_REASONS):
            found += _wrapped(f"  {_runs(n)}: {why}")
        more = every.why.most_common()[_REASONS:]
        if more:
            found.append(f"  {_runs(sum(n for _, n in more))}: {len(more)} more reasons")
    only_time = every.without_energy - every.without_time
    if only_time:
        found.append(f"no basis for energy: {_runs(only_time)}, not included in energy and CO2eq")
    for why, n in plan.missing.items():
        found += _wrapped(f"missing: {_runs(n)}, counted as not done: {why}")
    datasets = {name: dataset_kind(name) for name in {p.run.dataset for p in plan.runs if p.run_id}}
    names = [
        name for name, (kind, flag) in sorted(datasets.items())
        if kind == "medmnist" and not is_fetched(flag)
    ]  # fmt: skip
    if names:
        found += _wrapped(
            f"not downloaded yet: {', '.join(names)}; the first run that needs one downloads it"
        )
    return found


def _wrapped(text: str) -> list[str]:
    """Lines of 80 columns, the second and later ones indented."""
    return textwrap.wrap(
        text, 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False,
    )  # fmt: skip


def _runs(n: int) -> str:
    return f"{n:,} run" if n == 1 else f"{n:,} runs"
