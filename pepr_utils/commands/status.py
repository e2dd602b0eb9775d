"""`pepr status`: how far the runs of a folder are, and why some failed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
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
    """Say how far the runs of DIR are: done, running, failed with their reasons, waiting.

    It reads the records, and what `pepr sweep` planned. Nothing is written, so it may be asked at
    any time and from any machine that sees DIR. Exit code 0: all runs are done; 1: some failed or
    are not done; 2: there is nothing to read.

    \b
    Example:
      pepr status results/paper
      pepr status results/paper --json | jq '.failures'
    """
    from pepr_utils.errors import NotAvailableError
    from pepr_utils.measurement.sweep.plan import Plan, read_plan
    from pepr_utils.measurement.sweep.state import named_state, state

    found = read_plan(folder)
    if found is None:
        plan, seconds, now = Plan("", ()), {}, state(folder)
        if not (now.done or now.failed or now.running or now.broken or now.killed):
            raise NotAvailableError(
                f"{folder} holds no runs; allowed: the folder that `pepr sweep` or `pepr run` was "
                "given as --output"
            )
    else:
        plan, seconds = found
        now = named_state(folder, plan.names())
    if as_json:
        echo(json.dumps(as_json_object(folder, plan, now, seconds), indent=1))
    else:
        for line in outcome_lines(folder, plan, now, seconds):
            echo(line)
        if plan.study and now.failed:
            most = max(record.attempt for record in now.failed)
            note(f"the same sweep with --attempts {most + 1} tries the failed runs again")
    total = len(plan.runs) or len(now.done) + len(now.failed) + len(now.running)
    if len(now.done) < total or now.broken or now.killed:
        context.exit(1)


def outcome_lines(
    folder: Path, plan: Plan, now: State, seconds: Mapping[Run, float | None] | None = None
) -> list[str]:
    """Lay a state out for a terminal."""
    from pepr_utils.measurement.sweep.words import counts, failure, spent

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
    for path in now.broken:
        found.append(f"broken: {path} cannot be read; the next sweep sets it aside and repeats it")
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
    from pepr_utils.measurement.sweep.quantities import duration

    if not seconds or not now.waiting:
        return ""
    known = [s for run in now.waiting if (s := seconds.get(run)) is not None]
    if not known:
        return ""
    without = len(now.waiting) - len(known)
    words = f"; forecast of those waiting: {duration(sum(known))} of one device"
    return words + (f" ({count(without, 'run')} without a basis)" if without else "")


def as_json_object(
    folder: Path, plan: Plan, now: State, seconds: Mapping[Run, float | None] | None = None
) -> dict[str, Any]:
    """A state as an object for JSON."""
    from pepr_utils.measurement.sweep.words import energy_of

    total, done = _by_block(plan, now)
    energy, without = energy_of(now.done)
    return {
        "folder": str(folder),
        "study": plan.study or None,
        "runs": {
            "total": len(plan.runs) or len(now.done) + len(now.failed) + len(now.running),
            "done": len(now.done),
            "running": len(now.running),
            "failed": len(now.failed),
            "waiting": len(now.waiting),
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
        "waiting": [asdict(r) | {"seconds": (seconds or {}).get(r)} for r in now.waiting],
        "broken": [str(path) for path in now.broken],
    }
