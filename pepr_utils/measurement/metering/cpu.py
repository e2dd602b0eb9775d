"""CPU and memory: their energy by RAPL, else an estimate, else null; and who else keeps it busy.

RAPL counts a whole package, whoever uses it. Where other work kept more than half a core busy on
average, and was more than a tenth of all CPU time, the energy is not this run's, and is null. An
estimate does not depend on the load: it stays, with a note.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pepr_utils.measurement.metering import carbontracker
from pepr_utils.measurement.metering.energy import NO_COUNTER, Component
from pepr_utils.measurement.metering.rapl import Domain, Rapl, distinct
from pepr_utils.measurement.metering.readings import Load, Span, count
from pepr_utils.measurement.sweep_environment import runs_at_once

#: Others share the CPU if they keep more cores busy than this, and use more of its time than that.
BUSY_CORES = 0.5
BUSY_SHARE = 0.1
#: Windows of a kind that take no longer (s) in all are judged with the others: ticks are coarse.
SHORT_S = 1.0


def load(own: set[int]) -> Load | None:
    """CPU time up to now, of the machine and of `own_processes`; None where it cannot be read."""
    try:
        import psutil

        times = psutil.cpu_times()
        own_s = 0.0
        for pid in own:
            with suppress(psutil.Error):  # it has just ended
                own_s += sum(psutil.Process(pid).cpu_times()[:4])  # its ended children's too
        machine_s = times.user + times.nice + times.system + times.irq + times.softirq
    except Exception:  # noqa: BLE001 - no Linux, no psutil, or not permitted
        return None
    return Load(machine_s, own_s)


def own_processes() -> set[int]:
    """Ids of this process and of its living descendants.

    Read from Linux's lists by thread: psutil reads every process of the machine, which is felt in
    a training on a node with thousands.
    """
    found, new = set(), {os.getpid()}
    while new:
        pid = new.pop()
        found.add(pid)
        with suppress(OSError):  # it has just ended
            for path in Path(f"/proc/{pid}/task").glob("*/children"):
                new |= set(map(int, path.read_text().split())) - found
    return found


def processor_name() -> str:
    """Name of the CPU as Linux or macOS has it; empty where neither tells it."""
    name = ""
    if platform.system() == "Linux":
        with suppress(OSError):
            lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            name = next((x.split(":", 1)[1] for x in lines if x.startswith("model name")), "")
    elif platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return " ".join(name.split())


class Others(NamedTuple):
    """Cores that others kept busy on average, and whether that counts as sharing the CPU."""

    cores: float
    shared: bool


def others(spans: Sequence[Span]) -> Others | None:
    """Judge how others used the CPU in some windows together; None where that is not known."""
    seconds = sum(span.seconds for span in spans)
    ends = [(span.start.load, span.end.load) for span in spans]
    if seconds <= 0 or any(None in pair for pair in ends):
        return None
    machine = sum(after.machine_s - before.machine_s for before, after in ends)
    own = sum(after.own_s - before.own_s for before, after in ends)
    cores = max(0.0, (machine - own) / seconds)
    return Others(cores, cores > BUSY_CORES and cores * seconds > BUSY_SHARE * machine)


class Cpu:
    """The CPU that is metered: by RAPL's domains, else by an estimate, else not (see `notes`)."""

    def __init__(self) -> None:
        self.domains, self.notes, self._estimate = (), (), None
        rapl = Rapl.find()
        if not rapl.reason:
            self.domains = rapl.domains
            return
        self.notes = (f"no RAPL: {rapl.reason}",)
        self._estimate = carbontracker.estimate(processor_name())
        if self._estimate is None:
            self.notes += ("no CPU estimate: carbontracker gives none",)

    def components(
        self, spans: Sequence[Span], interval_s: float, idle_w: dict[str, float]
    ) -> list[tuple[Component, ...]]:
        """Energy of CPU and memory in each window."""
        busy = {}
        for kind in {span.kind for span in spans}:
            of_kind = [span for span in spans if span.kind == kind]
            short = sum(span.seconds for span in of_kind) <= SHORT_S
            busy[kind] = others(spans if short else of_kind)
        domains = distinct(self.domains)
        found = []
        for span in spans:
            use = busy[span.kind]
            parts = [_by_rapl(*pair, span, use, interval_s, idle_w) for pair in domains]
            if not parts:
                parts = [self._without_counter(span, use)]
            if all(part.kind != "memory" for part in parts):
                parts.append(Component("memory", NO_COUNTER, None, None, span.seconds))
            found.append(tuple(parts))
        return found

    def _without_counter(self, span: Span, use: Others | None) -> Component:
        """Assumed power times time; several runs of one sweep do not each have the whole CPU."""
        guess, seconds = self._estimate, span.seconds
        if guess is None:
            return Component("cpu", "unknown", None, None, seconds, notes=self.notes)
        if (n_runs := runs_at_once()) > 1:
            why = f"not estimated: {n_runs} runs at once shared the CPU"
            return Component("cpu", guess.device, None, None, seconds, notes=(why,))
        notes = (f"half of {guess.basis}; not measured",)
        if use and use.shared:
            notes += (f"estimate: whole CPU charged; others kept {use.cores:.1f} cores busy",)
        energy = guess.power_w * seconds
        return Component("cpu", guess.device, energy, "tdp-estimate", seconds, notes=notes)


def _by_rapl(
    domain: Domain,
    mirrors: list[str],
    span: Span,
    use: Others | None,
    interval_s: float,
    idle_w: dict[str, float],
) -> Component:
    start, end, counter = span.start, span.end, domain.counter
    energy, why = counter.energy_j(*(mark.readings.get(domain.key) for mark in (start, end)))
    notes = [f"not measured by RAPL: {why}"] if why else []
    if mirrors:
        notes.append(f"{', '.join(mirrors)}: the same counter as {domain.name}, counted once")
    if use is None:
        notes.append("whether others used the CPU is not known")
    elif use.shared:
        energy = None
        notes.append(
            f"not measured: others kept {use.cores:.1f} cores busy, more than {BUSY_CORES:g}, and "
            "RAPL counts the whole package"
        )
    n_dropped = count(counter.dropped_s, start.time_s, end.time_s)
    if n_dropped:
        notes.append(f"{n_dropped} readings of RAPL failed")
    return Component(
        kind=domain.kind,
        device=domain.name,
        energy_j=energy,
        method=None if energy is None else "rapl",
        duration_s=span.seconds,
        interval_s=interval_s,
        n_samples=count(counter.times_s, start.time_s, end.time_s),
        n_dropped=n_dropped,
        idle_w=idle_w.get(domain.key),
        notes=tuple(notes),
    )
