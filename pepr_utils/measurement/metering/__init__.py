"""The meter: energy, emissions, memory and time of any block of code.

::

    with meter() as m:
        train()
    m.it_energy_kwh(), m.energy_kwh(), m.method(), m.notes

carbontracker is inside it, and NVML's energy counter and RAPL beside it; what each can and cannot
see is the book's chapter "What is measured and how well". torch is never imported here.
"""

from importlib.util import find_spec

from pepr_utils.errors import NotInstalledError
from pepr_utils.measurement.metering.carbontracker import (
    Intensity,
    IntensityError,
    carbon_intensity,
)
from pepr_utils.measurement.metering.energy import (
    COMPARED_ABOVE_S,
    DISAGREEMENT,
    FEW_SAMPLES,
    Component,
    Memory,
    Window,
)
from pepr_utils.measurement.metering.meter import IDLE_S, INTERVAL_S, Meter, meter

if find_spec("carbontracker") is None:
    missing = ModuleNotFoundError("No module named 'carbontracker'", name="carbontracker")
    raise NotInstalledError.of(missing, "the meter", "meter")

__all__ = [
    "COMPARED_ABOVE_S",
    "DISAGREEMENT",
    "FEW_SAMPLES",
    "IDLE_S",
    "INTERVAL_S",
    "Component",
    "Intensity",
    "IntensityError",
    "Memory",
    "Meter",
    "Window",
    "carbon_intensity",
    "meter",
]
