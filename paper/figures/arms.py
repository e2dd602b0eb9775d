"""Figures 3a and 3b: test accuracy of all models under two ways of training, as violins."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from paper.figures.common import ARM_COLOURS, CHART_HEIGHT, nothing_to_draw, tips


def chart(frame: pd.DataFrame, *, arms: Sequence[str]) -> alt.LayerChart | alt.Chart:
    """Two violins with their points and medians, side by side; a note where the frame is empty."""
    if frame.empty:
        return nothing_to_draw(f"this result set has no data set with both: {' and '.join(arms)}")
    placed = _placed(frame, arms)
    labels = " : ".join(f"datum.value == {i} ? '{arm}'" for i, arm in enumerate(arms)) + " : ''"
    x = alt.X(
        "x:Q",
        title=None,
        scale=alt.Scale(domain=[-0.5, len(arms) - 0.5], nice=False),
        axis=alt.Axis(
            values=list(range(len(arms))), labelExpr=labels, grid=False, labelFontSize=14
        ),
    )
    y = alt.Y("test_accuracy:Q", title=_accuracy_title(frame), scale=alt.Scale(zero=False))
    colour = alt.Color(
        "arm:N",
        legend=None,
        scale=alt.Scale(domain=list(arms), range=[ARM_COLOURS[arm] for arm in arms]),
    )
    points = (
        alt.Chart(placed)
        .mark_circle(size=22, opacity=0.65)
        .encode(
            x=x,
            y=y,
            color=colour,
            tooltip=tips("architecture", "arm", "test_accuracy", "n_parameters"),
        )
    )
    medians = placed.groupby(["arm", "centre"], as_index=False)["test_accuracy"].median()
    medians = medians.assign(x=medians["centre"] - 0.2, x2=medians["centre"] + 0.2)
    median_rule = (
        alt.Chart(medians)
        .mark_rule(strokeWidth=3, color="#222222")
        .encode(
            x="x:Q",
            x2="x2:Q",
            y="test_accuracy:Q",
            tooltip=tips("arm", "test_accuracy|median|.4f"),
        )
    )
    return alt.layer(_violins(placed, colour), points, median_rule).properties(height=CHART_HEIGHT)


def describe(frame: pd.DataFrame, *, arms: Sequence[str]) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"Nothing is drawn: this result set has no data set with both {' and '.join(arms)}."
    groups = frame.groupby("arm")["test_accuracy"]
    parts = [
        f"{arm}: {groups.size()[arm]} models from {groups.min()[arm]:.3f} "
        f"to {groups.max()[arm]:.3f}, median {groups.median()[arm]:.3f}."
        for arm in arms
    ]
    return f"Two violins of test accuracy ({next(iter(frame['datasets']))}). " + " ".join(parts)


def _accuracy_title(frame: pd.DataFrame) -> str:
    """Axis title that says which data sets the accuracy is of."""
    names = next(iter(frame["datasets"]), "").split(", ")
    return f"Test accuracy, {'mean of ' if len(names) > 1 else ''}{', '.join(names)}"


def _placed(frame: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Add each arm's centre on the x axis and a jitter that is the same in every build."""
    centre = frame["arm"].map({arm: i for i, arm in enumerate(arms)}).astype(float)
    spread = (frame.groupby("arm").cumcount() * 0.6180339887) % 1 - 0.5
    return frame.assign(centre=centre, x=centre + 0.12 * spread)


def _violins(placed: pd.DataFrame, colour: alt.Color) -> alt.Chart:
    low, high = placed["test_accuracy"].min(), placed["test_accuracy"].max()
    margin = 0.2 * (high - low) + 0.01
    return (
        alt.Chart(placed)
        .transform_density(
            "test_accuracy",
            groupby=["arm", "centre"],
            as_=["test_accuracy", "density"],
            extent=[max(0.0, low - margin), min(1.0, high + margin)],
            steps=120,
        )
        .transform_joinaggregate(peak="max(density)")
        .transform_calculate(
            left="datum.centre - 0.4 * datum.density / datum.peak",
            right="datum.centre + 0.4 * datum.density / datum.peak",
        )
        .mark_area(orient="horizontal", opacity=0.25)
        .encode(x="left:Q", x2="right:Q", y="test_accuracy:Q", color=colour)
    )
