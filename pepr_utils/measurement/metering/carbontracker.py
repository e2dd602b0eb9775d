"""What carbontracker provides: samples of a GPU's power, a CPU's estimate, PUE and intensities.

Its `CarbonTracker` and its sampling thread are not used: they would ask a web service where the
machine is, end the process on an error (`os._exit(70)`), average several devices where the sum is
the energy, shift all later epochs by a failed sample, and measure every GPU of the machine where
CUDA_VISIBLE_DEVICES holds no plain numbers. Its reader of RAPL sleeps for a second in each sample.
"""

from __future__ import annotations

import csv
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from typing import Any

from pepr_utils.errors import NotInstalledError, PeprError


class IntensityError(PeprError, ValueError):
    """A carbon intensity that is no number, or a place that the table does not have."""


@dataclass(frozen=True)
class Estimate:
    """A constant power (W) of a CPU: half of its rated power (TDP), and which one was taken."""

    device: str
    power_w: float
    basis: str


@dataclass(frozen=True)
class Intensity:
    """Emissions per energy, with the year they are of and their source.

    The figure is None where no table could be read.
    """

    g_per_kwh: float | None
    source: str


def gpu_power(handle: Any) -> Callable[[], float]:
    """Return carbontracker's reader of the power (W) of one GPU, by its NVML handle."""
    with quiet():
        from carbontracker.components.gpu.nvidia import NvidiaGPU
    reader = NvidiaGPU(pids=[], devices_by_pid=False)
    reader._handles = [handle]  # its own choice of GPUs ignores UUIDs
    return lambda: reader.power_usage()[0]


@cache
def estimate(name: str = "") -> Estimate | None:
    """Return the CPU's estimated power, looked up once; None where carbontracker gives none.

    carbontracker looks the CPU up in a list of rated powers: by its whole name, else the first row
    whose name contains it, else the mean of the list. It counts one CPU, whatever their number, at
    half of its rated power, whatever the load.

    Parameters
    ----------
    name : str, optional
        The CPU's name, where the system tells it at once; carbontracker finds it in a second.
    """
    try:
        with quiet():
            from carbontracker.components.cpu.generic import GenericCPU

        class Named(GenericCPU):
            def get_cpu_brand(self) -> str:  # its own way starts a Python process, of a second
                return name or super().get_cpu_brand()

        handler = Named(pids=[], devices_by_pid=False)
        handler.init()
        (power,) = handler.power_usage()
        brand, basis = handler.cpu_brand, "the rated power listed under its name"
        if brand not in handler.cpu_power_data:
            basis = "a rated power that is a guess: its name is not in carbontracker's list"
    except Exception:  # noqa: BLE001 - carbontracker or its list may be missing or broken
        return None
    return Estimate(brand, float(power), basis) if power and power > 0 else None


def pue() -> float:
    """Return the power usage effectiveness that carbontracker states for 2023."""
    with quiet():
        from carbontracker import constants
    return float(constants.PUE_2023)


def carbon_intensity(declared: float | str | None = None) -> Intensity:
    """Resolve a declared carbon intensity; the network is never asked.

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
        with quiet():
            from carbontracker import constants
        year = constants.WORLD_AVG_CARBON_INTENSITY_YEAR
        source = f"world, mean of {year} (IEA), stated by carbontracker {_version()}"
        return Intensity(float(constants.WORLD_AVG_CARBON_INTENSITY), source)
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


@contextmanager
def quiet() -> Iterator[None]:
    """Import carbontracker without its loggers' and its dependencies' messages.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        if error.name != "carbontracker":
            raise
        raise NotInstalledError.of(error, "the meter", "meter") from None
    for name in ("err", "output"):  # what matters is in the record
        logging.getLogger(f"carbontracker.root.{name}").disabled = True
