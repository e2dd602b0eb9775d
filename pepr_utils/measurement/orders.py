"""What a sweep tells the kernels that it starts, through their environment.

A process that no sweep has started finds none of it, and every function here then gives the
answer for a process that works on its own.
"""

from __future__ import annotations

import faulthandler
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pepr_utils.errors import RunError, StoppedError
from pepr_utils.measurement.run import ResolvedRun

#: A file: once it is there, no further run is begun.
STOP = "PEPR_SWEEP_STOP"
#: A lock file of the device: whoever measures on it holds it.
DEVICE_LOCK = "PEPR_SWEEP_DEVICE_LOCK"
#: A file with what the kernel says outside the notebook.
LOG = "PEPR_SWEEP_LOG"
#: A file to which this kernel adds the name of each run that it begins.
BEGUN = "PEPR_SWEEP_BEGUN"
#: How many runs are measured at once on this machine.
AT_ONCE = "PEPR_SWEEP_AT_ONCE"
#: The runs of this kernel's shard, as the sweep has named them.
RUNS = "PEPR_SWEEP_RUNS"
#: Seconds that a run may take.
TIME_LIMIT_S = "PEPR_SWEEP_TIME_LIMIT_S"


#: How Python's watchdog begins what it says.
_HUNG = re.compile(rb"^Timeout \(\d+:\d\d:\d\d(\.\d+)?\)!$", re.MULTILINE)


def environment(
    *,
    stop: Path,
    device_lock: Path,
    log: Path,
    at_once: int,
    begun: Path | None = None,
    runs: Sequence[str] = (),
    time_limit_s: float | None = None,
) -> Mapping[str, str]:
    """The environment variables that tell a kernel all of this."""
    found = {
        STOP: str(stop),
        DEVICE_LOCK: str(device_lock),
        LOG: str(log),
        AT_ONCE: str(at_once),
    }
    if begun is not None:
        found[BEGUN] = str(begun)
    if runs:
        found[RUNS] = ",".join(runs)
    if time_limit_s is not None:
        found[TIME_LIMIT_S] = str(time_limit_s)
    return found


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
    return not stop_requested() and hold(seconds)


def hold(seconds: float) -> bool:
    """Wait in a sweep, even one that is to begin nothing more; say whether to try again."""
    if not in_sweep():
        return False
    time.sleep(seconds)
    return True


def check_expected(resolved: ResolvedRun) -> None:
    """Raise unless a run is still the one that the sweep asked for.

    Raises
    ------
    RunError
        If its data set, or whatever else its name is made of, has changed since.
    """
    wanted = os.environ.get(RUNS)
    run = resolved.run
    if wanted is not None and resolved.run_id not in wanted.split(","):
        raise RunError(
            f"{run.dataset} or the weights of {run.architecture} have changed since the sweep "
            "began, and its runs would be others; give the same command again to measure those"
        )


def log_path() -> str | None:
    """Where this kernel's own words are kept."""
    return os.environ.get(LOG)


def note_begun(run_id: str) -> None:
    """Tell the sweep that this kernel has begun a run: it has its device and its lock."""
    if BEGUN in os.environ:
        with suppress(OSError), Path(os.environ[BEGUN]).open("a") as file:
            file.write(f"{run_id}\n")


def waiting_path(stop: Path, log: Path) -> Path:
    """Where a kernel says that it waits for its device: beside the file that tells it to stop.

    Examples
    --------
    >>> waiting_path(Path("out/running/ab.stop"), Path("out/notebooks/t-1.log")).as_posix()
    'out/running/t-1.waiting'
    """
    return stop.with_name(f"{log.stem}.waiting")


def runs_at_once() -> int:
    """How many runs are measured at once on this machine, this one included."""
    try:
        return max(1, int(os.environ.get(AT_ONCE, "1")))
    except ValueError:
        return 1


@contextmanager
def time_limit() -> Iterator[None]:
    """End this process if the block takes longer than the sweep allows, whatever it hangs in.

    Where every thread of it was then goes to the log; see `hung`.
    """
    limit_s = os.environ.get(TIME_LIMIT_S)
    if limit_s is None:
        yield
        return
    with open(log_path() or os.devnull, "a") as log:  # noqa: PTH123 - one of them is no path
        faulthandler.dump_traceback_later(float(limit_s), exit=True, file=log)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def hung(log: Path) -> bool:
    """Whether a log has what `time_limit` leaves there.

    Examples
    --------
    >>> hung(Path("no.log"))
    False
    """
    try:
        return _HUNG.search(log.read_bytes()) is not None
    except OSError:
        return False


@contextmanager
def device_lock() -> Iterator[None]:
    """Hold this kernel's device, so that no two runs are metered on it at the same time.

    The lock is of the operating system: a kernel that outlives its worker for a moment, or that of
    another sweep on this machine, keeps it until it ends. While it is waited for, a file says so to
    the sweep; see `waiting_path`.

    Raises
    ------
    StoppedError
        If the sweep is stopped while another kernel has the device.
    RunError
        If the lock cannot be taken at all.
    """
    if DEVICE_LOCK not in os.environ:
        yield
        return
    path = Path(os.environ[DEVICE_LOCK])
    lock = FileLock(path)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=1)
            break
        except Timeout:
            if stop_requested():
                _say_waiting(False)
                raise StoppedError("the sweep begins no further run") from None
            _say_waiting(True)
        except OSError as error:
            raise RunError(
                f"the lock of the device, {path}, cannot be taken ({error.strerror}); remove it, "
                "or let TMPDIR name another folder"
            ) from None
    try:
        _say_waiting(False)
        yield
    finally:
        lock.release()


def _say_waiting(waits: bool) -> None:
    """Tell the sweep that this kernel waits for its device, or does no longer."""
    if not (in_sweep() and log_path()):
        return
    path = waiting_path(Path(os.environ[STOP]), Path(os.environ[LOG]))
    with suppress(OSError):  # a folder that takes no file: it is only not said
        if waits:
            path.touch()
        else:
            path.unlink(missing_ok=True)
