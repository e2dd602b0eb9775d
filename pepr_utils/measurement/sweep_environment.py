"""What a sweep tells the kernels that it starts, through environment variables.

In a process that no sweep has started none of them is set, and every function here gives the
answer for a process that works on its own.
"""

from __future__ import annotations

import faulthandler
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pepr_utils.errors import RunError, StoppedError

if TYPE_CHECKING:
    from pepr_utils.measurement.run import ResolvedRun

#: A file: once it exists, no further run is begun.
STOP = "PEPR_SWEEP_STOP"
#: The lock file of the device: whoever measures on it holds it.
DEVICE_LOCK = "PEPR_SWEEP_DEVICE_LOCK"
#: The file with what the kernel prints outside the notebook.
LOG = "PEPR_SWEEP_LOG"
#: A file to which the kernel adds the run_id of each run that it begins.
BEGUN = "PEPR_SWEEP_BEGUN"
#: How many runs are measured at once on this machine.
AT_ONCE = "PEPR_SWEEP_AT_ONCE"
#: The run_ids that the sweep expects this kernel to measure.
RUNS = "PEPR_SWEEP_RUNS"
#: Seconds that a run may take.
TIME_LIMIT_S = "PEPR_SWEEP_TIME_LIMIT_S"

#: The line with which Python's watchdog begins its traceback.
_TIMEOUT = re.compile(rb"^Timeout \(\d+:\d\d:\d\d(\.\d+)?\)!$", re.MULTILINE)


def environment(
    *,
    stop: Path,
    device_lock: Path,
    log: Path,
    at_once: int,
    begun: Path | None = None,
    runs: Sequence[str] = (),
    time_limit_s: float | None = None,
) -> dict[str, str]:
    """Return the environment variables that tell a kernel all of this."""
    given = {STOP: stop, DEVICE_LOCK: device_lock, LOG: log, AT_ONCE: at_once, BEGUN: begun,
             RUNS: ",".join(runs) or None, TIME_LIMIT_S: time_limit_s}  # fmt: skip
    return {name: str(value) for name, value in given.items() if value is not None}


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


def wait_to_retry(seconds: float = 2.0, *, even_if_stopping: bool = False) -> bool:
    """Wait, and say whether to try again: only in a sweep, and only while it goes on.

    Parameters
    ----------
    seconds : float
        How long to wait.
    even_if_stopping : bool
        Try again also where no further run is to be begun.
    """
    if not in_sweep() or (stop_requested() and not even_if_stopping):
        return False
    time.sleep(seconds)
    return True


def check_expected(resolved: ResolvedRun) -> None:
    """Raise unless a run is still one that the sweep has asked this kernel for.

    Raises
    ------
    RunError
        If its data set or its weights have changed since: its run_id is another then.
    """
    expected = os.environ.get(RUNS)
    if expected is not None and resolved.run_id not in expected.split(","):
        run = resolved.run
        raise RunError(
            f"{run.dataset} or the weights of {run.architecture} have changed since the sweep "
            "began, so this would be another run; give the same command again to measure it"
        )


def log_path() -> str | None:
    """The file with what this kernel prints outside the notebook."""
    return os.environ.get(LOG)


def note_begun(run_id: str) -> None:
    """Tell the sweep that this kernel has begun a run: it has its device and its lock."""
    if BEGUN in os.environ:
        with suppress(OSError), Path(os.environ[BEGUN]).open("a") as file:
            file.write(f"{run_id}\n")


def runs_at_once() -> int:
    """How many runs are measured at once on this machine, this one included."""
    return int(os.environ.get(AT_ONCE, "1"))


@contextmanager
def time_limit() -> Iterator[None]:
    """End this process if the block takes longer than the sweep allows, wherever it hangs.

    The traceback of every thread goes to the log; see `reached_time_limit`.
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


def reached_time_limit(log: Path) -> bool:
    """Whether a log ends in what `time_limit` writes there.

    Examples
    --------
    >>> reached_time_limit(Path("no.log"))
    False
    """
    try:
        return log.is_file() and _TIMEOUT.search(log.read_bytes()) is not None
    except OSError:
        return False


def waiting_path(stop: Path, log: Path) -> Path:
    """The file that exists while a kernel waits for its device, beside that which tells it to stop.

    Examples
    --------
    >>> waiting_path(Path("out/running/ab.stop"), Path("out/notebooks/t-1.log")).as_posix()
    'out/running/t-1.waiting'
    """
    return stop.with_name(f"{log.stem}.waiting")


def make_private(folder: Path) -> None:
    """Make a folder that is this user's alone; in TMPDIR another may have made it before.

    Raises
    ------
    RunError
        If it is another user's, or no folder but a link to one.
    OSError
        If it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != getattr(os, "getuid", lambda: 0)():
        raise RunError(
            f"{folder} is not a folder of yours but a link or another user's; remove it, or let "
            "TMPDIR name another folder"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


@contextmanager
def device_lock() -> Iterator[None]:
    """Hold this kernel's device, so that no two runs are metered on it at the same time.

    The operating system frees the lock when its process ends, so a kernel that outlives its worker
    for a moment, or one of another sweep on this machine, is waited for.

    Raises
    ------
    StoppedError
        If the sweep is stopped while another kernel has the device.
    RunError
        If the lock cannot be taken at all.
    """
    from filelock import FileLock, Timeout

    if DEVICE_LOCK not in os.environ:
        yield
        return
    path = Path(os.environ[DEVICE_LOCK])
    lock, waiting = FileLock(path), waiting_path(Path(os.environ[STOP]), Path(os.environ[LOG]))
    try:
        make_private(path.parent)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=1)
            except Timeout:
                if stop_requested():
                    raise StoppedError("the sweep starts no further run") from None
                with suppress(OSError):  # the folder takes no files: nobody sees that it waits
                    waiting.touch()
    except OSError as error:
        raise RunError(
            f"the lock of the device, {path}, cannot be taken ({error.strerror}); remove it, "
            "or let TMPDIR name another folder"
        ) from None
    finally:
        with suppress(OSError):
            waiting.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.release()
