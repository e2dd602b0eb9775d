"""Checks of emissions: the carbon intensity that they imply."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pandas as pd

from pepr_utils.audit.finding import Finding, by_experiment, count, rows_of, span
from pepr_utils.audit.registry import check
from pepr_utils.results.power import declared
from pepr_utils.results.repeats import significant_digits
from pepr_utils.results.result_set import ResultSet

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
    >>> rounding(pd.Series([0.00125, 0.002])).round(6).tolist()
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
    implied, recorded = implied_intensity(runs), runs["carbon_intensity_g_per_kwh"]
    room = rounding(runs["energy_kwh"]) + rounding(runs["co2eq_g"])
    for label, rows in by_experiment(result_set, (implied / recorded - 1).abs() > SAME + room):
        yield Finding(
            "carbon-intensity",
            "error",
            rows_of(rows),
            ("co2eq_g", "energy_kwh", "carbon_intensity_g_per_kwh"),
            f"{label}: emissions of {count(rows, 'run')} imply "
            f"{span(implied[rows.index], 1)} g/kWh and "
            f"{span(recorded[rows.index], 1)} g/kWh are declared",
        )
    for label, rows in by_experiment(result_set, implied.notna() & recorded.isna()):
        found = implied[rows.index]
        most, least = (found * (1 - room)).max(), (found * (1 + room)).min()
        if most / least - 1 > SAME:
            yield Finding(
                "carbon-intensity",
                "warning",
                rows_of(rows),
                ("co2eq_g",),
                f"{label}: emissions over energy give {span(found, 1)} g/kWh, median "
                f"{found.median():.1f}; no intensity is declared",
            )


@check("fallback-intensity")
def fallback(result_set: ResultSet) -> Iterator[Finding]:
    """Emissions at a constant that carbontracker falls back on, where none was declared."""
    runs = result_set.finished[result_set.finished["carbon_intensity_g_per_kwh"].isna()]
    implied = implied_intensity(runs).astype(float)
    for constant in declared()["intensity"]["fallbacks_g_per_kwh"]:
        met = pd.Series(np.isclose(implied, constant, rtol=EXACT, atol=0), index=runs.index)
        for label, rows in by_experiment(result_set, met):
            yield Finding(
                "fallback-intensity",
                "warning",
                rows_of(rows),
                ("co2eq_g",),
                f"{label}: emissions of {count(rows, 'run')} are the energy times {constant:g} "
                "g/kWh, which carbontracker uses when it finds no intensity for the place",
            )
