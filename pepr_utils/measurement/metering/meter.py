"""The meter: `with meter() as m` around any block, with windows in it or without."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pepr_utils.measurement.metering import intensity as intensities
from pepr_utils.measurement.metering.estimate import quiet
from pepr_utils.measurement.metering.hardware import Hardware
from pepr_utils.measurement.metering.measured import Meter

#: Seconds between two samples of power.
INTERVAL_S = 0.2
#: Seconds for which idle power is watched, once per device and process.
IDLE_S = 1.0


@contextmanager
def meter(
    device: Any = None,
    *,
    carbon_intensity: float | str | None = None,
    pue: float | None = None,
    interval_s: float | None = None,
    idle_s: float | None = None,
    simulated_w: float | None = None,
) -> Iterator[Meter]:
    """Measure a block: energy, emissions, memory and time.

    Whatever happens to the meter, the block goes on; an error of the block passes through. Only an
    argument that cannot be is an error of the meter, before the block begins.

    Parameters
    ----------
    device : torch.device or str, optional
        What computes: a CPU is measured alone, a graphics card together with the CPU. By default
        every card that CUDA_VISIBLE_DEVICES leaves, with the CPU.
    carbon_intensity : float or str, optional
        Emissions per energy (g/kWh), or a country's code; see `carbon_intensity`.
    pue : float, optional
        Facility over computer energy; by default what carbontracker states for 2023.
    interval_s : float, optional
        Seconds between two samples of power; by default `INTERVAL_S`.
    idle_s : float, optional
        Seconds for which idle power is watched before the block; by default `IDLE_S`.
    simulated_w : float, optional
        Measure nothing, and count this power (W): for trying things out.

    Yields
    ------
    Meter
        Without windows in the block, the whole block is one.

    Raises
    ------
    IntensityError
        If the carbon intensity is neither a number of at least 0 nor a country of the table.
    ValueError
        If the PUE is no number of at least 1.

    Notes
    -----
    By RAPL the energy of the processor is null where others keep it busy, since a package is
    counted whole. By the estimate it is assumed power times time, whatever the load: it stays, with
    a note, unless another meter of this user ran beside it for more than a tenth of the time.

    Examples
    --------
    >>> with meter("cpu", simulated_w=100.0) as measured:
    ...     _ = sum(range(1000))
    >>> measured.method(), measured.it_energy_kwh() > 0
    ('declared: simulated simulated', True)
    """
    intensity, faults = _declared(carbon_intensity)
    pue = _pue(faults) if pue is None else float(pue)
    if pue is not None and not 1 <= pue < math.inf:
        raise ValueError(f"the PUE is {pue}; allowed: a number of at least 1")
    interval_s = INTERVAL_S if interval_s is None else interval_s
    idle_s = IDLE_S if idle_s is None else idle_s
    on_cards = device is None or str(device).startswith("cuda")
    hardware = Hardware(interval_s)
    if simulated_w is None:
        try:
            name = None if device is None else str(device)
            hardware = Hardware.open(name, interval_s=interval_s, idle_s=idle_s)
        except Exception as error:  # noqa: BLE001 - the block is run all the same
            faults.append(f"nothing was measured: the meter did not start: {error!r}")
            hardware.gpu_wanted = on_cards
    measured = Meter(hardware, pue, intensity, simulated_w, on_cards=on_cards)
    for fault in faults:
        measured.fault(fault)
    whole = None
    try:
        whole = measured.mark()
        yield measured
    finally:
        measured.end(whole)


def _declared(intensity: float | str | None) -> tuple[intensities.Intensity, list[str]]:
    """The carbon intensity, with a fault where carbontracker's table cannot be had."""
    try:
        return intensities.carbon_intensity(intensity), []
    except intensities.IntensityError:
        raise
    except Exception as error:  # noqa: BLE001 - the block is run all the same
        return intensities.Intensity(None, "not known"), [f"no carbon intensity: {error}"]


def _pue(faults: list[str]) -> float | None:
    try:
        with quiet():
            from carbontracker import constants
        return float(constants.PUE_2023)
    except Exception as error:  # noqa: BLE001 - the block is run all the same
        faults.append(f"no PUE, hence no energy of the facility: {error}")
        return None
