"""What a worker does for a shard: execute the notebook in a kernel and say how it ended.

It never raises what the notebook does: an error, a dead kernel, a killed one are answers.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pepr_utils.errors import FolderError
from pepr_utils.measurement import orders
from pepr_utils.measurement.store import check_writable
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.gpus import own_gpu

#: What Dask sets in its workers where the user has not. A kernel that measures is to have what it
#: would have had without Dask: all of its processor's cores, above all.
DASKS_OWN = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "6640",
}
#: Where kernels of two sweeps of one user wait for one another. Each user has a folder, since a
#: file that others may write is no safe lock; a card that another user's process is on is noted in
#: the record by the meter.
LOCKS = Path(tempfile.gettempdir()) / f"pepr-devices-{getattr(os, 'getuid', lambda: 0)()}"
#: How long a worker looks for the sign of its sweep (s): a network's disk may show it late.
LOOK_S = 10.0


@dataclass(frozen=True)
class Task:
    """A shard, as it is sent to a worker.

    Attributes
    ----------
    sweep, name : str
        Which sweep it belongs to, and its own name: that of its notebook and its log.
    notebook : str
        ipynb's JSON.
    parameters : dict
        Of the notebook.
    folder, stop : pathlib.Path
        The result set, and the file that says to begin nothing more.
    slot : str
        Name of the slot: that of its device's lock where there is no graphics card.
    at_once : int
        Runs that are measured at once on the worker's machine.
    environment : dict
        What the kernel's environment has beside the worker's.
    cwd : str
        Where relative paths of the notebook begin.
    runs : tuple of str
        The run_ids that the kernel is to find.
    time_limit_s : float, optional
        What a run may take (s).
    """

    sweep: str
    name: str
    notebook: str
    parameters: Mapping[str, Any]
    folder: Path
    stop: Path
    slot: str
    at_once: int
    environment: Mapping[str, str]
    cwd: str
    runs: tuple[str, ...] = ()
    time_limit_s: float | None = None

    @property
    def here(self) -> Path:
        """A file by which a worker knows that it has the folder of the sweep, and no other."""
        return self.stop.with_suffix(".here")

    @property
    def executed(self) -> Path:
        """Where the executed notebook goes."""
        return self.folder / "notebooks" / f"{self.name}.ipynb"

    @property
    def log(self) -> Path:
        """What the kernel says outside the notebook."""
        return self.executed.with_suffix(".log")


@dataclass(frozen=True)
class Outcome:
    """How the execution of a shard ended.

    Attributes
    ----------
    ended : {"whole", "error", "died", "stopped"}
        To its end, with an exception, with its kernel, or not begun since the sweep ends.
    error : str
        Name of the exception.
    why : str
        In words.
    """

    ended: Literal["whole", "error", "died", "stopped"]
    error: str = ""
    why: str = ""


def execute(task: Task) -> Outcome:
    """Execute a shard's notebook; runs in a worker process.

    Raises
    ------
    SweepError
        If it is not known which card the worker is to measure on, or it does not see the folder.
    """
    if task.stop.exists():
        return Outcome("stopped")
    _check_folder(task)
    from pepr_utils.measurement.sweep.executed import kept

    environment = _environment(task)
    with (
        tempfile.TemporaryDirectory(prefix="pepr-", dir=_scratch()) as place,
        kept(task.executed) as written,
    ):
        return _execute(task, environment, written, Path(place))


def _check_folder(task: Task) -> None:
    """Raise unless the folder is that of the coordinator, and not of the same name only."""
    end = time.monotonic() + LOOK_S
    while not task.here.exists():
        if time.monotonic() > end:
            raise SweepError(
                f"worker {task.slot} on {socket.gethostname()} does not see in {task.folder} what "
                "the sweep writes there; name an output folder that it has under the same path"
            )
        for folder in (task.folder, task.here.parent):
            with suppress(OSError):  # what is read anew is not what was remembered
                list(Path(folder).iterdir())
        time.sleep(0.2)


def _scratch() -> Path | None:
    """The folder of this worker, which is removed with it; None outside of one, or where full."""
    from distributed import get_worker

    with suppress(ValueError, FolderError):
        place = Path(get_worker().local_directory)
        check_writable(place)
        return place
    return None


def _execute(task: Task, environment: dict[str, str], written: str, scratch: Path) -> Outcome:
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from pepr_utils.measurement.sweep.kernel import Kernel

    log = task.log
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError:
        log = scratch / "kernel.log"
    cwd = task.cwd if Path(task.cwd).is_dir() else None
    environment = environment | {orders.LOG: str(log)}
    kernel = Kernel(task.sweep, environment, log, cwd, scratch)
    outcome = Outcome("whole")
    try:
        papermill.execute_notebook(
            nbformat.reads(task.notebook, as_version=4),
            written,
            parameters=dict(task.parameters),
            progress_bar=False,
            log_output=False,
            start_timeout=300,
            kernel_manager_class=kernel.manager(),
            extra_arguments=["--log-level=50"],
        )
    except PapermillExecutionError as error:
        outcome = Outcome("error", error.ename, f"{error.ename}: {error.evalue.strip()}")
    except DeadKernelError:
        ended = f"its kernel {kernel.ended()}"
        if task.time_limit_s is not None and orders.hung(log):
            ended = f"ended after {task.time_limit_s:g} s, its limit; {log.name} says where it was"
        outcome = Outcome("died", "DeadKernelError", ended)
    except Exception as error:  # noqa: BLE001 - a kernel that cannot start fails in many ways
        why = f"its kernel {kernel.ended()} ({type(error).__name__}: {error})"
        outcome = Outcome("died", type(error).__name__, why)
    finally:
        kernel.ended()
    with suppress(OSError):
        if not log.stat().st_size:
            log.unlink()
    return outcome


def _environment(task: Task) -> dict[str, str]:
    """The kernel's environment: the worker's, without what Dask has put into it."""
    own = {name: value for name, value in os.environ.items() if DASKS_OWN.get(name) != value}
    own |= task.environment
    card = own_gpu(own)
    if card is not None:
        own["CUDA_VISIBLE_DEVICES"] = card
    # Without NVML a number may be that of no card at all; a UUID is of one card only.
    listed = own.get("CUDA_VISIBLE_DEVICES", "")
    device = listed if listed.startswith(("GPU-", "MIG-")) else task.slot
    lock = LOCKS / ("".join(c if c.isalnum() or c in "-." else "_" for c in device) + ".lock")
    # Sets keep their order, and the platform's folders raise no warning.
    own |= {"PYTHONHASHSEED": own.get("PYTHONHASHSEED", "0"), "JUPYTER_PLATFORM_DIRS": "1"}
    return own | orders.environment(
        stop=task.stop,
        device_lock=lock,
        log=task.log,
        at_once=task.at_once,
        runs=task.runs,
        time_limit_s=task.time_limit_s,
    )


def end_kernels(sweep: str, wait_s: float = 5.0) -> int:
    """Kill the kernels of a sweep in this worker; return how many there were."""
    from pepr_utils.measurement.sweep.kernel import _living, kill_kernels

    found, end = kill_kernels(sweep), time.monotonic() + wait_s
    while time.monotonic() < end and any(
        owner == sweep and process.poll() is None for process, owner in list(_living.items())
    ):
        time.sleep(0.05)
    return found
