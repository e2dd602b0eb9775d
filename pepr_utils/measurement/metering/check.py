"""What can be measured on this machine, by which method, and how to enable what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pepr_utils.errors import how_to_install
from pepr_utils.measurement.metering import carbontracker, cpu, rapl
from pepr_utils.measurement.metering.memory import resident_peak
from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml, visible_gpus


@dataclass(frozen=True)
class Possibility:
    """One way to measure one part of the computer: whether it works, and how, or how to enable it.

    `part` is ``gpu``, ``cpu``, ``memory``, ``sharing`` or ``meter``; `method` is as in the records.
    """

    part: str
    method: str
    available: bool
    detail: str


def possibilities() -> list[Possibility]:
    """Try every method once and report the outcome; torch is not needed.

    Examples
    --------
    >>> sorted({found.part for found in possibilities()})
    ['cpu', 'gpu', 'memory', 'meter', 'sharing']
    """
    peak = resident_peak() is not None and os.access(Path("/proc/self/clear_refs"), os.W_OK)
    how_peak = "peak of this process since a reset" if peak else "needs Linux's /proc"
    load = cpu.load(cpu.own_processes()) is not None
    how_load = "needs psutil and Linux: whether others use the CPU is not known"
    if load:
        how_load = "where others keep the CPU busy, RAPL is left out; an estimate stays, noted"
    return [
        _meter(),
        *_gpus(),
        *_cpu_and_memory(),
        Possibility("memory", "resident set", peak, how_peak),
        Possibility("sharing", "processor time", load, how_load),
    ]


def _meter() -> Possibility:
    try:
        version = metadata.version("carbontracker")
    except metadata.PackageNotFoundError:
        how = f"not installed; {how_to_install('meter')}"
        return Possibility("meter", "carbontracker", False, how)
    return Possibility("meter", "carbontracker", True, f"version {version}")


def _gpus() -> list[Possibility]:
    nvml = Nvml.open()
    try:
        visible = visible_gpus(nvml.gpus, os.environ)
        why = nvml.reason or "; ".join(visible.notes)
        if not visible.gpus:
            listed = os.environ.get("CUDA_VISIBLE_DEVICES")
            return _no_gpu(why or f"CUDA_VISIBLE_DEVICES={listed} names none")
        return [row for gpu in visible.gpus for row in _gpu(nvml, gpu)]
    finally:
        nvml.close()


def _no_gpu(why: str) -> list[Possibility]:
    return [Possibility("gpu", method, False, why) for method in ("counter", "polled")]


def _gpu(nvml: Nvml, gpu: GpuInfo) -> list[Possibility]:
    name = f"{gpu.name} {gpu.uuid}"
    if gpu.error:
        return _no_gpu(f"{gpu.error}; a block that may use it has no energy")
    if gpu.divided:
        return _no_gpu(f"{name}: divided (MIG); only the energy of the whole GPU is known")
    counter, power, limit = nvml.energy_j(gpu), nvml.power_w(gpu), nvml.power_limit_w(gpu)
    now = f"{name}: the driver gives no power; only the counter can be read"
    if power:
        now = f"{name}: {power:.0f} W now" + ("" if limit is None else f", limit {limit:.0f} W")
    missing = f"{name}: no energy counter (before Volta); it is polled"
    return [
        Possibility("gpu", "counter", bool(counter), name if counter else missing),
        Possibility("gpu", "polled", bool(power), now),
    ]


def _cpu_and_memory() -> list[Possibility]:
    found, guess = rapl.Rapl.find(), carbontracker.estimate()
    rows = [Possibility(domain.kind, "rapl", True, domain.name) for domain in found.domains]
    if found.reason:
        how = "; on bare Linux: modprobe intel_rapl_msr; in a container: -v /sys:/sys:ro"
        how = found.reason + ("" if rapl.POWERCAP.exists() else how)
        rows.append(Possibility("cpu", "rapl", False, how))
    detail = "carbontracker gives none"
    if guess is not None:
        detail = (
            f"{guess.device}: {guess.power_w:.0f} W whatever the load, half of {guess.basis}; of "
            "one processor, whoever else uses it"
        )
    rows.append(Possibility("cpu", "tdp-estimate", guess is not None, detail))
    if all(row.part != "memory" for row in rows):
        why = "no counter of its own here, and no estimate: its energy is in no total"
        rows.append(Possibility("memory", "rapl", False, why))
    return rows
