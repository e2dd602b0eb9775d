"""Figure 4b: ImageNet-1k validation accuracy and PePR-M of the architectures, by their size."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.chapters.imagenet import NOTHING
from paper.figures.by_size import describe as describe_by_size
from paper.figures.by_size import scatter
from paper.figures.common import nothing_to_draw, tips


def chart(frame: pd.DataFrame, value: str, title: str) -> alt.LayerChart | alt.Chart:
    """Draw ``top1`` or ``pepr`` against size; a note where there is nothing to draw."""
    known = frame.dropna(subset=[value, "n_parameters"])
    if known.empty:
        return nothing_to_draw(NOTHING)
    return scatter(
        known,
        alt.Y(f"{value}:Q", title=title, scale=alt.Scale(zero=False, padding=28)),
        tips(
            "matched|weights|",
            "image_size|validated at (px)|",
            "top1|top-1|.4f",
            "reserved_memory_gb|memory (GB)|.1f",
            "pepr|PePR-M|.4f",
        ),
        summary=value,
    )


def describe(frame: pd.DataFrame, value: str, what: str) -> str:
    """Write the alternative text from the chart's data."""
    known = frame.dropna(subset=[value, "n_parameters"])
    if known.empty:
        return f"Nothing is drawn: {NOTHING}."
    return describe_by_size(known, value, what, digits=3)
