"""Ctrl-C, SIGTERM and SIGHUP: what is asked of a sweep that is under way."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any

#: What is asked: nothing, to finish the runs that are being measured, or to end at once.
GO_ON, FINISH, AT_ONCE = range(3)


class Interrupts:
    """Counts Ctrl-C within a block: the first says to finish, the second to end at once.

    SIGTERM, which Slurm sends before it kills, says to end at once, and so does SIGHUP, which comes
    when the terminal is closed, unless it is ignored as under ``nohup``. Outside the main thread,
    where Python takes no signals, nothing is ever asked.

    Attributes
    ----------
    asked : int
        ``GO_ON``, ``FINISH`` or ``AT_ONCE``.
    """

    def __init__(self) -> None:
        self.asked = GO_ON
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._int, signal.SIGTERM: self._term}
            hangup = getattr(signal, "SIGHUP", None)  # not on every system
            if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
                handlers[hangup] = self._term
            for number, handler in handlers.items():
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _int(self, _number: int, _frame: Any) -> None:
        self.asked = min(AT_ONCE, self.asked + 1)

    def _term(self, _number: int, _frame: Any) -> None:
        self.asked = AT_ONCE
