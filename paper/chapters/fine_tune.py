"""The table that a measured result set ends in: what each run gave, cost and scored."""

from __future__ import annotations

import pandas as pd

from paper.chapters.common import NOT_AVAILABLE, fixed
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


def numbers(result_set: ResultSet, *, majority_accuracy: float | None) -> dict[str, str]:
    """Every number that the fine-tuning chapter quotes."""
    done, table = result_set.finished, scored_table(result_set)
    best = table.dropna(subset=["PePR-E"]).nlargest(1, "PePR-E")
    failed = len(result_set.runs) - len(done)
    majority = float("nan") if majority_accuracy is None else majority_accuracy

    def named(column: str) -> str:
        return ", ".join(sorted(done[column].dropna().astype(str).unique())) or NOT_AVAILABLE

    return {
        "n-runs": f"{len(result_set.runs)}",
        "n-done": f"{len(done)}",
        "n-failed": f"{failed}",
        "dataset": named("dataset"),
        "protocol": named("protocol"),
        "device": named("device"),
        "image-size": named("image_size"),
        "n-train": named("n_train"),
        "n-test": named("n_test"),
        "seed": named("seed"),
        "start": " and ".join(
            {True: "from ImageNet-1k weights", False: "from scratch"}[p]
            for p in sorted(done["pretrained"].dropna().unique())
        )
        or NOT_AVAILABLE,
        "majority-accuracy": fixed(majority, 3),
        "n-above-majority": f"{(done['test_accuracy'] > majority).sum()}",
        "best-pepr-model": best["architecture"].iloc[0] if len(best) else NOT_AVAILABLE,
        "best-pepr": fixed(best["PePR-E"].iloc[0], 3) if len(best) else NOT_AVAILABLE,
        "most-accurate-model": done.loc[done["test_accuracy"].idxmax(), "architecture"],
        "best-accuracy": fixed(done["test_accuracy"].max(), 3),
        "total-energy": fixed(done["energy_kwh"].sum(min_count=1) * 1e3, 2),
        "total-time": fixed(done["train_time_s"].sum(min_count=1), 0),
        "energy-method": named("energy_method"),
        "pue": named("pue"),
        "intensity": named("carbon_intensity_g_per_kwh"),
    }
