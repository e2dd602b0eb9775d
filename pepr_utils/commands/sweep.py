"""`pepr sweep`: run a whole study, or forecast what it would take."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.commands.run import keep_checkpoints_option
from pepr_utils.commands.text_table import count, echo, note
from pepr_utils.errors import NotInstalledError
from pepr_utils.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pepr_utils.measurement.datasets import Sizes
    from pepr_utils.measurement.sweep.forecast import Forecaster
    from pepr_utils.measurement.sweep.plan import Plan
    from pepr_utils.measurement.sweep.state import Progress, State
    from pepr_utils.results import Record

#: The basis of a forecast where neither the folder nor --basis has measured runs.
LAST_BASIS = "published-repaired"


def _part(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(
            f"{value!r} is not a part; allowed: I/N with I from 1 to N, as 3/16"
        )
    return int(match[1]), int(match[2])


def parse_gpus(_context: click.Context, _option: click.Parameter, value: str) -> Any:
    """Read a number of GPUs, or auto."""
    if value == "auto":
        return value
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is not a number of GPUs; allowed: auto, 0, 1, 2, ...")
    return int(value)


# fmt: off
#: Where the runs of a sweep or a race are measured, and what they are forecast from.
_MACHINE_OPTIONS = (
    click.option("--slots", type=click.IntRange(min=1), metavar="N",
                 help="Runs at once on a machine without GPUs; default 1. Timings and energies are "
                 "comparable only with one."),
    click.option("--gpus", default="auto", show_default=True, metavar="N", callback=parse_gpus,
                 help="GPUs to use, one run at a time on each; auto: all visible ones."),
    click.option("--scheduler", metavar="ADDRESS|FILE",
                 help="A running Dask cluster: tcp://node7:8786, or a scheduler file."),
    click.option("--weights", type=click.Path(path_type=Path), metavar="DIR",
                 help="Folder with pretrained weights, for machines without a network."),
    click.option("--attempts", default=2, show_default=True, type=click.IntRange(min=1),
                 metavar="N", help="Times that a run is tried before it stays failed."),
    click.option("--any-device", is_flag=True,
                 help="Add to a result set that was measured on another device."),
    click.option("--basis", multiple=True, metavar="SET",
                 help="Measured runs to forecast from, beside those in DIR and the published ones; "
                 "repeatable."),
)
# fmt: on


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for where runs are measured, and what they are forecast from."""
    for option in reversed(_MACHINE_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("study", metavar="STUDY")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Folder of the result set; finished runs in it are not repeated.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Count the runs and forecast what they take, and stop.")  # fmt: skip
@click.option("--shard", metavar="I/N", callback=_part,
              help="Part I of N of the study, for the jobs of an array.")  # fmt: skip
@machine_options
@click.option("--time-limit-s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="What a run may take before it is ended, and has failed; default: no "
              "limit.")  # fmt: skip
@keep_checkpoints_option
@click.option("--notebook", type=click.Path(path_type=Path), metavar="FILE",
              help="Another notebook than fine_tune, with its parameters.")  # fmt: skip
@click.option("--on", "device", metavar="DEVICE",
              help="Forecast for this model of device; default: that of DIR, else that of the "
              "measured runs.")  # fmt: skip
@intensity_option
@click.option("--json", "as_json", is_flag=True, help="Print the forecast or the outcome as JSON.")
@click.pass_context
def sweep(context: click.Context, study: str, output: Path, **options: Any) -> None:
    """Measure every run of STUDY: paper, demo, xray, xray-extra, or a YAML file.

    Each run leaves one record in DIR, written when it ends; the records are the only state. The
    same command goes on after any interruption, and several of them may work on one DIR. Ctrl-C
    lets the running runs finish, a second one does not. Exit code 0: all runs are done; 1:
    some failed or are not done; 2: it cannot begin, or cannot go on. With --dry-run nothing is
    written or trained.

    \b
    Example:
      pepr sweep paper --output results/paper --dry-run
      pepr sweep demo --output results/small
      pepr sweep study.yaml --output /shared/study --shard 3/16
      pepr status results/small
    """
    from pepr_utils.measurement.store import measured_on
    from pepr_utils.measurement.sweep.state import named_state
    from pepr_utils.measurement.sweep.study import load_study, make_plan

    whole = make_plan(load_study(study), weights_folder=options["weights"])
    plan = whole if options["shard"] is None else whole.part(*options["shard"])
    before = named_state(output, plan.names())
    device = options["device"] or measured_on(output)
    forecaster = forecaster_for(plan, before.done, options["basis"], device)
    if options["dry_run"]:
        _forecast(plan, before, forecaster, output, options)
        return
    after = run_plan(whole, plan, before, forecaster, output, options)
    _outcome(plan, after, output, attempts=options["attempts"], as_json=options["as_json"])
    if len(after.done) < len(plan.runs):
        context.exit(1)


def forecaster_for(
    plan: Plan,
    done: Sequence[Record],
    basis: Sequence[str],
    device: str | None,
    sizes: Mapping[str, Sizes] | None = None,
) -> Forecaster:
    """Forecasts from a folder's own runs first, then from sets of a basis, then published."""
    from pepr_utils.measurement.sweep.forecast import Forecaster, Source
    from pepr_utils.results import load_result_set

    names = [*basis, *([LAST_BASIS] if of_full_size(plan) else [])]
    sources = [Source.of(load_result_set(name)) for name in names]
    forecaster = Forecaster(sources, device, sizes or {})
    forecaster.learn(done)
    return forecaster


def _forecast(
    plan: Plan, before: State, forecaster: Forecaster, output: Path, options: dict[str, Any]
) -> None:
    from pepr_utils.measurement.metering import carbon_intensity
    from pepr_utils.measurement.sweep.dry_run import as_dict, lines, totals

    rows = totals(plan.runs, forecaster, {record.run_id for record in before.done})
    intensity = carbon_intensity(options["carbon_intensity"])
    if options["as_json"]:
        found = as_dict(rows[-1], intensity) | {
            "study": plan.study,
            "blocks": [as_dict(row, intensity) for row in rows[:-1]],
            "device": forecaster.device,
            "carbon_intensity_g_per_kwh": intensity.g_per_kwh,
            "not_there": [{"runs": n, "words": why} for why, n in plan.missing.items()],
        }
        echo(json.dumps(found, indent=1))
        return
    slots, device = runs_at_once(options), forecaster.device
    for line in lines(plan, rows, intensity, where=str(output), slots=slots, device=device):
        echo(line)


def runs_at_once(options: dict[str, Any]) -> int:
    """Runs at once, as far as that is known before a sweep begins."""
    from pepr_utils.measurement.sweep.gpus import find_gpus
    from pepr_utils.measurement.sweep.state import SweepError

    # The GPUs here say nothing of a cluster, or of the device that --on names.
    if options["scheduler"] is None and options["device"] is None:
        try:
            found = len(find_gpus(options["gpus"], os.environ))
        except SweepError as error:
            note(f"the sweep cannot start on this machine: {error}")
        else:
            return options["slots"] or found or 1
    return options["slots"] or (1 if options["gpus"] == "auto" else max(1, options["gpus"]))


def run_plan(
    whole: Plan,
    plan: Plan,
    before: State | None,
    forecaster: Forecaster,
    output: Path,
    options: dict[str, Any],
    *,
    until: Callable[[set[str]], Mapping[str, int | None]] | None = None,
) -> State:
    """Measure the runs of a plan by `sweep`; `whole` is what `pepr status` reads.

    The options are those of `pepr sweep`; `until` is that of `sweep`.
    """
    from pepr_utils.measurement.sweep import engine
    from pepr_utils.measurement.sweep.gpus import find_gpus
    from pepr_utils.measurement.sweep.plan import StudyError, write_plan
    from pepr_utils.measurement.sweep.view import View
    from pepr_utils.paths import notebook_file

    if options["scheduler"] is None and find_spec("torch") is None:
        raise NotInstalledError("a run needs torch, which is not installed", name="torch")
    if plan.missing:
        reasons = [f"{why} ({count(n, 'run')})" for why, n in plan.missing.items()]
        raise StudyError("\n".join([*reasons, "nothing was started"]))
    notebook = options["notebook"] or notebook_file("fine_tune.md")
    if not notebook.is_file():
        raise StudyError(f"no notebook {notebook}; allowed: a jupytext .md file or an .ipynb file")
    here = options["scheduler"] is None and options["gpus"] == "auto"
    if here and of_full_size(plan) and not find_gpus("auto", os.environ):
        note("no GPU is visible: the runs go to the processor, where 256 px take days; --gpus N "
             "makes that an error")  # fmt: skip
    parameters = {
        "weights": str(user_path(options["weights"]).resolve()) if options["weights"] else "",
        "carbon_intensity": options["carbon_intensity"] or "",
        "any_device": options["any_device"],
    } | ({"keep_checkpoints": True} if options["keep_checkpoints"] else {})
    # Which runs a race is still to train, nobody knows before.
    seconds = forecaster.seconds if until is None else None
    view = View(sys.stderr, seconds, plan.names(), before=before)
    planned, excluded = False, ()

    def watch(progress: Progress) -> None:
        nonlocal planned, excluded
        excluded = progress.excluded
        if not planned:  # not before the engine has found that it can begin
            planned = bool(write_plan(whole, output, forecaster.seconds))
        forecaster.learn(progress.state.done)
        view.update(progress)

    def ask(failed: set[str]) -> Mapping[str, int | None]:
        with view.above():
            return until(failed)

    found = engine.sweep(
        [planned.run for planned in plan.runs],
        notebook,
        output,
        slots=options["slots"],
        gpus=options["gpus"],
        scheduler=options["scheduler"],
        attempts=options["attempts"],
        time_limit_s=options["time_limit_s"],
        until=None if until is None else ask,
        seconds=forecaster.seconds,
        options=parameters,
        watch=watch,
    )
    for line in excluded:
        note(line)
    return found


def of_full_size(plan: Plan) -> bool:
    """Whether a run of a plan has images of the size of the published runs."""
    from pepr_utils.measurement.protocols import protocol
    from pepr_utils.results.release import IMAGE_SIZE

    return any(protocol(p.run.protocol).image_size == IMAGE_SIZE for p in plan.runs)


def _outcome(plan: Plan, after: State, output: Path, *, attempts: int, as_json: bool) -> None:
    from pepr_utils.commands.status import as_json_object, outcome_lines

    if as_json:
        echo(json.dumps(as_json_object(output, plan, after), indent=1))
        return
    for line in outcome_lines(output, plan, after):
        echo(line)
    if used_up := [record.attempt for record in after.failed if record.attempt >= attempts]:
        one = len(used_up) == 1
        note(
            f"{count(len(used_up), 'run')} failed and {'has' if one else 'have'} used up "
            f"{'its' if one else 'their'} {count(attempts, 'attempt')}; --attempts "
            f"{max(used_up) + 1} tries {'it' if one else 'them'} again"
        )
    if left := len(after.waiting) + len(after.paused):
        note(f"{count(left, 'run')} left: the same command goes on")
