"""The numbers and tables of the chapter on the Pareto front and on choosing under a budget."""

from __future__ import annotations

import pandas as pd

from paper.chapters.common import NOT_AVAILABLE, fixed
from paper.chapters.curve import cost_basis, experiment_name
from pepr_utils.errors import InfeasibleBudgetError
from pepr_utils.results import ResultSet, curve_experiment, experiment_labels, learning_curves
from pepr_utils.scoring import pareto_front, pareto_knee, select

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


def front_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The points of the front, from cheap to dear, for a page."""
    front = frame[frame["role"] != "other"]
    return pd.DataFrame(
        {
            "architecture": front["architecture"],
            "epoch": front["epoch"],
            "energy (Wh)": front["cost"] * 1e3,
            "R": front["resource"],
            "test accuracy": front["test_accuracy"],
            "PePR-E": front["pepr"],
            "": front["role"].where(front["role"] == "knee", ""),
        }
    )


def numbers(
    result_set: ResultSet,
    frame: pd.DataFrame,
    table: pd.DataFrame,
    *,
    experiment: str = "",
    alpha: float = 1.0,
) -> dict[str, str]:
    """Format what the frames of `figures.front` and `models` hold."""
    front, knee = frame[frame["role"] != "other"], frame[frame["role"] == "knee"]
    best = frame.loc[frame["pepr"].idxmax()]
    found = {
        "experiment": experiment_name(result_set, experiment),
        "cost-basis": cost_basis(frame),
        "n-points": f"{len(frame):,}",
        "n-front": f"{len(front)}",
        "front-reach": fixed(front["resource"].max(), 3),
        "best": _point(best),
        "best-score": fixed(best["pepr"], 4),
        "knee": _point(knee.iloc[0]) if len(knee) else "none",
        "knee-score": fixed(knee["pepr"].iloc[0], 4) if len(knee) else NOT_AVAILABLE,
        "knee-says": _what_the_knee_says(frame, knee),
        "n-models": f"{len(table)}",
    }
    return found | _choices(table, alpha)


def _point(row: pd.Series) -> str:
    return f"{row['architecture']} after epoch {row['epoch']}"


def _what_the_knee_says(frame: pd.DataFrame, knee: pd.DataFrame) -> str:
    if knee.empty:
        return "This front has no knee: no point lies above the line between its ends."
    rank = int((frame["pepr"] > knee["pepr"].iloc[0]).sum()) + 1
    return f"By score the knee is in place {rank} of {len(frame):,}."


def _choices(table: pd.DataFrame, alpha: float) -> dict[str, str]:
    found = {}
    rows = table.reset_index()
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
        points of the front last, from cheap to dear.
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
