"""What the chapter on running the study shows: what each step costs, and how far off forecasts are.

A forecast is checked by forecasting each measured run as if it had not been measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed, percent
from pepr_utils.measurement.architectures import select_architectures
from pepr_utils.measurement.datasets import Sizes, known_sizes
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.dry_run import Total, totals
from pepr_utils.measurement.sweep.forecast import (
    SAME,
    Forecast,
    Forecaster,
    Measured,
    Source,
    Work,
)
from pepr_utils.measurement.sweep.plan import Plan
from pepr_utils.paths import data_file

if TYPE_CHECKING:
    from IPython.display import Markdown

    from pepr_utils.measurement.metering import Intensity

#: The single run and the data set of the first steps, and the models of the second step.
EXAMPLE, DATASET, SMALL = "resnet18d", "pneumonia", "n_parameters < 10e6"
#: What is left out of the basis before a run is forecast.
WITHOUT: dict[str, Callable[[Measured, Measured], bool]] = {
    "this experiment": lambda one, other: _experiment(one) == _experiment(other),
    "this data set": lambda one, other: one.dataset == other.dataset,
}
COLUMNS = (
    "dataset",
    "pretrained",
    "train_fraction",
    "without",
    "forecast from",
    "runs",
    *(f"{name}, {part}" for name in ("time", "energy") for part in ("total", "low", "high")),
)
#: The same images, fine-tuned instead of from scratch or the other way round.
OTHER_START = "the same, other start"


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
    one = Total(f"one run: {EXAMPLE} on {DATASET}")
    one.add(forecast(Run(EXAMPLE, DATASET)))
    batch = Total(f"pepr run: {SMALL} on {DATASET}")
    for run in small:
        batch.add(forecast(run))
    *blocks, whole = totals(plan.runs, forecast)
    for row in blocks:
        row.name = f"pepr sweep {plan.study}: {row.name}"
    whole.name = f"pepr sweep {plan.study}"
    rows = [one, batch, *blocks, whole]
    return pd.DataFrame(
        {
            "step": [row.name for row in rows],
            "runs": [row.runs for row in rows],
            "time (h)": _numbers(row.seconds for row in rows) / 3600,
            "energy (kWh)": _numbers(row.energy_kwh for row in rows),
            "CO2eq (kg)": _numbers(row.co2eq_g(intensity) for row in rows) / 1000,
            "runs without a basis": [row.without_time for row in rows],
        }
    )


def _numbers(values: Iterable[float | None]) -> pd.Series:
    return pd.Series(list(values), dtype="float64")


def part_shares(plan: Plan, seconds: Callable[[Run], float | None], parts: int) -> pd.Series:
    """Forecast time of each part of a plan over their mean: how evenly `Plan.part` deals."""
    numbers = range(1, parts + 1)
    found = pd.Series(
        {i: sum(seconds(p.run) or 0.0 for p in plan.part(i, parts).runs) for i in numbers}
    )
    return found / found.mean()


def crosscheck(source: Source) -> pd.DataFrame:
    """Forecast each experiment of a source from the rest of it, and compare.

    Parameters
    ----------
    source : Source
        Measured runs, such as the published ones.

    Returns
    -------
    pandas.DataFrame
        One row for each experiment and for each thing left out: ``dataset``, ``pretrained``,
        ``train_fraction``, ``without``, ``forecast from``, ``runs``, and of time and of energy the
        forecast over the measured total (``time, total``) with the 10 % and 90 % quantiles over
        the runs (``time, low``, ``time, high``).
    """
    rows = []
    for key in dict.fromkeys(_experiment(m) for m in source.runs):
        targets = [m for m in source.runs if _experiment(m) == key]
        for without, left_out in WITHOUT.items():
            rest = tuple(m for m in source.runs if not left_out(m, targets[0]))
            found = _compared(targets, Source(source.label, rest))
            if not found.empty:
                rows.append(_row(targets[0], without, found))
    return pd.DataFrame(rows, columns=COLUMNS)


def _compared(targets: Sequence[Measured], rest: Source) -> pd.DataFrame:
    rows = []
    for target in targets:
        run = Run(
            target.architecture,
            target.dataset,
            target.protocol,
            bool(target.pretrained),
            target.train_fraction or 1.0,
        )
        known = known_sizes(target.dataset)
        if known is None:
            continue
        # Of the very images that it was evaluated on: the authors' test images, and no others.
        evaluations = Work.of(run, Sizes(1, 1, 0)).evaluated
        sizes = Sizes(known.train, 0, target.work.evaluated // evaluations)
        found = Forecaster([rest], sizes={target.dataset: sizes})(run)
        if found.seconds is None:
            continue
        rows.append(
            {
                "forecast_s": found.seconds,
                "measured_s": target.seconds(target.work),
                "forecast_kwh": found.energy_kwh,
                "measured_kwh": target.energy_kwh(target.work),
                "images": OTHER_START if found.images == SAME else found.images,
            }
        )
    return pd.DataFrame(rows)


def _row(target: Measured, without: str, found: pd.DataFrame) -> dict[str, object]:
    row: dict[str, object] = {
        "dataset": target.dataset,
        "pretrained": target.pretrained,
        "train_fraction": target.train_fraction,
        "without": without,
        "forecast from": ", ".join(sorted(found["images"].unique())),
        "runs": len(found),
    }
    for name, unit in (("time", "s"), ("energy", "kwh")):
        both = found.dropna(subset=[f"forecast_{unit}", f"measured_{unit}"])
        ratio = both[f"forecast_{unit}"] / both[f"measured_{unit}"]
        row[f"{name}, total"] = both[f"forecast_{unit}"].sum() / both[f"measured_{unit}"].sum()
        row[f"{name}, low"], row[f"{name}, high"] = ratio.quantile(0.1), ratio.quantile(0.9)
    return row


def _experiment(measured: Measured) -> tuple:
    return (
        measured.dataset,
        measured.pretrained,
        measured.train_fraction,
        measured.protocol,
        measured.device,
    )


def crosscheck_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Return a cross-check for reading: experiments as text, ratios as per cent off.

    Parameters
    ----------
    checked : pandas.DataFrame
        Forecast over measured, by experiment and what was left out.
    """
    starts = checked["pretrained"].map({True: "pretrained", False: "from scratch"})
    shares = checked["train_fraction"].map(percent)
    frame = pd.DataFrame(
        {
            "experiment": checked["dataset"] + ", " + starts + ", " + shares,
            "without": checked["without"],
            "forecast from": checked["forecast from"],
            "runs": checked["runs"],
        }
    )
    for name in ("time", "energy"):
        for part, words in (("total", "all"), ("low", "10 %"), ("high", "90 %")):
            frame[f"{name}, {words}"] = 100 * (checked[f"{name}, {part}"] - 1)
    return frame


def errors_of_forecasts(checked: pd.DataFrame) -> dict[str, str]:
    """How far off forecasts are, for the text; `checked` as in `crosscheck_table`."""
    apart = checked[checked["without"] == "this data set"]
    full, part = apart[apart["train_fraction"] == 1], apart[apart["train_fraction"] < 1]
    example = full[full["dataset"] == DATASET]
    return {
        "example-from": next(iter(example["forecast from"]), NOT_AVAILABLE),
        "example-time": off(example["time, total"]),
        "example-energy": off(example["energy, total"]),
        "full-time": _furthest(full["time, total"]),
        "full-energy": _furthest(full["energy, total"]),
        "part-time": _furthest(part["time, total"]),
        "part-energy": _furthest(part["energy, total"]),
        "run-time": _furthest(pd.concat([apart["time, low"], apart["time, high"]])),
        "run-energy": _furthest(pd.concat([apart["energy, low"], apart["energy, high"]])),
        "own-energy": _furthest(
            checked.loc[checked["without"] == "this experiment", "energy, total"]
        ),
    }


def off(ratios: pd.Series) -> str:
    """How far the first ratio is from 1, in words.

    Examples
    --------
    >>> off(pd.Series([1.031])), off(pd.Series([0.9])), off(pd.Series(dtype=float))
    ('3.1 % too high', '10.0 % too low', 'n/a')
    """
    if ratios.empty or pd.isna(ratios.iloc[0]):
        return NOT_AVAILABLE
    percent = 100 * (ratios.iloc[0] - 1)
    return f"{abs(percent):.1f} % too {'high' if percent > 0 else 'low'}"


def show_source(name: str, language: str) -> Markdown:
    """Show a shipped file as code.

    Parameters
    ----------
    name : str
        Relative to ``data/``.
    language : str
        What it is written in, for its colours.
    """
    from IPython.display import Markdown

    text = Path(data_file(name)).read_text("utf-8").rstrip()
    return Markdown(f"````{language}\n{text}\n````")


def _furthest(ratios: pd.Series) -> str:
    """The largest distance from 1, in per cent."""
    return fixed((100 * (ratios - 1).abs()).max(), 0)
