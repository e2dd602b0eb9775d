"""The workers of a sweep: processes of this machine, one per slot, or a Dask cluster that runs."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import shutil
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from pepr_utils.measurement.store import exclusive, folder_errors
from pepr_utils.measurement.sweep.notebook import end_kernels
from pepr_utils.measurement.sweep.state import SweepError
from pepr_utils.measurement.sweep.worker import LOCKS, LOG, SET_BY_DASK, Job, Report, work
from pepr_utils.measurement.sweep_environment import make_private

#: Seconds after which a scheduler that does not answer is taken to be gone.
ANSWER_S = 10
#: Seconds after which workers of this machine that do not come back are given up.
NO_WORKERS_S = 120
#: How long workers have to end their kernels, and a connection to close.
END_S, CLOSE_S = 3, 2
#: A scheduler that has just begun may take so long to write its file (s).
FILE_S = 5.0
#: The loggers that Dask uses.
LOGGERS = ("distributed", "tornado", "asyncio")
#: An address of a scheduler: protocol, host and port.
_ADDRESS = re.compile(r"(?:(?:tcp|tls|ucxx?|wss?)://)?(?:\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Slot:
    """A worker that does one job at a time."""

    address: str  # a worker that was restarted has another
    name: str  # which it keeps
    at_once: int  # workers on its machine


@dataclass
class Workers:
    """The workers of a Dask scheduler."""

    client: Any  # distributed.Client
    where: str  # the scheduler, for messages
    environment: dict[str, str] = field(default_factory=dict)  # of kernels, beside the worker's
    wanted: int | None = None  # workers when all are up; None where others decide that
    stop_waiting: Callable[[], bool] = lambda: False  # whether no answer is waited for any longer
    _used: set[str] = field(default_factory=set, init=False, repr=False)
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def slots(self) -> list[Slot]:
        """The workers that are up now.

        Raises
        ------
        SweepError
            If the scheduler is gone.
        """

        async def identity() -> dict[str, Any]:
            return await self.client.scheduler.identity(n_workers=-1)

        try:
            self._known = self._answer(
                lambda: self.client.sync(identity, callback_timeout=ANSWER_S)
            )["workers"]
        except (OSError, KeyError, TypeError, AttributeError, RuntimeError):
            if not self.stop_waiting():
                raise SweepError(
                    f"the scheduler at {self.where} is gone, and the records so far are safe: "
                    "start it again, or leave --scheduler out, and give the same command to go on"
                ) from None
        hosts = Counter(worker["host"] for worker in self._known.values())
        return [
            Slot(address, str(worker.get("name") or address), hosts[worker["host"]])
            for address, worker in self._known.items()
            # Workers that are about to close take no further job.
            if worker.get("status", "running") == "running"
        ]

    def submit(self, job: Job, slot: Slot) -> Any:
        """Give a job to a worker; Dask does not repeat it."""
        self._used.add(slot.address)
        return self.client.submit(
            work,
            job,
            key=f"pepr-{job.name}",
            pure=False,
            retries=0,
            workers=[slot.address],
            allow_other_workers=False,
        )

    def result(self, future: Any) -> Report | None:
        """The report of a job; None where its worker died.

        Raises
        ------
        SweepError
            If the worker cannot do any job.
        """
        from distributed import CancelledError, KilledWorker

        try:
            return self._answer(lambda: future.result(timeout=ANSWER_S))
        except (KilledWorker, CancelledError, OSError):
            return None
        except SweepError as error:
            raise SweepError(f"a worker of {self.where} cannot measure: {error}") from None
        except Exception as error:
            raise SweepError(
                f"a worker of {self.where} cannot execute notebooks ({type(error).__name__}: "
                f"{error}); it needs the same pepr-utils[sweep,train] as this process"
            ) from error

    def end_kernels(self, sweep: str) -> None:
        """Kill the kernels of a sweep, on the workers that answer."""
        workers = sorted(self._used & self._known.keys())
        if workers:
            with suppress(Exception):  # a worker that is gone took its kernels along
                answer_within(
                    END_S,
                    lambda: self.client.run(end_kernels, sweep, workers=workers, on_error="ignore"),
                )

    def dashboard(self) -> str | None:
        """Address of the dashboard, where this sweep has started it."""
        return None

    def _answer(self, ask: Callable[[], Answer]) -> Answer:
        return answer_within(ANSWER_S, ask, stop_waiting=self.stop_waiting)


@dataclass
class OwnWorkers(Workers):
    """Workers that this process has started."""

    cluster: Any = None  # distributed.deploy.spec.SpecCluster
    _seen: float = field(default_factory=time.monotonic, init=False, repr=False)

    def slots(self) -> list[Slot]:
        """The workers that are up now; an error where none has been for long."""
        found = super().slots()
        if found or self.stop_waiting():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > NO_WORKERS_S:
            raise SweepError(
                f"no worker process has come up on this machine for {NO_WORKERS_S:.0f} s, and the "
                "records so far are safe: give the same command again to go on"
            )
        return found

    def dashboard(self) -> str | None:
        """Address of the dashboard; None without Bokeh, which draws it."""
        if importlib.util.find_spec("bokeh") is None:
            return None
        return self.client.dashboard_link or None

    def end_kernels(self, sweep: str) -> None:
        """Kill the workers and their kernels; they are not restarted."""
        import psutil

        for nanny in list(self.cluster.workers.values()):
            nanny.close_gracefully()
            if not nanny.pid:  # it has just died; psutil takes None for this process
                continue
            with suppress(psutil.Error):
                worker = psutil.Process(nanny.pid)
                for process in [*worker.children(recursive=True), worker]:
                    process.kill()


@contextmanager
def own_workers(n: int, gpus: Sequence[str], folder: Path, *, hide_gpus: bool) -> Iterator[Workers]:
    """Start a worker process for each slot on this machine, and end them with the block.

    The worker of a GPU sees that GPU only, from before anything is imported in it. Every port is
    bound to this machine's own address, and takes only whoever has the certificate that is made
    here and kept in memory: other users of the machine reach its own address too. `gpus` are names
    for CUDA_VISIBLE_DEVICES; without any there are `n` slots on the processor.
    """
    _start_quiet_tracker()  # before an import starts it
    import cryptography  # noqa: F401 - it makes the certificate
    import dask
    from distributed import Client, Nanny, Scheduler
    from distributed.deploy.spec import SpecCluster
    from distributed.security import Security

    security = Security.temporary()

    envs: dict[str, dict[str, str]] = {
        f"gpu-{i}": {"CUDA_VISIBLE_DEVICES": name} for i, name in enumerate(gpus)
    } or {f"cpu-{i}": ({"CUDA_VISIBLE_DEVICES": ""} if hide_gpus else {}) for i in range(n)}
    logs = Path(folder).absolute() / "running"
    workers = {
        name: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": 0,  # the training is in a kernel beside it
                "env": env | {LOG: str(logs / f"worker-{name}.log")},
                "preload": ["pepr_utils.measurement.sweep.worker"],
                "host": "127.0.0.1",
                "security": security,
                "dashboard": False,
                "silence_logs": logging.CRITICAL,
            },
        }
        for name, env in envs.items()
    }
    scheduler = {
        "cls": Scheduler,
        "options": {
            "protocol": "tls://",
            "host": "127.0.0.1",
            "port": 0,
            "security": security,
            "dashboard_address": "127.0.0.1:0",
        },
    }
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # the records say what is to be repeated
        "distributed.comm.retry.count": 0,
        "distributed.nanny.preload": [],
        "distributed.scheduler.work-stealing": False,
        "distributed.deploy.lost-worker-timeout": "1000 weeks",  # a killed worker is restarted
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.diagnostics.nvml": False,  # no context of its own on a GPU that is metered
    }
    threads = {name: os.environ[name] for name in SET_BY_DASK if name in os.environ}
    if len(envs) > 1 and not gpus:
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
        threads = {"OMP_NUM_THREADS": str(max(1, cores // len(envs)))} | threads
    with (
        _scratch() as scratch,
        dask.config.set(settings | {"temporary-directory": str(scratch)}),
        quiet(),
    ):
        for again in (True, False):  # a worker that is killed while it starts ends the cluster
            try:
                cluster = SpecCluster(
                    workers=workers,
                    scheduler=scheduler,
                    security=security,
                    name="pepr",
                    silence_logs=logging.CRITICAL,
                    shutdown_on_close=False,  # it is closed below
                )
                break
            except (RuntimeError, OSError) as error:
                if not again:
                    raise SweepError(
                        f"no worker can be started on this machine ({error})"
                    ) from error
        try:
            with Client(cluster, timeout=30) as client:
                yield OwnWorkers(client, "this machine", threads, len(envs), cluster=cluster)
        finally:
            with suppress(Exception):
                cluster.close(timeout=5)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the workers' files, and an end to those of sweeps that were killed."""
    with folder_errors(LOCKS):
        make_private(LOCKS)
    prefix = f"sweep-{socket.gethostname()}-"  # another machine's locks may not be seen here
    for lock in LOCKS.glob(f"{prefix}*.lock"):
        with exclusive(lock) as free:
            if free:
                shutil.rmtree(str(lock).removesuffix(".lock"), ignore_errors=True)
                lock.unlink(missing_ok=True)
    place = LOCKS / f"{prefix}{uuid.uuid4().hex[:8]}"
    lock = place.with_name(f"{place.name}.lock")
    with exclusive(lock):
        try:
            with folder_errors(LOCKS):
                place.mkdir(mode=0o700)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextmanager
def their_workers(scheduler: str, *, timeout_s: float = ANSWER_S) -> Iterator[Workers]:
    """Connect to a scheduler that runs, for the block; see `connect`."""
    with quiet():
        client = connect(scheduler, timeout_s)
        try:
            yield Workers(client, scheduler)
        finally:
            with suppress(Exception):
                answer_within(CLOSE_S, lambda: client.close(timeout=CLOSE_S))


def connect(scheduler: str, timeout_s: float) -> Any:
    """Return a client of a scheduler, by its address or the path of its file.

    Raises
    ------
    SweepError
        If it is neither, or the file has no address, or no scheduler answers.
    """
    from distributed import Client

    class ClosedOnError(Client):
        """Closes itself where it cannot connect: Python's exit would wait for it."""

        def start(self, **options: Any) -> Any:
            try:
                return super().start(**options)
            except Exception:
                with suppress(Exception):
                    self.close(timeout=2)
                raise

    path = Path(scheduler)
    if path.suffix == ".json" or path.is_file():
        place = {"scheduler_file": str(path)}
        _check_file(path, min(timeout_s, FILE_S))
    elif _ADDRESS.fullmatch(scheduler):
        place = {"address": scheduler}
    else:  # Dask would wait for any text
        raise SweepError(
            f"the scheduler {scheduler!r} is neither a file nor an address; allowed: an address "
            "such as tcp://node7:8786, or the path of a scheduler file"
        )
    try:
        return ClosedOnError(**place, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise SweepError(
            f"no scheduler answers at {scheduler} ({type(error).__name__}); start one with "
            "dask scheduler (a tls:// one needs your certificate here too, see the chapter Run the "
            "study), or leave --scheduler out to use this machine"
        ) from None


def _check_file(path: Path, seconds: float) -> None:
    """Raise unless a scheduler file has an address, at the latest after so many seconds."""
    fix = f"dask scheduler --scheduler-file {path}"
    if not path.is_file():
        raise SweepError(f"the scheduler file {path} does not exist; {fix} writes it")
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError, ValueError, TypeError, KeyError):
            if isinstance(json.loads(path.read_bytes())["address"], str):
                return
        if time.monotonic() >= until:
            raise SweepError(
                f"the scheduler file {path} has no address of a scheduler; end the scheduler that "
                f"wrote it, remove it and start {fix} again"
            )
        time.sleep(0.1)


def answer_within(
    seconds: float, ask: Callable[[], Answer], *, stop_waiting: Callable[[], bool] = lambda: False
) -> Answer:
    """Return the result of a function, unless it takes too long.

    It is called in a thread that is not waited for, so that signals are handled in the meantime.
    `stop_waiting` says whether to wait no longer.

    Raises
    ------
    TimeoutError
        If there was no answer by then.

    Examples
    --------
    >>> answer_within(5, lambda: "here")
    'here'
    """
    answer: Future[Answer] = Future()

    def call() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
            answer.set_exception(error)

    Thread(target=call, daemon=True).start()
    end = time.monotonic() + seconds
    while not wait([answer], timeout=0.1).done:
        if stop_waiting() or time.monotonic() > end:
            raise TimeoutError(f"no answer within {seconds:g} s")
    return answer.result()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Dask logs off the terminal: our own messages say what matters of it."""
    import distributed  # noqa: F401 - it sets the levels of its loggers when it is imported

    # Some loggers below those have a level of their own.
    below = [name for name in logging.root.manager.loggerDict if name.startswith(LOGGERS)]
    loggers = [logging.getLogger(name) for name in {*LOGGERS, *below}]
    before = [
        (logger, logger.level) for logger in loggers if logger.name in LOGGERS or logger.level
    ]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def _start_quiet_tracker() -> None:
    """Start Python's tracker of semaphores so that it does not warn after this process is killed.

    It would warn of leaked semaphores when nothing is lost.
    """
    if os.name != "posix":
        return
    from multiprocessing import resource_tracker

    before = os.environ.get("PYTHONWARNINGS")
    ignored = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = f"{before},{ignored}" if before else ignored
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.pop("PYTHONWARNINGS")
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before
