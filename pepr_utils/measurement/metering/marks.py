"""The counters at one moment, and a window between two such moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pepr_utils.measurement.metering.sharing import Load


@dataclass(frozen=True)
class Mark:
    """The counters at one end of a window; None for what could not be read.

    Attributes
    ----------
    time_s : float
        On the monotonic clock.
    counter_mj : dict
        Energy counter of each card, by UUID.
    rapl : dict
        Place of the reading of each RAPL domain among its readings, by the kernel's name.
    load : Load
        Processor time, of the machine and of this process.
    """

    time_s: float
    counter_mj: dict[str, int | None] = field(default_factory=dict)
    rapl: dict[str, int | None] = field(default_factory=dict)
    load: Load = field(default_factory=lambda: Load(None, None))


class Span(NamedTuple):
    """A closed window: what it is called, and both its ends."""

    kind: str
    epoch: int
    start: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end.time_s - self.start.time_s
