"""Figure A.2: the score against size with carbon, memory or time as its cost."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from paper.figures import by_size
from paper.figures.common import nothing_to_draw
from pepr_utils.errors import InvalidTableError
from pepr_utils.results import ResultSet
from pepr_utils.results.groups import Average, by_architecture, medians_by_size

#: What each letter's cost is.
COSTS = {"C": "emissions", "M": "reserved memory", "T": "time"}


def data(
    result_set: ResultSet,
    cost: str,
    *,
    average: Average = "stated",
    alpha: float = 1.0,
) -> pd.DataFrame:
    """Mean score of each architecture with another cost than energy.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    cost : {"C", "M", "T"}
        Emissions, reserved memory, or time.
    average, alpha
        See `by_architecture`.

    Returns
    -------
    pandas.DataFrame
        As `by_architecture`; empty where the set has no such cost for every experiment, or, for
        emissions, where they are energy times one intensity and the score would be PePR-E again.
    """
    try:
        frame = by_architecture(result_set, average=average, alpha=alpha, cost=cost)
    except InvalidTableError:
        return pd.DataFrame()
    if cost == "C" and one_intensity(result_set):
        return pd.DataFrame()
    return frame


def one_intensity(result_set: ResultSet) -> bool:
    """Whether emissions are energy times the same intensity in every run, to a millionth."""
    runs = result_set.finished
    ratio = (runs["co2eq_g"] / runs["energy_kwh"]).dropna()
    return len(ratio) > 0 and bool(np.allclose(ratio, ratio.iloc[0], rtol=1e-6))


def chart(frame: pd.DataFrame, cost: str, *, alpha: float = 1.0) -> alt.LayerChart | alt.Chart:
    """Score against size with the slider of alpha; a note where there is nothing to draw."""
    if frame.empty:
        return nothing_to_draw(_why_not(cost))
    return by_size.score_chart(frame, alpha=alpha, cost=cost)


def describe(frame: pd.DataFrame, cost: str) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"Nothing is drawn: {_why_not(cost)}."
    return by_size.describe(frame, "pepr", f"PePR-{cost}", digits=3)


def _why_not(cost: str) -> str:
    if cost == "C":
        return "no emissions, or one carbon intensity: PePR-C would be PePR-E"
    return f"this result set has no {COSTS[cost]} in each experiment"


def table(by_cost: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare the scores by each cost with PePR-E.

    Parameters
    ----------
    by_cost : mapping
        What `data` returns for each cost, and the frame of PePR-E as ``E``.

    Returns
    -------
    pandas.DataFrame
        score, medians of small and of large models, the rank correlation with PePR-E and the
        model that leads; costs that the set does not have are left out.
    """
    reference = by_cost["E"].set_index("architecture")["pepr"]
    rows = []
    for cost, frame in by_cost.items():
        if frame.empty:
            continue
        score, medians = frame.set_index("architecture")["pepr"], medians_by_size(frame, "pepr")
        both = pd.concat([score, reference], axis=1, join="inner")
        rows.append(
            {
                "score": f"PePR-{cost}",
                "small": medians["small"],
                "large": medians["large"],
                "difference": medians["small"] - medians["large"],
                "rank correlation with PePR-E": both.corr(method="spearman").iloc[0, 1],
                "leader": score.idxmax(),
            }
        )
    return pd.DataFrame(rows)
