"""Learning curves on a common resource axis: cumulative cost, normalised over models and epochs."""

from __future__ import annotations

import pandas as pd

from pepr_utils.errors import InvalidTableError, unknown_name
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet, fine_tuned, on_all_images
from pepr_utils.results.scores import cost_column, numbers_of
from pepr_utils.scoring import normalize, pepr

#: Costs that do not add up over epochs: a model holds its memory from the first to the last.
NOT_CUMULATIVE = ("reserved_memory_gb", "peak_memory_gb")


def learning_curves(
    result_set: ResultSet,
    *,
    experiment: str | None = None,
    cost: str = "E",
    alpha: float = 1.0,
    method: str = "minmax",
) -> pd.DataFrame:
    """Score every epoch of every model of one experiment: the paper's equation (2), figure 4a.

    The resource of an epoch is what the model has consumed until its end, normalised over all
    models and epochs of the experiment. On a model's own axis every curve would start at R = 0,
    and nearly every optimum would be the first epoch. Performance at zero resource is not
    observed.

    Parameters
    ----------
    result_set : ResultSet
        A set with epochs.
    experiment : str, optional
        Key or label (see `experiment_labels`) of the experiment; default `curve_experiment`.
    cost : str, default "E"
        A letter or column that adds up over epochs: energy, carbon or time.
    alpha, method
        See `score_runs`.

    Returns
    -------
    pandas.DataFrame
        One row per finished run and epoch, in that order: architecture, run_id, epoch,
        test_accuracy, ``cost`` (cumulative, in the unit of the cost's column), ``resource``,
        ``pepr`` and ``assumed``: whether the cost is a share of the run's total, all epochs taken
        to cost the same, because epochs were not measured one by one.

    Raises
    ------
    UnknownNameError
        If there is no such experiment or cost.
    InvalidTableError
        If the experiment has no epochs with a test accuracy and a cost, or the cost does not add
        up over epochs.

    Examples
    --------
    >>> from pepr_utils.results import load_result_set
    >>> curves = learning_curves(load_result_set("published"))  # doctest: +SKIP
    >>> len(curves), curves["resource"].max()  # doctest: +SKIP
    (1310, 1.0)
    """
    key = _experiment_key(result_set, experiment)
    runs = result_set.finished[result_set.finished["experiment"] == key]
    column = cost_column(runs, cost)
    if column in NOT_CUMULATIVE:
        raise InvalidTableError(
            f"{column} does not add up over epochs; allowed: a cost that does, such as E or T"
        )
    epochs = runs[["run_id", "architecture", column]].merge(
        result_set.epochs, on="run_id", suffixes=("_total", "")
    )
    epochs = epochs.sort_values(["architecture", "run_id", "epoch"], kind="stable")
    names = ["architecture", "run_id", "epoch", "test_accuracy", "cost", "assumed"]
    curves = cumulative_cost(epochs, column)[names]
    curves = curves[curves["test_accuracy"].notna() & curves["cost"].notna()]
    if curves.empty:
        raise InvalidTableError(
            f"{result_set.name}: no epoch of {key!r} has a test accuracy and {column}; "
            "choose another experiment, or measure epochs"
        )
    resource = normalize(curves["cost"], method=method)
    return curves.assign(
        resource=resource, pepr=pepr(curves["test_accuracy"], resource, alpha=alpha)
    ).reset_index(drop=True)


def curve_experiment(result_set: ResultSet) -> str:
    """Key of the experiment whose curves are shown by default.

    The fine-tuned one on all training data with the most runs; without such, any on all data.

    Raises
    ------
    InvalidTableError
        If no finished run has epochs with a test accuracy.
    """
    seen = result_set.epochs[result_set.epochs["test_accuracy"].notna()]["run_id"]
    runs = result_set.finished[result_set.finished["run_id"].isin(seen)]
    if runs.empty:
        raise InvalidTableError(
            f"{result_set.name}: no finished run has epochs with a test accuracy, so there is no "
            "learning curve; a folder of records has them, a table of totals does not"
        )
    wanted = runs.assign(full=on_all_images(runs), tuned=fine_tuned(runs))
    ranked = wanted.groupby("experiment", sort=False).agg(
        full=("full", "first"), tuned=("tuned", "first"), n=("run_id", "size")
    )
    order = ranked.sort_values(["full", "tuned", "n"], ascending=False, kind="stable")
    return str(order.index[0])


def _experiment_key(result_set: ResultSet, experiment: str | None) -> str:
    if not experiment:
        return curve_experiment(result_set)
    labels = experiment_labels(result_set.experiments)
    keys = {label: key for key, label in labels.items()} | {key: key for key in labels}
    if experiment not in keys:
        raise unknown_name("experiment", experiment, labels.values())
    return keys[experiment]


def cumulative_cost(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add the cost until the end of each epoch: measured ones summed, else equal shares.

    Parameters
    ----------
    epochs : pandas.DataFrame
        Epochs of some runs, in order, with ``column`` of the run: named ``<column>_total`` where
        epochs have a column of that name too.
    column : str
        A cost that adds up over epochs.

    Returns
    -------
    pandas.DataFrame
        The same with ``cost``, and ``assumed``: whether all epochs of the run were taken to cost
        the same, because they were not measured one by one.
    """
    run = epochs["run_id"]
    by_epoch = f"{column}_total" in epochs
    total = numbers_of(epochs, f"{column}_total" if by_epoch else column)
    cost = total * epochs["epoch"].astype(float) / epochs.groupby(run)["epoch"].transform("max")
    measured = pd.Series(False, index=epochs.index)
    if by_epoch:
        each = numbers_of(epochs, column)
        measured = each.notna().groupby(run).transform("all")
        cost = cost.mask(measured, each.groupby(run).cumsum())
    return epochs.assign(cost=cost, assumed=~measured)
