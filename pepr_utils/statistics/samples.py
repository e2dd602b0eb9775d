"""The two samples of a comparison: one value for each architecture and group, and its family."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from pepr_utils.audit.checks_models import family_of, label_table
from pepr_utils.errors import InvalidTableError, NotAvailableError, unknown_name
from pepr_utils.results import ResultSet, add_classes, majority_of_runs, score_runs
from pepr_utils.results.architectures import load_timm_models
from pepr_utils.results.groups import averaged_runs, fraction_runs, pretraining_runs
from pepr_utils.results.result_set import cached_on_result_set, on_all_images
from pepr_utils.scoring import cost_alone
from pepr_utils.statistics.comparisons import (
    AVERAGES,
    Comparison,
    declared,
)

#: Whose labels put a model into a group.
LABELS = {
    "released": "the authors' labels, and large above 24.6 million parameters",
    "alternative": (
        "type and efficiency without the families that the label divides; "
        "size divided at the median of the models compared, which counts as small"
    ),
}
Labels = Literal["released", "alternative"]

#: Columns needed of a run.
_COLUMNS = [
    "architecture", "dataset", "experiment", "arm", "n_test", "n_parameters", "test_accuracy",
    "energy_kwh",
]  # fmt: skip
#: What is averaged over experiments for each architecture.
_VALUES = ["value", "cost_alone", "log_value", "log_cost_alone", "majority"]


def find(result_set: ResultSet, name: str | Comparison) -> Comparison:
    """Return a declared comparison by name; a set's own data sets count as the paper's do.

    Raises
    ------
    UnknownNameError
        If no such comparison is declared.
    """
    if isinstance(name, Comparison):
        return name
    known = dict(declared()) | dict(declared(result_set.runs["dataset"].dropna().unique()))
    if name not in known:
        raise unknown_name("comparison", name, known)
    return known[name]


def groups(
    result_set: ResultSet,
    name: str | Comparison,
    *,
    labels: Labels = "released",
    alpha: float = 1.0,
) -> pd.DataFrame:
    """Return the two samples of a comparison.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    name : str or Comparison
        Name of a declared comparison, such as ``"size-pepr_e-lidc"``.
    labels : {"released", "alternative"}
        See `LABELS`; of no effect where the groups are arms.
    alpha : float, default 1.0
        Emphasis on performance of the score, at least 1.

    Returns
    -------
    pandas.DataFrame
        One row per architecture and group: ``architecture``, ``family`` (see `families`),
        ``group`` (one of the comparison's two), ``value`` (accuracy or score, in [0, 1]),
        ``cost_alone`` (the score with P = 1 for all), ``log_value``, ``log_cost_alone`` and
        ``majority`` (score of the majority class); each a mean over the experiments of the scope.
        Only architectures with a run in each of them are there and, of arms, in both arms.

    Raises
    ------
    UnknownNameError
        If there is no such comparison or no such labels.
    NotAvailableError
        If the set has fewer than two models in a group.
    """
    comparison = find(result_set, name)
    if labels not in LABELS:
        raise unknown_name("labels", labels, LABELS)
    # comparisons by a label of the architectures differ in how these are divided only
    of = comparison if comparison.paired else replace(comparison, factor="size")
    try:
        table = _of_architectures(result_set, of=of, alpha=alpha)
    except InvalidTableError as error:
        raise _not_available(result_set, comparison, str(error)) from None
    if not comparison.paired:
        table["group"] = _classes(_narrow(result_set), comparison, table, labels)
    table = table.dropna(subset=["group", "value"]).reset_index(drop=True)
    counts = [int((table["group"] == group).sum()) for group in comparison.groups]
    if min(counts) < 2:
        found = ", ".join(f"{n} {g}" for n, g in zip(counts, comparison.groups, strict=True))
        raise _not_available(result_set, comparison, f"models with a run in each: {found}")
    table.insert(1, "family", families(table["architecture"]))
    return table[["architecture", "family", "group", *_VALUES]]


@cached_on_result_set
def _of_architectures(result_set: ResultSet, *, of: Comparison, alpha: float) -> pd.DataFrame:
    """The values of each architecture and arm, and its number of parameters."""
    runs = _runs(_narrow(result_set), of)
    if runs.empty:
        raise InvalidTableError("it has no such run")
    table = _one_value_each(_values(runs, of.performance, alpha), of.paired)
    sizes = runs.drop_duplicates("architecture")[["architecture", "n_parameters"]]
    return table.merge(sizes, on="architecture", how="left")


def _narrow(result_set: ResultSet) -> ResultSet:
    """Leave out the columns that no comparison needs: most of the time goes into copying them."""
    needed = [*_COLUMNS, "status", "pretrained", "train_fraction", "released_train_time_s"]
    runs = result_set.runs
    return replace(
        result_set, runs=runs[[c for c in runs if c in needed or c in ("type", "efficient")]]
    )


def _runs(result_set: ResultSet, comparison: Comparison) -> pd.DataFrame:
    """Finished runs that the comparison is about, with their arm where there are two."""
    runs = result_set.finished
    if comparison.factor == "pretraining":
        runs = pretraining_runs(result_set)
    elif comparison.factor == "fraction":
        runs = fraction_runs(result_set)
    else:
        average = AVERAGES.get(comparison.scope, "stated")
        if runs.empty or (average == "stated" and not on_all_images(runs).any()):
            return runs.iloc[:0].assign(arm="")[_COLUMNS]
        runs = averaged_runs(result_set, average).assign(arm="")
    if comparison.scope not in AVERAGES:
        runs = runs[runs["dataset"] == comparison.scope]
    return runs[_COLUMNS]


def _values(runs: pd.DataFrame, performance: str, alpha: float) -> pd.DataFrame:
    """Add to each run its value and the baselines of that value."""
    shares = {key: majority_of_runs(part) for key, part in runs.groupby("experiment", sort=False)}
    runs = runs.assign(majority=runs["experiment"].map(shares).astype(float))
    if performance == "accuracy":
        accuracy = runs["test_accuracy"].astype(float)
        return runs.assign(
            value=accuracy, cost_alone=np.nan, log_value=np.nan, log_cost_alone=np.nan
        )
    scored = score_runs(runs, alpha=alpha)
    known = scored["resource"].notna()
    alone = pd.Series(np.nan, index=scored.index)
    if known.any():
        alone[known] = cost_alone(scored.loc[known, "resource"], alpha=alpha)
    positive = scored["pepr"].where(scored["pepr"] > 0)
    return scored.assign(
        value=scored["pepr"],
        cost_alone=alone,
        log_value=np.log(positive),
        log_cost_alone=np.log(alone),
    )


def _one_value_each(runs: pd.DataFrame, paired: bool) -> pd.DataFrame:
    """Average over repeats, then over experiments, where an architecture has a run in each."""
    unit = "dataset" if paired else "experiment"
    each = _means(runs.dropna(subset=["value"]), ["architecture", unit, "arm"])
    # of a unit, the architectures with every arm; of the units, those that have any of these
    arms = each.groupby(["architecture", unit])["arm"].transform("nunique")
    each = each[arms == (2 if paired else 1)]
    complete = each.groupby("architecture")[unit].transform("nunique") == each[unit].nunique()
    means = _means(each[complete], ["architecture", "arm"])
    return means.rename(columns={"arm": "group"})


def _means(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of each value; null where one of the values averaged is."""
    grouped = frame.groupby(keys, sort=False)[_VALUES]
    means = grouped.mean()
    return means.where(grouped.count().eq(grouped.size(), axis=0)).reset_index()


def _classes(
    result_set: ResultSet,
    comparison: Comparison,
    table: pd.DataFrame,
    labels: Labels,
) -> pd.Series:
    """Group of each row of `table` by a label of its architecture; null where it has none."""
    known = add_classes(table[["architecture", "n_parameters"]])
    label = known[comparison.factor]
    if labels == "alternative":
        if comparison.factor == "size":
            counts = known["n_parameters"].astype("Float64")
            large = counts > counts.median()
            label = large.map({True: "large", False: "small"}).where(counts.notna())
        else:
            divided = divided_families(result_set, comparison.factor)
            label = label.mask(known["architecture"].isin(divided))
    return label.astype("object").where(label.notna(), None).to_numpy()


def _not_available(result_set: ResultSet, comparison: Comparison, why: str) -> NotAvailableError:
    what = " and ".join(comparison.groups)
    where = (
        "averaged over experiments"
        if comparison.scope in AVERAGES
        else f"on data set {comparison.scope!r}"
    )
    return NotAvailableError(
        f"{result_set.name}: {comparison.name} needs two or more models {what}, {where}; {why}"
    )


def families(architectures: Iterable[str]) -> list[str]:
    """Return the family of each architecture: the models that the bootstrap resamples as one.

    The models of a study are no independent draws: thirty-one of the paper's 131 are residual
    networks made by one file of timm. The family of a known architecture is the module of timm that
    makes it (``data/timm_models.csv``, column ``module``); of any other, its name up to the first
    digit.

    Examples
    --------
    >>> families(["resnet18d", "gluon_seresnext50_32x4d", "dla34", "my_net_12"])
    ['resnet', 'resnet', 'dla', 'my_net']
    """
    known = load_timm_models()["module"]
    return [str(known.get(name)) if name in known else family_of(name) for name in architectures]


def divided_families(result_set: ResultSet, label: str) -> set[str]:
    """Architectures whose family, by name, has models in both classes of a label.

    Parameters
    ----------
    label : {"type", "efficient"}
        Column of the model space.
    """
    table = label_table(result_set)
    if label not in table:
        return set()
    classes = table.groupby("family")[label].transform("nunique")
    return set(table.loc[classes > 1, "architecture"])
