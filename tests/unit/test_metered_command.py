"""A command run under the meter: signals reach it, its exit code is as a shell gives it."""

import os
import signal
import subprocess

import pytest

from pepr_utils.commands import metered_command
from pepr_utils.commands.metered_command import CannotRunError, find, run


@pytest.fixture(autouse=True)
def in_background(monkeypatch):
    monkeypatch.setattr(metered_command, "_in_foreground", lambda: False)


def _signalling(name):
    """A command that sends a signal to this process, and ends with 7 when it comes back."""
    return ("sh", "-c", f"trap 'exit 7' {name}; kill -{name} $PPID; sleep 5 & wait; exit 0")


@pytest.mark.parametrize("name", ["HUP", "QUIT", "TERM", "INT"])
def test_signals_go_to_the_command(name):
    number = getattr(signal, f"SIG{name}")
    before = signal.getsignal(number)
    assert run(_signalling(name), None).exit_code == 7
    assert signal.getsignal(number) is before


def test_ctrl_c_in_a_terminal_reaches_the_command_once(monkeypatch):
    monkeypatch.setattr(metered_command, "_in_foreground", lambda: True)
    command = "trap 'exit 7' INT; kill -INT $PPID; sleep 0.2; exit 0"
    assert run(("sh", "-c", command), None).exit_code == 0


@pytest.mark.parametrize("name", ["HUP", "QUIT", "INT"])
def test_a_signal_that_is_ignored_here_is_ignored_by_the_command_too(name):
    """As under nohup, or in the background of a script."""
    number = getattr(signal, f"SIG{name}")
    before = signal.signal(number, signal.SIG_IGN)
    try:
        command = f"kill -{name} $PPID; kill -{name} $$; exit 3"
        assert run(("sh", "-c", command), None).exit_code == 3
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_signal_that_comes_while_the_command_starts_reaches_it(monkeypatch):
    start = subprocess.Popen

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    assert run(("sleep", "5"), None).exit_code == 128 + signal.SIGTERM


def test_a_parent_that_ignores_the_end_of_children_is_no_obstacle():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run(("sh", "-c", "exit 4"), None).exit_code == 4
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_the_memory_of_a_small_command_has_an_upper_bound():
    ended = run(("true",), None)
    assert ended.resident_bytes is None
    assert ended.resident_below_bytes > 10e6


def test_a_command_that_cannot_be_run_has_a_shells_exit_code(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("words")
    (tmp_path / "odd").write_bytes(b"\x00\x01")
    (tmp_path / "odd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for program, code in (("text", 126), (str(tmp_path), 126), ("no-such", 127)):
        with pytest.raises(CannotRunError) as caught:
            find(program)
        assert caught.value.exit_code == code
    find("odd")
    with pytest.raises(CannotRunError, match="cannot be run") as caught:
        run(("odd",), None)
    assert caught.value.exit_code == 126
