"""Shared by the figures: one colour for each group everywhere, the size axis and its shading."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.site.theme import PALETTE
from pepr_utils.results import LARGE_ABOVE
from pepr_utils.results.groups import UNCLASSIFIED

BLUE, VERMILION, GREEN, PURPLE, ORANGE = PALETTE[:5]

TYPE_COLOURS = {"CNN": BLUE, "Other": ORANGE, UNCLASSIFIED: PURPLE}
EFFICIENT_SHAPES = {"efficient": "triangle-up", "not efficient": "circle", UNCLASSIFIED: "square"}
#: Colour of each arm of the two training comparisons.
ARM_COLOURS = {"fine-tuned": BLUE, "from scratch": VERMILION, "100 %": BLUE, "10 %": GREEN}
#: Colour of small and of large models, where size is no axis.
SIZE_COLOURS = {"small": GREEN, "large": PURPLE}

CHART_HEIGHT = 340
#: Of one row of a chart with names on its axis: a height in steps makes Vega-Lite warn.
ROW_HEIGHT = 22


def size_axis(frame: pd.DataFrame) -> alt.X:
    """Logarithmic axis of the number of parameters, with room on both sides."""
    low, high = frame["n_parameters"].min(), frame["n_parameters"].max()
    return alt.X(
        "n_parameters:Q",
        title="Trainable parameters (log scale)",
        scale=alt.Scale(type="log", domain=[low * 0.8, high * 1.25], nice=False),
        axis=alt.Axis(format="~s", values=[m * 10**e for e in range(3, 10) for m in (1, 2, 5)]),
    )


def large_shading(frame: pd.DataFrame) -> alt.Chart:
    """Grey background behind the large models, where the frame has any."""
    high = frame["n_parameters"].max() * 1.25
    band = pd.DataFrame({"from": [LARGE_ABOVE], "to": [max(high, LARGE_ABOVE)]})
    return alt.Chart(band).mark_rect(color="#888888", opacity=0.12).encode(x="from:Q", x2="to:Q")


def class_encodings(frame: pd.DataFrame) -> dict[str, object]:
    """Colour by type and shape by efficiency, the same in every figure.

    Models that the paper does not classify have a colour and a shape of their own, in the legend
    only where there are any.
    """
    one = alt.Legend(columns=1)  # both fit beside each other on a phone
    return {
        "color": alt.Color(
            "type:N", title="Type", legend=one, scale=_scale(TYPE_COLOURS, frame["type"])
        ),
        "shape": alt.Shape(
            "efficient:N",
            title="Efficiency",
            legend=one,
            scale=_scale(EFFICIENT_SHAPES, frame["efficient"]),
        ),
    }


#: Title and format of what many tooltips show, the same in every figure.
_TIPS = {
    "energy_wh": ("energy (Wh)", ".1f"),
    "memory_gb": ("memory (GB)", ".1f"),
    "n_parameters": ("parameters", ","),
    "pepr": ("PePR-E", ".4f"),
    "resource": ("R", ".4f"),
    "score": ("PePR-E", ".4f"),
    "test_accuracy": ("test accuracy", ".4f"),
}


def tips(*fields: str) -> list[alt.Tooltip]:
    """Tooltip lines: known quantities by name, others as ``name|title|format``."""
    lines = []
    for field in fields:
        name, *own = field.split("|")
        title, form = own or _TIPS.get(name, ("", ""))
        lines.append(
            alt.Tooltip(
                f"{name}:{'Q' if form else 'N'}",
                title=title or alt.Undefined,
                format=form or alt.Undefined,
            )
        )
    return lines


def colours(mapping: dict[str, str]) -> alt.Scale:
    """Scale that gives each name its colour or shape."""
    return alt.Scale(domain=list(mapping), range=list(mapping.values()))


def class_tooltips() -> list[alt.Tooltip]:
    """Tooltip lines that say which model a point is."""
    return tips(
        "architecture|architecture|", "n_parameters", "type", "efficient|efficiency|", "size"
    )


def alpha_slider(alpha: float, *, highest: float = 20.0) -> alt.Parameter:
    """Slider named ``alpha``, set to the chapter's alpha."""
    return alt.param(
        name="alpha",
        value=alpha,
        bind=alt.binding_range(min=1, max=max(highest, alpha), step=0.5, name="alpha "),
    )


def score_colour(field: str) -> alt.Color:
    """Shading of the background by score, light where it is high."""
    return alt.Color(
        field,
        title="PePR",
        scale=alt.Scale(domain=[0, 1], range=["#86a5c4", "#ffffff"], interpolate="rgb"),
        legend=alt.Legend(gradientLength=110, orient="top"),
    )


def nothing_to_draw(reason: str) -> alt.Chart:
    """Show in the chart's place why there is none."""
    return (
        alt.Chart(pd.DataFrame({"reason": [reason]}))
        .mark_text(size=15, color="#555555")
        .encode(text="reason:N")
        .properties(height=80)
    )


def _scale(mapping: dict[str, str], present: pd.Series) -> alt.Scale:
    known = {k: v for k, v in mapping.items() if k != UNCLASSIFIED or (present == k).any()}
    return colours(known)
