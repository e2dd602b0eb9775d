"""The workers of a sweep: processes of this machine, one per slot, or a Dask cluster that runs."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from pepr_utils.measurement.sweep.connect import connect, shows_dashboard
from pepr_utils.measurement.sweep.notebook import end_kernels
from pepr_utils.measurement.sweep.state import SweepError
from pepr_utils.measurement.sweep.worker import DASKS_OWN, LOG, Job, Report, work

#: Seconds after which a scheduler that does not answer is taken to be gone.
PATIENCE_S = 10
#: Seconds after which workers of this machine that do not come back are given up.
NONE_S = 120
#: How long workers have to end their kernels, and a connection to close.
END_S, CLOSE_S = 3, 2
#: What Dask logs through.
LOGGERS = ("distributed", "tornado", "asyncio")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Slot:
    """A worker that does one job at a time.

    Attributes
    ----------
    address : str
        Where Dask reaches it; a worker that was restarted has another.
    name : str
        Its own, which it keeps.
    at_once : int
        Workers on its machine.
    """

    address: str
    name: str
    at_once: int


@dataclass
class Workers:
    """Slots, and how they are given work.

    Attributes
    ----------
    client : distributed.Client
        The connection to their scheduler.
    where : str
        What the scheduler is called in messages.
    environment : dict
        What kernels get that is not in their worker's environment.
    wanted : int or None
        How many slots there are when all are there; None where others decide that.
    hurried : callable
        Whether the sweep is to end at once: nobody is waited for any longer.
    """

    client: Any
    where: str
    environment: dict[str, str] = field(default_factory=dict)
    wanted: int | None = None
    hurried: Callable[[], bool] = lambda: False
    _given: set[str] = field(default_factory=set, init=False, repr=False)
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def slots(self) -> list[Slot]:
        """The workers that are there now.

        Raises
        ------
        SweepError
            If the scheduler is gone.
        """
        try:
            found = self._known = self._ask()["workers"]
        except (OSError, TimeoutError, KeyError, TypeError, AttributeError, RuntimeError):
            if not self.hurried():
                raise self.gone() from None
            found = self._known
        # Workers that are about to close take no further job.
        hosts = Counter(worker["host"] for worker in found.values())
        return [
            Slot(address, str(worker.get("name") or address), hosts[worker["host"]])
            for address, worker in found.items()
            if worker.get("status", "running") == "running"
        ]

    def gone(self) -> SweepError:
        """The error for a scheduler that does not answer."""
        return SweepError(
            f"the scheduler at {self.where} is gone; the records so far stay: start it again, or "
            "leave --scheduler out, and give the same command to go on"
        )

    def submit(self, job: Job, slot: Slot) -> Any:
        """Give a job to a slot; Dask itself tries nothing twice."""
        self._given.add(slot.address)
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
        """What came of a job; None where its worker died, an error where it cannot work."""
        from distributed import CancelledError, KilledWorker

        try:
            return patiently(
                lambda: future.result(timeout=PATIENCE_S), PATIENCE_S, hurried=self.hurried
            )
        except (KilledWorker, CancelledError, OSError, TimeoutError):
            return None
        except SweepError as error:
            raise SweepError(f"a worker of {self.where} cannot measure: {error}") from None
        except Exception as error:
            raise SweepError(
                f"a worker of {self.where} cannot execute notebooks ({type(error).__name__}: "
                f"{error}); it needs the same pepr-utils[sweep,train] as this process"
            ) from error

    def end_kernels(self, sweep: str) -> None:
        """Kill what a sweep still has running on its workers, as far as they answer."""
        workers = sorted(self._given & self._known.keys())
        if not workers:
            return

        def end() -> None:
            self.client.run(end_kernels, sweep, workers=workers, on_error="ignore")

        with suppress(Exception):  # whoever cannot be asked is gone, and its kernels with it
            patiently(end, END_S)

    def dashboard(self) -> str | None:
        """Address of the scheduler's dashboard; None where it has none."""
        with suppress(Exception):
            link = patiently(lambda: self.client.dashboard_link, PATIENCE_S, hurried=self.hurried)
            return link if link and shows_dashboard(link) else None
        return None

    def _ask(self) -> dict[str, Any]:
        async def identity() -> dict[str, Any]:
            return await self.client.scheduler.identity(n_workers=-1)

        return patiently(
            lambda: self.client.sync(identity, callback_timeout=PATIENCE_S),
            PATIENCE_S,
            hurried=self.hurried,
        )


@dataclass
class OwnWorkers(Workers):
    """Workers that this process has started: it reaches what they have started without asking.

    Attributes
    ----------
    cluster : distributed.deploy.spec.SpecCluster
        Theirs.
    """

    cluster: Any = None
    _seen: float = field(default_factory=time.monotonic, init=False, repr=False)

    def slots(self) -> list[Slot]:
        """The workers that are there now; an error where none has been for long."""
        found = super().slots()
        if found or self.hurried():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > NONE_S:
            raise SweepError(
                f"no worker process has come up on this machine for {NONE_S:.0f} s; the records so "
                "far stay: give the same command again to go on"
            )
        return found

    def dashboard(self) -> str | None:
        """Address of the dashboard; None without Bokeh, which draws it in this process."""
        return None if importlib.util.find_spec("bokeh") is None else super().dashboard()

    def end_kernels(self, sweep: str) -> None:
        """Kill the workers with what runs in them; no other is started in their place."""
        import psutil

        for nanny in list(self.cluster.workers.values()):
            nanny.close_gracefully()
            pid = nanny.pid
            if not pid:  # it has just died; psutil would take nothing for this process itself
                continue
            with suppress(psutil.Error):
                worker = psutil.Process(pid)
                for process in [*worker.children(recursive=True), worker]:
                    process.kill()


@contextmanager
def own_workers(n: int, gpus: Sequence[str], folder: Path, *, hide_gpus: bool) -> Iterator[Workers]:
    """Start a worker process for each slot on this machine, and end them with the block.

    Each worker of a GPU sees that GPU only, from before anything is imported in it. Everything
    is bound to this machine's own address.

    Parameters
    ----------
    n : int
        Slots without a GPU; not looked at where there are GPUs.
    gpus : sequence of str
        GPUs, as CUDA_VISIBLE_DEVICES names them.
    folder : pathlib.Path
        The result set's.
    hide_gpus : bool
        Whether slots without a GPU are to see none.
    """
    import dask
    from distributed import Client, Nanny, Scheduler
    from distributed.deploy.spec import SpecCluster

    envs: dict[str, dict[str, str]] = {
        f"gpu-{i}": {"CUDA_VISIBLE_DEVICES": name} for i, name in enumerate(gpus)
    } or {f"cpu-{i}": ({"CUDA_VISIBLE_DEVICES": ""} if hide_gpus else {}) for i in range(n)}
    logs = Path(folder).absolute() / "running"
    workers = {
        name: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": 0,  # what a kernel takes is not a worker's
                "env": env | {LOG: str(logs / f"worker-{name}.log")},
                "preload": ["pepr_utils.measurement.sweep.worker"],
                "host": "127.0.0.1",
                "dashboard": False,
                "silence_logs": logging.CRITICAL,
            },
        }
        for name, env in envs.items()
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # the records say what is to be done again
        "distributed.comm.retry.count": 0,
        "distributed.nanny.preload": [],
        "distributed.scheduler.work-stealing": False,
        "distributed.deploy.lost-worker-timeout": "1000 weeks",  # a killed one always comes back
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.diagnostics.nvml": False,  # no context of its own on a GPU that is metered
    }
    with (
        # A worker that is killed leaves nothing elsewhere.
        tempfile.TemporaryDirectory(prefix="pepr-", ignore_cleanup_errors=True) as scratch,
        dask.config.set(settings | {"temporary-directory": scratch}),
        quiet(),
    ):
        try:
            cluster = SpecCluster(
                workers=workers,
                scheduler=scheduler,
                name="pepr",
                silence_logs=logging.CRITICAL,
                shutdown_on_close=False,  # it is closed below, and not waited for a second time
            )
        except (RuntimeError, OSError, TimeoutError) as error:
            raise SweepError(f"no worker can be started on this machine ({error})") from error
        try:
            with Client(cluster, timeout=30) as client:
                threads = {name: os.environ[name] for name in DASKS_OWN if name in os.environ}
                if len(envs) > 1 and not gpus:
                    cores = (
                        len(os.sched_getaffinity(0))
                        if hasattr(os, "sched_getaffinity")
                        else (os.cpu_count() or 1)
                    )
                    threads = {"OMP_NUM_THREADS": str(max(1, cores // len(envs)))} | threads
                yield OwnWorkers(client, "this machine", threads, len(envs), cluster=cluster)
        finally:
            with suppress(Exception):
                cluster.close(timeout=5)


@contextmanager
def their_workers(scheduler: str, *, timeout_s: float = PATIENCE_S) -> Iterator[Workers]:
    """Connect to a scheduler that runs.

    Parameters
    ----------
    scheduler : str
        Its address, or the path of its file.

    Raises
    ------
    SweepError
        If it is no address and no file, or does not answer.
    """
    with quiet():
        client = connect(scheduler, timeout_s)
        try:
            yield Workers(client, scheduler)
        finally:
            with suppress(Exception):
                patiently(lambda: client.close(timeout=CLOSE_S), CLOSE_S)


def patiently(
    ask: Callable[[], Answer], patience_s: float, *, hurried: Callable[[], bool] = lambda: False
) -> Answer:
    """Return what a function gives, unless it takes too long.

    It is called in a thread of its own, which nothing waits for, so that signals are heard in the
    meantime.

    Parameters
    ----------
    ask : callable
        Asks, and may never return.
    patience_s : float
        How long to wait (s).
    hurried : callable, optional
        Says when to wait no longer.

    Raises
    ------
    TimeoutError
        If there was no answer by then.

    Examples
    --------
    >>> patiently(lambda: "here", 5)
    'here'
    """
    answer: Future[Answer] = Future()

    def answered() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
            answer.set_exception(error)

    Thread(target=answered, daemon=True).start()
    end = time.monotonic() + patience_s
    while not wait([answer], timeout=0.1).done:
        if hurried() or time.monotonic() > end:
            raise TimeoutError(f"no answer within {patience_s:g} s")
    return answer.result()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Dask logs off the terminal: what matters of it is in our own messages."""
    import distributed  # noqa: F401 - it sets the levels of its loggers when it is imported

    # Some below those have a level of their own.
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


def start_quiet_tracker() -> None:
    """Start Python's tracker of semaphores such that it does not warn when this process is killed.

    It outlives the sweep by a moment; its warning would be the last that is seen of a sweep that
    has lost nothing.
    """
    if os.name != "posix":
        return
    from multiprocessing import resource_tracker

    before = os.environ.get("PYTHONWARNINGS")
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = f"{before},{quiet}" if before else quiet
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before
