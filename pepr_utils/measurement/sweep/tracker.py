"""Python's own tracker of semaphores, kept from speaking last."""

from __future__ import annotations

import os


def start_quiet_tracker() -> None:
    """Start Python's tracker of semaphores such that it says nothing when this process is killed.

    It outlives the sweep by a moment to tidy up after it; its warning would be the last that is
    seen of a sweep that has lost nothing.
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
