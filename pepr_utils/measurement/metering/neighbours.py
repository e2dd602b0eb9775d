"""Other meters of this user on this machine: one processor is not to be charged to two runs.

Every meter keeps a small file in a folder of its user, and a lock on it while it lives. The file
says since when, and by which process with which parents; at the end, until when. A meter within a
command that is metered itself, or around one, is no neighbour: nobody adds up the two.
"""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pepr_utils.measurement.store import is_locked

#: Names another place for the folder, where processes of one machine see different ones.
FOLDER = "PEPR_METER_FOLDER"
_MEMORY = Path("/dev/shm")


class Neighbour(NamedTuple):
    """Another meter: its process and that one's parents, and when it ran (monotonic clock).

    Numbers of processes mean something in one place only: a boot of a machine, and a container.
    """

    pids: tuple[int, ...]
    place: str
    start_s: float
    end_s: float


@dataclass
class Presence:
    """A meter among its neighbours.

    Attributes
    ----------
    lacking : str or None
        Why neighbours cannot be seen; None where they can.
    """

    lacking: str | None = None
    _path: Path | None = None
    _file: Any = None

    @classmethod
    def enter(cls) -> Presence:
        """Make this meter known. Nothing raises."""
        try:
            import fcntl

            folder = _folder()
            _tidy(folder)
            now = time.monotonic()
            path = folder / f"{os.getpid()}-{time.monotonic_ns()}.meter"
            # Whole and locked before it has the name that others look for.
            made = path.with_suffix(".new")
            file = made.open("w", encoding="ascii")
            fcntl.flock(file, fcntl.LOCK_EX)
            said = {"pids": _family(), "boot": _boot(), "place": _place(), "start_s": now}
            file.write(json.dumps(said) + "\n")
            file.flush()
            made.rename(path)
        except Exception as error:  # noqa: BLE001 - the block goes on, whatever the meter lacks
            return cls(lacking=f"whether others meter on this machine is not known: {error}")
        return cls(None, path, file)

    def look(self) -> None:
        """Note who has ended meanwhile: of a meter that is killed nobody knows later. No error."""
        with suppress(Exception):
            for _ in self._neighbours():
                pass

    def leave(self) -> None:
        """Say that this meter has ended. Nothing raises."""
        with suppress(Exception):
            if self._file is not None:
                self._file.write(f"{time.monotonic()}\n")
                self._file.close()
                self._file = None

    def beside_s(self, spans: Iterable[tuple[float, float]]) -> float:
        """Seconds of some windows in which a neighbour metered too."""
        found = list(self._neighbours())
        return sum(
            min(
                end - start,
                sum(max(0.0, min(end, n.end_s) - max(start, n.start_s)) for n in found),
            )
            for start, end in spans
        )

    def _neighbours(self) -> Iterator[Neighbour]:
        if self._path is None:
            return
        me, family, place = os.getpid(), set(_family()), _place()
        for path in self._path.parent.glob("*.meter"):
            other = None if path == self._path else _read(path)
            if other is None:
                continue
            related = me in other.pids or other.pids[0] in family
            if not (related and other.place == place):
                yield other


def _folder() -> Path:
    """The folder of this user on this machine; made where it is not there."""
    named = os.environ.get(FOLDER)
    shared = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    folder = Path(named) if named else shared / f"pepr-meters-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is not yours")
    return folder


def _tidy(folder: Path) -> None:
    """Remove what ended before any meter that lives began: nobody will ask for it."""
    known = {path: _read(path) for path in folder.glob("*.meter")}
    living = [n.start_s for n in known.values() if n is not None and n.end_s == math.inf]
    oldest = min(living, default=math.inf)
    for path, other in known.items():
        if other is None or other.end_s < oldest:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Neighbour | None:
    """What a file says; of a meter that was killed, that it has ended by now.

    None where it says nothing of this machine since it was started.
    """
    try:
        locked = is_locked(path)  # before it is read: it may just end
        first, *rest = path.read_text(encoding="ascii").splitlines()
        said = json.loads(first)
        if said["boot"] != _boot():
            return None
        if not rest and not locked:
            rest = [str(time.monotonic())]
            with path.open("a", encoding="ascii") as file:
                file.write(rest[0] + "\n")
        end = float(rest[0]) if rest else math.inf
        return Neighbour(tuple(said["pids"]), said["place"], float(said["start_s"]), end)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _boot() -> str:
    """Name of this boot of this machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return platform.node()


def _place() -> str:
    """Name of the space in which this process has its number: a container's, or the machine's."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - what it names is no path
    return ""


def _family() -> list[int]:
    """Numbers of this process and its parents."""
    try:
        import psutil

        return [os.getpid(), *(parent.pid for parent in psutil.Process().parents())]
    except Exception:  # noqa: BLE001 - psutil is lacking, or may not look
        return [os.getpid(), os.getppid()]
