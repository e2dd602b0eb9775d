"""From the counters at both ends of the windows to the energy of each component in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pepr_utils.measurement.metering import occupancy
from pepr_utils.measurement.metering.hardware import Hardware
from pepr_utils.measurement.metering.integrate import count, energy_j, longest_gap_s
from pepr_utils.measurement.metering.marks import Span
from pepr_utils.measurement.metering.processor import processor
from pepr_utils.measurement.metering.quantities import Component, Samples, with_say
from pepr_utils.measurement.metering.steps import STEP_S, counted
from pepr_utils.measurement.metering.visible import Card


def components(hardware: Hardware, spans: Sequence[Span]) -> list[tuple[Component, ...]]:
    """Energy of every component in each window.

    Returns
    -------
    list of tuple of Component
        For each window the cards, then processor and memory; null in energy where it was not
        measured. The number of components and their order are those of every window.
    """
    columns = [
        _in_one_way([_card(hardware, card, samples, span) for span in spans])
        for card, samples in hardware.cards.items()
    ]
    if hardware.gpu_wanted and not columns:
        why = tuple(hardware.card_notes)
        columns = [[Component("gpu", "unknown", None, None, s.seconds, notes=why) for s in spans]]
    return [
        (*cards, *rest)
        for cards, rest in zip(
            zip(*columns, strict=True) if columns else [()] * len(spans),
            processor(hardware, spans),
            strict=True,
        )
    ]


def _card(hardware: Hardware, card: Card, samples: Samples, span: Span) -> Component:
    start, end = span.start.time_s, span.end.time_s
    others, said = occupancy.summary(
        seen for seen in list(hardware.seen[card.uuid]) if start <= seen.time_s <= end
    )
    before, after = (mark.counter_mj.get(card.uuid) for mark in (span.start, span.end))
    known = None not in (before, after) and after >= before
    longest = longest_gap_s(hardware.interval_s)
    found = Component(
        kind="gpu",
        device=f"{card.name} {card.uuid}",
        energy_j=None,
        method=None,
        duration_s=span.seconds,
        interval_s=hardware.interval_s,
        n_samples=count(samples.times_s, start, end),
        n_dropped=count(samples.dropped_s, start, end),
        counter_j=(after - before) / 1000 if known else None,
        polled_j=energy_j(samples, start, end, max_gap_s=longest),
        power_limit_w=hardware.power_limits_w.get(card.uuid),
        idle_w=hardware.idle_w.get(card.uuid),
        other_processes=others,
    )
    whole = None
    if card.lacking:
        whole = f"not measured: {card.lacking}"
    elif card.divided:
        whole = "not measured: a slice (MIG) of a card; NVML has the energy of the whole card only"
    if whole:
        return replace(found, counter_j=None, polled_j=None, notes=(whole,))
    counter, why_not = _by_counter(before, after, span)
    polled, why_not_polled = _by_samples(found)
    notes = filter(None, [why_not, why_not_polled, said])
    if counter is not None:
        return replace(found, energy_j=counter, method="counter", notes=tuple(notes))
    return _sampled(replace(found, notes=tuple(notes)), polled)


def _by_counter(
    before: int | None, after: int | None, span: Span
) -> tuple[float | None, str | None]:
    """Energy by NVML's counter (J), and why there is none."""
    if before is None and after is None:
        return None, "no energy counter, or it could not be read: power is sampled"
    if span.seconds <= STEP_S:
        return None, f"the energy counter is too coarse for windows up to {STEP_S:g} s: sampled"
    ends = [
        (m.time_s, mj / 1000)
        for m, mj in ((span.start, before), (span.end, after))
        if mj is not None
    ]
    joules, why = counted(*zip(*ends, strict=True))
    return joules, why and f"energy counter not used: {why}"


def _by_samples(found: Component) -> tuple[float | None, str | None]:
    """Energy by samples of power (J), and what there is to say of them."""
    if found.polled_j is None:
        return None, "no power samples, or too long a gap between them"
    if found.polled_j <= 0:
        return None, "power samples not used: the driver said 0 W throughout"
    if found.n_dropped:
        return found.polled_j, (
            f"{found.n_dropped} samples dropped, their time filled from their neighbours"
        )
    return found.polled_j, None


def _in_one_way(parts: list[Component]) -> list[Component]:
    """Read one card in one way in all windows: by samples, where the counter fails in one.

    Short windows are sampled where their counter fails, and have no say.
    """
    if all(part.method == "counter" for part in with_say(parts)):
        return parts
    return [_sampled(part, _by_samples(part)[0]) for part in parts]


def _sampled(part: Component, joules: float | None) -> Component:
    """A window's energy by samples, where they give one."""
    return replace(part, energy_j=joules, method=None if joules is None else "polled")
