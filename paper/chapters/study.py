"""What the chapter on running the study shows: forecasts checked against runs, files as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from paper.chapters.common import NOT_AVAILABLE, fixed
from pepr_utils.paths import data_file

if TYPE_CHECKING:
    from IPython.display import Markdown

#: The comparison that the text speaks of: this data set, forecast from the others.
TOLD = "pneumonia"


def crosscheck_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Lay a cross-check out for reading: experiments in words, ratios as per cent off.

    Parameters
    ----------
    checked : pandas.DataFrame
        Forecast over measured, by experiment and what was left out.
    """
    starts = checked["pretrained"].map({True: "pretrained", False: "from scratch"})
    shares = checked["train_fraction"].map(lambda share: f"{share:.0%}")
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


def numbers(
    steps: pd.DataFrame, devices: pd.DataFrame, checked: pd.DataFrame, shares: pd.Series
) -> dict[str, str]:
    """Every number that the chapter quotes.

    Parameters
    ----------
    steps, devices : pandas.DataFrame
        What the steps and the study on each device take.
    checked : pandas.DataFrame
        As in `crosscheck_table`.
    shares : pandas.Series
        Time of each part of an array over their mean.
    """
    one, several, whole = steps.iloc[0], steps.iloc[1], steps.iloc[-1]
    apart = checked[checked["without"] == "this data set"]
    told = apart[(apart["dataset"] == TOLD) & (apart["train_fraction"] == 1)]
    full, part = apart[apart["train_fraction"] == 1], apart[apart["train_fraction"] < 1]
    return {
        "one-minutes": fixed(60 * one["time (h)"], 1),
        "one-wh": fixed(1000 * one["energy (kWh)"], 1),
        "several-runs": f"{several['runs']}",
        "several-hours": fixed(several["time (h)"], 1),
        "several-wh": fixed(1000 * several["energy (kWh)"], 0),
        "study-runs": f"{whole['runs']:,}",
        "study-hours": fixed(whole["time (h)"], 0),
        "study-four": fixed(whole["time (h)"] / 4, 0),
        "study-kwh": fixed(whole["energy (kWh)"], 1),
        "study-kg": fixed(whole["CO2eq (kg)"], 1),
        "study-no-basis": f"{whole['runs without a basis']}",
        "n-devices": f"{len(devices)}",
        "parts": f"{len(shares)}",
        "part-longest": fixed(100 * (shares.max() - 1), 0),
        "part-shortest": fixed(100 * (1 - shares.min()), 0),
        "told-from": _first(told["forecast from"]),
        "told-time": off(told["time, total"]),
        "told-energy": off(told["energy, total"]),
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


def _first(values: pd.Series) -> str:
    return NOT_AVAILABLE if values.empty else str(values.iloc[0])
