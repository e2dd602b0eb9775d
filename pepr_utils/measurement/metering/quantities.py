"""What the meter reports: energy per component of the computer, each with how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from pepr_utils.measurement.metering.steps import SAY_S, STEP_S

Method = Literal["counter", "polled", "rapl", "tdp-estimate", "simulated"]
Kind = Literal["gpu", "cpu", "memory", "simulated"]

#: A window with fewer power samples than this says so.
FEW_SAMPLES = 60
#: Counter and polled samples that differ by more than this share are flagged ...
DISAGREEMENT = 0.05
#: ... where the window is longer than this; in a shorter one the polled figure is too coarse.
COMPARED_ABOVE_S = 10.0
#: The device of memory whose energy nothing here can tell.
NO_COUNTER = "no counter of its own"
JOULE_PER_KWH = 3.6e6
#: Who reads what, as the name of a method begins.
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

    Attributes
    ----------
    kind : {"gpu", "cpu", "memory", "simulated"}
        Which part of the computer.
    device : str
        Its name; with the UUID of a graphics card, the domain of a processor.
    energy_j : float or None
        Energy (J), above 0 but where 0 W was declared; None where it was not measured, and then a
        note says why, or `device` that it cannot be.
    method : {"counter", "polled", "rapl", "tdp-estimate", "simulated"} or None
        *counter*: NVML's energy counter. *polled*: carbontracker's power samples, integrated.
        *rapl*: the processor's energy counters. *tdp-estimate*: half the rated power times the
        time, a guess. *simulated*: a declared power. None where nothing was measured.
    duration_s : float
        Length of the windows (s), on a monotonic clock.
    interval_s : float or None
        Seconds between two samples; None where none are taken.
    n_samples : int or None
        Power samples, or readings of a processor's counter, in the windows.
    n_dropped : int
        Samples that failed.
    counter_j, polled_j : float or None
        Of a graphics card: the two figures beside each other (J), as read. A 0 is what the device
        said; no energy is made of it.
    power_limit_w, idle_w : float or None
        Enforced power limit (W), and mean power before the work began (W): reported, never
        subtracted.
    other_processes : int or None
        Of a graphics card: how many other processes used it; None where that is not known.
    notes : tuple of str
        What was not measured and why, and what is doubtful.
    """

    kind: Kind
    device: str
    energy_j: float | None
    method: Method | None
    duration_s: float
    interval_s: float | None = None
    n_samples: int | None = None
    n_dropped: int = 0
    counter_j: float | None = None
    polled_j: float | None = None
    power_limit_w: float | None = None
    idle_w: float | None = None
    other_processes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def disagreement(self) -> float | None:
        """Difference of counter and polled energy over the larger; None unless both are there.

        Examples
        --------
        >>> Component("gpu", "X", 60.0, "counter", 9.0, counter_j=60.0, polled_j=0.0).disagreement
        1.0
        """
        if self.counter_j is None or self.polled_j is None:
            return None
        larger = max(self.counter_j, self.polled_j)
        return abs(self.counter_j - self.polled_j) / larger if larger else 0.0

    @property
    def few_samples(self) -> bool:
        """Whether a card's samples, its energy or what the counter is checked by, are few."""
        return self.method in ("polled", "counter") and (self.n_samples or 0) < FEW_SAMPLES

    @property
    def absent(self) -> bool:
        """Whether nothing here can tell the energy of this part: it belongs to no total."""
        return self.device == NO_COUNTER


@dataclass(frozen=True)
class Window:
    """One measured block: what it was, how long it took, and the energy of each component."""

    kind: str
    epoch: int
    duration_s: float
    components: tuple[Component, ...]

    @property
    def disagreement(self) -> float | None:
        """Largest difference of counter and samples of a card; None in windows too short for it."""
        if self.duration_s <= COMPARED_ABOVE_S:
            return None
        found = [c.disagreement for c in self.components if c.disagreement is not None]
        return max(found, default=None)

    @property
    def flags(self) -> tuple[str, ...]:
        """What is doubtful about this window, in words."""
        return flags([self])


def flags(windows: list[Window]) -> tuple[str, ...]:
    """What is doubtful about some windows; few samples are said once per kind and device."""
    found = []
    for window in windows:
        if (apart := window.disagreement) is not None and apart > DISAGREEMENT:
            name = f"{window.kind} {window.epoch}" if window.epoch else window.kind
            found.append(f"{name}: counter and samples are {apart:.1%} apart")
    few = [
        (w.kind, c.device, c.n_samples or 0) for w in windows for c in w.components if c.few_samples
    ]
    for (kind, device), group in groupby(sorted(few), key=lambda row: row[:2]):
        numbers = [n for *_, n in group]
        found.append(
            f"{kind}: down to {numbers[0]} power samples of {device}, fewer than {FEW_SAMPLES}, in "
            f"{len(numbers)} of {sum(w.kind == kind for w in windows)} windows"
        )
    return tuple(found)


@dataclass(frozen=True)
class Memory:
    """Largest memory in use since the meter began (bytes); None where it is not known.

    Attributes
    ----------
    allocated_bytes, reserved_bytes : int or None
        What torch's tensors took and what torch held, on the cards; after a reset at the start.
    nvml_used_bytes : int or None
        What NVML saw in use on the cards, of every process.
    resident_bytes : int or None
        Resident set of this process, or of the largest process of a command.
    """

    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    nvml_used_bytes: int | None = None
    resident_bytes: int | None = None


@dataclass
class Samples:
    """Readings of one device over time; written by the sampling thread, read by the meter."""

    times_s: list[float] = field(default_factory=list)
    watts: list[float] = field(default_factory=list)
    dropped_s: list[float] = field(default_factory=list)

    def add(self, time_s: float, watts: float | None) -> None:
        """Note a reading, or that it failed."""
        if watts is None:
            self.dropped_s.append(time_s)
        else:
            # watts first: a reader of both lists goes by the times
            self.watts.append(watts)
            self.times_s.append(time_s)


def with_say(parts: Sequence[Component]) -> list[Component]:
    """The windows of a device that decide how it is read: those longer than a second, if any are.

    A counter moves in steps, and may stand still in a short window: that is sampled by itself.

    Examples
    --------
    >>> long, short = (Component("gpu", "card", 1.0, None, s) for s in (60.0, 0.2))
    >>> with_say([long, short]) == [long], with_say([short]) == [short]
    (True, True)
    """
    for least_s in (SAY_S, STEP_S):
        if found := [part for part in parts if part.duration_s > least_s]:
            return found
    return list(parts)


def total(parts: list[Component]) -> Component:
    """Sum one device over windows; null where a window is.

    The method is that of its windows with a say in it, see `with_say`.

    Examples
    --------
    >>> part = Component("gpu", "card", 2.0, "counter", 1.0, n_samples=5)
    >>> total([part, part]).energy_j, total([part, part]).n_samples
    (4.0, 10)
    """

    def add(name: str):
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else sum(values)

    methods = {part.method for part in with_say(parts)}
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


def described(parts: tuple[Component, ...]) -> str:
    """What was measured and how, in the words that make up the key of an experiment.

    Examples
    --------
    >>> cpu = Component("cpu", "package-0", 5.0, "rapl", 1.0)
    >>> described((cpu, Component("memory", "dram", None, None, 1.0)))
    'powercap: cpu rapl; memory not measured'
    >>> described((cpu, Component("memory", NO_COUNTER, None, None, 1.0)))
    'powercap: cpu rapl'
    """
    words = [
        f"{part.kind} not measured"
        if part.method is None
        else f"{_TOOLS[part.method]}: {part.kind} {part.method}"
        for part in parts
        if not part.absent
    ]
    return "; ".join(dict.fromkeys(words)) or "none"
