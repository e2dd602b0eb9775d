"""One GPU: its counter, power samples, memory and other users; and its energy in each window."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from pepr_utils.measurement.metering import carbontracker
from pepr_utils.measurement.metering.energy import Component, decisive
from pepr_utils.measurement.metering.memory import torch_in_use
from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml
from pepr_utils.measurement.metering.readings import (
    COUNTER_STEP_S,
    Counter,
    Samples,
    Span,
    count,
    energy_j,
)

#: Where Linux lists the processes that can be seen from here.
PROC = Path("/proc")
#: Seconds between two looks at the processes on a GPU within a window; there is one at each end.
LOOK_EVERY_S = 5.0


class Gpu:
    """A GPU that is metered: by its energy counter, and by carbontracker's samples of its power."""

    def __init__(self, info: GpuInfo, nvml: Nvml, fault: Callable) -> None:
        self.info, self._nvml, self.key = info, nvml, info.uuid
        self.counter, self.samples = Counter(partial(nvml.energy_j, info)), Samples()
        self.power_limit_w = nvml.power_limit_w(info)
        self.looks: list[tuple[float, int | None]] = []  # time, others' processes if known
        self.used_bytes: int | None = None  # the most so far
        self._power = None
        try:
            self._power = carbontracker.gpu_power(nvml.handle(info)) if not info.error else None
        except Exception as error:  # noqa: BLE001 - the counter is read all the same
            fault(f"GPU power is not sampled: carbontracker did not start: {error!r}")

    def power_w(self) -> float | None:
        """Power at this moment (W); None where it cannot be read."""
        with suppress(Exception):  # the next reading may succeed
            return self._power() if self._power else None
        return None

    def sample(self) -> None:
        """Take a sample of power and of memory in use."""
        if self._power:
            self.samples.add(time.monotonic(), self.power_w())
        self.note_used()

    def note_used(self) -> None:
        """Note the memory in use."""
        used = self._nvml.used_bytes(self.info)
        if used is not None:
            self.used_bytes = max(used, self.used_bytes or 0)

    def look(self, time_s: float, own: set[int]) -> None:
        """Count the processes on it that are not `own`.

        In a container NVML gives the host's process ids, or an empty list while this process
        computes on the GPU: whether others use it is not known then.
        """
        found = self._nvml.processes(self.info)
        if found is None:
            return
        seen = bool(found & own) or all((PROC / str(pid)).exists() for pid in found)
        known = seen and (bool(found) or torch_in_use() is None)
        self.looks.append((time_s, len(found - own) if known else None))

    def components(
        self, spans: Sequence[Span], interval_s: float, idle_w: float | None
    ) -> list[Component]:
        """Energy in each window: by the counter, or in all by samples where it fails in one."""
        parts = [self._component(span, interval_s, idle_w) for span in spans]
        if not all(part.method == "counter" for part in decisive(parts)):
            parts = [_sampled(part) for part in parts]
        return [replace(part, notes=(*part.notes, *part.doubts)) for part in parts]

    def _component(self, span: Span, interval_s: float, idle_w: float | None) -> Component:
        start, end = span.start.time_s, span.end.time_s
        others, about_others = self._others(start, end)
        part = Component(
            kind="gpu",
            device=f"{self.info.name} {self.info.uuid}",
            energy_j=None,
            method=None,
            duration_s=span.seconds,
            interval_s=interval_s,
            n_samples=count(self.samples.times_s, start, end),
            n_dropped=count(self.samples.dropped_s, start, end),
            power_limit_w=self.power_limit_w,
            idle_w=idle_w,
            other_processes=others,
        )
        if self.info.error:
            return replace(part, notes=(f"not measured: {self.info.error}",))
        if self.info.divided:
            why = "not measured: a slice (MIG) of a GPU; NVML has the energy of the whole GPU only"
            return replace(part, notes=(why,))
        first, last = (mark.readings.get(self.key) for mark in (span.start, span.end))
        part = replace(
            part,
            counter_j=self.counter.moved_j(first, last),
            polled_j=energy_j(self.samples, start, end, interval_s=interval_s),
        )
        energy, why = self.counter.energy_j(first, last)
        if first is None and last is None:
            why = "no energy counter, or it could not be read: power is sampled"
        elif span.seconds <= COUNTER_STEP_S:
            energy = None
            why = f"energy counter too coarse for windows up to {COUNTER_STEP_S:g} s: sampled"
        elif why:
            why = f"energy counter not used: {why}"
        notes = tuple(filter(None, [why, _about_samples(part), about_others]))
        if energy is None:
            return _sampled(replace(part, notes=notes))
        return replace(part, energy_j=energy, method="counter", notes=notes)

    def _others(self, start_s: float, end_s: float) -> tuple[int | None, str | None]:
        """Other processes in a window, and a note about them."""
        looks = [others for time_s, others in list(self.looks) if start_s <= time_s <= end_s]
        most = max((others for others in looks if others is not None), default=None)
        if most:
            who = "1 other process" if most == 1 else f"{most} other processes"
            return most, f"{who} on the GPU: their energy is in the figure"
        if None in looks:
            return None, "whether others use the GPU is not known (a container?)"
        return most, None


def _about_samples(part: Component) -> str | None:
    """What is doubtful about a window's samples."""
    if part.polled_j is None:
        return "no power samples, or too long a gap between them"
    if part.polled_j <= 0:
        return "power samples not used: the driver gave 0 W throughout"
    if part.n_dropped:
        return f"{part.n_dropped} samples dropped, their time filled from their neighbours"
    return None


def _sampled(part: Component) -> Component:
    """A window's energy by samples, where they give one."""
    if part.polled_j is None or part.polled_j <= 0:
        return replace(part, energy_j=None, method=None)
    return replace(part, energy_j=part.polled_j, method="polled")
