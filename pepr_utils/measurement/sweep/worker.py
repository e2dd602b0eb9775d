"""What a worker process of a sweep does first: leave Ctrl-C to the coordinator, and keep quiet.

Dask imports this module in each worker that a sweep starts (its ``preload``).
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

#: A file for what a worker says; a terminal belongs to the coordinator.
LOG = "PEPR_SWEEP_WORKER_LOG"


def dask_setup(_worker: Any) -> None:
    """Called by Dask when the worker has begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    if LOG in os.environ:
        path = Path(os.environ[LOG])
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)
