"""Kernels that begin with their libraries loaded: forked from one process instead of started anew.

Python, the kernel and the libraries that most chapters use take longer to load than many a
chapter to run. Code of the project is not loaded beforehand: a kernel tells which it used.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

#: What is loaded once. Nothing of it starts a thread when it is imported.
_LIBRARIES = ["altair", "ipykernel.kernelapp", "myst_nb.ext.glue", "pandas", "scipy.stats"]


class ForkedKernelManager(AsyncKernelManager):
    """Starts its kernel as a fork of a process that has the libraries; on Linux, else as usual."""

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        if sys.platform != "linux":
            return await super()._async_launch_kernel(kernel_cmd, **kw)
        fork = multiprocessing.get_context("forkserver")
        fork.set_forkserver_preload(_LIBRARIES)
        arguments = kernel_cmd[3:]  # after `python -m ipykernel_launcher`
        process = fork.Process(target=_run_kernel, args=(arguments, kw.get("cwd", Path.cwd())))
        process.start()
        self.provisioner.process = _Process(process)
        return self._reconcile_connection_info(self.provisioner.connection_info)


class _Process:
    """A process of `multiprocessing`, by the names that `subprocess` has for it."""

    stdin = stdout = stderr = None

    def __init__(self, process: Any) -> None:
        self.process, self.pid = process, process.pid
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.poll()

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


def _run_kernel(arguments: list[str], folder: Path) -> None:
    """Be a kernel, in a fork."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    os.chdir(folder)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())  # it ends with the process that it is from
    signal.signal(signal.SIGINT, signal.default_int_handler)
    IPKernelApp.launch_instance(arguments)
