"""Figure 2b: performance curve and PePR curve of one architecture, with the optimum."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.chapters.curve import default_architecture
from paper.figures.common import BLUE, CHART_HEIGHT, ORANGE, VERMILION, alpha_slider, tips
from pepr_utils.errors import unknown_name

PERFORMANCE, SCORE = "test accuracy", "PePR-E"


def chart(
    frame: pd.DataFrame, *, architecture: str | None = None, alpha: float = 1.0
) -> alt.LayerChart:
    """Figure 2b; a menu chooses the architecture, a slider alpha."""
    names = sorted(frame["architecture"].unique())
    chosen = architecture or default_architecture(frame)
    if chosen not in names:
        raise unknown_name("architecture", chosen, names)
    menu = alt.param(
        name="architecture",
        value=chosen,
        bind=alt.binding_select(options=names, name="architecture "),
    )
    columns = ["architecture", "epoch", "resource", "test_accuracy"]
    base = (
        alt.Chart(frame[columns])
        .transform_filter("datum.architecture == architecture")
        .transform_calculate(score="alpha * datum.test_accuracy / (alpha + datum.resource)")
        .transform_joinaggregate(highest="max(score)", end="max(resource)")
    )
    x = alt.X(
        "resource:Q",
        title="Cumulative energy, normalised over all models and epochs",
        scale=alt.Scale(zero=False, padding=12),
    )
    tooltips = tips("architecture", "epoch", "resource", "test_accuracy", "score")
    # Of tied epochs the optimum is the one with the smallest resource.
    best = (
        base.transform_filter("datum.score == datum.highest")
        .transform_joinaggregate(first="min(resource)")
        .transform_filter("datum.resource == datum.first")
    )
    region = best.mark_rect(color="#888888", opacity=0.12).encode(x=x, x2="end:Q")
    both = base.transform_fold(["test_accuracy", "score"], as_=["key", "value"])
    both = both.transform_calculate(curve=f"datum.key == 'score' ? '{SCORE}' : '{PERFORMANCE}'")
    y = alt.Y(
        "value:Q",
        title="Test accuracy and PePR-E",
        scale=alt.Scale(zero=False, padding=12),
    )
    colour = alt.Color(
        "curve:N", title=None, scale=alt.Scale(domain=[PERFORMANCE, SCORE], range=[BLUE, VERMILION])
    )
    lines = both.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    points = both.mark_point(filled=True, size=40, opacity=1).encode(
        x=x, y=y, color=colour, tooltip=tooltips
    )
    star = best.mark_point(
        filled=True, size=190, color=ORANGE, opacity=1, stroke="#1f2933", strokeWidth=1.5
    ).encode(x=x, y=alt.Y("score:Q"), tooltip=tooltips)
    layers = alt.layer(region, lines, points, star)
    return layers.add_params(menu, alpha_slider(alpha)).properties(height=CHART_HEIGHT)


def describe(frame: pd.DataFrame, *, architecture: str | None = None) -> str:
    """Write the alternative text from the chart's data."""
    name = architecture or default_architecture(frame)
    part = frame[frame["architecture"] == name]
    best = part[part["optimum"]].iloc[0]
    last = part.iloc[-1]
    return (
        f"Test accuracy and PePR-E of {name} after each of {len(part)} epochs, against normalised "
        f"cumulative energy. The highest score, {best['pepr']:.4f}, is that of epoch "
        f"{best['epoch']}; after the last epoch it is {last['pepr']:.4f}, at a test accuracy of "
        f"{last['test_accuracy']:.4f}. A menu shows the other architectures."
    )
