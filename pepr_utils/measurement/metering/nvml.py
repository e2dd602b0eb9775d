"""NVML: the graphics cards of this machine and what they say of themselves. Nothing raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pepr_utils.measurement.metering.visible import Card

#: Where the system lists its devices.
DEV = Path("/dev")


@dataclass
class Nvml:
    """An open NVML, or why there is none.

    Attributes
    ----------
    cards : tuple of Card
        All cards of the machine.
    lacking : str or None
        Why there are none, in words that say what to do; None where there are.
    hidden : bool
        Whether there seem to be cards, although none can be listed: the driver is there and
        fails, or the system has a device of theirs.
    """

    cards: tuple[Card, ...] = ()
    lacking: str | None = None
    hidden: bool = False
    _library: Any = None
    _handles: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Nvml:
        """Open NVML and list the cards, each on its own: one may be lost and the others work."""
        try:
            import pynvml
        except ImportError:
            why = "nvidia-ml-py is not installed: pip install 'pepr-utils[meter]'"
            return cls(lacking=why, hidden=_nodes())
        try:
            pynvml.nvmlInit()
            n_cards = pynvml.nvmlDeviceGetCount()
        except Exception as error:  # noqa: BLE001 - a driver may fail in any way
            why = f"NVML: {error}; a card needs its driver, a container --gpus or --nv"
            none = getattr(error, "value", None) in (
                pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            )
            return cls(lacking=why, hidden=_nodes() or not none)
        opened = cls(_library=pynvml)
        opened.cards = tuple(opened._card(index) for index in range(n_cards))
        if not n_cards:
            opened.lacking, opened.hidden = "NVML lists no card", _nodes()
        return opened

    def close(self) -> None:
        """Close NVML."""
        if self._library is not None:
            self._ask(self._library.nvmlShutdown)

    def handles(self, cards: tuple[Card, ...]) -> list[Any]:
        """NVML's own handles, for carbontracker's reader, which fails without."""
        return [self._handles.get(card.uuid) for card in cards]

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
        function, handle = getattr(self._library, name, None), self._handles.get(card.uuid)
        return None if None in (function, handle) else self._ask(function, handle)

    def _ask(self, function: Callable, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - not supported, not permitted, or the driver is gone
            return None

    def _card(self, index: int) -> Card:
        n = self._library
        try:
            handle = n.nvmlDeviceGetHandleByIndex(index)
            uuid, name = _text(n.nvmlDeviceGetUUID(handle)), _text(n.nvmlDeviceGetName(handle))
        except Exception as error:  # noqa: BLE001 - off the bus, or not permitted
            why = f"card {index} cannot be read: NVML: {error}"
            return Card(index, f"number {index}", "card", lacking=why)
        self._handles[uuid] = handle
        mode = self._ask(n.nvmlDeviceGetMigMode, handle)
        divided = bool(mode and mode[0])
        return Card(index, uuid, name, self._slices(handle) if divided else (), divided)

    def _slices(self, handle: Any) -> tuple[str, ...]:
        n, found = self._library, []
        for i in range(self._ask(n.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            slice_ = self._ask(n.nvmlDeviceGetMigDeviceHandleByIndex, handle, i)
            uuid = None if slice_ is None else self._ask(n.nvmlDeviceGetUUID, slice_)
            if uuid:
                found.append(_text(uuid))
        return tuple(found)


def _nodes() -> bool:
    """Whether the system has a device of a card, read or not."""
    return any(DEV.glob("nvidia[0-9]*"))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
