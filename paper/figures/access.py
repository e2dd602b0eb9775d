"""Figure 1: publications on artificial intelligence per inhabitant, by region, in two years."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import colours, tips
from paper.site.theme import PALETTE

#: Of both years; no group of models has these.
YEAR_COLOURS = {"2013": PALETTE[7], "2022": PALETTE[5]}


def chart(frame: pd.DataFrame) -> alt.Chart:
    """Bars by region, both years beside each other, the region with most in the last year first."""
    last = frame["year"].max()
    order = frame[frame["year"] == last].sort_values("per_million", ascending=False)["region"]
    return (
        alt.Chart(frame.assign(year=frame["year"].astype(str)))
        .mark_bar()
        .encode(
            y=alt.Y("region:N", title=None, sort=order.tolist(), axis=alt.Axis(labelLimit=170)),
            yOffset=alt.YOffset("year:N"),
            x=alt.X("per_million:Q", title="Publications per million inhabitants"),
            color=alt.Color(
                "year:N",
                title="Year",
                scale=colours(YEAR_COLOURS),
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
        .properties(height=30 * frame["region"].nunique())
    )


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    wide = frame.pivot(index="region", columns="year", values="per_million")
    first, last = wide.columns.min(), wide.columns.max()
    ordered = wide.sort_values(last, ascending=False)
    parts = [f"{region} {row[first]:.0f} and {row[last]:.0f}" for region, row in ordered.iterrows()]
    return (
        f"Bars of publications per million inhabitants in {first} and {last}, by region: "
        + "; ".join(parts)
        + "."
    )
