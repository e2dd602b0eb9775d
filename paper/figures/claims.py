"""The claims of the paper by section and by outcome."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import BLUE, GREEN, ROW_HEIGHT, VERMILION, colours, tips
from pepr_utils.ledger import ANOTHER_READING, NOT_CHECKABLE, NOT_REPRODUCED, OUTCOMES, REPRODUCED

#: Short names of the outcomes, and their colours.
_NAMES = {
    REPRODUCED: "reproduced",
    ANOTHER_READING: "another reading",
    NOT_REPRODUCED: "not reproduced",
    NOT_CHECKABLE: "not checkable",
}
_COLOURS = dict(zip(_NAMES.values(), (GREEN, BLUE, VERMILION, "#b8c0c9"), strict=True))


def chart(counts: pd.DataFrame) -> alt.Chart:
    """A bar for each section, divided by outcome; `counts` as of `paper.chapters.claims`."""
    sections = counts[counts["section"] != "all"]
    long = sections.rename(columns=_NAMES).melt("section", list(_COLOURS), "outcome", "n")
    return (
        alt.Chart(long.assign(order=long["outcome"].map(list(_COLOURS).index)))
        .mark_bar()
        .encode(
            y=alt.Y("section:N", title="Section", sort=sections["section"].tolist()),
            x=alt.X("n:Q", title="Claims"),
            color=alt.Color("outcome:N", title=None, scale=colours(_COLOURS)),
            order="order:Q",
            tooltip=tips("section", "outcome", "n|claims|d"),
        )
        .properties(height=ROW_HEIGHT * len(sections))
    )


def describe(counts: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    rows = counts.set_index("section")[list(OUTCOMES)]
    parts = [
        f"{section}: " + ", ".join(f"{n} {outcome}" for outcome, n in row.items() if n)
        for section, row in rows.iterrows()
    ]
    return "Bars of the number of claims by section and outcome. " + "; ".join(parts) + "."
