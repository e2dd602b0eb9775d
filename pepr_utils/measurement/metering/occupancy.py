"""Who works on a card: whether its energy is this process's alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

#: Where Linux lists the processes that can be seen from here.
PROC = Path("/proc")
#: Seconds between two looks within a window; there is one at each end besides.
LOOK_EVERY_S = 5.0


class Seen(NamedTuple):
    """The processes on a card at a moment.

    Attributes
    ----------
    time_s : float
        On the monotonic clock.
    n : int
        All of them.
    others : int or None
        Those that are not ours; None where ours cannot be told among them.
    ours : bool
        Whether some are known to be ours.
    """

    time_s: float
    n: int
    others: int | None
    ours: bool


def look(
    time_s: float, found: set[int] | None, mine: set[int], *, computing: bool = False
) -> Seen | None:
    """Tell others' processes on a card from ours; None where NVML gives no list.

    In a container NVML gives the host's numbers, or an empty list while this process computes on a
    card. Ours are not told apart then: a number that cannot be seen from here may be ours by
    another name.

    Examples
    --------
    >>> look(0.0, {11, 12}, {12, 13}).others, look(0.0, set(), {12}).others
    (1, 0)
    """
    if found is None:
        return None
    if computing and not found:
        return Seen(time_s, 0, None, ours=False)
    ours = bool(found & mine)
    if ours or all((PROC / str(pid)).exists() for pid in found):
        return Seen(time_s, len(found), len(found - mine), ours)
    return Seen(time_s, len(found), None, ours=False)


def summary(looks: Iterable[Seen]) -> tuple[int | None, str | None]:
    """Other processes on a card in a window, and what there is to say of them.

    Examples
    --------
    >>> summary([Seen(0.0, 1, 0, True), Seen(5.0, 2, 1, True)])
    (1, '1 other process on the card: their energy is in the figure')
    >>> summary([Seen(0.0, 0, 0, False)])
    (0, None)
    """
    looks = list(looks)
    most = max((seen.others for seen in looks if seen.others is not None), default=None)
    if most:
        if any(seen.ours for seen in looks):
            return most, f"{_processes(most, 'other ')}: their energy is in the figure"
        return most, f"{_processes(most)}, ours not among them: their energy is in the figure"
    unknown = max((seen.n for seen in looks if seen.others is None), default=0)
    if unknown:
        return None, (
            f"{_processes(unknown)}, ours not among them as far as can be told from here "
            "(a container?)"
        )
    return most, None


def _processes(n: int, which: str = "") -> str:
    return f"{n} {which}{'process' if n == 1 else 'processes'} on the card"
