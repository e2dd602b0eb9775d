"""The results: figures 3a to 3d in numbers, and the best models of each experiment."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd

from paper.site import NOT_AVAILABLE, fixed, percent
from pepr_utils.paths import data_file
from pepr_utils.results import ResultSet, experiment_labels, score_runs
from pepr_utils.results.groups import FRACTION_ARMS, fraction_runs, in_arms

#: Models that a preliminary choice keeps.
SHORTLIST = 10


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


def labels_by_row() -> pd.DataFrame:
    """Type and efficiency of each architecture, and those that the released figures draw it with.

    The released script takes both by row: from a table in the order of its file, for points in the
    order of their names.

    Returns
    -------
    pandas.DataFrame
        One row per architecture in the order of the names: ``architecture``, ``type``,
        ``efficient``, ``type as drawn``, ``efficient as drawn``.
    """
    released = pd.read_csv(data_file("published/architectures.csv"))
    labels = released[["architecture", "type", "efficient"]]
    by_name = labels.sort_values("architecture", ignore_index=True)
    return by_name.assign(
        **{f"{name} as drawn": labels[name].to_numpy() for name in ("type", "efficient")}
    )


def preliminary_choices(result_set: ResultSet) -> pd.DataFrame:
    """Shortlist the ten models that are best on a tenth of the images, and see how good it is.

    Returns
    -------
    pandas.DataFrame
        One row per data set with both arms: ``models``, ``correlation`` of the accuracies on a
        tenth and on all images (Spearman) with the 95 % interval ``low`` to ``high`` (by Fisher's
        z; Bonett and Wright, 2000), accuracy on all images of the ``best of the ten`` and of the
        ``best of all``, ``ten at random`` (the mean over all shortlists of ten), ``as good at
        random`` (the share of these whose best is no worse), and ``kept``: how many of the ten
        best on all images are on the shortlist.
    """
    each = fraction_runs(result_set).groupby(["dataset", "arm", "architecture"])["test_accuracy"]
    wide = each.mean().unstack("arm").reindex(columns=list(FRACTION_ARMS)).dropna()
    rows = []
    for dataset, part in wide.groupby("dataset"):
        full, tenth = (part.droplevel("dataset")[name] for name in FRACTION_ARMS)
        if (n := len(full)) < 2 * SHORTLIST:
            continue
        correlation = full.corr(tenth, method="spearman")
        z = float(np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12)))
        half = 1.96 * ((1 + correlation**2 / 2) / (n - 3)) ** 0.5
        best = full[tenth.nlargest(SHORTLIST).index].max()
        # The k-th of n in ascending order is the best of a shortlist in C(k - 1, 9) of C(n, 10).
        lists = comb(n, SHORTLIST)
        shares = [comb(k, SHORTLIST - 1) / lists for k in range(n)]
        rows.append(
            {
                "data set": dataset,
                "models": n,
                "correlation": correlation,
                "low": float(np.tanh(z - half)),
                "high": float(np.tanh(z + half)),
                "best of the ten": best,
                "best of all": full.max(),
                "ten at random": float(np.dot(shares, full.sort_values())),
                "as good at random": 1 - comb(int((full < best).sum()), SHORTLIST) / lists,
                "kept": len({*full.nlargest(SHORTLIST).index} & {*tenth.nlargest(SHORTLIST).index}),
            }
        )
    scores = ["best of the ten", "best of all", "ten at random", "as good at random", "kept"]
    return pd.DataFrame(rows, columns=["data set", "models", "correlation", "low", "high", *scores])


def choices_in_words(choices: pd.DataFrame) -> str:
    """Say for each data set how good a shortlist made on a tenth of the images is."""
    said = [
        f"On {row['data set']} the accuracies have a rank correlation of {row['correlation']:.2f}; "
        f"{percent(row['as good at random'])} of random shortlists are as good as that on a tenth, "
        f"which has {row['kept']} of the {SHORTLIST} best models."
        for row in choices.to_dict("records")
    ]
    return " ".join(said) or "No data set has enough models trained on both."
