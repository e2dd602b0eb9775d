"""Power before the work begins: watched once per device and process, reported, not subtracted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from statistics import mean

from pepr_utils.measurement.metering.gpu import Gpu
from pepr_utils.measurement.metering.rapl import Domain


def watch(gpus: Sequence[Gpu], domains: Sequence[Domain], seconds: float) -> dict[str, float]:
    """Mean power (W) of each device that gives one, by its key."""
    known = seen_before()
    if seconds > 0 and any(device.key not in known for device in (*gpus, *domains)):
        first = {domain.key: domain.counter.read() for domain in domains}
        began = time.monotonic()
        watts: dict[str, list[float]] = {gpu.key: [] for gpu in gpus}
        while time.monotonic() < began + seconds:
            for gpu in gpus:
                watts[gpu.key] += filter(None, [gpu.power_w()])
            time.sleep(min(0.1, seconds / 5))
        took = time.monotonic() - began
        found = {key: mean(values) for key, values in watts.items() if values}
        for domain in domains:
            energy, _ = domain.counter.energy_j(first[domain.key], domain.counter.read())
            if energy is not None:
                found[domain.key] = energy / took
        known.update({key: watt for key, watt in found.items() if key not in known})
    return known


@cache
def seen_before() -> dict[str, float]:
    """Idle power of the devices that this process has watched."""
    return {}
