"""What can be measured on this machine, by which method, and how to enable what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pepr_utils.measurement.metering.estimate import estimate
from pepr_utils.measurement.metering.memory import resident_peak
from pepr_utils.measurement.metering.nvml import Nvml
from pepr_utils.measurement.metering.rapl import POWERCAP, Rapl
from pepr_utils.measurement.metering.sharing import Load
from pepr_utils.measurement.metering.visible import Card, visible_cards


@dataclass(frozen=True)
class Possibility:
    """One way to measure one part of the computer.

    Attributes
    ----------
    part : str
        ``gpu``, ``cpu``, ``memory``, ``sharing`` or ``meter``.
    method : str
        As in the records: ``counter``, ``polled``, ``rapl``, ``tdp-estimate``; or what else.
    available : bool
        Whether it works here, tried at this moment.
    detail : str
        What was found, or how to enable it.
    """

    part: str
    method: str
    available: bool
    detail: str


def possibilities() -> list[Possibility]:
    """Try every method once and say what came of it; torch is not needed.

    Examples
    --------
    >>> sorted({found.part for found in possibilities()})
    ['cpu', 'gpu', 'memory', 'meter', 'sharing']
    """
    return [_meter(), *_cards(), *_processor(), *_memory(), _sharing()]


def _meter() -> Possibility:
    try:
        version = metadata.version("carbontracker")
    except metadata.PackageNotFoundError:
        how = "not installed; pip install 'pepr-utils[meter]'"
        return Possibility("meter", "carbontracker", False, how)
    return Possibility("meter", "carbontracker", True, f"version {version}")


def _cards() -> list[Possibility]:
    nvml = Nvml.open()
    try:
        chosen = visible_cards(nvml.cards, os.environ)
        why = nvml.lacking or "; ".join(chosen.notes)
        if not chosen.cards:
            why = why or f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')} names none"
            return _no_card(why)
        return [row for card in chosen.cards for row in _card(nvml, card)]
    finally:
        nvml.close()


def _no_card(why: str) -> list[Possibility]:
    return [Possibility("gpu", method, False, why) for method in ("counter", "polled")]


def _card(nvml: Nvml, card: Card) -> list[Possibility]:
    name = f"{card.name} {card.uuid}"
    if card.lacking:
        return _no_card(f"{card.lacking}; a block that may use it has no energy")
    if card.divided:
        return _no_card(f"{name}: divided (MIG); only the energy of the whole card is known")
    power, limit = nvml.power_w(card), nvml.power_limit_w(card)
    now = f"{name}: {power:.0f} W now" if power else ""
    if power and limit is not None:
        now += f", limit {limit:.0f} W"
    counter = bool(nvml.energy_mj(card))
    return [
        Possibility("gpu", "counter", counter,
                    name if counter else f"{name}: no energy counter (before Volta); it is polled"),
        Possibility("gpu", "polled", bool(power),
                    now or f"{name}: the driver gives no power; only the counter can be read"),
    ]  # fmt: skip


def _processor() -> list[Possibility]:
    rapl, guess = Rapl.find(), estimate()
    if rapl.domains:
        rows = [Possibility(d.kind, "rapl", True, d.name) for d in rapl.domains]
    else:
        rows = [Possibility("cpu", "rapl", False, _enable(rapl.lacking or ""))]
    if guess is None:
        return [*rows, Possibility("cpu", "tdp-estimate", False, "carbontracker gives none")]
    words = (
        f"{guess.device}: {guess.power_w:.0f} W whatever the load, half of {guess.basis}; of one "
        "processor, and for one metered run at a time"
    )
    return [*rows, Possibility("cpu", "tdp-estimate", True, words)]


def _enable(lacking: str) -> str:
    if POWERCAP.exists():
        return lacking
    return f"{lacking}; on bare Linux: modprobe intel_rapl_msr; in a container: -v /sys:/sys:ro"


def _memory() -> list[Possibility]:
    resident = resident_peak()
    writable = os.access(Path("/proc/self/clear_refs"), os.W_OK)
    words = "peak of this process since a reset" if writable else "needs Linux's /proc"
    rows = [Possibility("memory", "resident set", resident is not None and writable, words)]
    if not any(domain.kind == "memory" for domain in Rapl.find().domains):
        why = "no counter of its own here, and no estimate: its energy is in no total"
        rows.insert(0, Possibility("memory", "rapl", False, why))
    return rows


def _sharing() -> Possibility:
    load = Load.now(set())
    known = load.machine_s is not None and load.mine_s is not None
    words = (
        "where others keep the processor busy, RAPL is left out; an estimate stays, with a note, "
        "unless another run is metered beside it"
        if known
        else "needs /proc/stat and psutil: whether others use the processor is not seen"
    )
    return Possibility("sharing", "processor time", known, words)
