"""`pepr meter`: what a command line consumes, and what can be measured on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from pepr_utils.commands.intensity import intensity_option

#: Exit codes of a shell for a command that does not exist, and one ended by a signal (plus its
#: number).
NOT_FOUND, SIGNALLED = 127, 128


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--check", is_flag=True,
              help="Say what can be measured here, how, and how to enable the rest.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True,
              help="Print JSON on stdout; what COMMAND prints there goes to stderr.")  # fmt: skip
@intensity_option
@click.option("--pue", type=click.FloatRange(min=1), metavar="RATIO",
              help="Facility over computer energy; default: carbontracker's 1.58.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(min=0.01, max=5), default=0.2, show_default=True,
              metavar="SECONDS", help="Between two samples of power.")  # fmt: skip
@click.option("--simulate", type=click.FloatRange(min=0), metavar="WATTS",
              help="Measure nothing and count this power: to try things out.")  # fmt: skip
def meter(command: tuple[str, ...], check: bool, as_json: bool, **options: Any) -> None:
    """Run COMMAND and say what it consumed: energy, emissions, memory and time.

    Graphics cards are those that CUDA_VISIBLE_DEVICES leaves. The table goes to stderr, so that
    COMMAND's output can be piped on. The exit code is COMMAND's; 127 if it does not exist. What
    was not measured is a dash, with the reason below the table, never a 0.

    \b
    Example:
      pepr meter --check
      pepr meter -- python train.py --epochs 3
      pepr meter --json --carbon-intensity DK -- python train.py > consumed.json
    """
    if check:
        if command:
            raise click.UsageError("--check takes no COMMAND")
        _check(as_json=as_json)
        return
    if not command:
        raise click.UsageError("no COMMAND; give one, such as: pepr meter -- python train.py")
    if shutil.which(command[0]) is None:
        click.echo(
            f"Error: no command {command[0]!r}; allowed: a program on PATH, or its path", err=True
        )
        sys.exit(NOT_FOUND)
    from pepr_utils.measurement.metering import meter as measuring

    with measuring(
        carbon_intensity=options["carbon_intensity"],
        pue=options["pue"],
        interval_s=options["interval"],
        simulated_w=options["simulate"],
    ) as measured:
        code, resident = _run(command, sys.stderr if as_json else None)
    report = {"command": list(command), "exit_code": code} | measured.as_dict()
    report["memory"]["resident_bytes"] = resident
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo("\n".join(_table(report)), err=True)
    sys.exit(code)


def _run(command: tuple[str, ...], stdout: Any) -> tuple[int, int | None]:
    """Run a command to its end; return its exit code and the largest resident set in it."""
    from pepr_utils.measurement.metering.memory import resident_peak

    sys.stdout.flush()
    before = resident_peak()
    with _passing_on() as started:
        try:
            process = subprocess.Popen(command, stdout=stdout)
        except OSError as error:
            click.echo(f"Error: {command[0]!r} cannot be run: {error.strerror}", err=True)
            return NOT_FOUND - 1, None
        started.append(process)
        _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code  # it has been waited for
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Until it became COMMAND the new process had this one's memory: less cannot be told.
    known = before is not None and peak > before
    return (code if code >= 0 else SIGNALLED - code), (peak if known else None)


@contextmanager
def _passing_on() -> Iterator[list[subprocess.Popen]]:
    """Leave Ctrl-C to the command, which the terminal tells too, and pass SIGTERM on to it.

    The command itself begins with the handlers of any program; it goes into the list.
    """
    started: list[subprocess.Popen] = []

    def ignore(_number: int, _frame: Any) -> None:
        """Wait on: the command ends when it is ready."""

    def forward(number: int, _frame: Any) -> None:
        for process in started:
            process.send_signal(number)

    handlers = {signal.SIGINT: ignore, signal.SIGTERM: forward}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _table(report: dict[str, Any]) -> list[str]:
    """Lay a report out for the terminal."""
    from pepr_utils.commands.text_table import lines, wrapped

    parts = report["components"]
    rows = lines(
        {
            "component": [f"{part['kind']} {part['device']}" for part in parts],
            "method": [part["method"] or "not measured" for part in parts],
            "energy": [_number(part["energy_j"], "J") for part in parts],
            "mean power": [_number(_mean_w(part), "W") for part in parts],
            "samples": [_number(part["n_samples"], "") for part in parts],
        },
        name="component",
    )
    energy, it_energy = report["energy_kwh"], report["it_energy_kwh"]
    memory = report["memory"]
    used = memory["nvml_used_bytes"]
    resident = memory["resident_bytes"]
    totals = [
        ("time", _number(report["duration_s"], "s")),
        ("energy, computer", _number(None if it_energy is None else it_energy * 1e3, "Wh")),
        (
            f"energy, with PUE {report['pue']:g}",
            _number(None if energy is None else energy * 1e3, "Wh"),
        ),
        (
            f"CO2eq at {report['carbon_intensity_g_per_kwh']:g} g/kWh",
            _number(report["co2eq_g"], "g"),
        ),
        ("peak memory, cards", _number(None if used is None else used / 1e9, "GB")),
        ("peak memory, process", _number(None if resident is None else resident / 1e9, "GB")),
        ("exit code", str(report["exit_code"])),
    ]
    width = max(len(name) for name, _ in totals)
    found = ["", *rows, "", *(f"{name:<{width}}  {value:>12}" for name, value in totals), ""]
    intensity = f"intensity: {report['carbon_intensity_source']}"
    return [*found, *(line for note in [*report["notes"], intensity] for line in wrapped(note))]


def _mean_w(part: dict[str, Any]) -> float | None:
    if part["energy_j"] is None or not part["duration_s"]:
        return None
    return part["energy_j"] / part["duration_s"]


def _number(value: float | None, unit: str) -> str:
    from pepr_utils.commands.text_table import number

    return "-" if value is None else f"{number(float(value))} {unit}".strip()


def _check(*, as_json: bool) -> None:
    """Print what can be measured; the same rows as the book's chapter has."""
    from dataclasses import asdict

    from pepr_utils.commands.text_table import WIDTH, echo
    from pepr_utils.measurement.metering.check import possibilities

    found = possibilities()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in found], indent=1))
        return
    for row in found:
        begin = f"{'yes' if row.available else 'no':<4} {row.part:<8} {row.method:<15} "
        wrapped = textwrap.wrap(row.detail, WIDTH - len(begin), break_long_words=False)
        echo(begin + f"\n{'':<{len(begin)}}".join(wrapped))
