"""Whether others work on this machine: RAPL counts a whole package, whoever uses it.

The rule, which the record names: where other work kept more than half a core busy on average, and
was more than a tenth of all processor time, the energy that RAPL has of processor and memory is
not this run's, and is null. It is applied to the windows of one kind together, since a tick of the
clock is long beside a short window.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Seconds of processor time since boot, by kind; /proc counts in ticks.
PROC_STAT = Path("/proc/stat")
BUSY_CORES = 0.5
BUSY_SHARE = 0.1


@dataclass(frozen=True)
class Load:
    """Processor time (s) up to a moment: of the machine and of this process with its children."""

    machine_s: float | None
    mine_s: float | None

    @classmethod
    def now(cls, children: set[int]) -> Load:
        """Read both; `children` are those of this process that live, see `descendants`."""
        return cls(_machine_s(), _mine_s(children))


def together(pairs: Iterable[tuple[Load, Load]]) -> Load:
    """Processor time in several windows, each by its two ends; None where one is not known.

    Examples
    --------
    >>> together([(Load(1.0, 0.0), Load(3.0, 1.0)), (Load(9.0, 2.0), Load(10.0, None))])
    Load(machine_s=3.0, mine_s=None)
    """
    found = list(pairs)

    def spent(name: str) -> float | None:
        ends = [(getattr(before, name), getattr(after, name)) for before, after in found]
        return None if any(None in end for end in ends) else sum(b - a for a, b in ends)

    return Load(spent("machine_s"), spent("mine_s"))


def others(before: Load, after: Load, duration_s: float) -> float | None:
    """Cores that others kept busy on average between two moments; None where not known.

    Examples
    --------
    >>> others(Load(100.0, 5.0), Load(130.0, 15.0), 10.0)
    2.0
    """
    values = (before.machine_s, before.mine_s, after.machine_s, after.mine_s)
    if duration_s <= 0 or any(value is None for value in values):
        return None
    rest = (after.machine_s - before.machine_s) - (after.mine_s - before.mine_s)
    return max(0.0, rest / duration_s)


def is_shared(before: Load, after: Load, duration_s: float) -> bool | None:
    """Whether the rule calls a window shared; None where the load is not known.

    Examples
    --------
    >>> is_shared(Load(0.0, 0.0), Load(20.0, 10.0), 10.0)
    True
    >>> is_shared(Load(0.0, 0.0), Load(14.0, 10.0), 10.0)
    False
    """
    cores = others(before, after, duration_s)
    if cores is None:
        return None
    busy = after.machine_s - before.machine_s
    return cores > BUSY_CORES and cores * duration_s > BUSY_SHARE * busy


def _machine_s() -> float | None:
    try:
        user, nice, system, _idle, _wait, irq, softirq = map(
            int, PROC_STAT.read_text().split("\n", 1)[0].split()[1:8]
        )
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def descendants() -> set[int]:
    """Living processes that this one has started, and theirs; empty where that cannot be told.

    Linux lists a process's children, which is quick; elsewhere all processes are looked through.
    """
    found, to_do = set(), [os.getpid()]
    try:
        while to_do:
            for task in Path(f"/proc/{to_do.pop()}/task").iterdir():
                children = set(map(int, (task / "children").read_text().split())) - found
                found |= children
                to_do += children
    except OSError:
        with suppress(Exception):
            import psutil

            return {child.pid for child in psutil.Process().children(recursive=True)}
    return found


def _mine_s(children: set[int]) -> float | None:
    """Time of this process, of its children that it has waited for, and of those that live."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        found = sum(psutil.Process().cpu_times()[:4])
    except psutil.Error:
        return None
    for pid in children:
        with suppress(psutil.Error):  # it has just ended
            found += sum(psutil.Process(pid).cpu_times()[:4])
    return found
