"""Figure 4a: every model at every epoch, the Pareto front over the shaded score."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures import profile
from paper.figures.common import CHART_HEIGHT, ORANGE, VERMILION, alpha_slider, tips


def chart(frame: pd.DataFrame, *, alpha: float = 1.0, enlarged: bool = False) -> alt.LayerChart:
    """Figure 4a; a slider moves alpha, and the shading with it.

    With `enlarged` only the corner is drawn that holds the front.
    """
    if enlarged:
        frame = corner(frame)
    reach = float(frame["resource"].max()) if enlarged else 1.0
    low, below = _floor(frame["test_accuracy"])
    high = min(1.0, float(frame["test_accuracy"].max()) + 0.02)
    columns = ["architecture", "epoch", "resource", "test_accuracy", "role"]
    base = alt.Chart(frame.loc[frame["test_accuracy"] >= low, columns]).transform_calculate(
        score="alpha * datum.test_accuracy / (alpha + datum.resource)"
    )
    place = {"x": "resource:Q", "y": "test_accuracy:Q"}
    tooltips = tips("architecture", "epoch", "resource", "test_accuracy", "score", "role")
    others = (
        base.transform_filter("datum.role == 'other'")
        .mark_point(filled=True, size=14, color="#323f4b", opacity=0.45)
        .encode(**place, tooltip=tooltips)
    )
    front = base.transform_filter("datum.role != 'other'")
    steps = front.mark_line(interpolate="step-after", color=ORANGE, strokeWidth=1.5).encode(**place)
    points = front.mark_point(filled=True, size=70, opacity=1, stroke="#1f2933").encode(
        **place,
        fill=alt.Fill(
            "role:N",
            title=None,
            legend=alt.Legend(columns=1),
            scale=alt.Scale(domain=["Pareto front", "knee"], range=[ORANGE, VERMILION]),
        ),
        tooltip=tooltips,
    )
    grid = profile.data(alpha=alpha, low=low, high=high, reach=reach)
    background = profile.shading(grid).encode(
        x=alt.X(
            "r_from:Q",
            title="R: cumulative energy, normalised",
            scale=alt.Scale(domain=[0, reach], nice=False),
        ),
        y=alt.Y(
            "p_from:Q",
            title="Test accuracy",
            scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        ),
    )
    layers = alt.layer(background, others, steps, points, *_not_drawn(frame.loc[below], low))
    return layers.add_params(alpha_slider(alpha)).properties(height=CHART_HEIGHT + 40)


def _floor(accuracy: pd.Series) -> tuple[float, pd.Series]:
    """Where the axis begins, and which few points lie far below it: they would stretch it."""
    low, high = accuracy.quantile(0.005), accuracy.max()
    below = accuracy < low - 0.5 * (high - low)
    return max(0.0, float(accuracy[~below].min()) - 0.02), below


def _not_drawn(frame: pd.DataFrame, low: float) -> list[alt.Chart]:
    """Arrows at the lower edge for points below it, the lowest of them in words."""
    if frame.empty:
        return []
    lowest = frame.nsmallest(1, "test_accuracy").iloc[0]
    others = f" and {len(frame) - 1} more" if len(frame) > 1 else ""
    words = f"{lowest['architecture']}{others}, down to {lowest['test_accuracy']:.3f}"
    edge = frame.assign(low=low, words="").reset_index(drop=True)
    edge.loc[0, "words"] = words
    base = alt.Chart(edge).encode(x="resource:Q", y="low:Q")
    arrows = base.mark_point(shape="triangle-down", filled=True, size=70, color="#323f4b", dy=-6)
    text = base.mark_text(align="left", dx=8, dy=-9, fontSize=11, color="#1f2933")
    tooltips = tips("architecture", "epoch", "resource", "test_accuracy")
    return [arrows.encode(tooltip=tooltips), text.encode(text="words:N")]


def corner(frame: pd.DataFrame) -> pd.DataFrame:
    """The points near the front: at most half as expensive again, no worse than its worst."""
    front = frame[frame["role"] != "other"]
    near = (frame["resource"] <= 1.5 * front["resource"].max()) & (
        frame["test_accuracy"] >= front["test_accuracy"].min()
    )
    return frame[near].reset_index(drop=True)


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    front = frame[frame["role"] != "other"]
    ends = [f"{r.architecture} after epoch {r.epoch}" for r in front.iloc[[0, -1]].itertuples()]
    knee = frame[frame["role"] == "knee"]
    text = (
        f"Test accuracy against normalised cumulative energy for {len(frame)} points, "
        f"{frame['architecture'].nunique()} models after each epoch, over a background that is "
        f"brighter where PePR-E is higher. The {len(front)} points of the Pareto front run from "
        f"{ends[0]} to {ends[1]}, all at R of at most {front['resource'].max():.2f}."
    )
    if len(knee):
        row = knee.iloc[0]
        text += f" The knee is {row['architecture']} after epoch {row['epoch']}."
    return text
