"""Energy against regret of the rules of a race, by alpha, on the sets that it was replayed on."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.chapters.race import by_rule
from paper.figures.common import CHART_HEIGHT, colours, tips
from paper.site.theme import PALETTE

_SHAPES = ("circle", "triangle-up", "square")


def data(found: pd.DataFrame) -> pd.DataFrame:
    """Summarise replayed races by set, alpha and rule.

    Returns
    -------
    pandas.DataFrame
        The columns of `by_rule` with plain names, and ``set``, ``alpha``, ``rule``.
    """
    frame = by_rule(found, ("set", "alpha", "rule"))
    return frame.rename(columns=lambda name: name.replace(" ", "_"))


def chart(frame: pd.DataFrame, *, alpha: float = 1.0) -> alt.Chart:
    """Mean regret against mean energy, a point for each rule and set; buttons choose alpha."""
    rules = list(frame["rule"].unique())
    sets = list(frame["set"].unique())
    alphas = [float(a) for a in frame["alpha"].unique()]
    chosen = alt.param(
        name="alpha",
        value=alpha,
        bind=alt.binding_radio(options=alphas, labels=[f"{a:g}" for a in alphas], name="alpha "),
    )
    return (
        alt.Chart(frame)
        .transform_filter("datum.alpha == alpha")
        .mark_point(filled=True, size=110, opacity=0.9)
        .encode(
            x=alt.X(
                "energy:Q",
                title="Energy, as a share of training all (log scale)",
                scale=alt.Scale(type="log", nice=False, padding=12),
                axis=alt.Axis(values=[0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1], format="~g"),
            ),
            y=alt.Y("mean_regret:Q", title="Mean regret (PePR-E)"),
            color=alt.Color(
                "rule:N",
                title="Rule",
                scale=colours(dict(zip(rules, (*PALETTE, "#000000"), strict=False))),
            ),
            shape=alt.Shape(
                "set:N",
                title="Data",
                scale=colours(dict(zip(sets, _SHAPES, strict=False))),
                legend=alt.Legend(orient="bottom"),  # beside the other it is too wide for a phone
            ),
            tooltip=tips(
                "rule|rule|",
                "set|data|",
                "energy|energy|.3f",
                "from|from|.3f",
                "to|to|.3f",
                "best_found|best found|d",
                "of|of experiments|d",
                "mean_regret|mean regret|.4f",
                "largest_regret|largest regret|.4f",
            ),
        )
        .add_params(chosen)
        .properties(height=CHART_HEIGHT)
    )


def describe(frame: pd.DataFrame, *, alpha: float = 1.0) -> str:
    """Write the alternative text from the chart's data."""
    first = frame["set"].iloc[0]
    shown = frame[(frame["set"] == first) & (frame["alpha"] == alpha)]
    each = [f"{row.rule} {row.energy:.3f} and {row.mean_regret:.4f}" for row in shown.itertuples()]
    return (
        f"Mean regret against the mean share of the energy of training all, for {len(shown)} rules "
        f"with alpha {alpha:g}. On {first}, energy and regret: {'; '.join(each)}."
    )
