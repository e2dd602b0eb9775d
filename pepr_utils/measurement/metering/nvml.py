"""NVML: the graphics cards of this machine and what they say of themselves. Nothing raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pepr_utils.measurement.metering.visible import Card


@dataclass
class Nvml:
    """An open NVML, or why there is none.

    Attributes
    ----------
    cards : tuple of Card
        All cards of the machine.
    lacking : str or None
        Why there are none, in words that say what to do; None where there are.
    """

    cards: tuple[Card, ...] = ()
    lacking: str | None = None
    _library: Any = None
    _handles: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Nvml:
        """Open NVML and list the cards."""
        try:
            import pynvml
        except ImportError:
            return cls(lacking="nvidia-ml-py is not installed: install pepr-utils[train]")
        try:
            pynvml.nvmlInit()
            opened = cls(_library=pynvml)
            cards = [opened._card(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except Exception as error:  # noqa: BLE001 - a driver may fail in any way
            why = f"NVML: {error}; a card needs its driver, a container --gpus or --nv"
            return cls(lacking=why)
        opened.cards = tuple(cards)
        if not cards:
            opened.lacking = "NVML lists no card"
        return opened

    def close(self) -> None:
        """Close NVML."""
        if self._library is not None:
            self._ask(self._library.nvmlShutdown)

    def handles(self, cards: tuple[Card, ...]) -> list[Any]:
        """NVML's own handles, for carbontracker's reader."""
        return [self._handles[card.uuid] for card in cards]

    def energy_mj(self, card: Card) -> int | None:
        """Energy counter (mJ since the driver was loaded); None where the card has none."""
        return self._of(card, "nvmlDeviceGetTotalEnergyConsumption")

    def power_w(self, card: Card) -> float | None:
        """Power at this moment (W), as the driver averages it."""
        milliwatts = self._of(card, "nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1000

    def power_limit_w(self, card: Card) -> float | None:
        """Enforced power limit (W)."""
        milliwatts = self._of(card, "nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1000

    def used_bytes(self, card: Card) -> int | None:
        """Memory in use, of every process."""
        memory = self._of(card, "nvmlDeviceGetMemoryInfo")
        return None if memory is None else int(memory.used)

    def processes(self, card: Card) -> set[int] | None:
        """Process ids on the card; None where NVML does not tell."""
        found: set[int] = set()
        for name in (
            "nvmlDeviceGetComputeRunningProcesses",
            "nvmlDeviceGetGraphicsRunningProcesses",
        ):
            listed = self._of(card, name)
            if listed is None:
                return None
            found |= {int(process.pid) for process in listed}
        return found

    def _of(self, card: Card, name: str) -> Any:
        function = getattr(self._library, name, None)
        return None if function is None else self._ask(function, self._handles[card.uuid])

    def _ask(self, function: Callable, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - not supported, not permitted, or the driver is gone
            return None

    def _card(self, index: int) -> Card:
        n = self._library
        handle = n.nvmlDeviceGetHandleByIndex(index)
        uuid = _text(n.nvmlDeviceGetUUID(handle))
        self._handles[uuid] = handle
        return Card(index, uuid, _text(n.nvmlDeviceGetName(handle)), self._slices(handle))

    def _slices(self, handle: Any) -> tuple[str, ...]:
        n, found = self._library, []
        mode = self._ask(n.nvmlDeviceGetMigMode, handle)
        if not mode or not mode[0]:
            return ()
        for i in range(self._ask(n.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            slice_ = self._ask(n.nvmlDeviceGetMigDeviceHandleByIndex, handle, i)
            uuid = None if slice_ is None else self._ask(n.nvmlDeviceGetUUID, slice_)
            if uuid:
                found.append(_text(uuid))
        return tuple(found)


def other_processes(found: set[int] | None, mine: set[int]) -> int | None:
    """How many of the processes on a card are not ours; None where that is not known.

    In a container NVML gives the host's numbers, among which ours cannot be told.

    Examples
    --------
    >>> other_processes({11, 12}, {12, 13}), other_processes(set(), {12})
    (1, 0)
    >>> other_processes({11}, {12}) is None
    True
    """
    if found is None:
        return None
    if not found:
        return 0
    return len(found - mine) if found & mine else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
