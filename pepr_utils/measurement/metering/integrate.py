"""From samples of power to energy: the integral over a window, and when there is none."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from pepr_utils.measurement.metering.quantities import Samples

#: Longer than this without a sample and the energy of a window is not known ...
MAX_GAP_S = 5.0
#: ... or, where samples are rare on purpose, than this many of their intervals.
MAX_GAP_INTERVALS = 3


def longest_gap_s(interval_s: float) -> float:
    """Seconds that may pass without a sample, where one is taken every so many seconds.

    Examples
    --------
    >>> longest_gap_s(0.2), longest_gap_s(5.0)
    (5.0, 15.0)
    """
    return max(MAX_GAP_S, MAX_GAP_INTERVALS * interval_s)


def energy_j(
    samples: Samples, start_s: float, end_s: float, *, max_gap_s: float | None = None
) -> float | None:
    """Integrate power over a window, linearly between samples and level beyond the outer ones.

    carbontracker multiplies the mean of a window's samples by its length; that is the same where
    none is dropped, and this also serves where some are.

    Parameters
    ----------
    samples : Samples
        Of one device, over the whole session: neighbours help a window too short for its own.
    start_s, end_s : float
        The window, on the clock of the samples.
    max_gap_s : float, optional
        How long it may go without a sample; by default `MAX_GAP_S`.

    Returns
    -------
    float or None
        Joules; None without samples, or where more than `max_gap_s` passed without one.

    Examples
    --------
    >>> energy_j(Samples([0.0, 1.0, 2.0], [10.0, 20.0, 10.0]), 0.0, 2.0)
    30.0
    """
    n = len(samples.times_s)  # the thread may be adding to them
    if not n or end_s < start_s:
        return None
    first = max(0, bisect_right(samples.times_s, start_s, 0, n) - 1)
    last = min(n, bisect_left(samples.times_s, end_s, 0, n) + 1)
    times, watts = np.array(samples.times_s[first:last]), np.array(samples.watts[first:last])
    inside = times[(times > start_s) & (times < end_s)]
    before, after = times[times <= start_s], times[times >= end_s]
    marks = np.concatenate(
        [[before[-1] if len(before) else start_s], inside, [after[0] if len(after) else end_s]]
    )
    # A gap counts as far as it lies in the window.
    gaps = np.minimum(marks[1:], end_s) - np.maximum(marks[:-1], start_s)
    if gaps.max() > (MAX_GAP_S if max_gap_s is None else max_gap_s):
        return None
    at = np.concatenate([[start_s], inside, [end_s]])
    return float(np.trapezoid(np.interp(at, times, watts), at))


def count(times_s: list[float], start_s: float, end_s: float) -> int:
    """Readings within a window, of times in their order.

    Examples
    --------
    >>> count([0.0, 1.0, 2.0], 0.5, 2.0)
    2
    """
    return bisect_right(times_s, end_s) - bisect_left(times_s, start_s)
