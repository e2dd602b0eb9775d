"""A worker of a sweep: claim the next runs, execute the notebook for them, settle them by records.

Dask imports this module in each worker that a sweep starts (its ``preload``).
"""

from __future__ import annotations

import logging
import os
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
from pepr_utils.measurement import orders
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import (
    check_writable,
    claim,
    end_of_log,
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
from pepr_utils.measurement.sweep.state import SweepError, read_or_none
from pepr_utils.results import Record, write_record
from pepr_utils.results.record_files import record_path

#: A file for what a worker prints; a terminal belongs to the coordinator.
LOG = "PEPR_SWEEP_WORKER_LOG"
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
#: file that others may write is no safe lock; a GPU that another user's process is on is noted in
#: the record by the meter.
LOCKS = Path(tempfile.gettempdir()) / f"pepr-devices-{getattr(os, 'getuid', lambda: 0)()}"
#: One kernel measures runs for so long (s) or so many of them: its start, with torch and a look at
#: the data some 15 s, is to cost little of the time.
KERNEL_S, KERNEL_RUNS = 480.0, 64
#: How long a worker looks for its sweep's file (s): a network's disk may show it late.
LOOK_S = 10.0
#: Pause between two tries to write to a folder that takes no files (s).
RETRY_S = 2.0
#: Errors that say nothing against a run.
PASSING = ("RunningElsewhereError", "FolderError", "StoppedError")
#: How the reason begins in the record of a run that has not written one itself.
NO_RECORD = "left no record: "


@dataclass(frozen=True)
class Offer:
    """A run that a worker may claim."""

    run_id: str
    run: Run
    attempt: int  # how often it was tried
    columns: Mapping[str, Any]  # what its record says before anything is done
    seconds: float | None = None  # how long it is expected to take
    most: int = 1  # how many runs at most share its kernel


@dataclass(frozen=True)
class Job:
    """What a worker is asked to do: to measure some of the runs that are open."""

    sweep: str  # the sweep's own name
    notebook: str  # ipynb's JSON
    options: Mapping[str, Any]  # further parameters of the notebook
    folder: Path  # the result set
    cwd: str  # where relative paths of the notebook begin
    time_limit_s: float | None = None  # what a run may take
    environment: Mapping[str, str] = field(default_factory=dict)  # beside the worker's
    name: str = ""  # the job's own, which its notebook and log have
    offers: tuple[Offer, ...] = ()  # in the order in which they are claimed
    slot: str = ""  # the worker's, which its device's lock has where there is no GPU
    at_once: int = 1  # runs that are measured at once on its machine

    @property
    def stop(self) -> Path:
        """A file that says to begin nothing more."""
        return self.folder / "running" / f"{self.sweep}.stop"

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
        """What the kernel prints outside the notebook."""
        return self.executed.with_suffix(".log")

    @property
    def waiting(self) -> Path:
        """The file that says that the kernel waits for its device."""
        return orders.waiting_path(self.stop, self.log)


@dataclass(frozen=True)
class Report:
    """What came of a job; how its runs ended, their records say."""

    claimed: tuple[str, ...] = ()
    begun: bool = False  # whether the kernel has begun one of them
    not_begun: tuple[str, ...] = ()  # open still, and nobody else's
    error: str = ""  # what the notebook ended with
    why: str = ""  # in a sentence


def dask_setup(_worker: Any) -> None:
    """Called by Dask when the worker has begun: Ctrl-C is for the coordinator."""
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
    """Claim the next of the open runs, measure them in a kernel, and record what has no record.

    Runs in a worker process.

    Raises
    ------
    SweepError
        If it is not known which GPU the worker is to measure on, or it does not see the folder.
    """
    if job.stop.exists():
        return Report()
    _check_folder(job)
    environment = _environment(job)
    with _claimed(job) as offers:
        if not offers:
            return Report()
        with tempfile.TemporaryDirectory(prefix="pepr-", dir=_scratch()) as place:
            begun = Path(place) / "begun"
            ended = execute(
                job.notebook,
                parameters([offer.run for offer in offers], job.folder, job.options),
                job.executed,
                sweep=job.sweep,
                environment=environment | _told(job, offers, begun, environment),
                cwd=job.cwd,
                scratch=Path(place),
                time_limit_s=job.time_limit_s,
            )
            names = set(begun.read_text().split()) if begun.exists() else set()
        with suppress(OSError):  # of a kernel that was killed as it waited
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
                if attempt.enter_context(claim(job.folder, offer.run_id)) and _open(job, offer):
                    claims.push(attempt.pop_all())
                    taken.append(offer)
        yield taken


def _fits(offer: Offer, taken: Sequence[Offer]) -> bool:
    """Whether a run is measured by the same kernel as others."""
    runs = [*taken, offer]
    lengths = [each.seconds for each in runs]
    return (
        alike(offer.run) == alike(taken[0].run)
        and len(runs) <= min(each.most for each in runs)
        and None not in lengths
        and sum(lengths) <= KERNEL_S
    )


def alike(run: Run) -> tuple[Any, ...]:
    """What runs have in common that one execution of the notebook does.

    Examples
    --------
    >>> alike(Run("dla34", "derma")) == alike(Run("vgg11", "derma"))
    True
    >>> alike(Run("dla34", "derma")) == alike(Run("dla34", "derma", seed=2))
    False
    """
    return astuple(replace(run, architecture=""))


def _open(job: Job, offer: Offer) -> bool:
    """Whether a run that was claimed is as it was when it was offered, and nobody's."""
    return not (is_anothers(job.folder, offer.run_id) or has_record_since(job.folder, offer))


def is_anothers(folder: Path, name: str) -> bool:
    """Whether a process has a run, or has left it without recording how it ended."""
    return is_held(folder, name) or note_path(folder, name).exists()


def has_record_since(folder: Path, offer: Offer) -> bool:
    """Whether a run has ended since it was offered."""
    record = read_or_none(record_path(folder, offer.run_id))
    return record is not None and (record.status == "done" or record.attempt > offer.attempt)


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
    """Raise unless the folder is that of the coordinator, and not of the same name only."""
    end = time.monotonic() + LOOK_S
    while not job.here.exists():
        if time.monotonic() > end:
            raise SweepError(
                f"worker {job.slot} on {socket.gethostname()} does not see in {job.folder} what "
                "the sweep writes there; name an output folder that it has under the same path"
            )
        for folder in (job.folder, job.here.parent):
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


def _environment(job: Job) -> dict[str, str]:
    """The kernel's environment: the worker's, without what Dask has put into it."""
    own = {name: value for name, value in os.environ.items() if DASKS_OWN.get(name) != value}
    own |= job.environment
    gpu = own_gpu(own)
    if gpu is not None:
        own["CUDA_VISIBLE_DEVICES"] = gpu
    # Sets keep their order, and the platform's folders raise no warning.
    return own | {
        "PYTHONHASHSEED": own.get("PYTHONHASHSEED", "0"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def _told(
    job: Job, offers: Sequence[Offer], begun: Path, own: Mapping[str, str]
) -> Mapping[str, str]:
    """What the kernel needs to know of the sweep."""
    # Without NVML a number may be that of no GPU at all; a UUID is of one GPU only.
    listed = own.get("CUDA_VISIBLE_DEVICES", "")
    device = listed if listed.startswith(("GPU-", "MIG-")) else job.slot
    return orders.environment(
        stop=job.stop,
        device_lock=LOCKS
        / ("".join(c if c.isalnum() or c in "-." else "_" for c in device) + ".lock"),
        log=job.log,
        at_once=job.at_once,
        begun=begun,
        runs=[offer.run_id for offer in offers],
        time_limit_s=job.time_limit_s,
    )


# -- settling --------------------------------------------------------------------------------------


def _settle(job: Job, offers: Sequence[Offer], ended: Ended, begun: set[str]) -> Report:
    """Record the runs that a kernel has begun and that have no record, and report the others."""
    names = tuple(offer.run_id for offer in offers)
    if was_ended(job.sweep):  # on purpose: nothing of it has failed
        return Report(names, bool(begun))
    if ended.how == "died":
        _patiently(job, lambda: record_killed(job.folder, only=names, because=ended.why))
    passing = job.stop.exists() or ended.error in PASSING
    why, said = ended.why or "the notebook ended", end_of_log(job.log)
    reason = why + (f"; the last that its kernel said: {said}" if said else "")
    not_begun = []
    for offer in offers:
        if passing or has_record_since(job.folder, offer) or is_anothers(job.folder, offer.run_id):
            continue
        if offer.run_id in begun:
            _patiently(job, lambda offer=offer: record_failure(job.folder, offer, reason))
        elif ended.how == "whole" or not begun:  # else it was not its turn
            not_begun.append(offer.run_id)
    return Report(names, bool(begun), tuple(not_begun), ended.error, why)


def _patiently(job: Job, write: Callable[[], object]) -> None:
    """Write to the folder; where it takes no file, wait until it does or the sweep stops."""
    while True:
        try:
            write()
        except FolderError:
            if job.stop.exists():
                return  # the next sweep finds what is to be recorded
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
            if finished_record(folder, offer.run_id) is None:
                attempt = max(offer.attempt + 1, next_attempt(folder, offer.run_id))
                reason = NO_RECORD + " ".join(why.split())
                failed = {"status": "failed", "failure_reason": reason, "attempt": attempt}
                write_record(Record(**offer.columns, **failed), folder)
    except RunningElsewhereError:
        return
