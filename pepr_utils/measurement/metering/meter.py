"""The meter: `with meter() as m` around any block, with windows in it or without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Literal

from pepr_utils.measurement.metering import intensity as intensities
from pepr_utils.measurement.metering import memory
from pepr_utils.measurement.metering.estimate import quiet
from pepr_utils.measurement.metering.hardware import Hardware, Mark
from pepr_utils.measurement.metering.quantities import (
    JOULE_PER_KWH,
    Component,
    Memory,
    Window,
    total,
)
from pepr_utils.measurement.metering.reading import components

#: Seconds between two samples of power.
INTERVAL_S = 0.2
#: Seconds for which idle power is watched, once per device and process.
IDLE_S = 1.0
#: The window that stands for the block where no other was opened.
BLOCK = "block"
#: Who reads what, as the name of a method begins.
_TOOLS = {
    "counter": "nvml",
    "polled": "carbontracker",
    "rapl": "powercap",
    "tdp-estimate": "carbontracker",
    "simulated": "declared",
}


class Meter:
    """What a block consumes; made by `meter`.

    Energies are there once a window has closed. A value is None where a part that belongs to it
    was not measured, and `notes` says what and why; it is never a silent 0.

    Attributes
    ----------
    pue : float
        Facility over computer energy, as declared.
    intensity : Intensity
        Declared carbon intensity (g/kWh) and where it is from.
    """

    def __init__(
        self,
        hardware: Hardware,
        pue: float,
        intensity: intensities.Intensity,
        simulated_w: float | None = None,
        *,
        on_cards: bool = True,
    ) -> None:
        self._hardware, self.pue, self.intensity = hardware, pue, intensity
        self._simulated_w, self._on_cards = simulated_w, on_cards
        self._marks: list[tuple[str, int, Mark, Mark]] = []
        self._faults: list[str] = []
        self._resident_known = memory.reset_peaks()
        self._ended: tuple[tuple[Window, ...], Memory] | None = None

    @contextmanager
    def window(self, kind: str, epoch: int = 0) -> Iterator[None]:
        """Measure a part of the block, such as an epoch's training; windows do not overlap."""
        start = self._mark()
        try:
            yield
        finally:
            self._marks.append((kind, epoch, start, self._mark()))

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that have closed, in their order."""
        if self._ended:
            return self._ended[0]
        parts = self._by_window()
        return tuple(
            Window(kind, epoch, end.time_s - start.time_s, tuple(found))
            for (kind, epoch, start, end), found in zip(self._marks, parts, strict=True)
        )

    def components(
        self, kind: str | None = None, epoch: int | None = None
    ) -> tuple[Component, ...]:
        """Energy of each device, summed over the windows of a kind and an epoch, or over all."""
        chosen = [
            window.components
            for window in self.windows
            if kind in (None, window.kind) and epoch in (None, window.epoch)
        ]
        return tuple(total(list(parts)) for parts in zip(*chosen, strict=True))

    def it_energy_kwh(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Energy of the computer (kWh) in the windows of a kind and an epoch, or in all."""
        counted = self._counted()
        energies = [
            part.energy_j
            for part, counts in zip(self.components(kind, epoch), counted, strict=False)
            if counts
        ]
        if not energies or any(energy is None for energy in energies):
            return None
        return sum(energies) / JOULE_PER_KWH

    def energy_kwh(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Energy of the facility (kWh): that of the computer times the PUE."""
        energy = self.it_energy_kwh(kind, epoch)
        return None if energy is None else energy * self.pue

    def co2eq_g(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Emissions of the facility's energy (g CO2eq) at the declared intensity."""
        energy = self.energy_kwh(kind, epoch)
        return None if energy is None else energy * self.intensity.g_per_kwh

    def duration_s(self, kind: str | None = None) -> float:
        """Length of the windows (s), on a monotonic clock."""
        return sum(w.duration_s for w in self.windows if kind in (None, w.kind))

    def gpu_kwh(self, by: Literal["counter", "polled"], kind: str | None = None) -> float | None:
        """Energy of the cards (kWh) by one of its two methods, whichever `energy_kwh` is from."""
        found = [getattr(p, f"{by}_j") for p in self.components(kind) if p.kind == "gpu"]
        return None if not found or None in found else sum(found) / JOULE_PER_KWH

    @property
    def method(self) -> str:
        """What was measured and how, such as ``carbontracker: cpu tdp-estimate``.

        Part of the key by which runs are compared, hence without anything that varies from run
        to run of one set-up.
        """
        words: dict[str, None] = {}
        for part in self.components():
            if part.method is None:
                words[f"{part.kind} not measured"] = None
            else:
                words[f"{_TOOLS[part.method]}: {part.kind} {part.method}"] = None
        return "; ".join(words) or "none"

    @property
    def power_limit_w(self) -> float | None:
        """Enforced power limit of the cards, summed; None without one."""
        limits = [part.power_limit_w for part in self.components() if part.kind == "gpu"]
        return None if not limits or None in limits else sum(limits)

    def n_samples(self) -> int | None:
        """Power samples in all windows, of the counted device with the fewest; None where none."""
        pairs = zip(self.components(), self._counted(), strict=True)
        return min((p.n_samples for p, c in pairs if c and p.n_samples is not None), default=None)

    @property
    def disagreement(self) -> float | None:
        """Largest difference of counter and samples in a window long enough to compare them."""
        found = [w.disagreement for w in self.windows if w.disagreement is not None]
        return max(found, default=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not measured and why, and what is doubtful; each once."""
        found = [f"{p.kind}: {note}" for p in self.components() for note in p.notes]
        flags = [flag for window in self.windows for flag in window.flags]
        return tuple(dict.fromkeys([*self._faults, *self._hardware.notes, *found, *flags]))

    @property
    def memory(self) -> Memory:
        """Peak memory since the meter began, up to its end."""
        if self._ended:
            return self._ended[1]
        allocated, reserved = memory.torch_peaks() if self._on_cards else (None, None)
        used = self._hardware.used_bytes
        resident = memory.resident_peak() if self._resident_known else None
        return Memory(allocated, reserved, sum(used.values()) if used else None, resident)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as `pepr meter --json` prints it."""
        return {
            "duration_s": self.duration_s(),
            "it_energy_kwh": self.it_energy_kwh(),
            "pue": self.pue,
            "energy_kwh": self.energy_kwh(),
            "carbon_intensity_g_per_kwh": self.intensity.g_per_kwh,
            "carbon_intensity_source": self.intensity.source,
            "co2eq_g": self.co2eq_g(),
            "energy_method": self.method,
            "components": [asdict(part) for part in self.components()],
            "memory": asdict(self.memory),
            "notes": list(self.notes),
        }

    def _mark(self) -> Mark:
        if self._simulated_w is not None:
            return Mark(time.monotonic())
        try:
            return self._hardware.mark()
        except Exception as error:  # noqa: BLE001 - the block goes on, whatever the meter does
            self._faults.append(f"the meter failed at the end of a window: {error!r}")
            return Mark(time.monotonic())

    def _by_window(self) -> list[list[Component]]:
        """Components of each window; a card is read in one way in all windows, or not at all."""
        if self._simulated_w is not None:
            spans = [end.time_s - start.time_s for _, _, start, end in self._marks]
            return [
                [Component("simulated", "declared", self._simulated_w * s, "simulated", s)]
                for s in spans
            ]
        found = [list(components(self._hardware, start, end)) for *_, start, end in self._marks]
        for i in range(len(found[0]) if found else 0):
            column = [parts[i] for parts in found]
            methods = {part.method for part in column}
            if "counter" in methods and len(methods) > 1:
                for parts in found:
                    polled = parts[i].polled_j
                    method = None if polled is None else "polled"
                    parts[i] = replace(parts[i], energy_j=polled, method=method)
        return found

    def _counted(self) -> list[bool]:
        """Which components are in the energy: beside a card, a processor may be lacking."""
        whole = self.components()
        card = any(part.kind == "gpu" for part in whole)
        processor = all(part.energy_j is not None for part in whole if part.kind != "gpu")
        return [part.kind == "gpu" or not card or processor for part in whole]


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

    Whatever happens to the meter, the block goes on; an error of the block passes through.

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

    Examples
    --------
    >>> with meter("cpu", simulated_w=100.0) as measured:
    ...     _ = sum(range(1000))
    >>> measured.method, measured.it_energy_kwh() > 0
    ('declared: simulated simulated', True)
    """
    intensity = intensities.carbon_intensity(carbon_intensity)
    interval_s = INTERVAL_S if interval_s is None else interval_s
    idle_s = IDLE_S if idle_s is None else idle_s
    on_cards = device is None or str(device).startswith("cuda")
    hardware, fault = Hardware(interval_s), None
    if simulated_w is None:
        try:
            name = None if device is None else str(device)
            hardware = Hardware.open(name, interval_s=interval_s, idle_s=idle_s)
        except Exception as error:  # noqa: BLE001 - the block is run all the same
            fault = f"nothing was measured: the meter did not start: {error!r}"
            hardware.gpu_wanted = on_cards
    pue = _pue() if pue is None else float(pue)
    measured = Meter(hardware, pue, intensity, simulated_w, on_cards=on_cards)
    if fault:
        measured._faults.append(fault)
    whole = measured._mark()
    try:
        yield measured
    finally:
        if not measured._marks:
            measured._marks.append((BLOCK, 0, whole, measured._mark()))
        hardware.close()
        measured._ended = (measured.windows, measured.memory)


def _pue() -> float:
    with quiet():
        from carbontracker import constants
    return float(constants.PUE_2023)
