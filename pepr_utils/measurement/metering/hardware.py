"""What of this computer is measured, and its counters at one moment. Nothing here raises."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pepr_utils.measurement.metering import polling
from pepr_utils.measurement.metering.estimate import Estimate, estimate
from pepr_utils.measurement.metering.memory import synchronize, torch_uuid
from pepr_utils.measurement.metering.nvml import Nvml, other_processes
from pepr_utils.measurement.metering.quantities import Samples
from pepr_utils.measurement.metering.rapl import Rapl
from pepr_utils.measurement.metering.sharing import Load, descendants
from pepr_utils.measurement.metering.visible import Card, visible_cards


@dataclass(frozen=True)
class Mark:
    """The counters at one end of a window; None for what could not be read.

    Attributes
    ----------
    time_s : float
        On the monotonic clock.
    counter_mj : dict
        Energy counter of each card, by UUID.
    rapl_uj : dict
        Energy used so far in each RAPL domain, by name.
    load : Load
        Processor time, of the machine and of this process.
    others : dict
        Other processes on each card, by UUID.
    """

    time_s: float
    counter_mj: dict[str, int | None] = field(default_factory=dict)
    rapl_uj: dict[str, int | None] = field(default_factory=dict)
    load: Load = field(default_factory=lambda: Load(None, None))
    others: dict[str, int | None] = field(default_factory=dict)


@dataclass
class Hardware:
    """The devices that a meter reads.

    Attributes
    ----------
    cards : dict
        The graphics cards and their samples of power.
    rapl, estimate
        The processor's counters; else its estimated power.
    gpu_wanted : bool
        Whether the energy is incomplete without a card.
    notes : tuple of str
        What cannot be measured, and why.
    idle_w : dict
        Mean power before the work, by UUID or domain.
    """

    interval_s: float
    nvml: Nvml = field(default_factory=Nvml)
    cards: dict[Card, Samples] = field(default_factory=dict)
    power_limits_w: dict[str, float | None] = field(default_factory=dict)
    rapl: Rapl = field(default_factory=Rapl)
    estimate: Estimate | None = None
    gpu_wanted: bool = False
    notes: tuple[str, ...] = ()
    idle_w: dict[str, float] = field(default_factory=dict)
    used_bytes: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _thread: Any = None

    @classmethod
    def open(cls, device: str | None, *, interval_s: float, idle_s: float) -> Hardware:
        """Find what can be measured and begin to sample.

        Parameters
        ----------
        device : str or None
            ``cuda``, ``cuda:N``: that card and the processor. ``cpu``, ``mps``: the processor.
            None: every card that CUDA_VISIBLE_DEVICES leaves, and the processor.
        interval_s, idle_s : float
            Between samples; and how long the idle power is watched, once per device and process.
        """
        found, notes = cls(interval_s), []
        kind, _, number = (device or "").partition(":")
        if device is None or kind == "cuda":
            found.nvml = Nvml.open()
            chosen = visible_cards(found.nvml.cards, os.environ)
            cards = chosen.cards
            notes += [*chosen.notes, *filter(None, [found.nvml.lacking])]
            found.gpu_wanted = kind == "cuda" or bool(cards) or chosen.ambiguous
            if kind == "cuda":
                at = int(number or 0)
                cards = _by_torch(found.nvml.cards, at) or cards[at : at + 1]
                if not cards:
                    notes.append(f"{device} is not among the cards that NVML shows this process")
            found.cards = {card: Samples() for card in cards}
            found.power_limits_w = {c.uuid: found.nvml.power_limit_w(c) for c in cards}
        found.rapl = Rapl.find()
        if found.rapl.lacking:
            notes.append(f"no RAPL: {found.rapl.lacking}")
            found.estimate = estimate()
            if found.estimate is None:
                notes.append("no processor estimate: carbontracker gives none")
        found.notes = tuple(notes)
        found._idle(idle_s)
        if found.cards or found.rapl.domains:
            found._thread = polling.start(
                found.nvml, found.cards, found._also, interval_s=interval_s
            )
        return found

    def mark(self) -> Mark:
        """Read every counter once, when the cards have done what they were given."""
        synchronize()
        counters = {card.uuid: self.nvml.energy_mj(card) for card in self.cards}
        now = time.monotonic()
        used = self._read_rapl(now)
        self._note_used()
        if not self.cards and not self.rapl.domains:
            return Mark(now)
        children = descendants()
        mine = {os.getpid(), *children}
        others = {c.uuid: other_processes(self.nvml.processes(c), mine) for c in self.cards}
        load = Load.now(children) if self.rapl.domains else Load(None, None)
        return Mark(now, counters, used, load, others)

    def close(self) -> None:
        """Stop sampling and leave NVML."""
        if self._thread is not None:
            self._thread.stop()
        self.nvml.close()

    def _also(self, time_s: float) -> None:
        """What is read beside the cards' power in each round of sampling."""
        self._read_rapl(time_s)
        self._note_used()

    def _read_rapl(self, time_s: float) -> dict[str, int | None]:
        with self._lock:  # the thread and the windows read the same counters
            return {domain.name: domain.read(time_s) for domain in self.rapl.domains}

    def _note_used(self) -> None:
        for card in self.cards:
            used = self.nvml.used_bytes(card)
            if used is not None:
                self.used_bytes[card.uuid] = max(used, self.used_bytes.get(card.uuid, 0))

    def _idle(self, seconds: float) -> None:
        """Watch the power before the work begins; once per device and process."""
        known = _idle_powers()
        names = [c.uuid for c in self.cards] + [d.name for d in self.rapl.domains]
        if seconds > 0 and any(name not in known for name in names):
            began, before = time.monotonic(), self._read_rapl(0.0)
            watts: dict[str, list[float]] = {}
            while time.monotonic() < began + seconds:
                for card in self.cards:
                    power = self.nvml.power_w(card)
                    if power is not None:
                        watts.setdefault(card.uuid, []).append(power)
                time.sleep(min(0.1, seconds / 5))
            took, after = time.monotonic() - began, self._read_rapl(0.0)
            found = {uuid: sum(values) / len(values) for uuid, values in watts.items()}
            for name, end in after.items():
                if end is not None and before[name] is not None:
                    found[name] = (end - before[name]) / 1e6 / took
            known.update({name: found[name] for name in found if name not in known})
        self.idle_w = {name: known[name] for name in names if name in known}


@cache
def _idle_powers() -> dict[str, float]:
    """Idle power of the devices that this process has watched."""
    return {}


def _by_torch(cards: tuple[Card, ...], index: int) -> tuple[Card, ...]:
    """The card that torch calls by a number: surer than the environment, where torch is in use."""
    uuid = torch_uuid(index)
    if uuid is None:
        return ()
    names = {uuid, f"GPU-{uuid}", f"MIG-{uuid}"}
    return tuple(card for card in cards if names & {card.uuid, *card.mig_uuids})
