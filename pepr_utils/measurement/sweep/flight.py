"""A shard that a worker has, as the coordinator sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pepr_utils.measurement.orders import waiting_path
from pepr_utils.measurement.sweep.cluster import Slot
from pepr_utils.measurement.sweep.task import Task


@dataclass
class Flight:
    """A shard that a worker has.

    Attributes
    ----------
    task, slot, future
        What was given, to whom, and Dask's word on it.
    runs : sequence of str
        Its runs, in their order.
    attempts : mapping
        How often each had been tried.
    began : float
        When, by the monotonic clock (s).
    has_begun : bool
        Whether its own kernel was seen to measure one of its runs.
    waits : bool
        Whether its kernel waits for the device, which another has.
    others : set of str
        Its runs that another process was seen to measure.
    """

    task: Task
    slot: Slot
    future: Any
    runs: Sequence[str]
    attempts: Mapping[str, int]
    began: float
    has_begun: bool = False
    waits: bool = False
    others: set[str] = field(default_factory=set)

    def waiting_path(self) -> Path:
        """Where its kernel says that it waits."""
        return waiting_path(self.task.stop, self.task.log)
