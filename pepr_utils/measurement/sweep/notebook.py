"""The notebook that a sweep executes: read once, then executed in a kernel of its own for each job.

A kernel that crashes takes nothing else along. It has a session of its own, so Ctrl-C in a terminal
does not reach it, and it ends within a second of its worker. The executed notebook has a hidden
name beside the records until the job ends; if the worker is killed, the next sweep names it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pepr_utils.measurement.sweep.folder import hidden_notebook
from pepr_utils.measurement.sweep.state import SweepError
from pepr_utils.measurement.sweep_environment import LOG, reached_time_limit
from pepr_utils.results.atomic import write_whole

#: Tag of the cells that measure. Cells after the last of them, such as figures of the whole
#: result set, are not executed.
MEASURES = "measure"
#: How papermill is told to write to a hidden file.
SCHEME = "pepr-hidden:"

#: Kernels of this process that are alive, with the sweep that each belongs to, and the sweeps whose
#: kernels were ended on purpose.
_alive: dict[subprocess.Popen, str] = {}
_ended: set[str] = set()


def read_notebook(path: Path) -> str:
    """Return jupytext's ``.md`` or an ``.ipynb`` as JSON, up to its last cell tagged ``measure``.

    Raises
    ------
    SweepError
        If it cannot be read, or has no cell tagged ``parameters``.
    """
    import jupytext
    import nbformat

    try:
        notebook = jupytext.read(path)
        found = [set(cell.metadata.get("tags", ())) for cell in notebook.cells]
    except (OSError, ValueError, AttributeError) as error:
        raise SweepError(
            f"the notebook {path} cannot be read ({error}); allowed: a jupytext .md or an .ipynb"
        ) from None
    if not any("parameters" in tags for tags in found):
        raise SweepError(
            f"the notebook {path} has no cell tagged 'parameters', for the runs to measure"
        )
    last = max((i for i, tags in enumerate(found) if MEASURES in tags), default=len(found) - 1)
    notebook.cells = notebook.cells[: last + 1]
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3"})
    notebook.metadata["kernelspec"].setdefault("language", "python")
    return nbformat.writes(notebook, version=4)


@dataclass(frozen=True)
class Ended:
    """How an execution ended."""

    how: Literal["whole", "error", "died"]  # after its last cell, by an exception, with its kernel
    error: str = ""  # name of the exception
    why: str = ""  # a message


def execute(
    notebook: str,
    parameters: Mapping[str, Any],
    target: Path,
    *,
    sweep: str,
    environment: Mapping[str, str],
    cwd: str,
    scratch: Path,
    time_limit_s: float | None = None,
) -> Ended:
    """Execute a notebook; an error or a killed kernel is a result, not an exception.

    Parameters
    ----------
    notebook, parameters
        From `read_notebook`, and its parameters.
    target : pathlib.Path
        Path of the executed notebook; the kernel's log is beside it.
    sweep : str
        Name of the sweep, for `end_kernels`.
    environment, cwd
        Of the kernel; a missing folder is ignored.
    scratch : pathlib.Path
        A folder that is removed with the worker.
    time_limit_s : float, optional
        What a run may take (s), for the message.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    log, hidden = target.with_suffix(".log"), hidden_notebook(target)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError:
        log = scratch / "kernel.log"
    environment = {**environment, LOG: str(log)}
    kernel = Kernel(sweep, environment, log, cwd if Path(cwd).is_dir() else None, scratch)
    ended = Ended("whole")
    _register()
    try:
        papermill.execute_notebook(
            nbformat.reads(notebook, as_version=4),
            f"{SCHEME}{target.absolute()}",
            parameters=dict(parameters),
            progress_bar=False,
            log_output=False,
            start_timeout=300,
            kernel_manager_class=kernel.manager(),
            extra_arguments=["--log-level=50"],
        )
    except PapermillExecutionError as error:
        ended = Ended("error", error.ename, f"{error.ename}: {error.evalue.strip()}")
    except DeadKernelError:
        why = f"its kernel {kernel.ended()}"
        if time_limit_s is not None and reached_time_limit(log):
            why = f"ended after {time_limit_s:g} s, its limit; {log.name} says where it was"
        ended = Ended("died", "DeadKernelError", why)
    except Exception as error:  # noqa: BLE001 - a kernel that cannot start fails in many ways
        why = f"its kernel {kernel.ended()} ({type(error).__name__}: {error})"
        ended = Ended("died", type(error).__name__, why)
    finally:
        kernel.ended()
        with suppress(OSError):  # the records matter more
            hidden.replace(target)
    with suppress(OSError):
        if not log.stat().st_size:
            log.unlink()
    return ended


class _Hidden:
    """Lets papermill write a notebook whole, or not at all in a folder that takes no files."""

    def write(self, text: str, path: str) -> None:
        with suppress(OSError):
            target = hidden_notebook(Path(path.removeprefix(SCHEME)))
            write_whole(target, text.replace(SCHEME, "").encode())

    def pretty_path(self, path: str) -> str:
        return path


@cache
def _register() -> None:
    from papermill.iorw import papermill_io

    papermill_io.register(SCHEME, _Hidden())


class Kernel:
    """A kernel with an environment and a log of its own; `process` is None until it starts."""

    def __init__(
        self, sweep: str, environment: Mapping[str, str], log: Path, cwd: str | None, scratch: Path
    ) -> None:
        self._sweep, self._environment, self._log, self._cwd = sweep, environment, log, cwd
        self._scratch = scratch
        self.process: subprocess.Popen | None = None

    def manager(self) -> type:
        """A class for papermill that starts this kernel."""
        from jupyter_client.manager import AsyncKernelManager

        kernel = self

        class Manager(AsyncKernelManager):
            async def start_kernel(self, **options: Any) -> None:
                # In a folder that is removed with the worker: a killed one cannot remove it.
                self.connection_file = str(kernel._scratch / "kernel.json")
                with kernel._log.open("ab") as log:
                    await super().start_kernel(
                        **options
                        | {"env": dict(kernel._environment), "stdout": log, "stderr": log}
                        | ({"cwd": kernel._cwd} if kernel._cwd else {})
                    )
                kernel.process = getattr(self.provisioner, "process", None)
                if kernel.process is not None:
                    _alive[kernel.process] = kernel._sweep

        return Manager

    def ended(self) -> str:
        """How its process ended, as the end of a sentence; waits for it."""
        if self.process is None:
            return "did not start"
        _alive.pop(self.process, None)
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            kill(self.process)
            return "did not answer, and was killed"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            often = " (most often: the machine ran out of memory)" if name == "SIGKILL" else ""
            return f"was killed by {name}{often}"
        return f"ended with exit code {code}"


def end_kernels(sweep: str, wait_s: float = 5.0) -> None:
    """Kill the kernels of a sweep in this process, and wait for their end."""
    _ended.add(sweep)
    found, end = [p for p, owner in list(_alive.items()) if owner == sweep], time.monotonic()
    for process in found:
        kill(process)
    while time.monotonic() < end + wait_s and any(process.poll() is None for process in found):
        time.sleep(0.05)


def was_ended(sweep: str) -> bool:
    """Whether the kernels of a sweep in this process were ended on purpose: they did not fail."""
    return sweep in _ended


def kill(process: subprocess.Popen) -> None:
    """Kill a kernel and what it has started: it leads a group of its own."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
