"""Checks of emissions: the carbon intensity that they imply."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pepr_utils.results.audit.finding import Finding, rows_of, span
from pepr_utils.results.audit.limits import declared
from pepr_utils.results.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet

#: Intensities that agree to this share are one.
SAME = 0.01
#: A fallback constant is met to this share.
EXACT = 1e-4


def implied_intensity(runs: pd.DataFrame) -> pd.Series:
    """Emissions over energy of each run, in g/kWh; null where either is unknown or zero."""
    energy = runs["energy_kwh"].where(runs["energy_kwh"] > 0)
    return runs["co2eq_g"].where(runs["co2eq_g"] > 0) / energy


@check("carbon-intensity")
def intensity(result_set: ResultSet) -> Iterator[Finding]:
    """Emissions of one experiment at several grid intensities, or not at the one declared."""
    runs = result_set.finished
    implied, labels = implied_intensity(runs), experiment_labels(runs["experiment"])
    declared_ = runs["carbon_intensity_g_per_kwh"]
    off = (implied / declared_ - 1).abs() > SAME
    for key, part in runs[off].groupby("experiment"):
        yield Finding(
            "carbon-intensity",
            "error",
            rows_of(part),
            ("co2eq_g", "energy_kwh", "carbon_intensity_g_per_kwh"),
            f"{labels[key]}: {len(part)} emissions imply {span(implied[part.index], 1)} g/kWh and "
            f"{span(declared_[part.index], 1)} g/kWh are declared",
        )
    for key, part in runs[implied.notna() & declared_.isna()].groupby("experiment"):
        mine = implied[part.index]
        if mine.max() / mine.min() - 1 > SAME:
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
                f"{labels[key]}: {len(part)} emissions are the energy times {constant:g} g/kWh, "
                "which carbontracker uses when it finds no intensity for the place",
            )
