"""Figures 2c, 3c and 3d: energy, test accuracy and PePR-E of each architecture by its size."""

from __future__ import annotations

import json

import altair as alt
import pandas as pd

from paper.figures.common import (
    CHART_HEIGHT,
    VERMILION,
    alpha_slider,
    class_encodings,
    class_tooltips,
    large_shading,
    size_axis,
    tips,
)
from pepr_utils.results.groups import (
    averaged_experiments,
    performance_columns,
)


def energy_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Figure 2c: mean energy against size, the median size marked by a red line."""
    y = alt.Y(
        "energy_wh:Q", title=_mean_title("Energy per run (Wh)", frame), scale=alt.Scale(zero=True)
    )
    median = pd.DataFrame({"median": [float(frame["n_parameters"].median())]})
    line = (
        alt.Chart(median)
        .mark_rule(color=VERMILION, strokeWidth=2)
        .encode(x="median:Q", tooltip=tips("median|median parameters|,"))
    )
    tooltips = tips("energy_wh", "pepr")
    return scatter(frame, y, tooltips, line)


def accuracy_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Figure 3c: mean test accuracy against size."""
    y = alt.Y(
        "test_accuracy:Q",
        title=_mean_title("Test accuracy", frame),
        scale=alt.Scale(zero=False, padding=28),
    )
    return scatter(frame, y, tips("test_accuracy"), summary="test_accuracy")


def score_chart(frame: pd.DataFrame, *, alpha: float = 1.0, cost: str = "E") -> alt.LayerChart:
    """Figure 3d: mean score against size; a slider moves alpha and every point with it."""
    name = f"PePR-{cost}"
    performance = performance_columns(frame)
    fields = [(json.dumps(p), json.dumps(f"R{p[1:]}")) for p in performance]
    terms = [f"alpha * datum[{p}] / (alpha + datum[{r}])" for p, r in fields]
    y = alt.Y("score:Q", title=_mean_title(name, frame), scale=_score_scale(frame))
    tooltips = tips(f"score|{name}|.4f", "test_accuracy", "energy_wh")
    expression = f"({' + '.join(terms)}) / {len(terms)}"
    chart = scatter(frame.drop(columns="pepr"), y, tooltips, summary="score", calculate=expression)
    return chart.add_params(alpha_slider(alpha))


def _score_scale(frame: pd.DataFrame) -> alt.Scale:
    """Domain that holds every score at any alpha, so that the slider moves points, not the axis."""
    performance = performance_columns(frame)
    lowest = sum(frame[p] / (1 + frame[f"R{p[1:]}"]) for p in performance) / len(performance)
    low, high = lowest.min(), frame["test_accuracy"].max()
    margin = 0.05 * (high - low) + 0.005
    return alt.Scale(domain=[max(0.0, low - margin), min(1.0, high + 2 * margin)], nice=False)


def _mean_title(what: str, frame: pd.DataFrame) -> str:
    """Axis title that says over how many experiments a point is the mean."""
    return f"{what}, {averaged_experiments(frame)}"


def describe(frame: pd.DataFrame, column: str, what: str, *, digits: int) -> str:
    """Write the alternative text from the chart's data.

    Examples
    --------
    >>> frame = pd.DataFrame({"size": ["small", "large"], "n_parameters": [1e6, 3e7], "x": [1, 2]})
    >>> print(describe(frame, "x", "Cost", digits=0))
    Scatter plot of 2 models. Cost against number of parameters, on a log scale.
    Small models: 1 from 1 to 1, median 1. Large models: 1 from 2 to 2, median 2.
    """
    groups = [
        f"{size.capitalize()} models: {len(part)} from {part[column].min():.{digits}f} "
        f"to {part[column].max():.{digits}f}, median {part[column].median():.{digits}f}."
        for size in ("small", "large")
        if len(part := frame[frame["size"] == size])
    ]
    start = f"Scatter plot of {len(frame)} models. {what} against number of parameters, "
    return start + "on a log scale. " + " ".join(groups)


def scatter(
    frame: pd.DataFrame,
    y: alt.Y,
    tooltips: list[alt.Tooltip],
    *extra: alt.Chart,
    summary: str | None = None,
    calculate: str | None = None,
) -> alt.LayerChart:
    """Models by size, in the colours and shapes of their classes.

    With `summary`, the name of what is drawn, the medians of small and of large models are lines,
    and the highest model of either size is named. `calculate` is the expression of ``score``.
    """
    base = alt.Chart(frame)
    if calculate:
        base = base.transform_calculate(score=calculate)
    points = base.mark_point(filled=True, size=55, opacity=0.8).encode(
        x=size_axis(frame),
        y=y,
        tooltip=class_tooltips() + tooltips,
        **class_encodings(frame),
    )
    above = [median_lines(base, y, summary), *_leaders(base, y, summary)] if summary else []
    layers = alt.layer(large_shading(frame), *extra, *above, points)
    return layers.properties(height=CHART_HEIGHT)


def median_lines(base: alt.Chart, y: alt.Y, column: str) -> alt.Chart:
    """Medians of small and of large models as lines over their sizes."""
    median = y.copy()
    median.shorthand = "median:Q"
    medians = base.transform_aggregate(
        median=f"median({column})",
        left="min(n_parameters)",
        right="max(n_parameters)",
        groupby=["size"],
    )
    return medians.mark_rule(strokeWidth=2.5, color="#222222", opacity=0.85).encode(
        x="left:Q", x2="right:Q", y=median, tooltip=tips("size", "median||.4f")
    )


def _leaders(base: alt.Chart, y: alt.Y, column: str) -> list[alt.Chart]:
    """Name the highest small and the highest large model."""
    highest = base.transform_window(
        place="row_number()", sort=[alt.SortField(column, order="descending")], groupby=["size"]
    )
    return [
        highest.transform_filter(f"datum.place == 1 && datum.size == '{size}'")
        .mark_text(align=align, dx=dx, dy=dy, fontSize=12, **drawn)
        .encode(x="n_parameters:Q", y=y, text="architecture:N")
        for size, align, dx, dy in (("small", "left", -6, -9), ("large", "right", 6, -22))
        for drawn in ({"stroke": "white", "strokeWidth": 3}, {"color": "#1f2933"})
    ]
