"""The paper's four properties of the score and its worked values, computed."""

from __future__ import annotations

import pandas as pd

from pepr_utils.results import load_majority
from pepr_utils.scoring import normalize, pepr

#: Points (P, R) at which the sensitivities are shown: the corners, and a poor model.
POINTS = ((0.05, 0.0), (0.05, 1.0), (0.5, 0.0), (0.5, 1.0), (1.0, 0.0), (1.0, 1.0))
ALPHAS = (1.0, 2.0, 5.0, 10.0, 100.0)
#: Costs with one outlier, for the table of normalisation rules.
COSTS_WH = (10.0, 20.0, 40.0, 80.0, 400.0)


def sensitivities() -> pd.DataFrame:
    """How the score answers to performance and to resource, by SymPy, at six points.

    Returns
    -------
    pandas.DataFrame
        Columns P, R, ``per performance`` (derivative by P), ``per resource`` (minus the derivative
        by R), ``ratio`` (second over first) and ``PePR``.
    """
    import sympy as sp

    performance, resource = sp.symbols("P R", nonnegative=True)
    score = performance / (1 + resource)
    by_p, by_r = sp.diff(score, performance), -sp.diff(score, resource)
    rows = []
    for p, r in POINTS:
        at = {performance: p, resource: r}
        dp, dr = float(by_p.subs(at)), float(by_r.subs(at))
        rows.append((p, r, dp, dr, dr / dp, pepr(p, r)))
    return pd.DataFrame(
        rows, columns=["P", "R", "per performance", "per resource", "ratio", "PePR"]
    )


def ratio_is_the_score() -> bool:
    """Whether SymPy finds the ratio of the sensitivities equal to the score, for any P and R."""
    import sympy as sp

    performance, resource, alpha = sp.symbols("P R alpha", positive=True)
    score = alpha * performance / (alpha + resource)
    ratio = -sp.diff(score, resource) / sp.diff(score, performance)
    return sp.simplify(ratio - score / alpha) == 0


def emphasis() -> pd.DataFrame:
    """Score of a perfect model at R = 0.1, 0.5 and 1 for several alphas."""
    return pd.DataFrame(
        {"alpha": ALPHAS} | {f"R = {r:g}": pepr(1.0, r, alpha=ALPHAS) for r in (0.1, 0.5, 1.0)}
    )


def rules() -> pd.DataFrame:
    """Five costs, one of them an outlier, under every normalisation rule."""
    given = {"fixed": {"lower": 0.0, "upper": 100.0, "outside": "clip"}}
    names = ("minmax", "max", "quantile", "log", "fixed")
    return pd.DataFrame(
        {"cost (Wh)": COSTS_WH}
        | {name: normalize(COSTS_WH, method=name, **given.get(name, {})) for name in names}
    )


def majority() -> pd.DataFrame:
    """The majority-class predictor of each data set: its accuracy, which is its score."""
    table = load_majority()
    return pd.DataFrame(
        {
            "data set": table["dataset"],
            "test images": table["n_test"],
            "largest class": table["n_majority"],
            "accuracy = PePR": pepr(table["majority_share"], 0.0),
            "how it is known": table["basis"],
        }
    )
