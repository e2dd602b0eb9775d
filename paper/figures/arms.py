"""Figures 3a and 3b: what another way of training does to the test accuracy of each model."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from paper.figures.common import ARM_COLOURS, CHART_HEIGHT, nothing_to_draw, tips


def data(frame: pd.DataFrame, *, arms: Sequence[str]) -> pd.DataFrame:
    """Each model's accuracy in both arms, in a column each, and the ``difference``."""
    columns = ["architecture", "n_parameters"]
    wide = frame.pivot(index=columns, columns="arm", values="test_accuracy").reindex(
        columns=list(arms)
    )
    return wide.assign(difference=wide[arms[0]] - wide[arms[1]]).reset_index()


def chart(frame: pd.DataFrame, *, arms: Sequence[str]) -> alt.LayerChart | alt.Chart:
    """Difference of both arms against the second one's accuracy, with zero and the median."""
    if frame.empty:
        return nothing_to_draw(f"this result set has no data set with both: {' and '.join(arms)}")
    first, second = arms
    wide = data(frame, arms=arms)
    x = alt.X(
        "second:Q",
        title=f"{_accuracy_title(frame)}, {second}",
        scale=alt.Scale(zero=False, padding=12),
    )
    y = alt.Y("difference:Q", title=f"{first.capitalize()} minus {second}")
    points = (
        alt.Chart(wide.rename(columns={first: "first", second: "second"}))
        .mark_point(filled=True, size=50, opacity=0.75, color=ARM_COLOURS[first])
        .encode(
            x=x,
            y=y,
            tooltip=tips(
                "architecture",
                f"first|{first}|.4f",
                f"second|{second}|.4f",
                "difference||+.4f",
                "n_parameters",
            ),
        )
    )
    zero = alt.Chart().mark_rule(color="#7b8794").encode(y=alt.datum(0))
    median = wide["difference"].median()
    line = pd.DataFrame({"difference": [median], "label": [f"median {median:+.3f}"]})
    base = alt.Chart(line).encode(y=y)
    rule = base.mark_rule(strokeWidth=2, strokeDash=[5, 4], color="#222222")
    words = base.mark_text(align="left", dx=6, dy=-8, fontSize=12, color="#1f2933").encode(
        x=alt.value(0), text="label:N"
    )
    return alt.layer(zero, points, words, rule).properties(height=CHART_HEIGHT)


def describe(frame: pd.DataFrame, *, arms: Sequence[str]) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"Nothing is drawn: this result set has no data set with both {' and '.join(arms)}."
    wide = data(frame, arms=arms)
    difference = wide["difference"]
    return (
        f"Difference in test accuracy, {arms[0]} minus {arms[1]}, of {len(wide)} models "
        f"({next(iter(frame['datasets']))}): from {difference.min():.3f} to "
        f"{difference.max():.3f}, median {difference.median():.3f}; {(difference > 0).sum()} "
        f"models are better {arms[0]}."
    )


def _accuracy_title(frame: pd.DataFrame) -> str:
    """Axis title that says which data sets the accuracy is of."""
    names = next(iter(frame["datasets"]), "").split(", ")
    return f"Test accuracy, {'mean of ' if len(names) > 1 else ''}{', '.join(names)}"
