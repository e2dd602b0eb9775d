"""Energies that stand in several runs: which run is the source, which a copy, which undecided."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pepr_utils.results.accuracies import fits_other_test_set
from pepr_utils.results.power import implied_power
from pepr_utils.results.remembered import remembered
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.shared_values import (
    CONTINUOUS,
    MIN_DIGITS,
    shared_values,
    significant_digits,
)

SOURCE, COPY, UNDECIDED = "source", "copy", "undecided"


@remembered
def origins(result_set: ResultSet, *, host_power_w: float | None = None) -> pd.DataFrame:
    """Mark each run whose energy another run has too, bit for bit, by the power it implies.

    A run's energy over its *own* time is a mean power. Where the device cannot draw it, the energy
    is a *copy* from another run. If one run of a group is left that can, it is the *source*. Where
    several are left, all are *undecided*, unless whole rows are repeated and the accuracies of some
    fit another run's test set and not their own: those are copies. Nothing is decided by medians:
    copies can be the majority of an experiment.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    host_power_w : float, optional
        Another allowance for processor and memory than the declared one, in W.

    Returns
    -------
    pandas.DataFrame
        One row per such run, by the index of the runs: run_id, architecture, experiment,
        ``energy_kwh``, ``power_w``, ``limit_w``, ``whole_row`` (whether every measured value is
        repeated), ``role``.
    """
    runs = result_set.finished
    power = implied_power(result_set, host_power_w=host_power_w)
    values = shared_values(runs, "energy_kwh")
    names = ["run_id", "architecture", "experiment", "energy_kwh"]
    table = runs.loc[values.index, names].join(power[["power_w", "limit_w", "possible"]])
    repeated = repeated_rows(result_set)
    table["whole_row"] = table["run_id"].isin(repeated["run_id"])
    strange = set(fits_other_test_set(result_set)["run_id"])
    role = pd.Series(UNDECIDED, index=table.index, dtype="string")
    for _, group in table.groupby("energy_kwh"):
        left = group[group["possible"].fillna(True).astype(bool)]
        role[group.index.difference(left.index)] = COPY
        if left["whole_row"].all():
            foreign = left["run_id"].isin(strange)
            if foreign.any() and not foreign.all():
                role[left.index[foreign]] = COPY
                left = left[~foreign]
        if len(left) == 1 and bool(left["possible"].fillna(False).iloc[0]):
            role[left.index] = SOURCE
    return table.drop(columns="possible").assign(role=role)


@remembered
def repeated_rows(result_set: ResultSet) -> pd.DataFrame:
    """Runs that agree with another run in every measured value, all epochs' too.

    Returns
    -------
    pandas.DataFrame
        run_id, architecture, experiment and ``group``, a number that repeats share.
    """
    runs = result_set.finished
    columns = [name for name in CONTINUOUS if name in runs]
    by_run = result_set.epochs.groupby("run_id")["test_accuracy"]
    history = {run_id: tuple(values) for run_id, values in by_run}
    finals = zip(runs["run_id"], runs["test_accuracy"], strict=True)
    accuracies = [history.get(run_id, (final,)) for run_id, final in finals]
    measured = [
        tuple(None if value != value else value for value in row)
        for row in runs[columns].itertuples(index=False, name=None)
    ]
    keys = pd.Series(list(zip(measured, accuracies, strict=True)), index=runs.index, dtype=object)
    precise = [any(v and significant_digits(v) >= MIN_DIGITS for v in row) for row in measured]
    keys = keys[np.array(precise, dtype=bool) & keys.duplicated(keep=False)]
    group = pd.Series(pd.factorize(keys)[0], index=keys.index)
    found = runs.loc[keys.index, ["run_id", "architecture", "experiment"]].assign(group=group)
    return found.reset_index(drop=True)
