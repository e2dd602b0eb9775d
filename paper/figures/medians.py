"""Figure A.1: median PePR-E of small and of large models on each data set, with its interval."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import SIZE_COLOURS, colours, nothing_to_draw, tips
from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet
from pepr_utils.statistics import Comparison, Tested, compare_samples, datasets_of, groups
from pepr_utils.statistics.resampling import (
    family_weights,
    percentiles,
    weighted_median,
)
from pepr_utils.statistics.tables import format_p, interval
from pepr_utils.statistics.testing import LEVEL, N_RESAMPLES

_COLUMNS = [
    "dataset", "size", "n", "median", "low", "high", "cost_alone", "majority", "difference",
    "difference_low", "difference_high", "p", "p_mann_whitney",
]  # fmt: skip
NOTHING = "this result set has no data set with two small and two large models"


def data(
    result_set: ResultSet, *, alpha: float = 1.0, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Median score of small and of large models on each data set, fine-tuned on all images.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    n_resamples, seed
        Of the bootstrap, which draws families of architectures.

    Returns
    -------
    pandas.DataFrame
        One row per data set and size: ``n``, ``median`` with its 95 % interval (``low``,
        ``high``), the median of ``cost_alone`` (P = 1 for all) and the score of the ``majority``
        class; and, the same in both rows of a data set, the ``difference`` of the medians with its
        interval, *p* of Welch's test and of the test of Mann and Whitney. Empty where the set has
        no such comparison.
    """
    rows = []
    for dataset in datasets_of(result_set):
        comparison = Comparison("size", "pepr_e", dataset)
        try:
            samples = groups(result_set, comparison, alpha=alpha)
        except NotAvailableError:
            continue
        compared = compare_samples(samples, comparison, n_resamples=n_resamples, seed=seed)
        tested = Tested(comparison=comparison, **compared)
        weights = family_weights(samples["family"], n_resamples, seed)
        for size in ("small", "large"):
            member = (samples["group"] == size).to_numpy()
            part = samples[member]
            draws = weighted_median(part["value"].to_numpy(float), weights[:, member])
            low, high = percentiles(draws, LEVEL)
            rows.append(
                {
                    "dataset": dataset,
                    "size": size,
                    "n": len(part),
                    "median": part["value"].median(),
                    "low": low,
                    "high": high,
                    "cost_alone": part["cost_alone"].median(),
                    "majority": tested.majority,
                    "difference": tested.median_difference,
                    "difference_low": tested.median_difference_low,
                    "difference_high": tested.median_difference_high,
                    "p": tested.p_welch,
                    "p_mann_whitney": tested.p_mann_whitney,
                }
            )
    return pd.DataFrame(rows, columns=_COLUMNS)


def chart(frame: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """Medians with intervals, cost alone as open squares, the majority class as a line."""
    if frame.empty:
        return nothing_to_draw(NOTHING)
    order = list(dict.fromkeys(frame["dataset"]))
    place = frame["dataset"].map(order.index) * 3 + frame["size"].map({"small": 1, "large": 2})
    placed = frame.assign(place=place.astype(float))
    heads = placed.drop_duplicates("dataset").assign(
        place=[3.0 * order.index(d) for d in dict.fromkeys(frame["dataset"])],
        words=[_words(row) for row in placed.drop_duplicates("dataset").to_dict("records")],
    )
    heads["short"] = heads["words"].str.partition(", p ")[0]
    left = max(0.0, float(np.nanmin(frame[["low", "median", "cost_alone", "majority"]])) - 0.03)
    scale = alt.Scale(domain=[left, 1.0], nice=False, zero=False)
    y = alt.Y(
        "place:Q",
        title=None,
        scale=alt.Scale(domain=[-0.6, 3 * len(order) - 0.5], reverse=True, nice=False, zero=False),
        axis=alt.Axis(
            grid=False,
            domain=False,
            ticks=False,
            labelOverlap=False,
            tickCount=len(placed),  # a phone's four would drop labels
            values=placed["place"].tolist(),
            labelExpr="datum.value % 3 == 1 ? 'small' : 'large'",
        ),
    )

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="Median PePR-E", scale=scale)

    colour = alt.Color(
        "size:N",
        title="Models",
        scale=colours(SIZE_COLOURS),
    )
    tooltips = tips(
        "dataset|data set|",
        "size",
        "n|models|",
        "median|median PePR-E|.4f",
        "low|interval from|.4f",
        "high|to|.4f",
        "cost_alone|with P = 1|.4f",
        "majority|majority class|.4f",
        "p|p (Welch)|.2g",
        "p_mann_whitney|p (Mann-Whitney)|.2g",
    )
    base = alt.Chart(placed).encode(y=y, color=colour, tooltip=tooltips)
    bars = base.mark_rule(strokeWidth=3).encode(x=x("low"), x2="high:Q")
    points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x("median"))
    alone = base.mark_point(filled=False, shape="square", size=90, strokeWidth=2, opacity=1).encode(
        x=x("cost_alone")
    )
    majority = (
        alt.Chart(placed.dropna(subset=["majority"]))
        .mark_text(text="|", fontSize=22, fontWeight=600, color="#222222")
        .encode(y=y, x=x("majority"), tooltip=tooltips)
    )
    text = (
        alt.Chart(heads.assign(left=left))
        .transform_calculate(shown="width < 320 ? datum.short : datum.words")  # on a phone
        .mark_text(align="left", fontSize=12, fontWeight=600, color="#1f2933")
        .encode(y=y, x=x("left"), text="shown:N")
    )
    return alt.layer(majority, bars, points, alone, text).properties(height=80 * len(order) + 30)


def _words(row: dict) -> str:
    return (
        f"{row['dataset']}: {row['difference']:.3f} "
        f"({interval(row['difference_low'], row['difference_high'])}), p {format_p(row['p'])}"
    )


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"Nothing is drawn: {NOTHING}."
    parts = []
    for dataset, part in frame.groupby("dataset", sort=False):
        small, large = (part[part["size"] == size].iloc[0] for size in ("small", "large"))
        parts.append(
            f"{dataset}: small {small['median']:.3f} ({interval(small['low'], small['high'])}), "
            f"large {large['median']:.3f} ({interval(large['low'], large['high'])}), "
            f"difference {small['difference']:.3f}, p {format_p(small['p'])}."
        )
    return "Median PePR-E of small and large models with 95 % intervals. " + " ".join(parts)
