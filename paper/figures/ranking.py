"""How a ranking moves with alpha, and how sure each score is."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import BLUE, CHART_HEIGHT, ROW_HEIGHT, nothing_to_draw, tips
from paper.site.theme import PALETTE
from pepr_utils.scoring import leaders_by_alpha, pepr, ranks

#: Alphas of the rank plot, evenly spaced on a log scale.
ALPHAS = tuple(float(a) for a in np.round(np.geomspace(1, 1000, 61), 4))
TOP = 5
NO_INTERVALS = "the set does not have n_test, the number of test images, for every run"


def data(table: pd.DataFrame, *, top: int = TOP) -> pd.DataFrame:
    """Rank over alpha of every model that is among the first `top` for some alpha.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by architecture, with ``test_accuracy`` and ``resource``.
    top : int, default 5
        How far down the ranking a model counts as a leader.

    Returns
    -------
    pandas.DataFrame
        Columns architecture, alpha, rank, pepr, test_accuracy, resource.
    """
    placed, scores = {}, {}
    for alpha in ALPHAS:
        scores[alpha] = pepr(table["test_accuracy"], table["resource"], alpha=alpha)
        placed[alpha] = ranks(scores[alpha])
    rank = pd.DataFrame(placed)
    shown = rank.index[(rank <= top).any(axis=1)]
    rows = pd.DataFrame(
        {
            "architecture": name,
            "alpha": alpha,
            "rank": int(placed[alpha][name]),
            "pepr": float(scores[alpha][name]),
            "test_accuracy": float(table.loc[name, "test_accuracy"]),
            "resource": float(table.loc[name, "resource"]),
        }
        for name in shown
        for alpha in ALPHAS
    )
    return rows.round(6)


def chart(frame: pd.DataFrame, *, top: int = TOP) -> alt.LayerChart:
    """Rank against alpha, one line a model; those that lead for some alpha are coloured."""
    first = frame[frame["rank"] == 1].drop_duplicates("architecture")["architecture"]
    palette = list(PALETTE[: len(first)])
    shown = frame.assign(leader=frame["architecture"].where(frame["architecture"].isin(first)))
    x = alt.X(
        "alpha:Q",
        title="Emphasis on performance, alpha (log scale)",
        scale=alt.Scale(type="log", domain=[1, max(ALPHAS)], nice=False),
        axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    )
    scale = alt.Scale(domain=[3 * top + 0.5, 0.5], nice=False)
    y = alt.Y(
        "rank:Q",
        title="Rank by PePR-E",
        scale=scale,
        axis=alt.Axis(values=[1, *range(top, 3 * top + 1, top)]),
    )
    tooltips = tips("architecture", "alpha||.3g", "rank", "pepr", "test_accuracy", "resource")
    base = alt.Chart(shown)
    others = base.transform_filter("!isValid(datum.leader)").mark_line(
        strokeWidth=1.5, color="#b8c0c9", clip=True, interpolate="step-after"
    )
    leading = base.transform_filter("isValid(datum.leader)").mark_line(
        strokeWidth=3, clip=True, interpolate="step-after"
    )
    # A line that never leads has its name where it is highest, away from the edges.
    best = shown[shown["leader"].isna()].sort_values(["rank", "alpha"], kind="stable")
    best = best.assign(from_edge=(np.log10(best["alpha"]) - 1.2).abs())
    best = best[best["rank"] == best.groupby("architecture")["rank"].transform("min")]
    best = best.sort_values("from_edge", kind="stable").drop_duplicates("architecture")
    best = best.sort_values("alpha", kind="stable")
    below = best.groupby("rank").cumcount() % 2  # names of one rank: above its line and below
    named = alt.Chart(best.assign(name_at=best["rank"] - 0.28 + 0.6 * below))
    at = alt.Y("name_at:Q", scale=scale, title="Rank by PePR-E")
    names = [
        named.transform_filter(f"datum.alpha {side} 20").mark_text(
            align=align,
            fontSize=10,
            color="#3e4c59",
            opacity=alt.expr("width > 400 ? 1 : 0"),  # on a phone they would lie on one another
        )
        for side, align in (("<=", "left"), (">", "right"))
    ]
    colour = alt.Color(
        "leader:N", title="leads", scale=alt.Scale(domain=list(first), range=palette)
    )
    targets = base.transform_filter(f"datum.rank <= {3 * top}").mark_point(opacity=0, size=60)
    return alt.layer(
        others.encode(x=x, y=y, detail="architecture:N"),
        leading.encode(x=x, y=y, color=colour),
        *(name.encode(x=x, y=at, text="architecture:N") for name in names),
        targets.encode(x=x, y=y, tooltip=tooltips),
    ).properties(height=CHART_HEIGHT)


def describe(frame: pd.DataFrame, leaders: pd.DataFrame, *, top: int = TOP) -> str:
    """Write the alternative text from the chart's data."""
    path = ", ".join(
        f"{name} from alpha = {start:.3g}"
        for name, start in zip(leaders["leader"], leaders["from alpha"], strict=True)
    )
    return (
        f"Rank against alpha, from {min(ALPHAS):g} to {max(ALPHAS):g} on a log scale, of the "
        f"{frame['architecture'].nunique()} models that are among the first {top} for some alpha. "
        f"The leaders are, in turn, {path}."
    )


def leaders_table(table: pd.DataFrame) -> pd.DataFrame:
    """Which model leads for which alpha, for a page."""
    if not (table["test_accuracy"] > 0).any():
        return pd.DataFrame(columns=["leader", "from alpha", "to alpha", "test accuracy", "R"])
    found = leaders_by_alpha(table["test_accuracy"], table["resource"])
    found["to_alpha"] = ["no limit" if a == float("inf") else f"{a:.2f}" for a in found["to_alpha"]]
    return found.rename(
        columns={
            "model": "leader",
            "from_alpha": "from alpha",
            "to_alpha": "to alpha",
            "performance": "test accuracy",
            "resource": "R",
        }
    )


def interval_chart(frame: pd.DataFrame, *, shown: int = 20) -> alt.LayerChart:
    """Scores with 95 % intervals of the first models by score."""
    if frame.empty:
        return nothing_to_draw(NO_INTERVALS)
    first = frame.head(shown)
    order = list(first["architecture"])
    y = alt.Y("architecture:N", sort=order, title=None)
    base = alt.Chart(first)
    tooltips = tips(
        "architecture",
        "pepr",
        "pepr_low|interval from|.4f",
        "pepr_high|to|.4f",
        "rank",
        "rank_low|rank from|",
        "rank_high|to|",
        "leads|leads in|.1%",
    )
    bars = base.mark_rule(strokeWidth=3, opacity=0.45, color=BLUE).encode(
        x=alt.X("pepr_low:Q", title="PePR-E with 95 % interval", scale=alt.Scale(zero=False)),
        x2="pepr_high:Q",
        y=y,
        tooltip=tooltips,
    )
    points = base.mark_point(filled=True, size=60, color=BLUE, opacity=1).encode(
        x="pepr:Q", y=y, tooltip=tooltips
    )
    return alt.layer(bars, points).properties(height=ROW_HEIGHT * len(first))


def describe_intervals(frame: pd.DataFrame, *, shown: int = 20) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return f"No chart: {NO_INTERVALS}."
    first, best = frame.head(shown), frame.iloc[0]
    overlap = int((frame["pepr_high"] >= best["pepr_low"]).sum()) - 1
    return (
        f"PePR-E with 95 % intervals of the first {len(first)} models. The first, "
        f"{best['architecture']}, scores {best['pepr']:.3f}, from {best['pepr_low']:.3f} to "
        f"{best['pepr_high']:.3f}; the intervals of {overlap} others reach into it."
    )
