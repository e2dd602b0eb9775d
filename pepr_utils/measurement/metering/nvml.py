"""NVML: the GPUs of this machine, and which of them CUDA_VISIBLE_DEVICES leaves to a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pepr_utils.errors import how_to_install

#: Where the system lists its devices.
DEV = Path("/dev")
#: Values of CUDA_VISIBLE_DEVICES that schedulers set for "none".
NONE = ("", "-1", "NoDevFiles")


@dataclass(frozen=True)
class Card:
    """A GPU of this machine, as NVML lists it.

    `index` is its order on the bus; `lacking` is why it cannot be read. Where it is divided into
    slices (MIG), those that can be seen from here are `mig_uuids`, and NVML's energy is not theirs.
    """

    index: int
    uuid: str
    name: str
    mig_uuids: tuple[str, ...] = ()
    divided: bool = False
    lacking: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The GPUs that a process sees, in CUDA's order, and notes on what could not be resolved.

    Where it is not known which are meant, `ambiguous` is set and there are none.
    """

    cards: tuple[Card, ...]
    notes: tuple[str, ...] = ()
    ambiguous: bool = False


def visible_cards(cards: Sequence[Card], environment: Mapping[str, str]) -> Chosen:
    """Resolve CUDA_VISIBLE_DEVICES to GPUs.

    As in CUDA, the list ends at the first entry that names no GPU, and a GPU named twice leaves
    none. Numbers count in CUDA's order, which is the bus order only if all GPUs are of one model
    or CUDA_DEVICE_ORDER is PCI_BUS_ID; else it is not known which are meant, unless all are.

    Parameters
    ----------
    cards : sequence of Card
        Those of the machine.
    environment : mapping
        Of the process that computes.

    Examples
    --------
    >>> two = [Card(0, "GPU-aa", "X"), Card(1, "GPU-bb", "X")]
    >>> [card.uuid for card in visible_cards(two, {"CUDA_VISIBLE_DEVICES": "1"}).cards]
    ['GPU-bb']
    >>> visible_cards(two, {"CUDA_VISIBLE_DEVICES": ""}).cards
    ()
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return Chosen(tuple(cards))
    if listed.strip() in NONE:
        return Chosen(())
    found: list[Card] = []
    entries: list[str] = []
    notes: tuple[str, ...] = ()
    for entry in (part.strip() for part in listed.split(",")):
        card = _find(entry, cards)
        if card is None:
            notes = (f"CUDA_VISIBLE_DEVICES names {entry!r}, which is no GPU here",)
            break
        if entry.startswith("MIG-"):
            card = replace(card, divided=True)
        # two slices of one GPU are no repetition
        if entry in entries or (card in found and not entry.startswith("MIG-")):
            return Chosen((), (*notes, f"CUDA_VISIBLE_DEVICES={listed} names a GPU twice: none"))
        entries.append(entry)
        if card not in found:
            found.append(card)
    n_models = len({card.name for card in cards})
    in_bus_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or n_models < 2
    if any(map(_is_number, entries)) and not in_bus_order and len(found) < len(cards):
        why = (
            f"which of {len(cards)} GPUs of {n_models} models is meant by "
            f"CUDA_VISIBLE_DEVICES={listed} is not known; set CUDA_DEVICE_ORDER=PCI_BUS_ID, or "
            "name them by UUID"
        )
        return Chosen((), (*notes, why), ambiguous=True)
    return Chosen(tuple(found), notes)


def _find(entry: str, cards: Sequence[Card]) -> Card | None:
    """The one GPU that an entry names: by number, by UUID or its beginning, by a MIG slice."""
    if _is_number(entry):
        matches = [card for card in cards if card.index == int(entry)]
    elif entry.startswith("MIG-GPU-"):  # the older form: MIG-<GPU>/<instance>/<instance>
        matches = [card for card in cards if card.uuid == entry.removeprefix("MIG-").split("/")[0]]
    elif entry.startswith("MIG-"):
        matches = [card for card in cards if any(m.startswith(entry) for m in card.mig_uuids)]
    else:
        begins = entry.startswith("GPU-")
        matches = [card for card in cards if begins and card.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _is_number(entry: str) -> bool:
    return entry.isascii() and entry.isdecimal()


@dataclass
class Nvml:
    """An open NVML, or why there is none. What it cannot read is None; nothing raises.

    `cards` are all GPUs of the machine; where there are none, `lacking` is the reason. They are
    `hidden` where there seem to be some all the same: the driver is there and fails, or the system
    has a device file of one.
    """

    cards: tuple[Card, ...] = ()
    lacking: str | None = None
    hidden: bool = False
    _library: Any = None
    _handles: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Nvml:
        """Open NVML and list the GPUs, each on its own: one may be lost and the others work."""
        device_files = any(DEV.glob("nvidia[0-9]*"))
        try:
            import pynvml
        except ImportError:
            why = f"nvidia-ml-py is not installed: {how_to_install('meter')}"
            return cls(lacking=why, hidden=device_files)
        try:
            pynvml.nvmlInit()
            n_cards = pynvml.nvmlDeviceGetCount()
        except Exception as error:  # noqa: BLE001 - a driver may fail in any way
            why = f"NVML: {error}; a GPU needs its driver, a container --gpus or --nv"
            none = getattr(error, "value", None) in (
                pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            )
            return cls(lacking=why, hidden=device_files or not none)
        opened = cls(_library=pynvml)
        opened.cards = tuple(opened._card(index) for index in range(n_cards))
        if not n_cards:
            opened.lacking, opened.hidden = "NVML lists no card", device_files
        return opened

    def close(self) -> None:
        """Close NVML."""
        if self._library is not None:
            self._ask(self._library.nvmlShutdown)

    def handle(self, card: Card) -> Any:
        """NVML's own handle of a GPU."""
        return self._handles.get(card.uuid)

    def energy_j(self, card: Card) -> float | None:
        """Energy counter (J since the driver was loaded)."""
        return self._thousandth(card, "nvmlDeviceGetTotalEnergyConsumption")

    def power_w(self, card: Card) -> float | None:
        """Power at this moment (W), as the driver averages it."""
        return self._thousandth(card, "nvmlDeviceGetPowerUsage")

    def power_limit_w(self, card: Card) -> float | None:
        """Enforced power limit (W)."""
        return self._thousandth(card, "nvmlDeviceGetEnforcedPowerLimit")

    def used_bytes(self, card: Card) -> int | None:
        """Memory in use, by every process."""
        memory = self._of(card, "nvmlDeviceGetMemoryInfo")
        return None if memory is None else int(memory.used)

    def processes(self, card: Card) -> set[int] | None:
        """Ids of the processes on a GPU."""
        compute = self._of(card, "nvmlDeviceGetComputeRunningProcesses")
        graphics = self._of(card, "nvmlDeviceGetGraphicsRunningProcesses")
        if compute is None or graphics is None:
            return None
        return {int(process.pid) for process in [*compute, *graphics]}

    def _thousandth(self, card: Card, name: str) -> float | None:
        value = self._of(card, name)
        return None if value is None else value / 1000

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
            why = f"GPU {index} cannot be read: NVML: {error}"
            return Card(index, f"number {index}", "GPU", lacking=why)
        self._handles[uuid] = handle
        mode = self._ask(n.nvmlDeviceGetMigMode, handle)
        if not mode or not mode[0]:
            return Card(index, uuid, name)
        places = range(self._ask(n.nvmlDeviceGetMaxMigDeviceCount, handle) or 0)
        slices = [self._ask(n.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in places]
        uuids = [self._ask(n.nvmlDeviceGetUUID, slice_) for slice_ in slices if slice_ is not None]
        return Card(index, uuid, name, tuple(_text(uuid) for uuid in uuids if uuid), divided=True)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
