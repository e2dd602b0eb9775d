"""Figure 1: publications on artificial intelligence per inhabitant, by region, in two years."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import ROW_HEIGHT, colours, tips
from paper.site.theme import PALETTE

#: Of both years; no group of models has these.
YEAR_COLOURS = {"2013": PALETTE[7], "2022": PALETTE[5]}


def chart(frame: pd.DataFrame) -> alt.LayerChart:
    """A line from the first year to the last for each region, the highest first."""
    last = frame["year"].max()
    order = frame[frame["year"] == last].sort_values("per_million", ascending=False)["region"]
    base = alt.Chart(frame.assign(year=frame["year"].astype(str))).encode(
        y=alt.Y("region:N", title=None, sort=order.tolist(), axis=alt.Axis(labelLimit=175)),
        x=alt.X(
            "per_million:Q",
            title="Per million (log scale)",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=[1, 10, 100, 1000], format=","),
        ),
        tooltip=tips(
            "region",
            "year",
            "countries|countries|",
            "publications||,",
            "population||,",
            "per_million|per million|,.1f",
        ),
    )
    lines = base.mark_line(color="#b8c0c9", strokeWidth=3).encode(detail="region:N")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        color=alt.Color("year:N", title="Year", scale=colours(YEAR_COLOURS))
    )
    return alt.layer(lines, points).properties(height=ROW_HEIGHT * len(order))


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    wide = frame.pivot(index="region", columns="year", values="per_million")
    first, last = wide.columns.min(), wide.columns.max()
    ordered = wide.sort_values(last, ascending=False)
    parts = [f"{region} {row[first]:.3g} and {row[last]:.3g}" for region, row in ordered.iterrows()]
    return (
        f"Publications per million inhabitants in {first} and {last}, by region, on a log scale: "
        + "; ".join(parts)
        + "."
    )
