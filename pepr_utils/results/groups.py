"""Groups of runs and models: averages over experiments, arms of training, small and large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from pepr_utils.errors import InvalidTableError, unknown_name
from pepr_utils.results.architectures import add_classes
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet, fine_tuned, on_all_images
from pepr_utils.results.scores import score_runs

#: Arms of the two comparisons of training, as `pretraining_arms` and `fraction_arms` name them.
PRETRAINING_ARMS = ("fine-tuned", "from scratch")
FRACTION_ARMS = ("100 %", "10 %")

#: Class of a model that the paper does not classify.
UNCLASSIFIED = "not classified"

#: What a point is the mean over: as the paper states, or as its released plotting code does.
AVERAGES = {
    "stated": "the fine-tuned experiments on all training data",
    "released": "all experiments",
}
Average = Literal["stated", "released"]


def averaged_runs(result_set: ResultSet, average: str) -> pd.DataFrame:
    """Return the runs that a point averages over, see `AVERAGES`."""
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
    if result_set.finished.empty:
        raise InvalidTableError(f"{result_set.name}: no finished run; nothing to average")
    if average == "released":
        return result_set.finished
    full = result_set.full_data()
    tuned = full[fine_tuned(full)]
    return tuned if len(tuned) else full


def by_architecture(
    result_set: ResultSet,
    *,
    average: Average = "stated",
    alpha: float = 1.0,
    method: str = "minmax",
    cost: str = "E",
) -> pd.DataFrame:
    """Average accuracy, energy and score of each architecture over experiments.

    Parameters
    ----------
    result_set : ResultSet
        Any set whose architectures are known or have ``n_parameters``.
    average : {"stated", "released"}, default "stated"
        Mean over the fine-tuned experiments on all training data (all full-data experiments, if
        none is fine-tuned), or over all experiments.
    alpha, method, cost
        See `pepr_utils.results.score_runs`; costs are normalised within each experiment.

    Returns
    -------
    pandas.DataFrame
        One row per architecture that has a run in each experiment: its classes, ``test_accuracy``,
        ``energy_wh``, ``pepr``, and for each experiment its performance (``P: ...``) and resource
        (``R: ...``).
    """
    runs = averaged_runs(result_set, average)
    scored = score_runs(runs, cost=cost, alpha=alpha, method=method).assign(
        energy_wh=lambda r: r["energy_kwh"] * 1e3
    )
    labels = experiment_labels(scored["experiment"])
    values = ["test_accuracy", "energy_wh", "resource", "pepr"]
    each = scored.groupby(["architecture", "experiment"], sort=False)[values].mean().unstack()
    each = each.dropna()
    if each.empty:
        raise InvalidTableError(
            f"{result_set.name}: no architecture has a run in each of: {', '.join(labels.values())}"
        )
    means = {
        name: pd.DataFrame(each[name]).mean(axis="columns")
        for name in ("test_accuracy", "energy_wh", "pepr")
    }
    parts = {}
    for key, label in labels.items():
        parts[f"P: {label}"], parts[f"R: {label}"] = (
            each["test_accuracy"][key],
            each["resource"][key],
        )
    table = pd.DataFrame(means | parts).reset_index()
    sizes = scored.drop_duplicates("architecture")[["architecture", "n_parameters"]]
    classes = add_classes(table[["architecture"]].merge(sizes, on="architecture"))
    table = classes.merge(table, on="architecture").dropna(subset=["n_parameters"])
    if table.empty:
        raise InvalidTableError(
            f"{result_set.name}: no architecture has n_parameters; add that column (a whole number)"
        )
    table[["type", "efficient"]] = table[["type", "efficient"]].fillna(UNCLASSIFIED)
    return table.sort_values("n_parameters", ignore_index=True)


def performance_columns(frame: pd.DataFrame) -> list[str]:
    """Columns of a frame of `by_architecture` with the performance in one experiment each."""
    return [c for c in map(str, frame) if c.startswith("P: ")]


def averaged_experiments(frame: pd.DataFrame) -> str:
    """Name the experiments that a point is the mean over: their names, or how many there are."""
    names = [c.removeprefix("P: ") for c in performance_columns(frame)]
    if len(names) == 1:
        return names[0]
    return f"mean of {', '.join(names)}" if len(names) < 4 else f"mean of {len(names)} experiments"


def pretraining_runs(result_set: ResultSet) -> pd.DataFrame:
    """Finished runs on all images, fine-tuned or from scratch, with their ``arm``."""
    runs = result_set.finished
    runs = runs[on_all_images(runs) & runs["pretrained"].notna()]
    return runs.assign(
        arm=fine_tuned(runs).map(dict(zip((True, False), PRETRAINING_ARMS, strict=True)))
    )


def fraction_runs(result_set: ResultSet) -> pd.DataFrame:
    """Fine-tuned runs on all and on a tenth of the images, with their ``arm``."""
    runs = result_set.finished[fine_tuned(result_set.finished)]
    names = dict(zip((1.0, 0.1), FRACTION_ARMS, strict=True))
    return runs.assign(arm=runs["train_fraction"].map(names)).dropna(subset=["arm"])


def pretraining_arms(result_set: ResultSet) -> pd.DataFrame:
    """Accuracy fine-tuned and from scratch, on the data sets where both were run.

    Returns
    -------
    pandas.DataFrame
        One row per architecture and arm: classes, ``arm``, ``datasets`` averaged over,
        ``test_accuracy``. Empty where the set has no data set with both arms.
    """
    return _two_arms(pretraining_runs(result_set), PRETRAINING_ARMS)


def fraction_arms(result_set: ResultSet) -> pd.DataFrame:
    """Accuracy fine-tuned on all and on a tenth of the training images.

    Returns
    -------
    pandas.DataFrame
        As `pretraining_arms`, the accuracy averaged over the data sets that have both arms.
    """
    return _two_arms(fraction_runs(result_set), FRACTION_ARMS)


def in_arms(frame: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Lay the accuracies of two arms side by side: one row per architecture, one column per arm."""
    wide = frame.pivot(index="architecture", columns="arm", values="test_accuracy")
    return wide.reindex(columns=list(arms))


def medians_by_size(frame: pd.DataFrame, column: str) -> pd.Series:
    """Medians of a column over the small and the large models; null where there is none.

    Examples
    --------
    >>> frame = pd.DataFrame({"size": ["small", "small", "large"], "pepr": [0.4, 0.6, 0.3]})
    >>> medians_by_size(frame, "pepr").to_dict()
    {'small': 0.5, 'large': 0.3}
    """
    return frame.groupby("size")[column].median().reindex(["small", "large"])


def _two_arms(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    each = runs.groupby(["dataset", "architecture", "arm"])["test_accuracy"].mean().unstack("arm")
    each = each.reindex(columns=list(arms)).dropna()
    datasets = ", ".join(sorted(each.index.unique("dataset")))
    complete = each.groupby("architecture").size() == each.index.unique("dataset").size
    means = each.groupby("architecture").mean()[complete].reset_index()
    long = means.melt("architecture", list(arms), "arm", "test_accuracy")
    long = long.sort_values("architecture", kind="stable", ignore_index=True)
    long["datasets"] = datasets
    sizes = runs.drop_duplicates("architecture")[["architecture", "n_parameters"]]
    return add_classes(long.merge(sizes, on="architecture", how="left"))
