"""The kernel of a task: started with an environment and a log of its own, and known by its process.

It is the boundary between a run and everything else. It has a session of its own, so Ctrl-C in a
terminal does not reach it, and it ends by itself within a second of its worker's end.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

#: Kernels of this worker process that live, with the sweep that each belongs to.
_living: dict[subprocess.Popen, str] = {}


class Kernel:
    """What is asked of a kernel, and what became of it.

    Attributes
    ----------
    process : subprocess.Popen or None
        Its process, once it has been started.
    """

    def __init__(
        self, sweep: str, environment: dict[str, str], log: Path, cwd: str | None, scratch: Path
    ) -> None:
        self._sweep, self._environment, self._log, self._cwd = sweep, environment, log, cwd
        self._scratch = scratch
        self.process: subprocess.Popen | None = None

    def manager(self) -> type[AsyncKernelManager]:
        """A class for papermill that starts this kernel."""
        kernel = self

        class Manager(AsyncKernelManager):
            async def start_kernel(self, **options: Any) -> None:
                # Where it goes with the worker: a killed one cannot remove it.
                self.connection_file = str(kernel._scratch / "kernel.json")
                with kernel._log.open("ab") as log:
                    await super().start_kernel(
                        **options
                        | {"env": kernel._environment, "stdout": log, "stderr": log}
                        | ({"cwd": kernel._cwd} if kernel._cwd else {})
                    )
                kernel.process = getattr(self.provisioner, "process", None)
                if kernel.process is not None:
                    _living[kernel.process] = kernel._sweep

        return Manager

    def ended(self) -> str:
        """In words, how its process came to its end; waits for it."""
        if self.process is None:
            return "did not start"
        _living.pop(self.process, None)
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


def kill_kernels(sweep: str) -> int:
    """Kill the kernels of a sweep in this process; return how many there were."""
    found = [process for process, owner in list(_living.items()) if owner == sweep]
    for process in found:
        kill(process)
    return len(found)


def kill(process: subprocess.Popen) -> None:
    """Kill a kernel and what it has started: it leads a group of its own."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
