"""Which graphics cards a process uses: CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

#: Values that older schedulers set for "none".
NONE = ("", "-1", "NoDevFiles")


@dataclass(frozen=True)
class Card:
    """A graphics card of this machine, as NVML lists it.

    Attributes
    ----------
    index : int
        NVML's number: the order on the bus.
    uuid, name : str
        Its own, such as ``GPU-5c3a...`` and ``NVIDIA H100 PCIe``.
    mig_uuids : tuple of str
        UUIDs of its slices, where it is divided (MIG); those that may be seen from here.
    divided : bool
        Whether it is divided: what NVML says of it is then not that of one slice.
    lacking : str or None
        Why it cannot be read; None where it can.
    """

    index: int
    uuid: str
    name: str
    mig_uuids: tuple[str, ...] = ()
    divided: bool = False
    lacking: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The cards that a process sees, in CUDA's order, or why that is not known.

    Attributes
    ----------
    cards : tuple of Card
        Empty where none is visible or where it is not known.
    notes : tuple of str
        What could not be resolved; a card named there is not measured.
    ambiguous : bool
        Whether it is not known which cards are meant.
    """

    cards: tuple[Card, ...]
    notes: tuple[str, ...] = ()
    ambiguous: bool = False


def visible_cards(cards: Sequence[Card], environment: Mapping[str, str]) -> Chosen:
    """Resolve CUDA_VISIBLE_DEVICES to cards.

    As in CUDA, the list ends at the first entry that names no card, and a card named twice leaves
    none. Numbers count in CUDA's order, which is the bus order only if all cards are of one model
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
        parts = [str(card.index) for card in cards]
    elif listed.strip() in NONE:
        return Chosen(())
    else:
        parts = [part.strip() for part in listed.split(",")]
    found: list[Card] = []
    slices: list[str] = []
    notes: list[str] = []
    by_number = False
    for part in parts:
        card = _find(part, cards)
        if card is None:
            if listed is not None:
                notes.append(f"CUDA_VISIBLE_DEVICES names {part!r}, which is no card here")
            break
        by_number |= _is_number(part)
        if part.startswith("MIG-"):
            slices.append(part)
            card = replace(card, divided=True)
            if card in found:
                continue  # another slice of the same card
        found.append(card)
    if len(set(found)) < len(found) or len(set(slices)) < len(slices):
        return Chosen(
            (),
            (
                *notes,
                f"CUDA_VISIBLE_DEVICES={listed} names a card twice: none",
            ),
        )
    models = {card.name for card in cards}
    in_bus_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if by_number and len(models) > 1 and not in_bus_order and len(found) < len(cards):
        why = (
            f"which of {len(cards)} cards of {len(models)} models is meant by "
            f"CUDA_VISIBLE_DEVICES={listed} is not known; set CUDA_DEVICE_ORDER=PCI_BUS_ID, or "
            "name them by UUID"
        )
        return Chosen((), (*notes, why), ambiguous=True)
    return Chosen(tuple(found), tuple(notes))


def _find(part: str, cards: Sequence[Card]) -> Card | None:
    """The one card that an entry names: by number, by UUID or its beginning, by a slice's name."""
    if _is_number(part):
        return next((card for card in cards if card.index == int(part)), None)
    if part.startswith("MIG-GPU-"):  # the older form: MIG-<card>/<instance>/<instance>
        matches = [card for card in cards if card.uuid == part.removeprefix("MIG-").split("/")[0]]
    elif part.startswith("MIG-"):
        matches = [card for card in cards if any(m.startswith(part) for m in card.mig_uuids)]
    elif part.startswith("GPU-"):
        matches = [card for card in cards if card.uuid.startswith(part)]
    else:
        return None
    return matches[0] if len(matches) == 1 else None


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal()
