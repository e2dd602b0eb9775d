"""The Pareto front and choosing under a budget: points, models, and what the chapter quotes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.errors import InfeasibleBudgetError
from pepr_utils.results import ResultSet, curve_experiment, experiment_labels, learning_curves
from pepr_utils.scoring import pareto_front, pareto_knee, select

#: How often the test images are drawn anew.
RESAMPLES = 1000
#: The budget that the text works through.
LIMITS = {"energy_kwh": 0.020, "reserved_memory_gb": 8.0}


def models(result_set: ResultSet, *, experiment: str = "") -> pd.DataFrame:
    """Finished runs of one experiment, one row per architecture (the first of repeated ones).

    Returns
    -------
    pandas.DataFrame
        Indexed by architecture: the columns of `runs`.
    """
    labels = {label: key for key, label in experiment_labels(result_set.experiments).items()}
    key = labels.get(experiment, experiment) or curve_experiment(result_set)
    runs = result_set.finished[result_set.finished["experiment"] == key]
    return runs.drop_duplicates("architecture").set_index("architecture")


def stays(frame: pd.DataFrame, result_set: ResultSet) -> pd.Series:
    """Share of resamplings of the test images in which each point is on the front.

    The right answers of each point are drawn anew from a binomial distribution. Null where the
    number of test images is unknown.
    """
    runs = result_set.finished.set_index("run_id")
    n_test = frame["run_id"].map(runs["n_test"])
    if n_test.isna().any():
        return pd.Series(float("nan"), index=frame.index)
    n = n_test.to_numpy(int)
    right = np.random.default_rng(0).binomial(
        n, frame["test_accuracy"], size=(RESAMPLES, len(frame))
    )
    on_front = pareto_front(
        (right / n).ravel(),
        np.tile(frame["cost"], RESAMPLES),
        by=np.repeat(np.arange(RESAMPLES), len(frame)),
    )
    return pd.Series(on_front.reshape(RESAMPLES, -1).mean(axis=0), index=frame.index)


def front_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The points of the front, from cheap to expensive, for a page."""
    front = frame[frame["role"] != "other"]
    return pd.DataFrame(
        {
            "architecture": front["architecture"],
            "epoch": front["epoch"],
            "energy (Wh)": front["cost"] * 1e3,
            "R": front["resource"],
            "test accuracy": front["test_accuracy"],
            "PePR-E": front["pepr"],
            "stays": front.get("stays"),
            "": front["role"].where(front["role"] == "knee", ""),
        }
    )


def knee(frame: pd.DataFrame) -> dict[str, str]:
    """The knee of the front and its place by score, for the text."""
    found = frame[frame["role"] == "knee"]
    if found.empty:
        no_knee = "This front has no knee: no point lies above the line between its ends."
        return {"knee": "none", "knee-score": NOT_AVAILABLE, "knee-says": no_knee}
    row = found.iloc[0]
    rank = int((frame["pepr"] > row["pepr"]).sum()) + 1
    return {
        "knee": f"{row['architecture']} after epoch {row['epoch']}",
        "knee-score": fixed(row["pepr"], 4),
        "knee-says": f"By score the knee is in place {rank} of {len(frame):,}.",
    }


def choices(table: pd.DataFrame, *, alpha: float) -> dict[str, str]:
    """The models chosen within `LIMITS`, by score and by accuracy, and how many are within."""
    found, rows = {}, table.reset_index()
    for objective, name in (("pepr", "chosen"), ("performance", "chosen-accurate")):
        try:
            choice = select(rows, maximum=LIMITS, objective=objective, alpha=alpha)
        except InfeasibleBudgetError:
            found |= {"n-within": "0", name: NOT_AVAILABLE}
        else:
            found |= {"n-within": f"{len(choice.ranking)}", name: choice.best["architecture"]}
    return found


def front_points(
    result_set: ResultSet, *, experiment: str | None = None, alpha: float = 1.0
) -> pd.DataFrame:
    """Every model and epoch of an experiment, with the Pareto front and its knee.

    Returns
    -------
    pandas.DataFrame
        The frame of `learning_curves` with ``role``: ``knee``, ``Pareto front`` or ``other``, the
        points of the front last, from cheap to expensive.
    """
    curves = learning_curves(result_set, experiment=experiment, alpha=alpha)
    front = pareto_front(curves["test_accuracy"], curves["cost"])
    role = pd.Series("other", index=curves.index).mask(front, "Pareto front")
    knee = pareto_knee(curves["test_accuracy"], curves["cost"])
    if knee is not None:
        role.iloc[knee] = "knee"
    ordered = curves.assign(role=role, on_front=front).sort_values(
        ["on_front", "cost"], kind="stable", ignore_index=True
    )
    return ordered.drop(columns="on_front")
