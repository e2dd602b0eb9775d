"""RAPL: the energy counters of processors and their memory, read from /sys, each once."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pepr_utils.measurement.metering.steps import counted

#: Where Linux lists them; the folder has the domains of Intel and of AMD processors.
POWERCAP = Path("/sys/class/powercap")


@dataclass
class Domain:
    """One counter, a processor package or its memory, and its readings.

    Attributes
    ----------
    name : str
        Such as ``package-0`` or ``dram of package-0``.
    kind : {"cpu", "memory"}
        Which part of the computer.
    folder : pathlib.Path
        Its folder under /sys, whose name no other domain has.
    range_uj : int
        The counter begins again at 0 after this many microjoules; 0 if that is not known.
    times_s, values_uj : list
        The readings, on the monotonic clock.
    dropped_s : list of float
        When a reading failed.
    """

    name: str
    kind: str
    folder: Path
    range_uj: int
    times_s: list[float] = field(default_factory=list)
    values_uj: list[int] = field(default_factory=list)
    dropped_s: list[float] = field(default_factory=list)

    @property
    def entry(self) -> str:
        """The kernel's name of the domain, such as ``intel-rapl:0``; unlike `name`, unique."""
        return self.folder.name

    def read(self) -> int | None:
        """Read the counter; return the place of the reading in the list, None where it failed."""
        try:
            value = int((self.folder / "energy_uj").read_text())
        except (OSError, ValueError):
            self.dropped_s.append(time.monotonic())
            return None
        self.values_uj.append(value)
        self.times_s.append(time.monotonic())
        return len(self.times_s) - 1

    def energy_j(self, first: int | None, last: int | None) -> tuple[float | None, str | None]:
        """Energy from one reading to another (J), or None and why it is not believed.

        Every reading in between is used, so that the counter may go round between the two.
        """
        if first is None or last is None:
            return counted((), ())
        inside = slice(first, last + 1)
        joules = [value / 1e6 for value in self.values_uj[inside]]
        return counted(self.times_s[inside], joules, range_j=self.range_uj / 1e6)


@dataclass(frozen=True)
class Rapl:
    """The domains that can be read, and why others cannot.

    Attributes
    ----------
    domains : tuple of Domain
        Packages, and memory where it has a counter of its own.
    lacking : str or None
        Why there are none.
    """

    domains: tuple[Domain, ...] = ()
    lacking: str | None = None

    @classmethod
    def find(cls) -> Rapl:
        """Look for domains.

        Cores and graphics are parts of their package, psys is the whole platform and the mmio
        interface repeats package 0: none of them is added to the packages.
        """
        found, unreadable = [], []
        try:
            names = sorted(entry.name for entry in POWERCAP.iterdir())
        except OSError:
            return cls(lacking=f"no {POWERCAP} (no Linux, a virtual machine, or a container)")
        for entry in names:
            match = re.fullmatch(r"(intel-rapl:\d+)(:\d+)?", entry)
            folder = POWERCAP / entry
            name = _read(folder / "name") if match else None
            if name is None or not (name.startswith("package") or name == "dram"):
                continue
            if _read(folder / "energy_uj") is None:
                unreadable.append(str(folder / "energy_uj"))
                continue
            size = _read(folder / "max_energy_range_uj") or "0"
            kind = "memory" if name == "dram" else "cpu"
            if kind == "memory":
                name = f"dram of {_read(POWERCAP / match[1] / 'name') or match[1]}"
            found.append(Domain(name, kind, folder, int(size) if size.isdecimal() else 0))
        if unreadable:  # a part of the packages is not the whole: no sum is made of it
            why = f"{unreadable[0]} may not be read: sudo chmod a+r {POWERCAP}/*/energy_uj"
            return cls(lacking=why)
        if not any(domain.kind == "cpu" for domain in found):
            return cls(lacking=f"{POWERCAP} has no processor package (a virtual machine?)")
        return cls(_told_apart(found))


def counters(domains: Sequence[Domain]) -> list[tuple[Domain, list[str]]]:
    """Return domains that each show a counter of their own, with the names that show it too.

    The dies of some processors show one counter of the package. They are known by its values and
    not by their names: most readings of one are readings of the other. A reading is one of some
    four thousand million steps of a counter, so that two packages share several by chance in no
    run. Not all need be the same, as a counter may move between the two being read.
    """
    found: list[tuple[Domain, list[str]]] = []
    for domain in domains:
        values = set(domain.values_uj)
        for first, mirrors in found:
            others = set(first.values_uj)
            n_common = len(values & others)
            if n_common > 1 and 2 * n_common > min(len(values), len(others)):
                mirrors.append(domain.name)
                break
        else:
            found.append((domain, []))
    return found


def _told_apart(domains: list[Domain]) -> tuple[Domain, ...]:
    """The kernel's name behind those that share one, as the parts of some processors do."""
    times = Counter(domain.name for domain in domains)
    return tuple(
        replace(d, name=f"{d.name} ({d.entry})") if times[d.name] > 1 else d for d in domains
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
