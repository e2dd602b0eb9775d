"""A worker of a sweep: claim the next runs, execute the notebook for them, record how they ended.

Dask imports this module in each worker that a sweep starts (its ``preload``).
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from pepr_utils.errors import FolderError, RunningElsewhereError
from pepr_utils.measurement import sweep_environment
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import (
    check_writable,
    claim,
    end_of_log,
    failed_attempts,
    finished_record,
    folder_errors,
    is_held,
    next_attempt,
    note_path,
    record_killed,
    run_lock,
)
from pepr_utils.measurement.sweep.gpus import own_gpu
from pepr_utils.measurement.sweep.notebook import Ended, execute, was_ended
from pepr_utils.measurement.sweep.state import SweepError, cached_record
from pepr_utils.results import Record, write_record
from pepr_utils.results.record_files import record_path

#: Environment variable with the file for what a worker prints: the terminal is the coordinator's.
LOG = "PEPR_SWEEP_WORKER_LOG"
#: What Dask sets in its workers where the user has not. Kernels get none of it: a training is to
#: use all cores.
SET_BY_DASK = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "6640",
}
#: Folder of the locks of devices, which kernels of all sweeps of one user wait for. Each user has
#: one, since a file that others may write is no safe lock; the meter notes other users' processes.
LOCKS = Path(tempfile.gettempdir()) / f"pepr-devices-{getattr(os, 'getuid', lambda: 0)()}"
#: One kernel measures runs for so long (s), or so many of them: its start takes some 15 s, with
#: torch and a look at the data.
KERNEL_S, KERNEL_RUNS = 480.0, 64
#: How long a worker waits to see its sweep's file (s): a network disk may show it late.
LOOK_S = 10.0
#: Pause between two tries to write to a folder that takes no files (s).
RETRY_S = 2.0
#: Errors that are not the run's fault.
TEMPORARY = ("RunningElsewhereError", "FolderError", "StoppedError")
#: How the reason begins in the record of a run that has not written one itself.
NO_RECORD = "left no record: "


@dataclass(frozen=True)
class Offer:
    """A run that a worker may claim."""

    run_id: str
    run: Run
    attempt: int  # how often it was tried
    columns: Mapping[str, Any]  # the columns of its record that are known before
    seconds: float | None = None  # its forecast length
    most: int = 1  # how many runs at most share its kernel
    until_epoch: int | None = None  # the epoch to pause after


@dataclass(frozen=True)
class Job:
    """A worker's job: to measure some of the runs that are open."""

    sweep: str  # name of the sweep
    notebook: str  # ipynb's JSON
    options: Mapping[str, Any]  # further parameters of the notebook
    folder: Path  # the result set
    cwd: str  # where relative paths of the notebook begin
    time_limit_s: float | None = None  # what a run may take
    environment: Mapping[str, str] = field(default_factory=dict)  # added to the worker's
    name: str = ""  # name of the job, of its notebook and of its log
    offers: tuple[Offer, ...] = ()  # in the order in which they are claimed
    slot: str = ""  # the worker, which names the device's lock where there is no GPU
    at_once: int = 1  # runs that are measured at once on its machine

    @property
    def stop(self) -> Path:
        """A file that tells kernels to begin nothing more."""
        return self.folder / "running" / f"{self.sweep}.stop"

    @property
    def here(self) -> Path:
        """A file by which a worker sees that its folder is that of the sweep."""
        return self.stop.with_suffix(".here")

    @property
    def executed(self) -> Path:
        """The executed notebook."""
        return self.folder / "notebooks" / f"{self.name}.ipynb"

    @property
    def log(self) -> Path:
        """What the kernel prints outside the notebook."""
        return self.executed.with_suffix(".log")

    @property
    def waiting(self) -> Path:
        """The file that exists while the kernel waits for its device."""
        return sweep_environment.waiting_path(self.stop, self.log)


@dataclass(frozen=True)
class Report:
    """The report of a job; how its runs ended is in their records."""

    claimed: tuple[str, ...] = ()
    begun: bool = False  # whether the kernel has begun one of them
    not_begun: tuple[str, ...] = ()  # still open
    error: str = ""  # the notebook's exception
    why: str = ""  # how the execution ended


def dask_setup(_worker: Any) -> None:
    """Ignore Ctrl-C, which is for the coordinator; Dask calls this when a worker has begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    if LOG in os.environ:
        path = Path(os.environ[LOG])
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)


def work(job: Job) -> Report:
    """Claim the next open runs, measure them in a kernel, and record those that left no record.

    Runs in a worker process.

    Raises
    ------
    SweepError
        If the worker's GPU is ambiguous, or it does not see the folder.
    """
    if job.stop.exists():
        return Report()
    _check_folder(job)
    environment = _environment(job)
    with _claimed(job) as offers:
        if not offers:
            return Report()
        options = dict(job.options) | {"until_epoch": offers[0].until_epoch}
        with tempfile.TemporaryDirectory(prefix="pepr-", dir=_scratch()) as place:
            begun = Path(place) / "begun"
            ended = execute(
                job.notebook,
                parameters([offer.run for offer in offers], job.folder, options),
                job.executed,
                sweep=job.sweep,
                environment=environment | _sweep_environment(job, offers, begun, environment),
                cwd=job.cwd,
                scratch=Path(place),
                time_limit_s=job.time_limit_s,
            )
            names = set(begun.read_text().split()) if begun.exists() else set()
        with suppress(OSError):  # of a kernel that was killed while it waited
            job.waiting.unlink(missing_ok=True)
        return _settle(job, offers, ended, names)


# -- claiming --------------------------------------------------------------------------------------


@contextmanager
def _claimed(job: Job) -> Iterator[list[Offer]]:
    """Hold the claims on the next runs, as many as one kernel is to measure."""
    with ExitStack() as claims:
        taken: list[Offer] = []
        for offer in job.offers:
            if taken and not _fits(offer, taken):
                break
            # Where none can be claimed, on a full disk, the coordinator reports why.
            with ExitStack() as attempt, suppress(FolderError):
                free = attempt.enter_context(claim(job.folder, offer.run_id))
                if (
                    free
                    and not is_taken(job.folder, offer.run_id)
                    and not has_record_since(job.folder, offer)
                ):
                    claims.push(attempt.pop_all())
                    taken.append(offer)
        yield taken


def _fits(offer: Offer, taken: Sequence[Offer]) -> bool:
    """Whether a run is measured by the same kernel as others."""
    runs = [*taken, offer]
    lengths = [each.seconds for each in runs]
    return (
        shared_parameters(offer.run) == shared_parameters(taken[0].run)
        and offer.until_epoch == taken[0].until_epoch
        and len(runs) <= min(each.most for each in runs)
        and None not in lengths
        and sum(lengths) <= KERNEL_S
    )


def shared_parameters(run: Run) -> tuple[Any, ...]:
    """What the runs of one execution of the notebook have in common.

    Examples
    --------
    >>> shared_parameters(Run("dla34", "derma")) == shared_parameters(Run("vgg11", "derma"))
    True
    """
    return astuple(replace(run, architecture=""))


def is_taken(folder: Path, name: str) -> bool:
    """Whether a process measures a run, or has ended without recording it."""
    return is_held(folder, name) or note_path(folder, name).exists()


def has_record_since(folder: Path, offer: Offer) -> bool:
    """Whether a run has ended since it was offered."""
    record = cached_record(record_path(folder, offer.run_id))
    return record is not None and (
        record.has_reached(offer.until_epoch) or failed_attempts(record) > offer.attempt
    )


# -- executing -------------------------------------------------------------------------------------


def parameters(runs: Sequence[Run], folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's parameters for runs that differ in their architecture only.

    Examples
    --------
    >>> run = Run("dla46_c", "phantom", "demo", False)
    >>> given = parameters([run, replace(run, architecture="resnet18d")], Path("/out"), {})
    >>> given["architectures"], given["result_set"], given["seed"]
    ('dla46_c,resnet18d', '/out', 1)
    """
    first = runs[0]
    return {
        "result_set": str(Path(folder).absolute()),
        "dataset": first.dataset,
        "architectures": ",".join(run.architecture for run in runs),
        "where": "",
        "protocol": first.protocol,
        "pretrained": first.pretrained,
        "train_fraction": first.train_fraction,
        "seed": first.seed,
    } | {name: value for name, value in options.items() if value is not None}


def _check_folder(job: Job) -> None:
    """Raise unless the folder is that of the coordinator, not another one of the same path."""
    end = time.monotonic() + LOOK_S
    while not job.here.exists():
        if time.monotonic() > end:
            raise SweepError(
                f"worker {job.slot} on {socket.gethostname()} does not see in {job.folder} what "
                "the sweep writes there; name an output folder that it has under the same path"
            )
        for folder in (job.folder, job.here.parent):
            with suppress(OSError):  # listing a folder refreshes what a network disk has cached
                list(Path(folder).iterdir())
        time.sleep(0.2)


def _scratch() -> Path | None:
    """The folder that is removed with this worker; None outside of one, or where it is full."""
    from distributed import get_worker

    with suppress(ValueError, FolderError):
        place = Path(get_worker().local_directory)
        check_writable(place)
        return place
    return None


def _environment(job: Job) -> dict[str, str]:
    """The kernel's environment: the worker's, without what Dask has added."""
    own = {name: value for name, value in os.environ.items() if SET_BY_DASK.get(name) != value}
    own |= job.environment
    gpu = own_gpu(own)
    if gpu is not None:
        own["CUDA_VISIBLE_DEVICES"] = gpu
    # Sets keep their order, and the platform's folders raise no warning.
    return own | {
        "PYTHONHASHSEED": own.get("PYTHONHASHSEED", "0"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def _sweep_environment(
    job: Job, offers: Sequence[Offer], begun: Path, own: Mapping[str, str]
) -> Mapping[str, str]:
    """The environment variables by which the kernel knows of the sweep."""
    # Without NVML a number may be that of no GPU at all; a UUID is of one GPU only.
    listed = own.get("CUDA_VISIBLE_DEVICES", "")
    device = listed if listed.startswith(("GPU-", "MIG-")) else job.slot
    name = re.sub(r"[^\w.-]", "_", device)
    return sweep_environment.environment(
        stop=job.stop,
        device_lock=LOCKS / f"{name}.lock",
        log=job.log,
        at_once=job.at_once,
        begun=begun,
        runs=[offer.run_id for offer in offers],
        time_limit_s=job.time_limit_s,
    )


# -- recording -------------------------------------------------------------------------------------


def _settle(job: Job, offers: Sequence[Offer], ended: Ended, begun: set[str]) -> Report:
    """Record the runs that a kernel has begun and that have no record, and report the others."""
    names = tuple(offer.run_id for offer in offers)
    if was_ended(job.sweep):  # on purpose: nothing has failed
        return Report(names, bool(begun))
    if ended.how == "died":
        _write_when_possible(job, lambda: record_killed(job.folder, only=names, because=ended.why))
    temporary = job.stop.exists() or ended.error in TEMPORARY
    why = ended.why or "the notebook ended"
    # An exception says why; the log, which the kernel's own end may write to, would only distract.
    log = "" if ended.how == "error" else end_of_log(job.log)
    reason = why + (f"; its log ends: {log}" if log else "")
    not_begun = []
    for offer in offers:
        if temporary or has_record_since(job.folder, offer) or is_taken(job.folder, offer.run_id):
            continue
        if offer.run_id in begun:
            _write_when_possible(job, lambda offer=offer: record_failure(job.folder, offer, reason))
        elif ended.how == "whole" or not begun:  # else its turn had not come
            not_begun.append(offer.run_id)
    return Report(names, bool(begun), tuple(not_begun), ended.error, why)


def _write_when_possible(job: Job, write: Callable[[], object]) -> None:
    """Write to the folder; where it takes no file, wait until it does or the sweep stops."""
    while True:
        try:
            write()
        except FolderError:
            if job.stop.exists():
                return  # the next sweep records it
            time.sleep(RETRY_S)
        else:
            return


def record_failure(folder: Path, offer: Offer, why: str) -> None:
    """Write the record of a run that has failed without writing one, unless another has it.

    Raises
    ------
    FolderError
        If it cannot be written.
    """
    try:
        with run_lock(folder, offer.run_id, {}), folder_errors(folder):
            if finished_record(folder, offer.run_id, offer.until_epoch) is None:
                attempt = max(offer.attempt + 1, next_attempt(folder, offer.run_id))
                reason = NO_RECORD + " ".join(why.split())
                failed = {"status": "failed", "failure_reason": reason, "attempt": attempt}
                write_record(Record(**offer.columns, **failed), folder)
    except RunningElsewhereError:
        return
