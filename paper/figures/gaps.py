"""The gap between small and large models in score, in cost alone, and in accuracy."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import (
    BLUE,
    GREEN,
    ROW_HEIGHT,
    VERMILION,
    colours,
    nothing_to_draw,
    tips,
)
from paper.figures.medians import NOTHING
from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet
from pepr_utils.statistics import Comparison, datasets_of, groups
from pepr_utils.statistics.resampling import family_weights, percentiles, weighted_median
from pepr_utils.statistics.tables import interval
from pepr_utils.statistics.testing import LEVEL, N_RESAMPLES

#: What is compared: the performance of the comparison, its column, and the words for it.
MEASURES = {
    "PePR-E": ("pepr_e", "value"),
    "cost alone": ("pepr_e", "cost_alone"),
    "accuracy": ("accuracy", "value"),
}
_COLOURS = dict(zip(MEASURES, (BLUE, VERMILION, GREEN), strict=True))
_SHAPES = dict(zip(MEASURES, ("circle", "square", "diamond"), strict=True))


def data(
    result_set: ResultSet, *, alpha: float = 1.0, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Median of the small models minus that of the large ones, fine-tuned on all images.

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
        One row per data set and measure (keys of `MEASURES`): ``dataset``, ``measure``, ``gap``
        and its 95 % interval, ``low`` and ``high``. Empty where the set has no such comparison.
    """
    rows = []
    for dataset in datasets_of(result_set):
        for measure, (performance, column) in MEASURES.items():
            try:
                samples = groups(result_set, Comparison("size", performance, dataset), alpha=alpha)
            except NotAvailableError:
                continue
            weights = family_weights(samples["family"], n_resamples, seed)
            small = samples["group"].eq("small").to_numpy()
            values = samples[column].to_numpy(float)
            draws = weighted_median(values[small], weights[:, small]) - weighted_median(
                values[~small], weights[:, ~small]
            )
            low, high = percentiles(draws, LEVEL)
            gap = samples.loc[small, column].median() - samples.loc[~small, column].median()
            rows.append(
                {"dataset": dataset, "measure": measure, "gap": gap, "low": low, "high": high}
            )
    return pd.DataFrame(rows, columns=["dataset", "measure", "gap", "low", "high"])


def chart(frame: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """A row for each data set and measure, with zero marked."""
    if frame.empty:
        return nothing_to_draw(NOTHING)
    rows = frame.assign(row=frame["dataset"] + ", " + frame["measure"])
    base = alt.Chart(rows).encode(
        y=alt.Y("row:N", title=None, sort=rows["row"].tolist(), axis=alt.Axis(labelLimit=200)),
        color=alt.Color("measure:N", scale=colours(_COLOURS), legend=None),
        tooltip=tips(
            "dataset|data set|", "measure", "gap|gap|.3f", "low|interval from|.3f", "high|to|.3f"
        ),
    )
    x = alt.X("low:Q", title="Gap in the medians", axis=alt.Axis(tickCount=4))
    bars = base.mark_rule(strokeWidth=3).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, size=120, opacity=1).encode(
        x="gap:Q", shape=alt.Shape("measure:N", scale=colours(_SHAPES), legend=None)
    )
    zero = alt.Chart().mark_rule(color="#7b8794", strokeDash=[4, 3]).encode(x=alt.datum(0))
    return alt.layer(zero, bars, points).properties(height=ROW_HEIGHT * len(rows))


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"Nothing is drawn: {NOTHING}."
    parts = [
        f"{dataset}: "
        + ", ".join(
            f"{row.measure} {row.gap:.3f} ({interval(row.low, row.high)})"
            for row in part.itertuples()
        )
        + "."
        for dataset, part in frame.groupby("dataset", sort=False)
    ]
    return (
        "How much higher the median of small models is than that of large ones, with 95 % "
        "intervals. " + " ".join(parts)
    )
