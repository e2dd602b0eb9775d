"""The results: figures 3a to 3d in numbers, and the best models of each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from paper.chapters.common import NOT_AVAILABLE, fixed
from pepr_utils.results import ResultSet, experiment_labels, score_runs
from pepr_utils.results.groups import (
    AVERAGES,
    FRACTION_ARMS,
    PRETRAINING_ARMS,
    Average,
    averaged_experiments,
    by_architecture,
    in_arms,
    medians_by_size,
)


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


def numbers(
    result_set: ResultSet,
    frame: pd.DataFrame,
    arms: Mapping[str, pd.DataFrame],
    *,
    average: Average,
    alpha: float,
) -> dict[str, str]:
    """Every number that the results chapter quotes.

    Parameters
    ----------
    result_set : ResultSet
        The chapter's set.
    frame : pandas.DataFrame
        What `by_architecture` returns under the chapter's parameters.
    arms : mapping
        What `pretraining_arms` and `fraction_arms` return, as ``pretraining`` and ``fraction``.
    average, alpha
        The chapter's parameters.
    """
    accuracies, scores = (medians_by_size(frame, name) for name in ("test_accuracy", "pepr"))
    other = "released" if average == "stated" else "stated"
    variant = by_architecture(result_set, average=other, alpha=alpha)
    both = frame.merge(variant, on="architecture", suffixes=("", "_other"))
    best = frame.nlargest(1, "pepr").iloc[0]
    found = {
        "alpha": f"{alpha:g}",
        "average": AVERAGES[average],
        "other-average": AVERAGES[other],
        "n-models": f"{len(frame)}",
        "n-experiments": f"{sum(str(c).startswith('P: ') for c in frame)}",
        "accuracy-small": fixed(accuracies["small"], 4),
        "accuracy-large": fixed(accuracies["large"], 4),
        "pepr-small": fixed(scores["small"], 3),
        "pepr-large": fixed(scores["large"], 3),
        "best-pepr-model": best["architecture"],
        "best-pepr": fixed(best["pepr"], 3),
        "rank-correlation": fixed(both["pepr"].corr(both["pepr_other"], method="spearman"), 2),
        "n-runs": f"{len(result_set.runs):,}",
        "n-all-experiments": f"{len(result_set.experiments)}",
        "averaged-experiments": averaged_experiments(frame),
        "n-not-drawn": f"{result_set.runs['architecture'].nunique() - len(frame)}",
    }
    found |= two_arms(arms["pretraining"], PRETRAINING_ARMS, "pretraining")
    return found | two_arms(arms["fraction"], FRACTION_ARMS, "fraction")


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
