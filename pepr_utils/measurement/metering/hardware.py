"""The devices that a meter reads: found once, sampled by a thread, their counters read at marks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import cache
from statistics import mean
from typing import Any

from pepr_utils.measurement.metering import cpu
from pepr_utils.measurement.metering.energy import Component
from pepr_utils.measurement.metering.gpu import LOOK_EVERY_S, Gpu
from pepr_utils.measurement.metering.memory import synchronize, torch_current, torch_uuid
from pepr_utils.measurement.metering.nvml import NONE, GpuInfo, Nvml, visible_gpus
from pepr_utils.measurement.metering.readings import Mark, Sampler, Span


class Hardware:
    """The devices of a meter.

    Parameters
    ----------
    device : str or None
        ``cuda``, ``cuda:N``: that GPU and the CPU. ``cpu``, ``mps``: the CPU. None: every GPU that
        CUDA_VISIBLE_DEVICES leaves, and the CPU.
    interval_s, idle_s : float
        Pause between samples; and how long idle power is watched, once per device and process.
    fault : callable
        Takes note of what fails on the way.
    """

    def __init__(
        self, device: str | None, *, interval_s: float, idle_s: float, fault: Callable
    ) -> None:
        self.interval_s, self._fault = interval_s, fault
        self.nvml, self.gpus, self._gpu_wanted = Nvml(), [], False
        self._gpu_notes: list[str] = []  # what cannot be measured, and why
        self._looked_s, self._sampler = -math.inf, None
        if device is None or device.startswith("cuda"):
            self._find_gpus(device)
        self.cpu = cpu.Cpu()
        try:
            self._watch_idle(idle_s)
        except BaseException:  # Ctrl-C while it watches: this meter is over before its block
            self.nvml.close()
            raise
        if self.gpus or self.cpu.domains:
            self._sampler = Sampler(self._sample, fault, interval_s)
            self._sampler.start()

    def _find_gpus(self, device: str | None) -> None:
        self.nvml = nvml = Nvml.open()
        visible = visible_gpus(nvml.gpus, os.environ)
        gpus = visible.gpus
        self._gpu_notes += [*visible.notes, *filter(None, [nvml.reason])]
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = nvml.hidden and (listed is None or listed.strip() not in NONE)
        self._gpu_wanted = device is not None or bool(gpus) or visible.ambiguous or hidden
        if device is not None:
            number = device.partition(":")[2]
            index = int(number) if number else torch_current()
            gpus = _named_by_torch(nvml.gpus, index) or gpus[index : index + 1]
            if not gpus:
                self._gpu_notes.append(f"{device} is not among the GPUs that NVML shows here")
        elif len(gpus) > 1 and listed is None:
            self._gpu_notes.append(
                f"all {len(gpus)} GPUs of this machine are counted: no CUDA_VISIBLE_DEVICES says "
                "which are used"
            )
        self.gpus = [Gpu(info, nvml, self._fault) for info in gpus]

    def _watch_idle(self, seconds: float) -> None:
        """Mean power (W) before the work begins: reported, not subtracted."""
        self._idle_w = known = idle_power_w()
        if seconds <= 0 or all(device.key in known for device in (*self.gpus, *self.cpu.domains)):
            return
        first, began = self._read_rapl(), time.monotonic()
        watts: dict[str, list[float]] = {gpu.key: [] for gpu in self.gpus}
        while time.monotonic() < began + seconds:
            for gpu in self.gpus:
                watts[gpu.key] += filter(None, [gpu.power_w()])
            time.sleep(min(0.1, seconds / 5))
        last, took = self._read_rapl(), time.monotonic() - began
        found = {key: mean(values) for key, values in watts.items() if values}
        for domain in self.cpu.domains:
            energy, _ = domain.counter.energy_j(first[domain.key], last[domain.key])
            if energy is not None:
                found[domain.key] = energy / took
        known |= found | known

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be measured here, and why."""
        return (*self._gpu_notes, *self.cpu.notes)

    @property
    def used_bytes(self) -> int | None:
        """Largest memory in use on the GPUs, summed; None where no GPU gives it."""
        used = [gpu.used_bytes for gpu in self.gpus if gpu.used_bytes is not None]
        return sum(used) if used else None

    def mark(self) -> Mark:
        """Read every counter once, when the GPUs have finished what they were given."""
        synchronize()
        readings = {gpu.key: gpu.counter.read() for gpu in self.gpus}
        now = time.monotonic()
        readings |= self._read_rapl()
        for gpu in self.gpus:
            gpu.note_used()
        own = cpu.own_processes()
        self._look(now, own)
        return Mark(now, readings, cpu.load(own))

    def components(self, spans: list[Span]) -> list[tuple[Component, ...]]:
        """Energy of every component in each window: the GPUs, then CPU and memory.

        Every window has the same components in the same order; the energy is null where it was
        not measured.
        """
        columns = [
            gpu.components(spans, self.interval_s, self._idle_w.get(gpu.key)) for gpu in self.gpus
        ]
        if self._gpu_wanted and not columns:
            why = tuple(self._gpu_notes)
            columns = [
                [Component("gpu", "unknown", None, None, span.seconds, notes=why) for span in spans]
            ]
        rest = self.cpu.components(spans, self.interval_s, self._idle_w)
        return [(*(column[i] for column in columns), *rest[i]) for i in range(len(spans))]

    def close(self) -> None:
        """Stop sampling and close NVML."""
        if self._sampler is not None:
            self._sampler.stop()
        self.nvml.close()

    def _sample(self) -> None:
        for gpu in self.gpus:
            gpu.sample()
        self._read_rapl()
        now = time.monotonic()
        if now >= self._looked_s + LOOK_EVERY_S:
            self._look(now, cpu.own_processes())

    def _read_rapl(self) -> dict[str, Any]:
        return {domain.key: domain.counter.read() for domain in self.cpu.domains}

    def _look(self, time_s: float, own: set[int]) -> None:
        """Note whose processes are on the GPUs."""
        self._looked_s = time_s
        for gpu in self.gpus:
            gpu.look(time_s, own)


@cache
def idle_power_w() -> dict[str, float]:
    """Idle power of the devices that this process has watched, by key."""
    return {}


def _named_by_torch(gpus: tuple[GpuInfo, ...], index: int) -> tuple[GpuInfo, ...]:
    """The GPU that torch calls by a number: surer than the environment, where torch is in use."""
    uuid = torch_uuid(index)
    names = set() if uuid is None else {uuid, f"GPU-{uuid}", f"MIG-{uuid}"}
    return tuple(gpu for gpu in gpus if names & {gpu.uuid, *gpu.mig_uuids})
