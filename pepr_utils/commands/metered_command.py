"""Run a command to its end for `pepr meter`: its signals, its exit code and its memory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pepr_utils.errors import PeprError

#: Exit codes of a shell for a command that does not exist, one that may not be run, and one that
#: was ended by a signal (plus its number).
NOT_FOUND, NOT_RUNNABLE, SIGNALLED = 127, 126, 128


class CannotRunError(PeprError):
    """A command that does not exist, or may not be run; with a shell's exit code for that."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int  #: as a shell gives it
    resident_bytes: int | None  #: largest resident set of one of its processes, where it is known
    resident_below_bytes: int | None  #: an upper bound where it is not


def find(program: str) -> None:
    """Check that there is a program.

    Raises
    ------
    CannotRunError
        If it does not exist, or is no program.
    """
    if shutil.which(program) is not None:
        return
    folders = [""] if os.sep in program else os.get_exec_path()
    if any((Path(folder) / program).exists() for folder in folders):
        raise CannotRunError(
            f"{program!r} is no program that may be run; allowed: an executable file, see chmod +x",
            NOT_RUNNABLE,
        )
    raise CannotRunError(
        f"no command {program!r}; allowed: a program on PATH, or its path", NOT_FOUND
    )


def run(command: tuple[str, ...], stdout: Any) -> Ended:
    """Run a command to its end.

    Raises
    ------
    CannotRunError
        If the system refuses it.
    """
    from pepr_utils.measurement.metering.memory import resident_peak

    sys.stdout.flush()
    before = resident_peak()
    with _signals() as signals:
        try:
            process = subprocess.Popen(command, stdout=stdout)
        except OSError as error:
            message = f"{command[0]!r} cannot be run: {error.strerror}"
            raise CannotRunError(message, NOT_RUNNABLE) from None
        signals.go_to(process)
        _, status, used = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code  # it has been waited for: no signal goes to its number any more
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Until it became COMMAND the new process had this one's memory: less cannot be measured.
    known = before is not None and peak > before
    code = code if code >= 0 else SIGNALLED - code
    return Ended(code, peak if known else None, None if known else before)


@dataclass
class _Signals:
    """Passes signals on to a command; those that come before it has started, once it has."""

    _process: subprocess.Popen | None = None
    _early: list[int] = field(default_factory=list)

    def go_to(self, process: subprocess.Popen) -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def forward(self, number: int, _frame: Any) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)

    def interrupt(self, number: int, frame: Any) -> None:
        """Ctrl-C: the terminal sends it to the command too, where both are in its foreground."""
        if not _in_foreground():
            self.forward(number, frame)


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Leave signals to the command; a report is made when it has ended.

    The command itself starts with the default handlers. Signals that this process ignores, as
    under nohup, it ignores as well.
    """
    found = _Signals()
    handlers: dict[int, Any] = dict.fromkeys(
        (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT), found.forward
    )
    handlers[signal.SIGINT] = found.interrupt
    chosen = {n: h for n, h in handlers.items() if signal.getsignal(n) is not signal.SIG_IGN}
    # A parent may have left SIGCHLD ignored: then nobody could wait for the command.
    chosen[signal.SIGCHLD] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in chosen.items()}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether this process is in the foreground of a terminal."""
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
