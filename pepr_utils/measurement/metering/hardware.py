"""What of this computer is measured, and its counters at one moment. Nothing here raises."""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pepr_utils.measurement.metering import idle, occupancy, polling
from pepr_utils.measurement.metering.estimate import Estimate, estimate
from pepr_utils.measurement.metering.marks import Mark
from pepr_utils.measurement.metering.memory import (
    synchronize,
    torch_current,
    torch_in_use,
    torch_uuid,
)
from pepr_utils.measurement.metering.neighbours import Presence
from pepr_utils.measurement.metering.nvml import Nvml
from pepr_utils.measurement.metering.quantities import Samples
from pepr_utils.measurement.metering.rapl import Rapl
from pepr_utils.measurement.metering.sharing import Load, descendants
from pepr_utils.measurement.metering.visible import NONE, Card, Chosen, visible_cards


@dataclass
class Hardware:
    """The devices that a meter reads.

    Attributes
    ----------
    cards : dict
        The graphics cards and their samples of power.
    rapl, estimate
        The processor's counters; else its estimated power.
    presence
        Other meters of this user on this machine.
    gpu_wanted : bool
        Whether the energy is incomplete without a card.
    card_notes, processor_notes : list of str
        What cannot be measured, and why.
    faults : list of str
        What failed on the way.
    idle_w : dict
        Mean power before the work, by UUID or domain.
    seen : dict
        The processes on each card, by UUID, from time to time.
    """

    interval_s: float
    nvml: Nvml = field(default_factory=Nvml)
    cards: dict[Card, Samples] = field(default_factory=dict)
    power_limits_w: dict[str, float | None] = field(default_factory=dict)
    rapl: Rapl = field(default_factory=Rapl)
    estimate: Estimate | None = None
    presence: Presence = field(default_factory=Presence)
    gpu_wanted: bool = False
    card_notes: list[str] = field(default_factory=list)
    processor_notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    idle_w: dict[str, float] = field(default_factory=dict)
    used_bytes: dict[str, int] = field(default_factory=dict)
    seen: dict[str, list[occupancy.Seen]] = field(default_factory=dict)
    _looked_s: float = -math.inf
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
        found = cls(interval_s)
        if device is None or device.startswith("cuda"):
            found._find_cards(device)
        found.rapl = Rapl.find()
        if found.rapl.lacking:
            found.processor_notes.append(f"no RAPL: {found.rapl.lacking}")
            found.estimate = estimate()
            if found.estimate is None:
                found.processor_notes.append("no processor estimate: carbontracker gives none")
        found.presence = Presence.enter()
        if found.presence.lacking and found.estimate is not None:
            found.processor_notes.append(found.presence.lacking)
        try:
            found.idle_w = idle.watch(found.nvml, list(found.cards), found.rapl.domains, idle_s)
        except BaseException:  # Ctrl-C while it watches: this meter is over before its block
            found.presence.leave()
            found.nvml.close()
            raise
        readable = {card: at for card, at in found.cards.items() if card.lacking is None}
        if readable or found.rapl.domains:
            try:
                found._thread = polling.start(
                    found.nvml, readable, found._also, interval_s=interval_s
                )
            except Exception as error:  # noqa: BLE001 - counters are read at the ends all the same
                found.faults.append(f"nothing is sampled: carbontracker did not start: {error!r}")
        return found

    @property
    def notes(self) -> list[str]:
        """What cannot be measured, of cards and processor."""
        return [*self.card_notes, *self.processor_notes]

    def mark(self) -> Mark:
        """Read every counter once, when the cards have done what they were given."""
        synchronize()
        if self._thread is not None and not self._thread.is_alive():
            self._fault("the sampling thread ended early: samples of power are missing from then")
        counters = {card.uuid: self.nvml.energy_mj(card) for card in self.cards}
        now = time.monotonic()
        used = self._read_rapl()
        self._note_used()
        children = descendants()
        self._look(now, children)
        return Mark(now, counters, used, Load.now(children))

    def close(self) -> None:
        """Stop sampling and leave NVML."""
        with suppress(Exception):  # what is measured is measured
            if self._thread is not None:
                self._thread.stop()
        self.nvml.close()

    def _find_cards(self, device: str | None) -> None:
        self.nvml = Nvml.open()
        chosen = visible_cards(self.nvml.cards, os.environ)
        cards = chosen.cards
        self.card_notes += [*chosen.notes, *filter(None, [self.nvml.lacking])]
        if device is not None:
            number = device.partition(":")[2]
            at = int(number) if number else torch_current()
            cards = _by_torch(self.nvml.cards, at) or cards[at : at + 1]
            if not cards:
                self.card_notes.append(
                    f"{device} is not among the cards that NVML shows this process"
                )
        elif len(cards) > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
            self.card_notes.append(
                f"all {len(cards)} cards of this machine are counted: no CUDA_VISIBLE_DEVICES says "
                "which are used"
            )
        self.gpu_wanted = device is not None or _may_use_one(chosen, self.nvml)
        self.cards = {card: Samples() for card in cards}
        self.seen = {card.uuid: [] for card in cards}
        self.power_limits_w = {c.uuid: self.nvml.power_limit_w(c) for c in cards}

    def _also(self, time_s: float) -> None:
        """What is read beside the cards' power in each round of sampling."""
        self._read_rapl()
        self._note_used()
        if time_s >= self._looked_s + occupancy.LOOK_EVERY_S:
            self._look(time_s, descendants())

    def _read_rapl(self) -> dict[str, int | None]:
        with self._lock:  # the thread and the windows read the same counters
            return {domain.entry: domain.read() for domain in self.rapl.domains}

    def _look(self, time_s: float, children: set[int]) -> None:
        """Note whose processes are on the cards, and which other meters have ended."""
        self._looked_s = time_s
        self.presence.look()
        for card in self.cards:
            mine = {os.getpid(), *children}
            # NVML in a container may list nobody, not even a process that computes on the card.
            found = occupancy.look(
                time_s, self.nvml.processes(card), mine, computing=torch_in_use() is not None
            )
            if found is not None:
                self.seen[card.uuid].append(found)

    def _note_used(self) -> None:
        for card in self.cards:
            used = self.nvml.used_bytes(card)
            if used is not None:
                self.used_bytes[card.uuid] = max(used, self.used_bytes.get(card.uuid, 0))

    def _fault(self, words: str) -> None:
        if words not in self.faults:
            self.faults.append(words)


def _may_use_one(chosen: Chosen, nvml: Nvml) -> bool:
    """Whether a block that asks for no card in particular may use one."""
    hidden = nvml.hidden and os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() not in NONE
    return bool(chosen.cards) or chosen.ambiguous or hidden


def _by_torch(cards: tuple[Card, ...], index: int) -> tuple[Card, ...]:
    """The card that torch calls by a number: surer than the environment, where torch is in use."""
    uuid = torch_uuid(index)
    if uuid is None:
        return ()
    names = {uuid, f"GPU-{uuid}", f"MIG-{uuid}"}
    return tuple(card for card in cards if names & {card.uuid, *card.mig_uuids})
