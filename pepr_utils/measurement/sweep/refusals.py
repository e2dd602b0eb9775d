"""Shards that ended before a run of theirs had begun: the run's fault, its worker's, the sweep's.

One of them does not tell. So nothing is recorded of a run that was refused alone until another
worker has been asked: where it begins there the first worker was to blame, where it does not, the
run. As long as no run has begun anywhere, and several are refused alike, it is the sweep.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from pepr_utils.measurement.sweep.cluster import Slot
from pepr_utils.measurement.sweep.failures import Failure

#: Runs that are refused alike, and none that has begun: the sweep itself is wrong.
HOPELESS = 3
#: Shards that a worker refuses in a row before it gets no more, where others have begun theirs.
SUSPECT = 2


class Refusals:
    """Who has refused what, since it was last known whose fault that was.

    Attributes
    ----------
    by : dict
        For each run that is not judged yet, what is to be recorded of it, by the worker's address.
    in_row : Counter
        Shards that a worker has refused since it last began a run.
    begun : set of str
        Workers that have begun a run.
    aside : dict
        Workers that get no more runs, by address: the name of each, and the reason in words.
    """

    def __init__(self) -> None:
        self.by: dict[str, dict[str, Failure]] = {}
        self.in_row: Counter[str] = Counter()
        self.begun: set[str] = set()
        self.aside: dict[str, tuple[str, str]] = {}
        self._alike: dict[str, set[str]] = {}
        self._last: dict[str, tuple[str, str]] = {}

    def began(self, slot: Slot, names: Iterable[str]) -> None:
        """Note that runs have begun; who had refused them in a row with others gets no more."""
        self.begun.add(slot.address)
        del self.in_row[slot.address]
        for name in names:
            for address in self.by.pop(name, {}):
                if self.in_row[address] >= SUSPECT:
                    self.set_aside(address)

    def refused(self, slot: Slot, why: str) -> None:
        """Note that a shard was refused."""
        self.in_row[slot.address] += 1
        self._last[slot.address] = slot.name, " ".join(why.split())

    def alone(self, name: str, slot: Slot, told: Failure, kind: str) -> None:
        """Note of a shard that was refused that it was one run, and what is to be said of it."""
        self.by.setdefault(name, {})[slot.address] = told
        self._alike.setdefault(kind, set()).add(name)

    def judge(self, name: str) -> Failure | None:
        """Take a run to be to blame, and none of its workers; return what is to be recorded."""
        found = self.by.pop(name, {})
        for address in found:
            self.in_row[address] = max(0, self.in_row[address] - 1)
        return next(reversed(found.values()), None)

    def set_aside(self, address: str) -> None:
        """Give a worker no more runs."""
        self.aside[address] = self._last[address]

    def words(self) -> list[str]:
        """A line for each worker that gets no more runs."""
        return [
            f"worker {name} gets no more runs, since it began none of the last ones: {why}"
            for name, why in self.aside.values()
        ]

    def gets_none(self, slot: Slot) -> bool:
        """Whether a worker gets no further run until another has begun one that it refused."""
        # As long as none has begun, it is asked for enough of them to tell whether they are alike.
        return self.in_row[slot.address] >= (SUSPECT if self.begun else HOPELESS + 1)

    def alike(self) -> int:
        """How many runs were refused alike; 0 once any has begun."""
        return 0 if self.begun else max(map(len, self._alike.values()), default=0)


def kind_of(why: str, names: Iterable[str | None]) -> str:
    """A reason without what differs from run to run.

    Examples
    --------
    >>> kind_of("RunError: the weights dla34.in1k lack", ["dla34-0a1b", "dla34.in1k", "dla34"])
    'RunError: the weights ~ lack'
    >>> kind_of("no 3 of /out/notebooks/t-0001.log", []) == kind_of("no 4 of /out/t-2.log", [])
    True
    """
    for name in sorted(filter(None, names), key=len, reverse=True):
        why = why.replace(name, "~")
    return re.sub(r"\d+", "#", re.sub(r"(?:/[^\s/:,;]+)+", "/~", why))
