"""Power before the work begins: watched once per device and process, reported, not subtracted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

from pepr_utils.measurement.metering.nvml import Nvml
from pepr_utils.measurement.metering.rapl import Domain
from pepr_utils.measurement.metering.visible import Card


def watch(
    nvml: Nvml, cards: Sequence[Card], domains: Sequence[Domain], seconds: float
) -> dict[str, float]:
    """Mean power (W) of each device that gives one, by UUID or the kernel's name of a domain."""
    known = seen_before()
    names = [c.uuid for c in cards] + [d.entry for d in domains]
    if seconds > 0 and any(name not in known for name in names):
        before = {domain.entry: domain.read() for domain in domains}
        began = time.monotonic()
        watts: dict[str, list[float]] = {}
        while time.monotonic() < began + seconds:
            for card in cards:
                power = nvml.power_w(card)
                if power:
                    watts.setdefault(card.uuid, []).append(power)
            time.sleep(min(0.1, seconds / 5))
        took = time.monotonic() - began
        found = {uuid: sum(values) / len(values) for uuid, values in watts.items()}
        for domain in domains:
            energy_j, _ = domain.energy_j(before[domain.entry], domain.read())
            if energy_j is not None:
                found[domain.entry] = energy_j / took
        known.update({name: found[name] for name in found if name not in known})
    return {name: known[name] for name in names if name in known}


@cache
def seen_before() -> dict[str, float]:
    """Idle power of the devices that this process has watched."""
    return {}
