"""What each step from one run to the paper's study costs, for the chapter on running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from pepr_utils.measurement.architectures import select_architectures
from pepr_utils.measurement.metering import Intensity
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.forecast import Forecast, Forecaster, Source
from pepr_utils.measurement.sweep.outlook import Outlook, as_dict, outlook
from pepr_utils.measurement.sweep.plan import Plan
from pepr_utils.results.power import declared

#: The single run and the data set that the first steps are told with.
EXAMPLE, DATASET = "resnet18d", "pneumonia"
#: The models of the second step.
SMALL = "n_parameters < 10e6"


def steps(plan: Plan, forecast: Callable[[Run], Forecast], intensity: Intensity) -> pd.DataFrame:
    """Forecast a run by hand, a batch of small models, and a study block by block.

    Parameters
    ----------
    plan : Plan
        Of the study.
    forecast : callable
        A `Forecaster`.
    intensity : Intensity
        Emissions per energy.

    Returns
    -------
    pandas.DataFrame
        ``step``, ``runs``, ``time (h)`` one run after another, ``energy (kWh)``, ``CO2eq (kg)``,
        ``runs without a basis``.
    """
    small = [Run(name, DATASET) for name in select_architectures((), SMALL)]
    rows = [
        _sum(f"one run: {EXAMPLE} on {DATASET}", [Run(EXAMPLE, DATASET)], forecast),
        _sum(f"pepr run: {SMALL} on {DATASET}", small, forecast),
        *outlook(plan.runs, forecast, set()),
    ]
    for row in rows[2:-1]:
        row.name = f"pepr sweep {plan.study}: {row.name}"
    rows[-1].name = f"pepr sweep {plan.study}"
    return _frame(rows, intensity, "step")


def by_device(plan: Plan, source: Source, intensity: Intensity) -> pd.DataFrame:
    """Forecast a study on each device whose data sheet is declared.

    Returns
    -------
    pandas.DataFrame
        As `steps`, with ``device`` in the place of the step and the declared bandwidth (GB/s) and
        power (W) of the board.
    """
    devices = declared()["devices"]
    rows = []
    for name in devices:
        total = outlook(plan.runs, Forecaster([source], device=name), set())[-1]
        total.name = name
        rows.append(total)
    frame = _frame(rows, intensity, "device")
    frame.insert(1, "memory (GB/s)", [devices[n]["memory_bandwidth_gb_s"] for n in devices])
    frame.insert(2, "board (W)", [devices[n]["board_power_w"] for n in devices])
    return frame.sort_values("time (h)", ascending=False, kind="stable").reset_index(drop=True)


def part_shares(plan: Plan, seconds: Callable[[Run], float | None], parts: int) -> pd.Series:
    """Forecast time of each part of a plan over their mean: how evenly `Plan.part` deals."""
    numbers = range(1, parts + 1)
    totals = pd.Series(
        {i: sum(seconds(p.run) or 0.0 for p in plan.part(i, parts).runs) for i in numbers}
    )
    return totals / totals.mean()


def _sum(name: str, runs: Iterable[Run], forecast: Callable[[Run], Forecast]) -> Outlook:
    row = Outlook(name)
    for run in runs:
        row.add(forecast(run), done=False)
    return row


def _frame(rows: Iterable[Outlook], intensity: Intensity, first: str) -> pd.DataFrame:
    found = [as_dict(row, intensity) for row in rows]
    return pd.DataFrame(
        {
            first: [row["block"] for row in found],
            "runs": [row["runs"] for row in found],
            "time (h)": [_over(row["seconds"], 3600) for row in found],
            "energy (kWh)": [_over(row["energy_kwh"], 1) for row in found],
            "CO2eq (kg)": [_over(row["co2eq_g"], 1000) for row in found],
            "runs without a basis": [row["runs_without_basis"] for row in found],
        }
    )


def _over(value: float | None, unit: float) -> float:
    return float("nan") if value is None else value / unit
