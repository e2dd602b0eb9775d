"""Whether a counter's step is believed: one rule for every energy counter, of cards and packages.

A counter says how much energy went by since some moment long ago, so a window has what it moved.
That is believed unless it moved back without a wrap, moved faster than any device can draw, may
have gone round unseen, or did not move at all. What is not believed is null, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

#: Counters of cards move in steps of up to this: over no longer a window they say nothing.
STEP_S = 0.1
#: Windows up to this long do not decide how a device is read, unless all are.
SAY_S = 1.0
#: More than any card or processor package draws (W).
MOST_W = 5000.0
#: Joules after which the first RAPL counters began again: for those that do not say.
SMALLEST_RANGE_J = 2.0**16


def counted(
    times_s: Sequence[float], joules: Sequence[float], *, range_j: float | None = None
) -> tuple[float | None, str | None]:
    """Energy between the first and the last of some readings of one counter.

    Parameters
    ----------
    times_s, joules : sequence of float
        When it was read, and what it said (J).
    range_j : float, optional
        The counter begins again at 0 after this many joules; 0 if that is not known. By default
        it never does.

    Returns
    -------
    energy_j : float or None
        Joules; None where they are not believed.
    why : str or None
        Why not.

    Examples
    --------
    >>> counted([0.0, 1.0, 2.0], [100.0, 160.0, 230.0])
    (130.0, None)
    >>> counted([0.0, 1.0], [262_000.0, 50.0], range_j=262_143.0)  # it went round
    (193.0, None)
    >>> counted([0.0, 1.0], [100.0, 100.0])
    (None, 'it stood still')
    """
    if len(joules) < 2:
        return None, "it could not be read at both ends of a window"
    longest_s = unseen_wrap_s(range_j)
    energy = 0.0
    for (before_s, before), (after_s, after) in pairwise(zip(times_s, joules, strict=True)):
        seconds, step = after_s - before_s, after - before
        if seconds > longest_s:
            return None, (
                f"it was not read for {seconds:.3g} s, and may go round in {longest_s:.3g} s"
            )
        if step < 0 and not range_j:
            return None, "it went back: it was reset, or went round after an unknown amount"
        if step < 0:
            step += range_j
        if step > MOST_W * max(seconds, STEP_S):
            return None, f"it was reset: its step would be {step / max(seconds, STEP_S):.3g} W"
        energy += step
    return (energy, None) if energy > 0 else (None, "it stood still")


def unseen_wrap_s(range_j: float | None) -> float:
    """Seconds between two readings beyond which a counter may have gone round unseen.

    Examples
    --------
    >>> round(unseen_wrap_s(262_143.0)), unseen_wrap_s(None)
    (52, inf)
    """
    return math.inf if range_j is None else (range_j or SMALLEST_RANGE_J) / MOST_W
