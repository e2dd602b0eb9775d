"""RAPL: the energy counters of processors and their memory, read from /sys, each domain once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

#: Where Linux lists them; the folder has the domains of Intel and of AMD processors.
POWERCAP = Path("/sys/class/powercap")


@dataclass
class Domain:
    """One counter: a processor package or its memory.

    Attributes
    ----------
    name : str
        Such as ``package-0`` or ``dram of package-0``.
    kind : {"cpu", "memory"}
        Which part of the computer.
    folder : pathlib.Path
        Its folder under /sys.
    range_uj : int
        The counter begins again at 0 after this many microjoules; 0 if that is not known.
    lost : bool
        It went round and nothing says after how much.
    """

    name: str
    kind: str
    folder: Path
    range_uj: int
    used_uj: int = 0
    times_s: list[float] = field(default_factory=list)
    dropped_s: list[float] = field(default_factory=list)
    lost: bool = False
    _last_uj: int | None = None

    def read(self, time_s: float) -> int | None:
        """Read the counter and return the energy used since the first reading (uJ).

        It has to be read more often than it can go round (minutes at full load): one wrap between
        two readings is seen, a second is not. None where the reading failed.
        """
        try:
            now = int((self.folder / "energy_uj").read_text())
        except (OSError, ValueError):
            self.dropped_s.append(time_s)
            return None
        if self._last_uj is not None:
            step = now - self._last_uj
            self.lost |= step < 0 and not self.range_uj
            self.used_uj += step if step >= 0 else step + self.range_uj
        self._last_uj = now
        self.times_s.append(time_s)
        return None if self.lost else self.used_uj


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
            match = re.fullmatch(r"intel-rapl:(\d+)(:\d+)?", entry)
            folder = POWERCAP / entry
            name = _read(folder / "name") if match else None
            if name is None or not (name.startswith("package") or name == "dram"):
                continue
            if _read(folder / "energy_uj") is None:
                unreadable.append(str(folder / "energy_uj"))
                continue
            size = _read(folder / "max_energy_range_uj") or "0"
            owner = f" of package-{match[1]}" if name == "dram" else ""
            kind = "memory" if name == "dram" else "cpu"
            found.append(Domain(name + owner, kind, folder, int(size) if size.isdigit() else 0))
        if unreadable:  # a part of the packages is not the whole: no sum is made of it
            why = f"{unreadable[0]} may not be read: sudo chmod a+r {POWERCAP}/*/energy_uj"
            return cls(lacking=why)
        if not any(domain.kind == "cpu" for domain in found):
            return cls(lacking=f"{POWERCAP} has no processor package (a virtual machine?)")
        return cls(tuple(found))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
