"""The processor's power where nothing can be read: carbontracker's guess from its rated power."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pepr_utils.errors import NotInstalledError


class MeterUnavailableError(NotInstalledError):
    """What the meter is made of is not installed."""


@dataclass(frozen=True)
class Estimate:
    """A constant power, and how it came about.

    Attributes
    ----------
    device : str
        The processor as it calls itself.
    power_w : float
        Half of its rated power (TDP).
    basis : str
        Which rated power was taken.
    """

    device: str
    power_w: float
    basis: str


def estimate() -> Estimate | None:
    """Ask carbontracker for the processor's estimated power; None where it gives none.

    carbontracker looks the processor up in a list of rated powers: by its whole name, else the
    first row whose name contains it, else the mean of the list. It counts one processor, whatever
    their number, at half of its rated power, whatever the load.
    """
    try:
        with quiet():
            from carbontracker.components.cpu.generic import GenericCPU

        handler = GenericCPU(pids=[], devices_by_pid=False)
        handler.init()
        (power,) = handler.power_usage()
        name = handler.cpu_brand
        if name in handler.cpu_power_data:
            basis = "rated power listed under its name"
        elif handler.find_matching_tdp() is not None:
            basis = "rated power of the first in a list whose name contains it"
        else:
            basis = "mean rated power of a list of processors: it is not in it"
    except Exception:  # noqa: BLE001 - carbontracker or its list may be lacking or broken
        return None
    return Estimate(name, float(power), basis) if power and power > 0 else None


@contextmanager
def quiet() -> Iterator[None]:
    """Import carbontracker without its loggers' and its dependencies' remarks.

    Raises
    ------
    MeterUnavailableError
        If it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        if error.name != "carbontracker":
            raise
        raise MeterUnavailableError.of(error, "the meter", "meter") from None
    for name in ("err", "output"):  # what matters is in the record
        logging.getLogger(f"carbontracker.root.{name}").disabled = True
