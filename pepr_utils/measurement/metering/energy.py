"""What the meter reports: the energy of each component of the computer, and how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pepr_utils.measurement.metering.readings import COUNTER_STEP_S

Method = Literal["counter", "polled", "rapl", "tdp-estimate", "simulated"]
Kind = Literal["gpu", "cpu", "memory", "simulated"]

#: A window with fewer power samples than this is flagged.
FEW_SAMPLES = 60
#: Counter and power samples that differ by more than this share are flagged ...
DISAGREEMENT = 0.05
#: ... where the window is longer than this (s); in a shorter one the samples are too coarse.
COMPARED_ABOVE_S = 10.0
#: The device name of memory whose energy cannot be measured here.
NO_COUNTER = "no counter of its own"
JOULE_PER_KWH = 3.6e6
#: What reads each method, as in the key of an experiment.
_TOOLS = {
    "counter": "nvml",
    "polled": "carbontracker",
    "rapl": "powercap",
    "tdp-estimate": "carbontracker",
    "simulated": "declared",
}


@dataclass(frozen=True)
class Component:
    """Energy of one device in one window, or summed over windows.

    Methods: *counter*, NVML's energy counter; *polled*, carbontracker's power samples, integrated;
    *rapl*, the CPU's energy counters; *tdp-estimate*, half the rated power times the time, a
    guess; *simulated*, a declared power.
    """

    kind: Kind  #: part of the computer
    device: str  #: its name; with the UUID of a GPU, the RAPL domain of a CPU
    #: Energy (J), above 0 unless 0 W was declared. None where it was not measured: `notes` has the
    #: reason, or `device` shows that it cannot be.
    energy_j: float | None
    method: Method | None  #: None where nothing was measured
    duration_s: float  #: length of the windows, on a monotonic clock
    interval_s: float | None = None  #: pause between two samples; None where none are taken
    n_samples: int | None = None  #: power samples, or readings of a CPU's counter
    n_dropped: int = 0  #: samples that failed
    counter_j: float | None = None  #: of a GPU, by its counter, as read; may be 0
    polled_j: float | None = None  #: of a GPU, by its samples, as read; may be 0
    power_limit_w: float | None = None  #: enforced
    idle_w: float | None = None  #: mean power before the work: reported, never subtracted
    other_processes: int | None = None  #: on a GPU; None where that is not known
    notes: tuple[str, ...] = ()  #: what was not measured and why, and what is doubtful

    @property
    def disagreement(self) -> float | None:
        """Difference of counter and polled energy over the larger; None where not to be compared.

        Examples
        --------
        >>> Component("gpu", "X", 60.0, "counter", 11.0, counter_j=60.0, polled_j=0.0).disagreement
        1.0
        """
        if self.duration_s <= COMPARED_ABOVE_S or None in (self.counter_j, self.polled_j):
            return None
        larger = max(self.counter_j, self.polled_j)
        return abs(self.counter_j - self.polled_j) / larger if larger else 0.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """What its samples leave in doubt, as notes."""
        found = []
        if self.disagreement is not None and self.disagreement > DISAGREEMENT:
            found.append(
                f"counter and samples are {100 * self.disagreement:.1f} % apart in a window"
            )
        if self.method in ("polled", "counter") and (self.n_samples or 0) < FEW_SAMPLES:
            found.append(f"fewer than {FEW_SAMPLES} power samples in a window")
        return tuple(found)


@dataclass(frozen=True)
class Window:
    """One measured block: its kind and epoch, its length (s), and the energy of each component."""

    kind: str
    epoch: int
    duration_s: float
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Memory:
    """Largest memory in use since the meter began (bytes); None where it is not known."""

    allocated_bytes: int | None = None  #: by torch's tensors on the GPUs
    reserved_bytes: int | None = None  #: held by torch on the GPUs
    nvml_used_bytes: int | None = None  #: on the GPUs according to NVML, by every process
    resident_bytes: int | None = None  #: of this process, or of the largest process of a command


def decisive(parts: Sequence[Component]) -> list[Component]:
    """Those windows of a device that decide how it is read: longer than its counter's step."""
    return [part for part in parts if part.duration_s > COUNTER_STEP_S] or list(parts)


def total(parts: Sequence[Component]) -> Component:
    """Sum one device over windows; null where a window is. The method is the `decisive` windows'.

    Examples
    --------
    >>> part = Component("gpu", "X", 2.0, "counter", 1.0, n_samples=5)
    >>> total([part, part]).energy_j, total([part, part]).n_samples
    (4.0, 10)
    """

    def add(name: str):
        values = [getattr(part, name) for part in parts]
        return None if None in values else sum(values)

    methods = {part.method for part in decisive(parts)}
    methods |= {part.method for part in parts if part.method is None}
    others = [part.other_processes for part in parts if part.other_processes is not None]
    return replace(
        parts[0],
        **{name: add(name) for name in ("energy_j", "n_samples", "counter_j", "polled_j")},
        method=methods.pop() if len(methods) == 1 else None,
        duration_s=sum(part.duration_s for part in parts),
        n_dropped=sum(part.n_dropped for part in parts),
        other_processes=max(others, default=None),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def described(parts: Sequence[Component]) -> str:
    """What was measured and how, as in the key of an experiment.

    Examples
    --------
    >>> cpu = Component("cpu", "package-0", 5.0, "rapl", 1.0)
    >>> described([cpu, Component("memory", "dram", None, None, 1.0)])
    'powercap: cpu rapl; memory not measured'
    >>> described([cpu, Component("memory", NO_COUNTER, None, None, 1.0)])
    'powercap: cpu rapl'
    """
    found = [
        f"{_TOOLS[part.method]}: {part.kind} {part.method}"
        if part.method
        else f"{part.kind} not measured"
        for part in parts
        if part.device != NO_COUNTER
    ]
    return "; ".join(dict.fromkeys(found)) or "none"
