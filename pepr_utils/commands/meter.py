"""`pepr meter`: what a command line consumes, and what can be measured on this machine."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.commands.text_table import clean_lines, echo


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--check", is_flag=True,
              help="Show what can be measured here, how, and how to enable the rest.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True,
              help="Print JSON on stdout; what COMMAND prints there goes to stderr.")  # fmt: skip
@intensity_option
@click.option("--pue", type=click.FloatRange(min=1), metavar="RATIO",
              help="Facility over computer energy; default: carbontracker's 1.58.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(min=0.01, max=5), default=0.2, show_default=True,
              metavar="SECONDS", help="Between two samples of power.")  # fmt: skip
@click.option("--simulate", type=click.FloatRange(min=0), metavar="WATTS",
              help="Measure nothing and count this power: to try things out.")  # fmt: skip
@click.option("--append", metavar="FILE", type=click.Path(path_type=Path),
              help="Add a row to a CSV file for `pepr score`; none if COMMAND fails.")  # fmt: skip
@click.option("--label", metavar="NAME", help="What that row is called, such as the model.")
@click.option("--format", "layout", type=click.Choice(["pepr", "codecarbon"]), default="pepr",
              show_default=True, help="Columns of that row: our own or CodeCarbon's.")  # fmt: skip
def meter(command: tuple[str, ...], check: bool, as_json: bool, **options: Any) -> None:
    """Run COMMAND and report what it consumed: energy, emissions, memory and time.

    GPUs are those that CUDA_VISIBLE_DEVICES leaves. The table goes to stderr, so that COMMAND's
    output can be piped on. The exit code is COMMAND's; 127 if it does not exist, 126 if it cannot
    be run. What was not measured is a dash, with the reason below the table, never a 0. Signals
    go to COMMAND. What it leaves running when it ends is not measured any more.

    \b
    Example:
      pepr meter --check
      pepr meter -- python train.py --epochs 3
      pepr meter --label resnet18 --append runs.csv -- python train.py
      pepr meter --json --carbon-intensity DK -- python train.py > consumed.json
    """
    if check:
        if command:
            raise click.UsageError("--check takes no COMMAND")
        _check(as_json=as_json)
        return
    if not command:
        raise click.UsageError("no COMMAND; give one, such as: pepr meter -- python train.py")
    append: Path | None = options["append"]
    if (append is None) != (options["label"] is None):
        raise click.UsageError("--append FILE and --label NAME need each other")
    from pepr_utils.commands import meter_rows
    from pepr_utils.commands.metered_command import CannotRunError, find, run
    from pepr_utils.measurement.metering import meter as measuring

    if append is not None:
        meter_rows.check(append, options["layout"])
    try:
        find(command[0])
        with measuring(
            carbon_intensity=options["carbon_intensity"],
            pue=options["pue"],
            interval_s=options["interval"],
            simulated_w=options["simulate"],
        ) as measured:
            ended = run(command, sys.stderr if as_json else None)
    except CannotRunError as error:
        echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    report = {"command": list(command), "exit_code": ended.exit_code} | measured.as_dict()
    report["memory"]["resident_bytes"] = ended.resident_bytes
    report["notes"] += _about_memory(report["memory"], ended.resident_below_bytes)
    if append is not None and ended.exit_code:
        report["notes"].append(f"no row was added to {append}: the command failed")
    _print(json.dumps(report, indent=1) if as_json else "\n".join(_table(report)), err=not as_json)
    if append is not None and not ended.exit_code:
        meter_rows.append(append, options["layout"], options["label"], report)
    sys.exit(ended.exit_code)


def _print(text: str, *, err: bool) -> None:
    """Print the report; where its reader has gone, the command's exit code still counts."""
    try:
        click.echo(clean_lines(text), err=err)
    except BrokenPipeError:
        # What is left in the buffer would be an error again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())


def _about_memory(memory: dict[str, Any], below: int | None) -> list[str]:
    """Why a peak of memory is missing."""
    found = []
    if memory["nvml_used_bytes"] is None:
        found.append("peak memory, GPUs: no GPU was read")
    if memory["resident_bytes"] is None:
        found.append(
            "peak memory, process: the system does not report it"
            if below is None
            else f"peak memory, process: below {below / 1e6:.0f} MB, which pepr itself takes"
        )
    return found


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
        (_covered(report), _number(None if it_energy is None else it_energy * 1e3, "Wh")),
        (
            f"energy, with PUE {_short(report['pue'])}",
            _number(None if energy is None else energy * 1e3, "Wh"),
        ),
        (
            f"CO2eq at {_short(report['carbon_intensity_g_per_kwh'])} g/kWh",
            _number(report["co2eq_g"], "g"),
        ),
        ("peak memory, GPUs", _number(None if used is None else used / 1e9, "GB")),
        ("peak memory, process", _number(None if resident is None else resident / 1e9, "GB")),
        ("exit code", str(report["exit_code"])),
    ]
    width = max(len(name) for name, _ in totals)
    found = ["", *rows, "", *(f"{name:<{width}}  {value:>12}" for name, value in totals), ""]
    intensity = f"intensity: {report['carbon_intensity_source']}"
    return [*found, *(line for note in [*report["notes"], intensity] for line in wrapped(note))]


def _covered(report: dict[str, Any]) -> str:
    """What the energy is of: beside a GPU, the CPU may not have been measured."""
    return "energy, GPUs alone" if report["it_energy_covers"] == ["gpu"] else "energy, computer"


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


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

    from pepr_utils.commands.text_table import WIDTH
    from pepr_utils.measurement.metering.check import possibilities

    found = possibilities()
    if as_json:
        echo(json.dumps([asdict(row) for row in found], indent=1))
        return
    for row in found:
        begin = f"{'yes' if row.available else 'no':<4} {row.part:<8} {row.method:<15} "
        wrapped = textwrap.wrap(
            row.detail, WIDTH - len(begin), break_long_words=False, break_on_hyphens=False
        )
        echo(begin + f"\n{'':<{len(begin)}}".join(wrapped))
