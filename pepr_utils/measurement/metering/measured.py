"""What a block consumes, once it is metered: energies, emissions, memory, and what is lacking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

from pepr_utils.measurement.metering import memory
from pepr_utils.measurement.metering.hardware import Hardware
from pepr_utils.measurement.metering.intensity import Intensity
from pepr_utils.measurement.metering.marks import Mark, Span
from pepr_utils.measurement.metering.quantities import (
    JOULE_PER_KWH,
    Component,
    Memory,
    Window,
    described,
    flags,
    total,
)
from pepr_utils.measurement.metering.reading import components

#: The window that stands for the block where no other was opened.
BLOCK = "block"


class Meter:
    """What a block consumes; made by `meter`.

    Energies are there once a window has closed, and no 0 stands for what was not measured. The
    energy of the computer is None where a card that belongs to it was not measured. Without a card
    it is None where the processor was not measured; beside a card it is that of the cards alone
    then. Memory is in it where it was measured. `covers` and `method` say what it is of.

    Attributes
    ----------
    pue : float or None
        Facility over computer energy, as declared; None where carbontracker's cannot be had.
    intensity : Intensity
        Declared carbon intensity (g/kWh) and where it is from.
    """

    def __init__(
        self,
        hardware: Hardware,
        pue: float | None,
        intensity: Intensity,
        simulated_w: float | None = None,
        *,
        on_cards: bool = True,
    ) -> None:
        self._hardware, self.pue, self.intensity = hardware, pue, intensity
        self._simulated_w, self._on_cards = simulated_w, on_cards
        self._spans: list[Span] = []
        self._open = 0
        self._faults: list[str] = []
        self._resident_known = memory.reset_peaks()
        self._ended: tuple[tuple[Window, ...], Memory] | None = None

    @contextmanager
    def window(self, kind: str, epoch: int = 0) -> Iterator[None]:
        """Measure a part of the block, such as an epoch's training.

        Windows are not to overlap: what two have in common is counted in both, and a note says so.
        """
        if self._open:
            self.fault(f"the window {kind} began within another: their energy is counted twice")
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
        try:
            parts = self._by_window()
        except Exception as error:  # noqa: BLE001 - the block goes on, whatever the meter does
            self.fault(f"the meter failed, and has no energy: {error!r}")
            parts = [()] * len(self._spans)
        return tuple(
            Window(span.kind, span.epoch, span.seconds, tuple(found))
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
        return tuple(total(list(parts)) for parts in zip(*chosen, strict=True))

    def it_energy_kwh(self, kind: str | None = None, epoch: int | None = None) -> float | None:
        """Energy of the computer (kWh) in the windows of a kind and an epoch, or in all."""
        counted = self._counted(kind)
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
        """Energy of the cards (kWh) by one of its two methods, whichever `energy_kwh` is from."""
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
        """Enforced power limit of the cards, summed; None without one."""
        limits = [part.power_limit_w for part in self.components() if part.kind == "gpu"]
        return None if not limits or None in limits else sum(limits)

    def n_samples(self, kind: str | None = None) -> int | None:
        """Power samples in the windows, of the counted device with the fewest; None where none."""
        pairs = zip(self.components(kind), self._counted(kind), strict=True)
        return min((p.n_samples for p, c in pairs if c and p.n_samples is not None), default=None)

    @property
    def disagreement(self) -> float | None:
        """Largest difference of counter and samples in a window long enough to compare them."""
        found = [w.disagreement for w in self.windows if w.disagreement is not None]
        return max(found, default=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not measured and why, and what is doubtful; each once."""
        windows = self.windows
        general = self._hardware.notes
        found = [
            f"{part.kind}: {note}"
            for part in self.components()
            for note in part.notes
            if note not in general
        ]
        own = [*self._faults, *self._hardware.faults, *general]
        return tuple(dict.fromkeys([*own, *found, *flags(windows)]))

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
        try:
            if self._simulated_w is None:
                return self._hardware.mark()
        except Exception as error:  # noqa: BLE001 - the block goes on, whatever the meter does
            self.fault(f"the meter failed at the end of a window: {error!r}")
        return Mark(time.monotonic())

    def fault(self, words: str) -> None:
        """Note what went wrong with the meter itself."""
        if words not in self._faults:
            self._faults.append(words)

    def end(self, whole: Mark | None) -> None:
        """Take the last figures and let go of the hardware. Nothing raises.

        Parameters
        ----------
        whole : Mark or None
            The beginning of the block, which is one window where it had none; None for a block
            that did not begin.
        """
        if not self._spans and whole is not None:
            self._spans.append(Span(BLOCK, 0, whole, self.mark()))
        self._hardware.close()
        windows = self.windows
        try:
            self._ended = windows, self.memory
        except Exception as error:  # noqa: BLE001 - the block's result or error is what counts
            self.fault(f"peak memory is not known: {error!r}")
            self._ended = windows, Memory()
        self._hardware.presence.leave()

    def _by_window(self) -> list[tuple[Component, ...]]:
        if self._simulated_w is None:
            return components(self._hardware, self._spans)
        return [
            (Component("simulated", "declared", self._simulated_w * s, "simulated", s),)
            for s in (span.seconds for span in self._spans)
        ]

    def _counted(self, kind: str | None = None) -> list[bool]:
        """Which components are in the energy of a kind of windows; see the class."""
        whole = self.components(kind)
        card = any(part.kind == "gpu" for part in whole)
        known = all(part.energy_j is not None for part in whole if part.kind == "cpu")
        return [
            (part.kind == "gpu" or known or not card)
            and not (part.kind == "memory" and part.energy_j is None)
            for part in whole
        ]
