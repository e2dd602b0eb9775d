"""What a sweep tells the kernels that it starts, through their environment.

A process that no sweep has started finds none of it, and every function here then gives the
answer for a process that works on its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pepr_utils.measurement.run import RunError

#: A file: once it is there, no further run is begun.
STOP = "PEPR_SWEEP_STOP"
#: A lock file of the device: whoever measures on it holds it.
DEVICE_LOCK = "PEPR_SWEEP_DEVICE_LOCK"
#: A file with what the kernel says outside the notebook.
LOG = "PEPR_SWEEP_LOG"
#: How many runs are measured at once on this machine.
AT_ONCE = "PEPR_SWEEP_AT_ONCE"


class StoppedError(RunError):
    """The sweep that started this process begins no further run."""


def environment(*, stop: Path, device_lock: Path, log: Path, at_once: int) -> Mapping[str, str]:
    """The environment variables that tell a kernel all of this."""
    return {
        STOP: str(stop),
        DEVICE_LOCK: str(device_lock),
        LOG: str(log),
        AT_ONCE: str(at_once),
    }


def in_sweep() -> bool:
    """Whether a sweep has started this process."""
    return STOP in os.environ


def stop_requested() -> bool:
    """Whether no further run is to be begun.

    Examples
    --------
    >>> stop_requested()
    False
    """
    return in_sweep() and Path(os.environ[STOP]).exists()


def wait(seconds: float) -> bool:
    """Wait in a sweep, unless it is to stop; say whether to try again."""
    if not in_sweep() or stop_requested():
        return False
    time.sleep(seconds)
    return True


def log_path() -> str | None:
    """Where this kernel's own words are kept."""
    return os.environ.get(LOG)


def runs_at_once() -> int:
    """How many runs are measured at once on this machine, this one included."""
    try:
        return max(1, int(os.environ.get(AT_ONCE, "1")))
    except ValueError:
        return 1


@contextmanager
def device_lock() -> Iterator[None]:
    """Hold this kernel's device, so that no two runs are metered on it at the same time.

    The lock is of the operating system: a kernel that outlives its worker for a moment, or that of
    another sweep on this machine, keeps it until it ends.

    Raises
    ------
    StoppedError
        If the sweep is stopped while another kernel has the device.
    """
    if DEVICE_LOCK not in os.environ:
        yield
        return
    path = Path(os.environ[DEVICE_LOCK])
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            if stop_requested():
                raise StoppedError("the sweep begins no further run") from None
    try:
        yield
    finally:
        lock.release()
