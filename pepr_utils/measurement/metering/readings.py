"""From readings of a device to energy: power samples are integrated, a counter's steps added up."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

#: Longer than this (s) without a sample and the energy of a window is not known ...
MAX_GAP_S = 5.0
#: ... or, where samples are taken rarely, than this many of their intervals.
MAX_GAP_INTERVALS = 3
#: GPU counters move in steps of up to this long (s): they resolve no shorter window.
COUNTER_STEP_S = 0.1
#: More than any GPU or CPU package draws (W).
MOST_W = 5000.0
#: How long the end of a block waits for a sample that hangs in the driver (s).
PATIENCE_S = 5.0


@dataclass
class Samples:
    """Power samples of one device; written by the sampling thread, read by the meter."""

    times_s: list[float] = field(default_factory=list)
    watts: list[float] = field(default_factory=list)
    dropped_s: list[float] = field(default_factory=list)

    def add(self, time_s: float, watts: float | None) -> None:
        """Keep a sample, or that it failed."""
        if watts is None:
            self.dropped_s.append(time_s)
        else:
            self.watts.append(watts)  # before its time: readers go by the number of times
            self.times_s.append(time_s)


def energy_j(
    samples: Samples, start_s: float, end_s: float, *, interval_s: float = 0.0
) -> float | None:
    """Integrate power over a window, linearly between samples and level beyond the outer ones.

    Without dropped samples this is carbontracker's mean power times the length of the window.

    Parameters
    ----------
    samples : Samples
        Of one device over the whole session: the next ones help a window too short for its own.
    start_s, end_s : float
        The window, on the clock of the samples.
    interval_s : float, optional
        Pause between two samples, where they are taken rarely.

    Returns
    -------
    float or None
        Joules; None without samples, or where the window has too long a gap between them.

    Examples
    --------
    >>> energy_j(Samples([0.0, 1.0, 2.0], [10.0, 20.0, 10.0]), 0.0, 2.0)
    30.0
    """
    n = len(samples.times_s)  # the thread may be adding to them
    if not n or end_s < start_s:
        return None
    times, watts = np.array(samples.times_s[:n]), np.array(samples.watts[:n])
    inside = times[(times > start_s) & (times < end_s)]
    at = np.concatenate([[start_s], inside, [end_s]])
    if np.diff(at).max() > max(MAX_GAP_S, MAX_GAP_INTERVALS * interval_s):
        return None
    return float(np.trapezoid(np.interp(at, times, watts), at))


def count(times_s: list[float], start_s: float, end_s: float) -> int:
    """Number of readings in a window, by their times in order.

    Examples
    --------
    >>> count([0.0, 1.0, 2.0], 0.5, 2.0)
    2
    """
    return bisect_right(times_s, end_s) - bisect_left(times_s, start_s)


@dataclass
class Counter:
    """An energy counter and its readings; one rule for GPUs and CPUs says when it is believed.

    `source` reads it (J), with None where it cannot be read. It wraps around to 0 after `range_j`;
    None if it never does. The readings are in order, on the monotonic clock.
    """

    source: Callable[[], float | None]
    range_j: float | None = None
    times_s: list[float] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)
    dropped_s: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> int | None:
        """Read it; return the position of the reading in the list, None where it failed."""
        with self._lock:  # the sampling thread and the windows read the same counter
            value = self.source()
            if value is None:
                self.dropped_s.append(time.monotonic())
                return None
            self.joules.append(value)
            self.times_s.append(time.monotonic())
            return len(self.times_s) - 1

    def energy_j(self, first: int | None, last: int | None) -> tuple[float | None, str | None]:
        """Energy (J) from one reading to another, or None and the reason.

        Every reading in between is used, so that the counter may wrap around several times.

        Examples
        --------
        >>> Counter(None, None, [0.0, 1.0, 2.0], [100.0, 160.0, 230.0]).energy_j(0, 2)
        (130.0, None)
        >>> Counter(None, 262_143.0, [0.0, 1.0], [262_000.0, 50.0]).energy_j(0, 1)  # wraps around
        (193.0, None)
        >>> Counter(None, None, [0.0, 1.0], [100.0, 100.0]).energy_j(0, 1)
        (None, 'it stood still')
        """
        if first is None or last is None:
            return None, "it could not be read at both ends of a window"
        seconds = np.diff(self.times_s[first : last + 1])
        steps = np.diff(self.joules[first : last + 1])
        if self.range_j is not None:
            longest_s = self.range_j / MOST_W  # it may have wrapped around unseen in more
            if seconds.size and (gap := seconds.max()) > longest_s:
                return None, (
                    f"it was not read for {gap:.3g} s, and may wrap around in {longest_s:.3g} s"
                )
            steps = np.where(steps < 0, steps + self.range_j, steps)
        if (steps < 0).any():
            return None, "it went back: it was reset"
        power = (steps / np.maximum(seconds, COUNTER_STEP_S)).max(initial=0.0)
        if power > MOST_W:
            return None, f"it was reset: its step would be {power:.3g} W"
        energy = float(steps.sum())
        return (energy, None) if energy > 0 else (None, "it stood still")

    def moved_j(self, first: int | None, last: int | None) -> float | None:
        """Difference of two readings (J), as read; None where one failed or it went back."""
        if first is None or last is None or self.joules[last] < self.joules[first]:
            return None
        return self.joules[last] - self.joules[first]


class Load(NamedTuple):
    """CPU time (s) up to a moment: of the machine, and of this process with its children."""

    machine_s: float
    own_s: float


@dataclass(frozen=True)
class Mark:
    """One moment (monotonic clock): every counter's last reading, by the key of its device."""

    time_s: float
    readings: dict[str, int | None] = field(default_factory=dict)
    load: Load | None = None


class Span(NamedTuple):
    """A closed window: its kind and epoch, and both its ends."""

    kind: str
    epoch: int
    start: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end.time_s - self.start.time_s


class Sampler(threading.Thread):
    """Calls `sample` every so often until it is stopped; `fault` takes note of calls that fail."""

    def __init__(self, sample: Callable, fault: Callable, interval_s: float) -> None:
        super().__init__(name="pepr-meter", daemon=True)
        self._sample, self._fault, self._interval_s = sample, fault, interval_s
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._ended.is_set():
            try:
                self._sample()
            except Exception as error:  # noqa: BLE001 - the next sample may succeed
                self._fault(f"a sample failed: {error!r}")
            self._ended.wait(self._interval_s)

    def stop(self) -> None:
        """Take no more samples."""
        self._ended.set()
        self.join(PATIENCE_S)
