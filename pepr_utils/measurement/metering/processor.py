"""Energy of processor and memory: by RAPL, else estimated, else null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pepr_utils.measurement.metering.hardware import Hardware
from pepr_utils.measurement.metering.integrate import count
from pepr_utils.measurement.metering.marks import Span
from pepr_utils.measurement.metering.quantities import NO_COUNTER, Component
from pepr_utils.measurement.metering.rapl import Domain, counters
from pepr_utils.measurement.metering.sharing import (
    BUSY_CORES,
    BUSY_SHARE,
    Load,
    is_shared,
    others,
    together,
)
from pepr_utils.measurement.orders import runs_at_once

#: Windows of a kind that last no longer than this, all of them, are judged with the others.
SHORT_S = 1.0


def processor(hardware: Hardware, spans: Sequence[Span]) -> list[tuple[Component, ...]]:
    """Components of processor and memory in each window."""
    uses = {span.kind: _use(hardware, span.kind, spans) for span in spans}
    domains = counters(hardware.rapl.domains)
    return [_components(hardware, domains, span, uses[span.kind]) for span in spans]


class Use(NamedTuple):
    """How the processor was shared in the windows of a kind.

    Attributes
    ----------
    cores : float or None
        Cores that others kept busy on average; None where that is not known.
    shared : bool or None
        Whether the rule calls that shared, see `sharing`.
    beside : float
        Share of the time in which another meter of this user ran.
    """

    cores: float | None
    shared: bool | None
    beside: float


def _use(hardware: Hardware, kind: str, spans: Sequence[Span]) -> Use:
    """Judge the windows of a kind together, or all where those are short: ticks are coarse."""
    chosen = [span for span in spans if span.kind == kind]
    if sum(span.seconds for span in chosen) <= SHORT_S:
        chosen = list(spans)
    seconds = sum(span.seconds for span in chosen)
    load, nothing = together((s.start.load, s.end.load) for s in chosen), Load(0.0, 0.0)
    beside = hardware.presence.beside_s((s.start.time_s, s.end.time_s) for s in chosen)
    return Use(
        others(nothing, load, seconds),
        is_shared(nothing, load, seconds),
        beside / seconds if seconds > 0 else 0.0,
    )


def _components(
    hardware: Hardware, domains: list[tuple[Domain, list[str]]], span: Span, use: Use
) -> tuple[Component, ...]:
    if domains:
        found = [_by_rapl(hardware, *one, span, use) for one in domains]
    elif hardware.estimate is not None:
        found = [_estimated(hardware, span, use)]
    else:
        why = tuple(hardware.processor_notes)
        found = [Component("cpu", "unknown", None, None, span.seconds, notes=why)]
    if not any(domain.kind == "memory" for domain, _ in domains):
        found.append(Component("memory", NO_COUNTER, None, None, span.seconds))
    return tuple(found)


def _estimated(hardware: Hardware, span: Span, use: Use) -> Component:
    """Assumed power times time: other load does not change it, another run that has it does."""
    guess, n_runs = hardware.estimate, runs_at_once()
    why = None
    if n_runs > 1:
        why = f"not estimated: {n_runs} runs at once shared the processor"
    elif use.beside > BUSY_SHARE:
        why = (
            f"not estimated: another meter ran beside it for {use.beside:.0%} of the time, and "
            "one processor is not charged to two runs"
        )
    if why:
        return Component("cpu", guess.device, None, None, span.seconds, notes=(why,))
    notes = [f"half of {guess.basis}; not measured"]
    if use.shared:
        notes.append(f"estimate: whole processor charged; others kept {use.cores:.1f} cores busy")
    energy = guess.power_w * span.seconds
    return Component("cpu", guess.device, energy, "tdp-estimate", span.seconds, notes=tuple(notes))


def _by_rapl(
    hardware: Hardware, domain: Domain, mirrors: list[str], span: Span, use: Use
) -> Component:
    before, after = (mark.rapl.get(domain.entry) for mark in (span.start, span.end))
    energy, why = domain.energy_j(before, after)
    n_dropped = count(domain.dropped_s, span.start.time_s, span.end.time_s)
    notes = [f"not measured by RAPL: {why}"] if why else []
    if mirrors:
        notes.append(f"{', '.join(mirrors)}: the same counter as {domain.name}, counted once")
    if use.shared:
        energy = None
        notes.append(
            f"not measured: others kept {use.cores:.1f} cores busy, more than {BUSY_CORES:g}, and "
            "RAPL counts the whole package"
        )
    elif use.shared is None:
        notes.append("whether others used the processor is not known")
    if n_dropped:
        notes.append(f"{n_dropped} readings of RAPL failed")
    return Component(
        kind=domain.kind,
        device=domain.name,
        energy_j=energy,
        method=None if energy is None else "rapl",
        duration_s=span.seconds,
        interval_s=hardware.interval_s,
        n_samples=count(domain.times_s, span.start.time_s, span.end.time_s),
        n_dropped=n_dropped,
        idle_w=hardware.idle_w.get(domain.entry),
        notes=tuple(notes),
    )
