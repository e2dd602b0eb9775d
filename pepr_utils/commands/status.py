"""`pepr status`: how far the runs of a folder are, and why some failed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.text_table import clean, count, echo, note, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pepr_utils.measurement.run import Run
    from pepr_utils.measurement.sweep.plan import Plan
    from pepr_utils.measurement.sweep.state import Running, State


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def status(context: click.Context, folder: Path, *, as_json: bool) -> None:
    """Show how far the runs of DIR are: done, running, failed or paused and why, waiting.

    It reads the records, and the runs that `pepr sweep` or `pepr run` was given. Nothing is
    written, so it may be called at any time and from any machine that sees DIR. Exit code 0: all
    runs are done; 1: some failed or are not done; 2: there is nothing to read.

    \b
    Example:
      pepr status results/paper
      pepr status results/paper --json | jq '.failures'
    """
    plan, seconds, now = _read(folder)
    if as_json:
        echo(json.dumps(as_json_object(folder, plan, now, seconds), indent=1))
    else:
        for line in outcome_lines(folder, plan, now, seconds):
            echo(line)
        if plan.study and now.failed:
            most = max(record.attempt for record in now.failed)
            note(f"the same sweep with --attempts {most + 1} tries the failed runs again")
        if now.waiting and not plan.study:
            note(
                f"{count(len(now.waiting), 'requested run')} not done: run the same command again, "
                f"or delete {folder / 'asked'} to drop them"
            )
    if len(now.done) < _total(plan, now) or now.broken or now.killed:
        context.exit(1)


def _read(folder: Path) -> tuple[Plan, Mapping[Run, float | None], State]:
    """The runs that a folder is to hold, by a sweep's plan and by `pepr run`, and how far it is."""
    from pepr_utils.errors import NotAvailableError
    from pepr_utils.measurement.sweep.plan import Plan, Planned, read_plan, read_requested
    from pepr_utils.measurement.sweep.state import named_state, state

    plan, seconds = read_plan(folder) or (Plan("", ()), {})
    planned = plan.names()
    more = {name: run for name, run in read_requested(folder).items() if name not in planned}
    if plan.runs:
        runs = plan.runs + tuple(Planned(run, "pepr run", name) for name, run in more.items())
        return Plan(plan.study, runs), seconds, named_state(folder, planned | more)
    now = state(folder)  # whatever else is there counts too, such as a notebook's
    if not (now.paused or more or any((now.done, now.failed, now.running, now.broken, now.killed))):
        raise NotAvailableError(
            f"{folder} holds no runs; allowed: the folder that `pepr sweep` or `pepr run` was "
            "given as --output"
        )
    there = {r.run_id for r in (*now.done, *now.failed, *now.running, *now.paused)}
    waiting = tuple(run for name, run in more.items() if name not in there)
    return plan, seconds, replace(now, waiting=waiting)


def _total(plan: Plan, now: State) -> int:
    parts = now.done, now.failed, now.running, now.waiting, now.paused
    return max(len(plan.runs), sum(map(len, parts)))


def outcome_lines(
    folder: Path, plan: Plan, now: State, seconds: Mapping[Run, float | None] | None = None
) -> list[str]:
    """Return a state as lines for a terminal."""
    from pepr_utils.measurement.sweep.view import counts, failure, spent

    found = [f"study {plan.study}: {counts(now)}" if plan.study else counts(now)]
    found += _blocks(plan, now)
    found.append(spent(now) + _rest(now, seconds))
    found += [f"running: {_process(running)}" for running in now.running]
    found += [
        f"killed: {_process(killed)}; the next run on this folder records it and tries again"
        for killed in now.killed
    ]
    for record in now.failed:
        found += wrapped(f"failed: {failure(record)} [{record.run_id}]")
    for record in now.paused:
        found += wrapped(f"paused: {record.architecture}: {record.stop_reason} [{record.run_id}]")
    for path in now.broken:
        found.append(f"broken: {path} cannot be read; the same command runs it again")
    found.append(f"records: {folder / 'runs'}")
    return [clean(line) for line in found]


def _process(running: Running) -> str:
    since = running.started.astimezone().strftime("%Y-%m-%d %H:%M")
    return (
        f"{running.architecture or running.run_id} on {running.dataset or '?'}, since {since}, "
        f"{running.host}, process {running.pid}"
    )


def _blocks(plan: Plan, now: State) -> list[str]:
    """A line for each block, where there are several."""
    total, done = _by_block(plan, now)
    if len(total) < 2:
        return []
    width = max(map(len, total))
    return [
        f"  {name:<{width}}  {done[name]:,} of {count(n, 'run')} done" for name, n in total.items()
    ]


def _by_block(plan: Plan, now: State) -> tuple[Counter, Counter]:
    finished = {record.run_id for record in now.done}
    total = Counter(planned.block for planned in plan.runs)
    return total, Counter(p.block for p in plan.runs if p.run_id in finished)


def _rest(now: State, seconds: Mapping[Run, float | None] | None) -> str:
    from pepr_utils.measurement.sweep.view import duration

    if not seconds or not now.waiting:
        return ""
    known = [s for run in now.waiting if (s := seconds.get(run)) is not None]
    if not known:
        return ""
    without = len(now.waiting) - len(known)
    forecast = f"; forecast of those waiting: {duration(sum(known))} of one device"
    return forecast + (f" ({count(without, 'run')} without a basis)" if without else "")


def as_json_object(
    folder: Path, plan: Plan, now: State, seconds: Mapping[Run, float | None] | None = None
) -> dict[str, Any]:
    """A state as an object for JSON."""
    from pepr_utils.measurement.sweep.view import energy_of

    total, done = _by_block(plan, now)
    energy, without = energy_of(now.done)
    return {
        "folder": str(folder),
        "study": plan.study or None,
        "runs": {
            "total": _total(plan, now),
            "done": len(now.done),
            "running": len(now.running),
            "failed": len(now.failed),
            "waiting": len(now.waiting),
            "paused": len(now.paused),
        },
        "blocks": [{"block": name, "runs": n, "done": done[name]} for name, n in total.items()],
        "energy_kwh": energy,
        "runs_without_energy": without,
        "running": [asdict(r) | {"started": r.started.isoformat()} for r in now.running],
        "killed": [asdict(r) | {"started": r.started.isoformat()} for r in now.killed],
        "failures": [
            {
                "run_id": r.run_id,
                "architecture": r.architecture,
                "dataset": r.dataset,
                "attempt": r.attempt,
                "reason": r.failure_reason,
            }
            for r in now.failed
        ],
        "paused": [
            {
                "run_id": r.run_id,
                "architecture": r.architecture,
                "dataset": r.dataset,
                "epochs_done": r.epochs_done,
                "reason": r.stop_reason,
            }
            for r in now.paused
        ],
        "waiting": [asdict(r) | {"seconds": (seconds or {}).get(r)} for r in now.waiting],
        "broken": [str(path) for path in now.broken],
    }
