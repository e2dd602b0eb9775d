"""The results: figures 3a to 3d in numbers, and the best models of each experiment."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.results import ResultSet, experiment_labels, score_runs
from pepr_utils.results.groups import in_arms


def leaders(
    result_set: ResultSet,
    *,
    n: int = 5,
    alpha: float = 1.0,
    method: str = "minmax",
    cost: str = "E",
) -> pd.DataFrame:
    """List the `n` best models by score, and the best by accuracy, of each full-data experiment.

    Returns
    -------
    pandas.DataFrame
        Columns experiment, rank (1 to `n`, then ``most accurate``), architecture, energy (Wh),
        memory (GB), test accuracy and the score.
    """
    scored = score_runs(result_set.full_data(), cost=cost, alpha=alpha, method=method)
    labels = experiment_labels(scored["experiment"])
    parts = []
    for key, group in scored.groupby("experiment", sort=False):
        top = group.nlargest(n, "pepr").assign(rank=lambda t: [str(i + 1) for i in range(len(t))])
        best = group.nlargest(1, "test_accuracy").assign(rank="most accurate")
        parts.append(pd.concat([top, best]).assign(experiment=labels[key]))
    table = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(
        {
            "experiment": table["experiment"],
            "rank": table["rank"],
            "architecture": table["architecture"],
            "energy (Wh)": table["energy_kwh"] * 1e3,
            "memory (GB)": table["reserved_memory_gb"],
            "test accuracy": table["test_accuracy"],
            f"PePR-{cost}": table["pepr"],
        }
    )


def two_arms(frame: pd.DataFrame, names: Sequence[str], prefix: str) -> dict[str, str]:
    """Medians of two arms and how many models do better in the first."""
    wide = in_arms(frame, names)
    first, second = (wide[name] for name in names)
    return {
        f"{prefix}-n": f"{len(wide)}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-first-median": fixed(first.median(), 4),
        f"{prefix}-second-median": fixed(second.median(), 4),
        f"{prefix}-better": f"{(first > second).sum()}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-datasets": next(iter(frame["datasets"]), NOT_AVAILABLE)
        if len(frame)
        else NOT_AVAILABLE,
    }
