"""Measured values that several runs share, bit for bit: single ones, and whole rows."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from pepr_utils.results.result_set import ResultSet, cached_on_result_set

#: Measurements that two runs never share to the last digit. Memory and accuracies may coincide.
CONTINUOUS = (
    "energy_kwh",
    "it_energy_kwh",
    "eval_energy_kwh",
    "co2eq_g",
    "train_time_s",
    "eval_time_s",
    "released_train_time_s",
    "released_inf_time_s",
)

#: A value with fewer significant digits can appear twice by chance.
MIN_DIGITS = 6


def significant_digits(value: float) -> int:
    """Number of significant digits that a number is written with.

    Examples
    --------
    >>> significant_digits(0.0170), significant_digits(0.072770387135)
    (2, 11)
    """
    return len(Decimal(repr(float(value))).normalize().as_tuple().digits)


def continuous_columns(runs: pd.DataFrame) -> list[str]:
    """Columns of `CONTINUOUS` that have a value."""
    return [name for name in CONTINUOUS if name in runs and runs[name].notna().any()]


def shared_values(runs: pd.DataFrame, column: str) -> pd.Series:
    """Values of a column that more than one run has, by the index of `runs`; others are left out.

    Zeros, and values with fewer than six significant digits, do not count.
    """
    values = runs[column].dropna()
    values = values[values.ne(0) & values.duplicated(keep=False)]
    return values[[significant_digits(value) >= MIN_DIGITS for value in values]]


@cached_on_result_set
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
