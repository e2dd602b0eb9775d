"""What a run consumes, by carbontracker: samples of power in windows of training and evaluation.

This is the narrow seam to the meter: the loop opens windows, the record asks for their energy. Of
carbontracker only the sampling thread and its readers of power are used. Its `CarbonTracker` would
ask a web service where the machine is, end the process on an error (`os._exit(70)`) and discard
itself after the last epoch. Three more of its habits are made good here:

- with several devices or RAPL domains it takes the mean where the sum is the energy;
- RAPL that cannot be read counts as 0 W: here that is not measured;
- it multiplies by a PUE: here energy with and without it is kept apart, and the PUE recorded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

#: Seconds between two samples of power.
INTERVAL_S = 0.2


class Meter:
    """Energy of the windows of one run; made by `meter`.

    Attributes
    ----------
    method : str
        What was measured and how; ``none`` where nothing could be.
    pue : float
        Facility over computer energy, as carbontracker assumes it.
    carbon_intensity_g_per_kwh : float
        Declared, not looked up.
    power_limit_w : float or None
        Of the graphics card, where there is one.
    """

    def __init__(self, components: list[_Component], pue: float, intensity: float) -> None:
        self._components, self._thread, self._lacking = components, None, False
        self._windows: list[tuple[str, int]] = []
        self.pue, self.carbon_intensity_g_per_kwh = pue, intensity
        self.method, self.power_limit_w = "none", None

    @contextmanager
    def window(self, kind: str, epoch: int) -> Iterator[None]:
        """Measure a block as part of an epoch's training or evaluation; windows do not overlap."""
        if self._thread is None:
            yield
            return
        self._thread.epoch_start()
        try:
            yield
        finally:
            self._thread.epoch_end()
            self._windows.append((kind, epoch))

    def it_energy_kwh(self, kind: str, epoch: int | None = None) -> float | None:
        """Energy of the computer (kWh) in the windows of a kind, of one epoch or of all.

        Null where a part that was to be measured could not be.
        """
        parts = [c.energy_kwh(self._thread.epoch_times) for c in self._components if c.counts]
        if self._lacking or not parts or any(part is None for part in parts):
            return None
        chosen = [i for i, (k, e) in enumerate(self._windows) if k == kind and epoch in (None, e)]
        return sum(part[i] for part in parts for i in chosen) if chosen else None

    def energy_kwh(self, kind: str, epoch: int | None = None) -> float | None:
        """Energy of the facility (kWh): that of the computer times the PUE."""
        energy = self.it_energy_kwh(kind, epoch)
        return None if energy is None else energy * self.pue

    def n_samples(self) -> int | None:
        """Number of power samples, of the component that has the fewest; null without a meter."""
        counts = [c.n_samples() for c in self._components if c.counts]
        return min(counts) if counts else None


@contextmanager
def meter(device: Any, *, carbon_intensity_g_per_kwh: float | None = None) -> Iterator[Meter]:
    """Measure what is done in the block's windows.

    Parameters
    ----------
    device : torch.device
        What computes: a CPU is measured alone, a graphics card together with the CPU.
    carbon_intensity_g_per_kwh : float, optional
        Emissions per energy; by default the world's mean that carbontracker states.

    Yields
    ------
    Meter
        Its energies are there once the block has ended; before, what has been measured so far.
    """
    from carbontracker import constants, tracker
    from carbontracker.components.component import create_components

    for name in ("err", "output"):  # carbontracker's readers speak through loggers of their own
        logging.getLogger(f"carbontracker.root.{name}").disabled = True
    intensity = carbon_intensity_g_per_kwh
    if intensity is None:
        intensity = float(constants.WORLD_AVG_CARBON_INTENSITY)
    names = "gpu,cpu" if device.type == "cuda" else "cpu"
    found = create_components(names, pids=[os.getpid()], devices_by_pid=False, logger=_Silent())
    parts = [_Component(c, device) for c in found if c.available()]
    measured = Meter(parts, float(constants.PUE_2023), intensity)
    measured._lacking = device.type == "cuda" and not any(p.is_gpu for p in parts)
    if not parts:
        measured.method = _method(parts, device)
        yield measured
        return
    thread = tracker.CarbonTrackerThread(
        components=[p.component for p in parts],
        logger=_Silent(),
        ignore_errors=True,  # otherwise an error of the meter ends the process
        delete=lambda: None,
        update_interval=INTERVAL_S,
    )
    measured._thread = thread
    try:
        yield measured
    finally:
        for part in parts:
            part.note_devices()
        measured.method = _method(parts, device)
        measured.power_limit_w = _power_limit_w(device)
        thread.stop()


@dataclass
class _Component:
    """One of carbontracker's components, and how its samples are to be read."""

    component: Any
    device: Any
    n_devices: int = 1
    column: int | None = None
    unknown_device: bool = False

    @property
    def is_gpu(self) -> bool:
        return self.component.name == "gpu"

    @property
    def is_estimate(self) -> bool:
        return type(self.component.handler).__name__ == "GenericCPU"

    @property
    def counts(self) -> bool:
        """Whether it is part of the energy: a CPU beside a card may be lacking, a card may not."""
        return self.is_gpu or self.device.type != "cuda" or self._readable()

    def note_devices(self) -> None:
        """Count the devices while the readers are open, and find the one that computes."""
        with suppress(Exception):
            self.n_devices = max(1, len(self.component.devices()))
        if self.is_gpu and self.n_devices > 1:
            listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            self.unknown_device = not all(part.strip().isdigit() for part in listed.split(","))
            self.column = self.device.index or 0

    def _rows(self) -> list[list[list[float]]]:
        """Samples of each window: one list of watts per sample, one value per device."""
        n = self.n_devices
        return [
            [w[i : i + n] for i in range(0, len(w) - n + 1, n)] for w in self.component.power_usages
        ]

    def _readable(self) -> bool:
        """RAPL that cannot be read gives samples of 0 W; no processor draws that."""
        values = [v for window in self.component.power_usages for v in window]
        return bool(values) and max(values) > 0 and not self.unknown_device

    def energy_kwh(self, durations_s: list[float]) -> list[float] | None:
        """Energy of each window; one too short for a sample has the power of its neighbour."""
        if not self._readable():
            return None
        watts: list[float | None] = []
        for samples in self._rows():
            picked = [s[self.column] if self.column is not None else sum(s) for s in samples]
            watts.append(sum(picked) / len(picked) if picked else None)
        watts += [None] * (len(durations_s) - len(watts))
        known = [w for w in watts if w is not None]
        last, filled = known[0], []
        for power in watts:
            last = last if power is None else power
            filled.append(last)
        return [w * s / 3.6e6 for w, s in zip(filled, durations_s, strict=False)]

    def n_samples(self) -> int:
        """Number of samples; windows that carbontracker filled from another count once."""
        windows = {id(w): w for w in self.component.power_usages}
        return sum(len(w) for w in windows.values()) // self.n_devices

    def words(self) -> str:
        """How it was measured."""
        name = self.component.name
        if self.unknown_device:
            return f"{name} not measured: which of {self.n_devices} devices is not known"
        if not self._readable():
            return f"{name} not measured"
        kind = type(self.component.handler).__name__
        how = {"GenericCPU": "tdp-estimate", "IntelCPU": "rapl", "NvidiaGPU": "polled"}
        return f"{name} {how.get(kind, kind)}"


def _method(parts: list[_Component], device: Any) -> str:
    there = {part.component.name for part in parts}
    wanted = ["gpu", "cpu"] if device.type == "cuda" else ["cpu"]
    missing = [f"{name} not measured" for name in wanted if name not in there]
    return "carbontracker: " + ", ".join([*(part.words() for part in parts), *missing])


def _power_limit_w(device: Any) -> float | None:
    """Enforced power limit of the card that computes; null without one."""
    if device.type != "cuda":
        return None
    with suppress(Exception):
        import pynvml
        import torch

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        return pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000
    return None


class _Silent:
    """A logger for carbontracker that says nothing: what matters is in the record."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_options: None
