"""The integral representation, checked: on example curves, against the step, on measured curves."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.chapters.statements import CURVES, GRID, ExampleCurve
from paper.figures.common import CHART_HEIGHT, tips
from pepr_utils.results import ResultSet, learning_curves
from pepr_utils.scoring import (
    integral_representation,
    pepr_curve,
    pepr_optimum,
    prove_integral_representation,
    smooth_curve,
)

#: Resources at which both sides are compared.
CHECKED = np.linspace(0.0, 1.0, 11)
#: Numbers of pieces of the piecewise-linear curves.
PIECES = tuple(2**k for k in range(1, 11))
#: Curves of the convergence plot: smooth, steep, wavy, and with an infinite slope at 0.
CONVERGING = ("saturating", "late riser", "oscillating", "square root")


def data() -> pd.DataFrame:
    """Compare both sides of the identity on every example curve.

    Returns
    -------
    pandas.DataFrame
        One row per curve: its formula, start, gain, penalty and score at R = 1, the largest
        difference between both sides over eleven resources (f' symbolic, integrals by adaptive
        quadrature), whether SymPy proves the identity for it, and its optimum.
    """
    return pd.DataFrame(_check(curve) for curve in CURVES)


def _check(curve: ExampleCurve) -> dict[str, object]:
    direct = pepr_curve(curve.performance, CHECKED)
    terms = integral_representation(
        curve.performance, CHECKED, derivative=curve.slope, points=curve.kinks
    )
    best = pepr_optimum(curve.performance)
    return {
        "curve": curve.name,
        "f(r)": str(curve.expression),
        "start": terms.start,
        "gain": terms.gain[-1],
        "penalty": terms.penalty[-1],
        "score at R = 1": terms.pepr[-1],
        "largest difference": float(np.abs(terms.pepr - direct).max()),
        "proved": "yes" if prove_integral_representation(curve.expression).holds else "no",
        "optimum R": best.resource,
        "score there": best.pepr,
    }


def convergence_data() -> pd.DataFrame:
    """Error of the gain of a sampled curve at R = 1 against the distance of its samples.

    A sampled curve is taken as straight between its samples, for which both integrals are known
    in closed form, and their difference is exact at every sample. What depends on the step is how
    the score splits into gain and penalty.
    """
    rows = []
    for curve in (c for c in CURVES if c.name in CONVERGING):
        exact = integral_representation(curve.performance, 1.0, derivative=curve.slope)
        for n in PIECES:
            at = np.linspace(0, 1, n + 1)
            sampled = integral_representation([curve.performance(r) for r in at], at)
            rows.append(
                {
                    "curve": curve.name,
                    "step": 1 / n,
                    "error of the gain": abs(sampled.gain[-1] - exact.gain),
                    "error of the score": abs(sampled.pepr[-1] - exact.pepr),
                }
            )
    return pd.DataFrame(rows)


def convergence_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Error against step, both logarithmic, with a line of slope 2 for the eye."""
    x = alt.X(
        "step:Q",
        title="Step between samples (log scale)",
        scale=alt.Scale(type="log", nice=False, padding=8),
    )
    y = alt.Y(
        "error of the gain:Q",
        title="Absolute error of the gain at R = 1 (log scale)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format=".0e"),
    )
    shown = frame[frame["error of the gain"] > 0]
    lines = (
        alt.Chart(shown)
        .mark_line(point=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color("curve:N", title=None),
            strokeDash=alt.StrokeDash("curve:N", title=None),
            tooltip=tips("curve", "step||.5f", "error of the gain||.2e"),
        )
    )
    steps = np.array([frame["step"].min(), frame["step"].max()])
    guide = pd.DataFrame({"step": steps, "error of the gain": steps**2})
    second_order = (
        alt.Chart(guide)
        .mark_line(color="#9aa5b1", strokeDash=[2, 3], strokeWidth=1.5)
        .encode(x="step:Q", y="error of the gain:Q")
    )
    return alt.layer(second_order, lines).properties(height=CHART_HEIGHT)


def orders(frame: pd.DataFrame) -> dict[str, float]:
    """Order of convergence of each curve: the slope of log error over the finest three halvings."""
    found = {}
    for name, part in frame.groupby("curve", sort=False):
        fine = part[part["error of the gain"] > 0].nsmallest(4, "step")
        found[name] = float(
            np.polyfit(np.log2(fine["step"]), np.log2(fine["error of the gain"]), 1)[0]
        )
    return found


def describe_convergence(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    words = ", ".join(f"{order:.1f} for the {name} curve" for name, order in orders(frame).items())
    return (
        f"Error of the gain against the step between samples, from {frame['step'].max():g} to "
        f"{frame['step'].min():.5f}, both on log scales. The order of convergence at the finest "
        f"steps is {words}."
    )


def measured_data(
    result_set: ResultSet, *, experiment: str | None = None, alpha: float = 1.0
) -> pd.DataFrame:
    """Check the identity on every measured learning curve, and see what smoothing changes.

    Returns
    -------
    pandas.DataFrame
        One row per run: epochs, start (the score of the first epoch), gain and penalty until the
        last, its score, the largest ``difference`` from the score itself over all epochs, the
        epoch of the optimum on the group's axis and on the model's own, and, after isotonic
        smoothing, the resource of the optimum and the largest change of an accuracy.
    """
    curves = learning_curves(result_set, experiment=experiment, alpha=alpha)
    rows = []
    for (name, run), part in curves.groupby(["architecture", "run_id"], sort=False):
        p, r = part["test_accuracy"].to_numpy(float), part["resource"].to_numpy(float)
        if len(p) < 2 or (np.diff(r) <= 0).any():
            continue  # one point, or an epoch that cost nothing, is no curve
        terms = integral_representation(p, r, alpha=alpha)
        smoothed = smooth_curve(p, r)
        own = (r - r[0]) / (r[-1] - r[0])
        rows.append(
            {
                "architecture": name,
                "run_id": run,
                "epochs": len(p),
                "start": terms.start,
                "gain": terms.gain[-1],
                "penalty": terms.penalty[-1],
                "score": terms.pepr[-1],
                "difference": float(np.abs(terms.pepr - part["pepr"].to_numpy()).max()),
                "optimum epoch": _best_epoch(part, p, r, alpha),
                "own-axis optimum epoch": _best_epoch(part, p, own, alpha),
                "smoothed optimum R": pepr_optimum(smoothed, (r[0], r[-1]), alpha=alpha).resource,
                "smoothing changes by": smoothed.largest_change,
            }
        )
    return pd.DataFrame(rows)


def _best_epoch(part: pd.DataFrame, p: np.ndarray, r: np.ndarray, alpha: float) -> int:
    return int(part["epoch"].iloc[pepr_optimum(p, r, alpha=alpha).position])


def explorer_data() -> pd.DataFrame:
    """Every example curve on a grid: f, its slope, the score, and what the statements claim."""
    parts = []
    for curve in CURVES:
        f = np.array([curve.performance(r) for r in GRID])
        # A slope at a kink, or an infinite one at 0, is that just to the right.
        slope = np.array([curve.slope(r if r > 0 else 1e-9) for r in GRID])
        score = pepr_curve(f, GRID)
        change = (slope * (1 + GRID) - f) / (1 + GRID) ** 2
        claim = np.where(slope > 1, "f' > 1", np.where(slope < f[0] / 2, "f' < f(0)/2", "neither"))
        parts.append(
            pd.DataFrame(
                {
                    "curve": curve.name,
                    "R": GRID,
                    "f": f,
                    "slope": slope,
                    "PePR": score,
                    "f(0)": f[0],
                    "claim": claim,
                    "score": np.where(change > 0, "rises", "falls"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(6)


def explorer_chart(frame: pd.DataFrame, *, curve: str = "dip, then recovery") -> alt.LayerChart:
    """One curve with its score and f(0); below, what the slope claims and what the score does."""
    menu = alt.param(
        name="curve",
        value=curve,
        bind=alt.binding_select(options=list(frame["curve"].unique()), name="curve "),
    )
    base = alt.Chart(frame.drop(columns="slope")).transform_filter("datum.curve == curve")
    x = alt.X("R:Q", title="Normalised resource R", scale=alt.Scale(domain=[0, 1]))
    lines = (
        base.transform_fold(["f", "PePR", "f(0)"], as_=["line", "value"])
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y(
                "value:Q",
                title="Performance and score",
                scale=alt.Scale(domain=[-0.14, 1]),
                axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1]),
            ),
            color=alt.Color(
                "line:N",
                title=None,
                scale=alt.Scale(
                    domain=["f", "PePR", "f(0)"], range=["#0072b2", "#d55e00", "#7b8794"]
                ),
            ),
            strokeDash=alt.StrokeDash(
                "line:N",
                legend=None,
                scale=alt.Scale(domain=["f", "PePR", "f(0)"], range=[[1, 0], [1, 0], [4, 4]]),
            ),
        )
    )
    colours = alt.Scale(
        domain=["f' > 1", "f' < f(0)/2", "score rises", "score falls"],
        range=["#009e73", "#7a5195", "#8fd3bd", "#cdbbe0"],
    )

    def strip(field: str, height: float) -> alt.Chart:
        return (
            base.transform_calculate(colour=field, to="datum.R + 0.004")
            .transform_filter("datum.colour != 'neither'")
            .mark_rect()
            .encode(
                x="R:Q",
                x2="to:Q",
                y=alt.datum(height),
                y2=alt.datum(height + 0.045),
                color=alt.Color("colour:N", title="strips", scale=colours),
            )
        )

    strips = alt.layer(strip("datum.claim", -0.06), strip("'score ' + datum.score", -0.12))
    return (
        alt.layer(lines, strips)
        .resolve_scale(color="independent")
        .add_params(menu)
        .properties(height=CHART_HEIGHT)
    )


def describe_explorer(frame: pd.DataFrame, *, curve: str = "dip, then recovery") -> str:
    """Write the alternative text from the chart's data."""
    part = frame[frame["curve"] == curve]
    broken = part[(part["claim"] == "f' < f(0)/2") & (part["score"] == "rises")]
    below = (part["PePR"] < part["f(0)"]).mean()
    return (
        f"The curve called {curve}, its score, and its performance at zero resource, "
        f"{part['f(0)'].iloc[0]:.2f}, against the resource. The score lies below that performance "
        f"on {100 * below:.0f} % of the axis, and rises although f' < f(0)/2 on "
        f"{100 * len(broken) / len(part):.0f} % of it. "
        f"A menu shows {frame['curve'].nunique()} curves."
    )
