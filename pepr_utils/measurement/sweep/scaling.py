"""What a figure of one device and protocol is worth on another: by common runs, or data sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pepr_utils.measurement.sweep.basis import Measured, Source
from pepr_utils.results.power_limits import declared

#: Fewer runs than this on both sides do not make a ratio.
FEWEST_IN_COMMON = 3


@dataclass(frozen=True)
class Factor:
    """What time and energy of one device and protocol are multiplied by for another.

    Without a factor for the energy there is no forecast of it.
    """

    time: float
    energy: float | None
    words: str = ""


def factor(
    source: Source, sources: Sequence[Source], measured: Measured, device: str | None, recipe: str
) -> Factor | str:
    """Say what the figures of a measured run are multiplied by for a device and protocol.

    Parameters
    ----------
    source : Source
        Where the measured run is from.
    sources : sequence of Source
        All of them, to look for runs that were made here.
    measured : Measured
        The run; others of its source, device, protocol and image size have the same factor.
    device : str or None
        The device that a forecast is for; None for that of the measured run.
    recipe : str
        The protocol that it is for.

    Returns
    -------
    Factor or str
        The factor, or why there is none.
    """
    here = device or measured.device
    if (here, recipe) == (measured.device, measured.protocol):
        return Factor(1.0, 1.0)
    common = _in_common(source, sources, measured, here, recipe)
    if len(common) >= FEWEST_IN_COMMON:
        time = median(ratio for ratio, _ in common)
        with_energy = [ratio for _, ratio in common if ratio is not None]
        energy = median(with_energy) if len(with_energy) >= FEWEST_IN_COMMON else None
        both = "" if energy is None else f" and energy x {energy:.3g}"
        words = f"time x {time:.3g}{both}, as {len(common)} runs that were measured in both ways"
        return Factor(time, energy, words)
    other_recipe = "" if measured.protocol == recipe else f"not scaled to protocol {recipe}"
    if here == measured.device:
        return Factor(1.0, 1.0, other_recipe)
    sheets = by_data_sheets(measured.device, here)
    if sheets is None:
        return (
            f"measured on {measured.device or 'an unknown device'}, and nothing says how "
            f"{here} compares with it"
        )
    return Factor(sheets.time, sheets.energy, "; ".join(filter(None, [sheets.words, other_recipe])))


def _in_common(
    source: Source, sources: Sequence[Source], measured: Measured, here: str | None, recipe: str
) -> list[tuple[float, float | None]]:
    """Measured over forecast time and energy, for runs made here that a source can forecast."""
    origin = (measured.device, measured.protocol, measured.image_size)
    bases = grouped(source)
    found = []
    for other in (m for s in sources for m in s.runs):
        if (other.device, other.protocol) != (here, recipe):
            continue
        same = [
            m
            for m in bases.get(other.architecture, ())
            if (m.device, m.protocol, m.image_size) == origin and other.image_size == m.image_size
        ]
        if not same:
            continue
        best = min(
            same,
            key=lambda m: (
                m.dataset != other.dataset,
                abs(math.log(m.work.trained / other.work.trained)),
            ),
        )
        expected, energy = best.seconds(other.work), best.energy_kwh(other.work)
        was = other.energy_kwh(other.work)
        found.append(
            (
                other.seconds(other.work) / expected,
                was / energy if was is not None and energy else None,
            )
        )
    return found


def by_data_sheets(measured_on: str | None, here: str | None) -> Factor | None:
    """Ratio of two cards by what ``data/devices.toml`` declares of them; None where it does not.

    Time goes by the bandwidth of the memory, which limits networks of this size more than
    arithmetic does, and power by the board's limit. It is a rule of thumb, for cards that no run
    was measured on yet: small networks use little of a large card.

    Examples
    --------
    >>> by_data_sheets("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090").words
    'time x 0.929 and energy x 1.19, by the data sheets alone'
    """
    devices = declared()["devices"]
    if measured_on not in devices or here not in devices:
        return None
    old, new = devices[measured_on], devices[here]
    time = old["memory_bandwidth_gb_s"] / new["memory_bandwidth_gb_s"]
    energy = time * new["board_power_w"] / old["board_power_w"]
    words = f"time x {time:.3g} and energy x {energy:.3g}, by the data sheets alone"
    return Factor(time, energy, words)


def grouped(source: Source) -> dict[str, list[Measured]]:
    """The runs of a source by architecture."""
    found: dict[str, list[Measured]] = {}
    for measured in source.runs:
        found.setdefault(measured.architecture, []).append(measured)
    return found
