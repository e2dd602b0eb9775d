"""Figure 2a: the score over all resources and performances, with its isoclines."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import CHART_HEIGHT, alpha_slider, score_colour, tips
from pepr_utils.scoring import pepr

#: Cells of the shading along each axis, and the scores that have an isocline.
CELLS = 40
ISOCLINES = tuple(round(0.1 * i, 1) for i in range(1, 10))


def data(
    *, alpha: float = 1.0, low: float = 0.0, high: float = 1.0, reach: float = 1.0
) -> pd.DataFrame:
    """Score at the middle of each cell of a grid over resource and performance.

    Parameters
    ----------
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    low, high : float
        Range of the performance shown.
    reach : float, default 1.0
        Largest resource shown.

    Returns
    -------
    pandas.DataFrame, shape (1600, 7)
        ``resource``, ``performance``, ``pepr``, and the edges of the cell.
    """
    step, height = reach / CELLS, (high - low) / CELLS
    r0, p0 = np.meshgrid(np.arange(CELLS) * step, low + np.arange(CELLS) * height)
    frame = pd.DataFrame({"r_from": r0.ravel(), "p_from": p0.ravel()})
    frame = frame.assign(
        # Cells overlap a little, so that no seams show between them.
        r_to=(frame["r_from"] + 1.06 * step).clip(upper=reach),
        p_to=(frame["p_from"] + 1.06 * height).clip(upper=high),
        resource=frame["r_from"] + step / 2,
        performance=frame["p_from"] + height / 2,
    )
    return frame.assign(pepr=pepr(frame["performance"], frame["resource"], alpha=alpha)).round(6)


def chart(frame: pd.DataFrame, *, alpha: float = 1.0) -> alt.LayerChart:
    """Figure 2a; a slider moves alpha, and shading and isoclines with it."""
    lines = _isocline_points()
    line = (
        alt.Chart(lines)
        .transform_calculate(performance="datum.level * (alpha + datum.resource) / alpha")
        .transform_filter("datum.performance <= 1")
    )
    isoclines = line.mark_line(color="#1f2933", strokeWidth=1).encode(
        x="resource:Q", y="performance:Q", detail="level:N"
    )
    labels = (
        line.transform_filter("datum.resource == 0")
        .mark_text(align="left", dx=4, dy=10, fontSize=11, color="#1f2933")
        .encode(x="resource:Q", y="performance:Q", text=alt.Text("level:Q", format=".1f"))
    )
    layers = alt.layer(shading(frame), isoclines, labels)
    return layers.add_params(alpha_slider(alpha)).properties(height=CHART_HEIGHT + 40)


def shading(frame: pd.DataFrame) -> alt.Chart:
    """Draw the grid as a background, brighter where the score is higher, by the chart's alpha."""
    low, high = float(frame["p_from"].min()), float(frame["p_to"].max())
    return (
        alt.Chart(frame.drop(columns="pepr"))
        .transform_calculate(score="alpha * datum.performance / (alpha + datum.resource)")
        .mark_rect()
        .encode(
            x=alt.X("r_from:Q", title="Normalised resource R", scale=alt.Scale(domain=[0, 1])),
            x2="r_to:Q",
            y=alt.Y(
                "p_from:Q",
                title="Performance P",
                scale=alt.Scale(domain=[low, high], nice=False, zero=False),
            ),
            y2="p_to:Q",
            color=score_colour("score:Q"),
            tooltip=tips("resource|R|.3f", "performance|P|.3f", "score|PePR|.3f"),
        )
    )


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    best = frame.nlargest(1, "pepr").iloc[0]
    worst = frame[frame["performance"] == frame["performance"].max()].nlargest(1, "resource")
    return (
        "The score shaded over normalised resource and performance, brighter where it is higher: "
        f"{best['pepr']:.2f} in the upper left corner and {worst['pepr'].iloc[0]:.2f} in the upper "
        f"right one. Isoclines for scores from {ISOCLINES[0]} to {ISOCLINES[-1]} are straight "
        "lines that rise to the right, the steeper the higher the score."
    )


def _isocline_points() -> pd.DataFrame:
    resources = np.linspace(0, 1, CELLS * 2 + 1)
    return pd.DataFrame(
        {"level": level, "resource": float(r)} for level in ISOCLINES for r in resources
    )
