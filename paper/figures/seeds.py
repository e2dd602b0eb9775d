"""Scores of the same models under several seeds."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.chapters.seeds import Field
from paper.figures.common import BLUE, VERMILION, tips


def data(found: Field, measure: str = "PePR-T") -> pd.DataFrame:
    """One row per run: architecture, seed, test accuracy, the score and the model's mean of it."""
    runs = found.runs[["architecture", "seed", "test_accuracy"]].reset_index(drop=True)
    table = runs.assign(score=found.values(measure).ravel())
    means = table.groupby("architecture")["score"].transform("mean")
    return table.assign(mean=means).sort_values(["mean", "seed"], ascending=[False, True])


def chart(frame: pd.DataFrame, measure: str = "PePR-T") -> alt.LayerChart:
    """A row per model, the best first: a point per seed and a tick at their mean."""
    order = list(dict.fromkeys(frame["architecture"]))
    base = alt.Chart(frame).encode(
        y=alt.Y("architecture:N", sort=order, title=None),
        tooltip=tips(
            "architecture", "seed", "test_accuracy", f"score|{measure}|.4f", "mean|mean|.4f"
        ),
    )
    x = alt.X("score:Q", title=f"{measure}, by seed", scale=alt.Scale(zero=False))
    points = base.mark_point(filled=True, size=45, color=BLUE, opacity=0.7).encode(x=x)
    means = base.mark_tick(color=VERMILION, thickness=2, size=11).encode(x="mean:Q")
    return alt.layer(points, means)


def describe(frame: pd.DataFrame, measure: str = "PePR-T") -> str:
    """Write the alternative text from the chart's data."""
    spread = frame.groupby("architecture", sort=False)["score"].agg(["min", "max", "mean"])
    first, widest = spread.index[0], (spread["max"] - spread["min"]).idxmax()
    reach = int((spread["max"] >= spread.loc[first, "min"]).sum()) - 1
    return (
        f"{measure} of {len(spread)} models with {frame['seed'].nunique()} seeds each. {first} has "
        f"the highest mean, {spread.loc[first, 'mean']:.3f}. With some seed {reach} others reach "
        f"what {first} has with its worst. The widest spread is that of {widest}: "
        f"{spread.loc[widest, 'min']:.3f} to {spread.loc[widest, 'max']:.3f}."
    )
