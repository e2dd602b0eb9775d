"""The meter: `with meter() as m` around any block, with windows in it or without."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

from pepr_utils.measurement.metering import carbontracker, memory
from pepr_utils.measurement.metering.carbontracker import Intensity, IntensityError
from pepr_utils.measurement.metering.energy import (
    JOULE_PER_KWH,
    Component,
    Memory,
    Window,
    described,
    total,
)
from pepr_utils.measurement.metering.hardware import Hardware
from pepr_utils.measurement.metering.readings import Mark, Span

#: Defaults of the meter: pause between two samples of power, and how long idle power is watched.
INTERVAL_S, IDLE_S = 0.2, 1.0
#: The window that is the whole block, where no other was opened.
BLOCK = "block"


@contextmanager
def meter(
    device: Any = None,
    *,
    carbon_intensity: float | str | None = None,
    pue: float | None = None,
    interval_s: float = INTERVAL_S,
    idle_s: float = IDLE_S,
    simulated_w: float | None = None,
) -> Iterator[Meter]:
    """Measure a block: energy, emissions, memory and time.

    Whatever happens to the meter, the block goes on; an error of the block passes through. Only a
    wrong argument is an error of the meter, before the block begins.

    Parameters
    ----------
    device : torch.device or str, optional
        What computes: a CPU is measured alone, a GPU together with the CPU. By default every GPU
        that CUDA_VISIBLE_DEVICES leaves, with the CPU.
    carbon_intensity : float or str, optional
        Emissions per energy (g/kWh), or a country's code; see `carbon_intensity`.
    pue : float, optional
        Facility over computer energy; by default what carbontracker states for 2023.
    interval_s : float, default 0.2
        Pause between two samples of power.
    idle_s : float, default 1.0
        How long idle power is watched before the block, once per device and process.
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
    By RAPL the energy of the CPU is null where others keep it busy, since a package is counted
    whole. By the estimate it is assumed power times time, whatever the load: it stays, with a note.

    Examples
    --------
    >>> with meter("cpu", simulated_w=100.0) as measured:
    ...     _ = sum(range(1000))
    >>> measured.method(), measured.it_energy_kwh() > 0
    ('declared: simulated simulated', True)
    """
    name = None if device is None else str(device)
    measured = Meter(name, carbon_intensity, pue, interval_s, idle_s, simulated_w)
    whole = None
    try:
        whole = measured.mark()
        yield measured
    finally:
        measured.end(whole)


class Meter:
    """What a block consumes; made by `meter`.

    Energies are there once a window has closed, and None where they were not measured, never 0.
    The energy of the computer is None where a GPU that belongs to it was not measured, and without
    a GPU where the CPU was not; beside a GPU it is that of the GPUs alone then. Memory is in it
    where it was measured. `covers` and `method` name what it is of.

    Attributes
    ----------
    pue : float or None
        Facility over computer energy.
    intensity : Intensity
        Declared carbon intensity (g/kWh) and its source.
    """

    def __init__(
        self,
        device: str | None,
        carbon_intensity: float | str | None,
        pue: float | None,
        interval_s: float,
        idle_s: float,
        simulated_w: float | None,
    ) -> None:
        self._faults: list[str] = []
        self._spans: list[Span] = []
        self._open = 0
        self._ended: tuple[tuple[Window, ...], Memory] | None = None
        self._on_gpus = device is None or device.startswith("cuda")
        self._simulated_w = simulated_w
        if pue is None:
            pue = self._tried("no PUE, hence no energy of the facility", carbontracker.pue)
        elif not 1 <= float(pue) < math.inf:
            raise ValueError(f"the PUE is {pue}; allowed: a number of at least 1")
        self.pue = None if pue is None else float(pue)
        self.intensity = self._tried(
            "no carbon intensity", lambda: carbontracker.carbon_intensity(carbon_intensity)
        ) or Intensity(None, "not known")
        self._hardware = None
        if simulated_w is None:
            self._hardware = self._tried(
                "nothing was measured: the meter did not start",
                lambda: Hardware(device, interval_s=interval_s, idle_s=idle_s, fault=self._fault),
            )
        self._resident_known = memory.reset_peaks()

    @contextmanager
    def window(self, kind: str, epoch: int = 0) -> Iterator[None]:
        """Measure a part of the block, such as an epoch's training.

        Windows should not overlap: what two have in common is counted in both, with a note.
        """
        if self._open:
            self._fault(f"the window {kind} began within another: their energy is counted twice")
        self._open += 1
        start = self.mark()
        try:
            yield
        finally:
            self._spans.append(Span(kind, epoch, start, self.mark()))
            self._open -= 1

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that have closed, in their order."""
        if self._ended:
            return self._ended[0]
        parts = self._tried("the meter failed, and has no energy", self._by_window)
        parts = parts or [()] * len(self._spans)
        return tuple(
            Window(span.kind, span.epoch, span.seconds, found)
            for span, found in zip(self._spans, parts, strict=True)
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
        return tuple(total(parts) for parts in zip(*chosen, strict=True))

    def it_energy_kwh(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Energy of the computer (kWh) in the windows of a kind and an epoch, or in all."""
        parts = zip(self.components(kind, epoch), self._counted(kind), strict=False)
        energies = [part.energy_j for part, counts in parts if counts]
        return None if not energies or None in energies else sum(energies) / JOULE_PER_KWH

    def energy_kwh(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Energy of the facility (kWh): that of the computer times the PUE."""
        energy = self.it_energy_kwh(kind, epoch)
        return None if None in (energy, self.pue) else energy * self.pue

    def co2eq_g(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Emissions of the facility's energy (g CO2eq) at the declared intensity."""
        energy, intensity = self.energy_kwh(kind, epoch), self.intensity.g_per_kwh
        return None if None in (energy, intensity) else energy * intensity

    @property
    def covers(self) -> tuple[str, ...]:
        """The kinds of components that the energy of the computer is the sum of."""
        pairs = zip(self.components(), self._counted(), strict=True)
        return tuple(dict.fromkeys(part.kind for part, counts in pairs if counts))

    def duration_s(self, kind: str | None = None) -> float:
        """Length of the windows (s), on a monotonic clock."""
        return sum(w.duration_s for w in self.windows if kind in (None, w.kind))

    def gpu_kwh(self, by: Literal["counter", "polled"], kind: str | None = None) -> float | None:
        """Energy of the GPUs (kWh) by one of its two methods, whichever `energy_kwh` is from."""
        found = [getattr(p, f"{by}_j") for p in self.components(kind) if p.kind == "gpu"]
        return None if not found or None in found else sum(found) / JOULE_PER_KWH

    def method(self, kind: str | None = None) -> str:
        """What was measured and how in the windows of a kind, or in all.

        Such as ``carbontracker: cpu tdp-estimate``. Part of the key by which runs are compared,
        hence without anything that varies from run to run of one set-up.
        """
        return described(self.components(kind))

    @property
    def power_limit_w(self) -> float | None:
        """Enforced power limit of the GPUs (W), summed; None without one."""
        limits = [part.power_limit_w for part in self.components() if part.kind == "gpu"]
        return None if not limits or None in limits else sum(limits)

    def n_samples(self, kind: str | None = None) -> int | None:
        """Power samples in the windows, of the counted device with the fewest; None where none."""
        pairs = zip(self.components(kind), self._counted(kind), strict=True)
        return min((p.n_samples for p, c in pairs if c and p.n_samples is not None), default=None)

    @property
    def disagreement(self) -> float | None:
        """Largest difference of counter and samples in a window long enough to compare them."""
        parts = [part for window in self.windows for part in window.components]
        return max((p.disagreement for p in parts if p.disagreement is not None), default=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not measured and why, and what is doubtful; each once."""
        components = self.components()  # may add a fault
        general = self._hardware.notes if self._hardware else ()
        found = [
            f"{part.kind}: {note}"
            for part in components
            for note in part.notes
            if note not in general
        ]
        return tuple(dict.fromkeys([*self._faults, *general, *found]))

    @property
    def memory(self) -> Memory:
        """Peak memory since the meter began, up to its end."""
        if self._ended:
            return self._ended[1]
        allocated, reserved = memory.torch_peaks() if self._on_gpus else (None, None)
        resident = memory.resident_peak() if self._resident_known else None
        used = self._hardware.used_bytes if self._hardware else None
        return Memory(allocated, reserved, used, resident)

    @property
    def time_s(self) -> float:
        """Length of the block, or of its windows (s)."""
        return self.duration_s()

    @property
    def peak_memory_gb(self) -> float | None:
        """Peak memory (GB): torch's tensors on the GPUs, else of this process."""
        memory = self.memory
        peak = memory.allocated_bytes if memory.allocated_bytes else memory.resident_bytes
        return None if peak is None else peak / 1e9

    def row(self) -> dict[str, float | None]:
        """Time, energy, emissions and memory as columns of a table that `pepr_utils.score` reads.

        Examples
        --------
        >>> with meter("cpu", simulated_w=100.0) as measured:
        ...     _ = sum(range(1000))
        >>> list(measured.row())
        ['time_s', 'energy_kwh', 'co2eq_g', 'peak_memory_gb']
        """
        return {
            "time_s": self.time_s,
            "energy_kwh": self.energy_kwh(),
            "co2eq_g": self.co2eq_g(),
            "peak_memory_gb": self.peak_memory_gb,
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, as `pepr meter --json` prints it."""
        return {
            "duration_s": self.duration_s(),
            "it_energy_kwh": self.it_energy_kwh(),
            "it_energy_covers": list(self.covers),
            "pue": self.pue,
            "energy_kwh": self.energy_kwh(),
            "carbon_intensity_g_per_kwh": self.intensity.g_per_kwh,
            "carbon_intensity_source": self.intensity.source,
            "co2eq_g": self.co2eq_g(),
            "energy_method": self.method(),
            "components": [asdict(part) for part in self.components()],
            "memory": asdict(self.memory),
            "notes": list(self.notes),
        }

    def mark(self) -> Mark:
        """Read every counter once. Nothing raises."""
        mark = None
        if self._hardware:
            mark = self._tried("the meter failed at the end of a window", self._hardware.mark)
        return mark or Mark(time.monotonic())

    def end(self, whole: Mark | None) -> None:
        """Take the last figures and close the hardware; without windows, the block is one."""
        if whole and not self._spans:
            self._spans.append(Span(BLOCK, 0, whole, self.mark()))
        if self._hardware:
            self._tried("the meter did not close", self._hardware.close)
        peaks = self._tried("peak memory is not known", lambda: self.memory)
        self._ended = self.windows, peaks or Memory()

    def _tried(self, fault: str, function: Callable) -> Any:
        """The function's result; None, and a fault, where it fails: the block goes on."""
        try:
            return function()
        except IntensityError:  # a wrong argument
            raise
        except Exception as error:  # noqa: BLE001 - whatever the meter is made of may fail
            self._fault(f"{fault}: {error!r}")
            return None

    def _fault(self, fault: str) -> None:
        if fault not in self._faults:
            self._faults.append(fault)

    def _by_window(self) -> list[tuple[Component, ...]]:
        if self._simulated_w is not None:
            watts, seconds = self._simulated_w, [span.seconds for span in self._spans]
            return [
                (Component("simulated", "declared", watts * s, "simulated", s),) for s in seconds
            ]
        if self._hardware:
            return self._hardware.components(self._spans)
        kinds = ("gpu", "cpu") if self._on_gpus else ("cpu",)
        return [
            tuple(Component(kind, "unknown", None, None, span.seconds) for kind in kinds)
            for span in self._spans
        ]

    def _counted(self, kind: str | None = None) -> list[bool]:
        """Which components are in the energy of a kind of windows; see the class."""
        whole = self.components(kind)
        gpus = [part for part in whole if part.kind == "gpu"]
        if gpus and any(part.kind == "cpu" and part.energy_j is None for part in whole):
            return [part.kind == "gpu" for part in whole]
        return [part.kind != "memory" or part.energy_j is not None for part in whole]
