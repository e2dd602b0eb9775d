"""Carbon intensity as it is declared: a number, or a country from a table; nothing is asked."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib import metadata, resources

from pepr_utils.errors import PeprError
from pepr_utils.measurement.metering.estimate import quiet


class IntensityError(PeprError, ValueError):
    """A carbon intensity that is no number, or a place that the table does not have."""


@dataclass(frozen=True)
class Intensity:
    """Emissions per energy, with the year they are of and where the figure is from.

    The figure is None where no table could be read.
    """

    g_per_kwh: float | None
    source: str


def carbon_intensity(declared: float | str | None = None) -> Intensity:
    """Resolve a declared carbon intensity.

    Parameters
    ----------
    declared : float or str, optional
        Grams of CO2 equivalents per kWh, or a country's two- or three-letter code (ISO 3166-1),
        looked up in the table of yearly means that carbontracker ships. By default the world's
        mean that carbontracker states.

    Raises
    ------
    IntensityError
        If it is neither a finite number of at least 0 nor a code of the table.

    Examples
    --------
    >>> carbon_intensity(20.0)
    Intensity(g_per_kwh=20.0, source='declared')
    >>> carbon_intensity("DK").source
    'Denmark, mean of ..., table of carbontracker ...'
    """
    if declared is None:
        return _world()
    try:
        value = float(declared)
    except (TypeError, ValueError):
        return _of_country(str(declared).strip().upper())
    if not (math.isfinite(value) and value >= 0):
        raise IntensityError(
            f"the carbon intensity is {declared} g/kWh; allowed: a finite number, at least 0, or "
            "a country's code, such as DK"
        )
    return Intensity(value, "declared")


def _world() -> Intensity:
    with quiet():
        from carbontracker import constants
    year = constants.WORLD_AVG_CARBON_INTENSITY_YEAR
    source = f"world, mean of {year} (IEA), stated by carbontracker {_version()}"
    return Intensity(float(constants.WORLD_AVG_CARBON_INTENSITY), source)


def _of_country(code: str) -> Intensity:
    with quiet():
        file = resources.files("carbontracker") / "data" / "carbon-intensities.csv"
    with file.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if code in (row["alpha-2"], row["Code"]):
                value = float(row["Carbon intensity of electricity (gCO2eq/kWh)"])
                place = f"{row['Entity']}, mean of {row['Year']}"
                return Intensity(value, f"{place}, table of carbontracker {_version()}")
    raise IntensityError(
        f"no carbon intensity for {code!r}; allowed: a number in g/kWh, or the two- or "
        "three-letter code of a country in carbontracker's table, such as DK or DNK; for a zone "
        "of a grid, or a country that is not in it, give the number"
    )


def _version() -> str:
    return metadata.version("carbontracker")
