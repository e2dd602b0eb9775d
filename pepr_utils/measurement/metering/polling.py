"""carbontracker's sampling thread, with its samples kept by time and by device.

Of carbontracker the thread and the reader of the cards' power are used. Its `CarbonTracker` would
ask a web service where the machine is, end the process on an error (`os._exit(70)`) and discard
itself after the last epoch. Made good here: samples of several devices in one list, whose mean it
takes where the sum is the energy; a failed sample that shifts all later epochs; a clock that may
go backwards; every card of the machine measured where CUDA_VISIBLE_DEVICES holds no plain numbers.
Its reader of RAPL sleeps for a second in each sample, and is replaced by `rapl`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pepr_utils.measurement.metering.estimate import quiet
from pepr_utils.measurement.metering.nvml import Nvml
from pepr_utils.measurement.metering.quantities import Samples
from pepr_utils.measurement.metering.visible import Card

#: A reader that hangs in the driver holds the end of a block up for no longer.
PATIENCE_S = 5.0


def start(
    nvml: Nvml,
    cards: dict[Card, Samples],
    also: Callable[[float], object],
    *,
    interval_s: float,
) -> Any:
    """Start to sample; the thread that is returned has ``stop()``.

    Parameters
    ----------
    nvml : Nvml
        Open.
    cards : dict
        The cards to sample, and where each one's samples go.
    also : callable
        Is given the time at each sample: what else is to be read.
    interval_s : float
        Pause between two samples.
    """
    with quiet():
        from carbontracker import tracker
        from carbontracker.components.gpu.nvidia import NvidiaGPU

    class Chosen(NvidiaGPU):
        """carbontracker's reader of the cards' power, for one of the cards chosen here."""

        def __init__(self, card: Card) -> None:
            super().__init__(pids=[], devices_by_pid=False)
            self._handles = nvml.handles((card,))

    class Thread(tracker.CarbonTrackerThread):
        """carbontracker's thread; the meter's windows are not its epochs."""

        def stop(self) -> None:
            for event in (self.shutdown_event, self.measuring_event):
                event.set()
            self.join(PATIENCE_S)

    readers = [(Chosen(card), samples) for card, samples in cards.items()]
    thread = Thread(
        components=[_Readings(readers, also)],
        logger=Silent(),
        ignore_errors=True,  # otherwise an error of the meter ends the process
        delete=lambda: None,
        update_interval=interval_s,
    )
    thread.epoch_start()
    return thread


class _Readings:
    """What the thread takes for its one component: each round reads every card once."""

    name = "pepr"

    def __init__(self, readers: Sequence[tuple[Any, Samples]], also: Callable) -> None:
        self._readers, self._also = readers, also
        self.power_usages: list[list[float]] = []

    def collect_power_usage(self, _epoch: int) -> None:
        for reader, samples in self._readers:
            try:
                (watts,) = reader.power_usage()
            except Exception:  # noqa: BLE001 - a sample is dropped; the next may come
                watts = None
            samples.add(time.monotonic(), watts)
        self._also(time.monotonic())

    def available(self) -> bool:
        return True

    def devices(self) -> list[str]:
        return []

    def init(self) -> None:
        """Nothing: NVML is open, and stays so until the meter closes it."""

    shutdown = init


class Silent:
    """A logger for carbontracker that says nothing."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_options: None
