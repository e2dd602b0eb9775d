"""Which runs have a value of a continuous measurement in common, bit for bit."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

#: Measurements that never come out the same twice to the last digit. Memory and accuracies may.
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

#: A value with fewer significant digits can stand twice by chance.
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
