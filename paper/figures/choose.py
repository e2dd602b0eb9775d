"""The chart of the page to choose a model; its script gives it other data, scales and titles."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import BLUE, GREEN, ORANGE, PURPLE, VERMILION, tips

#: What is marked, by shape, colour and size: marks of one model lie around one another.
ROLES = {
    "highest score": ("circle", ORANGE, 330),
    "most accurate": ("diamond", VERMILION, 750),
    "compared": ("square", PURPLE, 160),
}
#: Room around the models on the axis of performance, as a share of their range.
MARGIN = 0.06


def data(view: pd.DataFrame) -> pd.DataFrame:
    """The models of `paper.chapters.choose.default_view` as the chart has them."""
    return pd.DataFrame(
        {
            "model": view["architecture"],
            "x": view["resource"],
            "y": view["test_accuracy"],
            "score": view["pepr"],
            "within": True,
            "front": view["front"],
            "stays": view["stays"].fillna(view["front"].astype(float)),
            "share": [f"{100 * s:.0f} %" for s in view["stays"]],
        }
    )


def chart(frame: pd.DataFrame, *, alpha: float = 1.0) -> alt.LayerChart:
    """Performance against resource, with lines of equal score and the Pareto front."""
    low, high = frame["y"].min(), frame["y"].max()
    margin = MARGIN * (high - low) + 0.005
    x = alt.X(
        "x:Q",
        title="R: energy, normalised, square-root scale",
        scale=alt.Scale(type="sqrt", domain=[0, 1], nice=False),
        axis=alt.Axis(format="~s", labelOverlap=True),
    )
    y = alt.Y(
        "y:Q",
        title="Test accuracy",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False),
    )
    role = {
        name: alt.Scale(domain=list(ROLES), range=[values[i] for values in ROLES.values()])
        for i, name in enumerate(("shape", "color", "size"))
    }
    legend = alt.Legend(title=None, symbolStrokeWidth=2.5)
    lines, texts = isoclines(frame["score"], alpha, low - margin, high + margin)
    levels = _named("isoclines", lines).mark_line(
        aria=False, clip=True, color="#9aa5b1", strokeWidth=1, strokeDash=[4, 3]
    )
    words = _named("labels", texts).mark_text(
        aria=False, align="right", dy=-6, color="#52606d", fontSize=11, clip=True
    )
    limit = _named("limits", frame[["x"]].head(0)).mark_rule(
        aria=False, color="#1f2933", strokeDash=[2, 2]
    )
    front = _named("front", frame[frame["front"]].sort_values("x")).mark_line(
        interpolate="step-after", color=GREEN, strokeWidth=1.5, clip=True
    )
    points = _named("models", frame).mark_point(
        aria=False, filled=True, size=60, strokeWidth=2.5, stroke="#1f2933", clip=True
    )
    shown = points.encode(
        x=x,
        y=y,
        color=alt.condition("datum.within", alt.value(BLUE), alt.value("#b8c0c9")),
        strokeOpacity=alt.StrokeOpacity(
            "stays:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0, 1])
        ),
        tooltip=tips("model|model|", "x|cost|.4~g", "y|performance|.4f", "score|PePR|.4f")
        + tips("share|on the front in|"),
    )
    leading = frame.iloc[[frame["score"].argmax(), frame["y"].argmax()]].assign(
        role=["highest score", "most accurate"], dy=[-16, 18], align=["left", "right"]
    )
    marked = _named("marks", leading)
    rings = marked.mark_point(clip=True, filled=False, strokeWidth=2.5, opacity=1).encode(
        x=x,
        y=y,
        shape=alt.Shape("role:N", scale=role["shape"], legend=legend),
        color=alt.Color("role:N", scale=role["color"], legend=legend),
        size=alt.Size("role:N", scale=role["size"], legend=legend, sort=list(ROLES)),
    )
    names = [
        marked.mark_text(
            clip=True,
            fontSize=12,
            fontWeight=600,
            dy=alt.expr("datum.dy"),
            align=alt.expr("datum.align"),
            **halo,
        ).encode(x=x, y=y, text="model:N")
        for halo in ({"stroke": "white", "strokeWidth": 4}, {})
    ]
    return alt.layer(
        levels.encode(x=x, y=y, detail="level:Q"),
        words.encode(x=x, y=y, text="text:N"),
        limit.encode(x=x),
        front.encode(x=x, y=y),
        shown,
        rings,
        *names,
    ).properties(height=420)


def isoclines(
    score: pd.Series, alpha: float, low: float, high: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lines of equal score over R, `y = score (1 + R / alpha)`, and the words at their ends."""
    step = next((s for s in (0.005, 0.01, 0.02, 0.05, 0.1) if np.ptp(score) / s < 9), 0.2)
    levels = np.arange(np.ceil(score.min() / step), np.ceil(score.max() / step) + 1)
    grid = np.linspace(0, 1, 41) ** 2
    lines = pd.DataFrame(
        [(r, n * step * (1 + r / alpha), n) for n in levels for r in grid],
        columns=["x", "y", "level"],
    )
    ends = lines[lines["y"].between(low, high - 0.04 * (high - low))].groupby("level").tail(1)
    return lines, ends.assign(text=[f"{n * step:.2f}" for n in ends["level"]])


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    best, accurate = frame.loc[frame["score"].idxmax()], frame.loc[frame["y"].idxmax()]
    kept = frame[frame["front"]]
    firm = ", ".join(f"{m} in {share}" for m, share in kept[["model", "share"]].to_numpy())
    return (
        f"Test accuracy against normalised energy of {len(frame)} models, with lines of equal "
        f"score. {best['model']} has the highest score, {best['score']:.3f}; {accurate['model']} "
        f"is the most accurate, {accurate['y']:.3f}. {len(kept)} models are on the Pareto front; "
        f"of the resamplings of the test images they stay on it: {firm}. Controls above the chart "
        "change what is shown; the table below has every number."
    )


def _named(name: str, frame: pd.DataFrame) -> alt.Chart:
    """A chart of rows that the page's script can replace by their name."""
    rows = frame.round(6).to_dict("records")
    return alt.Chart(alt.InlineData(values=rows, name=name))
