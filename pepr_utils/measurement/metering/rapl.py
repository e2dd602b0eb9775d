"""RAPL: the energy counters of CPUs and their memory, read from /sys, each once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pepr_utils.measurement.metering.readings import Counter

#: Where Linux lists them; the folder has the domains of Intel and of AMD CPUs.
POWERCAP = Path("/sys/class/powercap")


@dataclass
class Domain:
    """A CPU package or its memory, with its energy counter."""

    name: str  #: such as ``package-0`` or ``dram of package-0``
    kind: Literal["cpu", "memory"]
    key: str  #: the kernel's name, such as ``intel-rapl:0``; unlike `name`, unique
    counter: Counter


@dataclass(frozen=True)
class Rapl:
    """The domains that can be read: packages, and memory with a counter of its own.

    Where there are none, `reason` says why.
    """

    domains: tuple[Domain, ...] = ()
    reason: str | None = None

    @classmethod
    def find(cls) -> Rapl:
        """Look for domains.

        Cores and graphics are parts of their package, psys is the whole platform and the mmio
        interface repeats package 0: none of them is added to the packages.
        """
        found = []
        try:
            folders = sorted(POWERCAP.iterdir())
        except OSError:
            return cls(reason=f"no {POWERCAP} (no Linux, a virtual machine, or a container)")
        for folder in folders:
            match = re.fullmatch(r"(intel-rapl:\d+)(:\d+)?", folder.name)
            name = _text(folder / "name") if match else None
            if name is None or not (name.startswith("package") or name == "dram"):
                continue
            if _text(folder / "energy_uj") is None:  # some packages are not the whole: no sum
                why = f"{folder}/energy_uj is not readable: sudo chmod a+r {POWERCAP}/*/energy_uj"
                return cls(reason=why)
            range_j = _joules(folder / "max_energy_range_uj") or None
            counter = Counter(partial(_joules, folder / "energy_uj"), range_j)
            kind = "memory" if name == "dram" else "cpu"
            if kind == "memory":
                name = f"dram of {_text(POWERCAP / match[1] / 'name')}"
            found.append(Domain(name, kind, folder.name, counter))
        if not any(domain.kind == "cpu" for domain in found):
            return cls(reason=f"{POWERCAP} has no CPU package (a virtual machine?)")
        return cls(tuple(found))


def distinct(domains: Sequence[Domain]) -> list[tuple[Domain, list[str]]]:
    """Return domains that each show a counter of their own, with the names that show it too.

    The dies of some CPUs show one counter of the package. They are recognised by its values, not
    by their names: most readings of one are readings of the other. A counter has some four
    thousand million steps, so that two packages practically never share several readings by
    chance. Not all need be the same, as a counter may move between the two being read.
    """
    found: list[tuple[Domain, list[str]]] = []
    for domain in domains:
        values = set(domain.counter.joules)
        for first, mirrors in found:
            others = set(first.counter.joules)
            n_common = len(values & others)
            if n_common > 1 and 2 * n_common > min(len(values), len(others)):
                mirrors.append(domain.name)
                break
        else:
            found.append((domain, []))
    return found


def _joules(path: Path) -> float | None:
    text = _text(path)
    return int(text) / 1e6 if text and text.isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
