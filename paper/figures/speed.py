"""How fast training is against three rivals."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import BLUE, GREEN, VERMILION, tips

_COLOURS = {"plain loop": BLUE, "timm's step": GREEN, "bare step": VERMILION}


def chart(ratios: pd.DataFrame, protocol: str) -> alt.LayerChart:
    """One row per architecture: each rival's time over ours, a line where they are equal."""
    frame = ratios[ratios["protocol"] == protocol]
    domain = list(_COLOURS)
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=45, opacity=0.75)
        .encode(
            x=alt.X("ratio:Q", title="Rival's time over ours", scale=alt.Scale(zero=False)),
            y=alt.Y("architecture:N", title=None),
            color=alt.Color(
                "rival:N",
                title="Rival",
                scale=alt.Scale(domain=domain, range=list(_COLOURS.values())),
                legend=alt.Legend(orient="top", columns=2),
            ),
            tooltip=tips("architecture", "rival", "channels", "image_size", "ratio|ratio|.2f"),
        )
    )
    rule = alt.Chart(pd.DataFrame({"x": [1]})).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return alt.layer(rule, points)


def describe(ratios: pd.DataFrame, protocol: str) -> str:
    """Write the alternative text from the chart's data."""
    frame = ratios[ratios["protocol"] == protocol]
    medians = frame.groupby("rival", sort=False)["ratio"].median()
    said = ", ".join(f"{value:.2f} for the {rival}" for rival, value in medians.items())
    return (
        f"Time of three rivals over ours for {frame['architecture'].nunique()} architectures under "
        f"{protocol}; above 1 ours is faster. Medians: {said}."
    )
