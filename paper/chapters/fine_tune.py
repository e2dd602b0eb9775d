"""The table that a measured result set ends in: what each run gave, cost and scored."""

from __future__ import annotations

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.results import ResultSet, add_classes, score_runs


def scored_table(result_set: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """List the finished runs by score, with what they cost.

    Returns
    -------
    pandas.DataFrame
        Architecture, parameters (millions, of the trained model), type, efficiency, test
        accuracy, AUC, energy (Wh) and PePR-E; the last is missing where no energy was measured.
    """
    runs = add_classes(result_set.finished.drop(columns=["type", "efficient"], errors="ignore"))
    runs = (
        score_runs(runs, alpha=alpha)
        if runs["energy_kwh"].notna().any()
        else runs.assign(pepr=float("nan"))
    )
    runs = runs.sort_values(["experiment", "pepr", "test_accuracy"], ascending=[True, False, False])
    return pd.DataFrame(
        {
            "architecture": runs["architecture"],
            "parameters (M)": runs["n_parameters"].astype("float64") / 1e6,
            "type": runs["type"],
            "efficiency": runs["efficient"],
            "test accuracy": runs["test_accuracy"],
            "AUC": runs["test_auc"],
            "energy (Wh)": runs["energy_kwh"] * 1e3,
            "PePR-E": runs["pepr"],
        }
    ).reset_index(drop=True)


def named(column: pd.Series) -> str:
    """Name the values of a column."""
    return ", ".join(sorted(column.dropna().astype(str).unique())) or NOT_AVAILABLE


def start(runs: pd.DataFrame) -> str:
    """Say what the runs were trained from."""
    words = {True: "from ImageNet-1k weights", False: "from scratch"}
    found = sorted(runs["pretrained"].dropna().unique())
    return " and ".join(words[pretrained] for pretrained in found) or NOT_AVAILABLE


def best(table: pd.DataFrame) -> dict[str, str]:
    """The model with the highest score of `scored_table`, where there is a score."""
    rows = table.dropna(subset=["PePR-E"]).nlargest(1, "PePR-E")
    return {
        "best-pepr-model": next(iter(rows["architecture"]), NOT_AVAILABLE),
        "best-pepr": fixed(next(iter(rows["PePR-E"]), float("nan")), 3),
    }
