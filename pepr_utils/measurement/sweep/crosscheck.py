"""How far off forecasts are: each measured run forecast as if it had not been measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from pepr_utils.measurement.datasets import Sizes, known_sizes
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.forecast import SAME, Forecaster, Measured, Source, Work

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
        for words, left_out in WITHOUT.items():
            rest = tuple(m for m in source.runs if not left_out(m, targets[0]))
            found = _compared(targets, Source(source.label, rest))
            if not found.empty:
                rows.append(_row(targets[0], words, found))
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
