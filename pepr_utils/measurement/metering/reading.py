"""From the counters at both ends of a window to the energy of each component."""

from __future__ import annotations

from pepr_utils.measurement.metering.hardware import Hardware, Mark
from pepr_utils.measurement.metering.integrate import count, energy_j
from pepr_utils.measurement.metering.quantities import Component, Samples
from pepr_utils.measurement.metering.sharing import BUSY_CORES, is_shared, others
from pepr_utils.measurement.metering.visible import Card
from pepr_utils.measurement.orders import runs_at_once


def components(hardware: Hardware, start: Mark, end: Mark) -> tuple[Component, ...]:
    """Energy of every component between two marks.

    Returns
    -------
    tuple of Component
        The cards, then processor and memory; null in energy where it was not measured.
    """
    cards = [_card(hardware, card, samples, start, end) for card, samples in hardware.cards.items()]
    if hardware.gpu_wanted and not cards:
        span = end.time_s - start.time_s
        cards = [Component("gpu", "unknown", None, None, span, notes=hardware.notes)]
    return (*cards, *_processor(hardware, start, end))


def _card(hardware: Hardware, card: Card, samples: Samples, start: Mark, end: Mark) -> Component:
    notes: list[str] = []
    before, after = start.counter_mj.get(card.uuid), end.counter_mj.get(card.uuid)
    counter = None
    if before is None and after is None:
        notes.append("no energy counter: power is sampled")
    elif before is None or after is None:
        notes.append("the energy counter failed at one end of a window")
    elif after < before:
        notes.append("the energy counter went back: the driver was loaded anew")
    else:
        counter = (after - before) / 1000
    polled = energy_j(samples, start.time_s, end.time_s)
    dropped = count(samples.dropped_s, start.time_s, end.time_s)
    if polled is None:
        notes.append("no power samples, or too long a gap between them")
    elif dropped:
        notes.append(f"{dropped} samples dropped, their time filled from their neighbours")
    if len(card.mig_uuids) > 1:
        counter = polled = None
        notes = [
            f"not measured: a slice (MIG) of a card with {len(card.mig_uuids)}; NVML has the "
            "energy of the whole card only"
        ]
    seen = [m.others.get(card.uuid) for m in (start, end)]
    known = [n for n in seen if n is not None]
    if any(known):
        notes.append(f"{max(known)} other processes on the card: their energy is in the figure")
    return Component(
        kind="gpu",
        device=f"{card.name} {card.uuid}",
        energy_j=counter if counter is not None else polled,
        method="counter" if counter is not None else "polled" if polled is not None else None,
        duration_s=end.time_s - start.time_s,
        interval_s=hardware.interval_s,
        n_samples=count(samples.times_s, start.time_s, end.time_s),
        n_dropped=dropped,
        counter_j=counter,
        polled_j=polled,
        power_limit_w=hardware.power_limits_w.get(card.uuid),
        idle_w=hardware.idle_w.get(card.uuid),
        other_processes=max(known) if known else None,
        notes=tuple(notes),
    )


def _processor(hardware: Hardware, start: Mark, end: Mark) -> list[Component]:
    span = end.time_s - start.time_s
    if hardware.estimate is not None:
        guess = hardware.estimate
        if (n := runs_at_once()) > 1:
            notes = (f"not estimated: {n} runs at once shared the processor",)
            return [Component("cpu", guess.device, None, None, span, notes=notes)]
        energy, notes = guess.power_w * span, (f"half of {guess.basis}; not measured",)
        return [Component("cpu", guess.device, energy, "tdp-estimate", span, notes=notes)]
    if not hardware.rapl.domains:
        return [Component("cpu", "unknown", None, None, span, notes=hardware.notes)]
    shared = is_shared(start.load, end.load, span)
    found = []
    for domain in hardware.rapl.domains:
        before, after = start.rapl_uj.get(domain.name), end.rapl_uj.get(domain.name)
        energy, notes = None, ()
        if before is None or after is None:
            notes = ("RAPL could not be read at both ends of a window",)
        elif shared:
            cores = others(start.load, end.load, span)
            notes = (
                f"not measured: others kept {cores:.1f} cores busy, more than {BUSY_CORES:g}, and "
                "RAPL counts the whole package",
            )
        else:
            energy = (after - before) / 1e6
            if shared is None:
                notes = ("whether others used the processor is not known",)
        found.append(
            Component(
                kind=domain.kind,
                device=domain.name,
                energy_j=energy,
                method=None if energy is None else "rapl",
                duration_s=span,
                interval_s=hardware.interval_s,
                n_samples=count(domain.times_s, start.time_s, end.time_s),
                n_dropped=count(domain.dropped_s, start.time_s, end.time_s),
                idle_w=hardware.idle_w.get(domain.name),
                notes=notes,
            )
        )
    return found
