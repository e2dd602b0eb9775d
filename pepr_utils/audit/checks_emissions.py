"""Checks of emissions: the carbon intensity that they imply."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pandas as pd

from pepr_utils.audit.finding import Finding, count, rows_of, span
from pepr_utils.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.power_limits import declared
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.shared_values import significant_digits

#: Intensities that agree to this share are one.
SAME = 0.01
#: A fallback constant is met to this share.
EXACT = 1e-4


def implied_intensity(runs: pd.DataFrame) -> pd.Series:
    """Emissions over energy of each run, in g/kWh; null where either is unknown or zero."""
    energy = runs["energy_kwh"].where(runs["energy_kwh"] > 0)
    return runs["co2eq_g"].where(runs["co2eq_g"] > 0) / energy


def rounding(values: pd.Series) -> pd.Series:
    """Half a unit of the last digit that each value is given with, as a share of it.

    A value with fewer than three digits is taken to have as many decimals as the others.

    Examples
    --------
    >>> rounding(pd.Series([0.00125, 0.002])).round(9).tolist()
    [0.004, 0.0025]
    """
    exponents = values.map(lambda v: Decimal(repr(float(v))).as_tuple().exponent, "ignore")
    short = values.map(lambda v: significant_digits(v) < 3, "ignore").eq(True)
    exponents = exponents.mask(short, exponents.min()).astype("float64")
    return (0.5 * 10.0**exponents / values.abs()).where(values.ne(0))


@check("carbon-intensity")
def intensity(result_set: ResultSet) -> Iterator[Finding]:
    """Emissions of one experiment at several grid intensities, or not at the one declared."""
    runs = result_set.finished
    implied, labels = implied_intensity(runs), experiment_labels(runs["experiment"])
    declared_ = runs["carbon_intensity_g_per_kwh"]
    room = rounding(runs["energy_kwh"]) + rounding(runs["co2eq_g"])
    off = (implied / declared_ - 1).abs() > SAME + room
    for key, part in runs[off].groupby("experiment"):
        yield Finding(
            "carbon-intensity",
            "error",
            rows_of(part),
            ("co2eq_g", "energy_kwh", "carbon_intensity_g_per_kwh"),
            f"{labels[key]}: emissions of {count(part, 'run')} imply "
            f"{span(implied[part.index], 1)} g/kWh "
            f"and {span(declared_[part.index], 1)} g/kWh are declared",
        )
    for key, part in runs[implied.notna() & declared_.isna()].groupby("experiment"):
        mine = implied[part.index]
        most, least = (mine * (1 - room)).max(), (mine * (1 + room)).min()
        if most / least - 1 > SAME:
            yield Finding(
                "carbon-intensity",
                "warning",
                rows_of(part),
                ("co2eq_g",),
                f"{labels[key]}: emissions over energy give {span(mine, 1)} g/kWh, median "
                f"{mine.median():.1f}; no intensity is declared",
            )


@check("fallback-intensity")
def fallback(result_set: ResultSet) -> Iterator[Finding]:
    """Emissions at a constant that carbontracker falls back on, where none was declared."""
    runs = result_set.finished[result_set.finished["carbon_intensity_g_per_kwh"].isna()]
    implied, labels = implied_intensity(runs), experiment_labels(result_set.experiments)
    for constant in declared()["intensity"]["fallbacks_g_per_kwh"]:
        met = np.isclose(implied.astype(float), constant, rtol=EXACT, atol=0)
        for key, part in runs[met].groupby("experiment"):
            yield Finding(
                "fallback-intensity",
                "warning",
                rows_of(part),
                ("co2eq_g",),
                f"{labels[key]}: emissions of {count(part, 'run')} are the energy times "
                f"{constant:g} g/kWh, which carbontracker uses when it finds no "
                "intensity for the place",
            )
