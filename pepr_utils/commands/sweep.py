"""`pepr sweep`: run a whole study, or say before what it would take."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.commands.text_table import count, echo, note
from pepr_utils.errors import NotInstalledError

if TYPE_CHECKING:
    from pepr_utils.measurement.sweep.forecast import Forecaster
    from pepr_utils.measurement.sweep.plan import Plan
    from pepr_utils.measurement.sweep.state import Progress, State

#: What the forecast rests on where neither the folder nor --basis has measured runs.
_LAST_BASIS = "published-repaired"


def _part(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(f"{value!r} is no part; allowed: I/N with I from 1 to N, as 3/16")
    return int(match[1]), int(match[2])


def _gpus(_context: click.Context, _option: click.Parameter, value: str) -> Any:
    if value == "auto":
        return value
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is no number of cards; allowed: auto, 0, 1, 2, ...")
    return int(value)


@click.command()
@click.argument("study", metavar="STUDY")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Folder of the result set; finished runs in it are not repeated.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Say how many runs there are and what they would take, and stop.")  # fmt: skip
@click.option("--shard", metavar="I/N", callback=_part,
              help="Part I of N of the study, for the jobs of an array.")  # fmt: skip
@click.option("--slots", type=click.IntRange(min=1), metavar="N",
              help="Runs at once on a machine without GPUs; default 1. Timings and energies are "
              "comparable only with one.")  # fmt: skip
@click.option("--gpus", default="auto", show_default=True, metavar="N", callback=_gpus,
              help="GPUs to use, one run at a time on each; auto: all visible ones.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS|FILE",
              help="A running Dask cluster: tcp://node7:8786, or a scheduler file.")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR",
              help="Folder with pretrained weights, for machines without a network.")  # fmt: skip
@click.option("--attempts", default=2, show_default=True, type=click.IntRange(min=1), metavar="N",
              help="Times that a run is tried before it stays failed.")  # fmt: skip
@click.option("--time-limit-s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="What a run may take before it is ended, and has failed; default: any "
              "time.")  # fmt: skip
@click.option("--notebook", type=click.Path(path_type=Path), metavar="FILE",
              help="Another notebook than fine_tune, with its parameters.")  # fmt: skip
@click.option("--any-device", is_flag=True,
              help="Add to a result set that was measured on another device.")  # fmt: skip
@click.option("--basis", multiple=True, metavar="SET",
              help="Measured runs that the forecast may rest on, beside those in DIR and the "
              "published ones; repeatable.")  # fmt: skip
@click.option("--on", "device", metavar="DEVICE",
              help="Forecast for this model of device; default: that of DIR, else this machine's "
              "GPU.")  # fmt: skip
@intensity_option
@click.option("--json", "as_json", is_flag=True, help="Print the forecast or the outcome as JSON.")
@click.pass_context
def sweep(context: click.Context, study: str, output: Path, **options: Any) -> None:
    """Measure every run of STUDY: paper, demo, or a YAML file.

    Each run leaves one record in DIR, written when it ends; the records are the only state. The
    same command goes on after whatever interrupted it, and several of them may work on one DIR.
    Ctrl-C lets the running runs finish, a second one does not. Exit code 0: all runs are done; 1:
    some failed or are not done; 2: it cannot begin, or cannot go on. With --dry-run nothing is
    written or trained.

    \b
    Example:
      pepr sweep paper --output results/paper --dry-run
      pepr sweep demo --output results/small
      pepr sweep study.yaml --output /shared/study --shard 3/16
      pepr status results/small
    """
    from pepr_utils.measurement.sweep.plan import make_plan
    from pepr_utils.measurement.sweep.state import named_state
    from pepr_utils.measurement.sweep.study import load_study

    whole = make_plan(load_study(study), weights_folder=options["weights"])
    plan = whole if options["shard"] is None else whole.part(*options["shard"])
    before = named_state(output, plan.names())
    forecaster = _forecaster(plan, before, output, options)
    if options["dry_run"]:
        _note_missing_gpus(options)
        _forecast(plan, before, forecaster, output, options)
        return
    after = _run(whole, plan, before, forecaster, output, options)
    _outcome(plan, after, output, attempts=options["attempts"], as_json=options["as_json"])
    if len(after.done) < len(plan.runs):
        context.exit(1)


def _forecaster(plan: Plan, before: State, output: Path, options: dict[str, Any]) -> Forecaster:
    """What can be known of the cost: the folder's own runs first, then others that are named."""
    from pepr_utils.measurement.sweep.device import device_of
    from pepr_utils.measurement.sweep.forecast import Forecaster, Source
    from pepr_utils.results import load_result_set

    sources = [Source.of(load_result_set(name)) for name in options["basis"]]
    if _of_full_size(plan):
        sources.append(Source.of(load_result_set(_LAST_BASIS)))
    forecaster = Forecaster(sources, device=options["device"] or device_of(output))
    forecaster.learn(before.done)
    return forecaster


def _forecast(
    plan: Plan, before: State, forecaster: Forecaster, output: Path, options: dict[str, Any]
) -> None:
    from pepr_utils.measurement.metering import carbon_intensity
    from pepr_utils.measurement.sweep.outlook import as_dict, done_names, lines, outlook

    rows = outlook(plan.runs, forecaster, done_names(before))
    intensity = carbon_intensity(options["carbon_intensity"])
    if options["as_json"]:
        found = as_dict(rows[-1], intensity) | {
            "study": plan.study,
            "blocks": [as_dict(row, intensity) for row in rows[:-1]],
            "device": forecaster.device,
            "carbon_intensity_g_per_kwh": intensity.g_per_kwh,
            "not_there": [{"runs": n, "words": words} for words, n in plan.missing.items()],
        }
        echo(json.dumps(found, indent=1))
        return
    text = lines(
        plan, rows, intensity, where=str(output), slots=_at_once(options), device=forecaster.device
    )
    for line in text:
        echo(line)


def _at_once(options: dict[str, Any]) -> int:
    """Runs at once, as far as that is known before a sweep begins."""
    from pepr_utils.measurement.sweep.gpus import find_gpus
    from pepr_utils.measurement.sweep.state import SweepError

    n = options["slots"] or (options["gpus"] if options["gpus"] != "auto" else None)
    # The GPUs here say nothing of a cluster, or of the machine that --on has in mind.
    if n is None and options["scheduler"] is None and options["device"] is None:
        with suppress(SweepError):
            n = len(find_gpus("auto", os.environ))
    return n or 1


def _note_missing_gpus(options: dict[str, Any]) -> None:
    """Note of a dry run that the sweep would not begin here, for want of GPUs."""
    from pepr_utils.measurement.sweep.gpus import find_gpus
    from pepr_utils.measurement.sweep.state import SweepError

    if options["gpus"] == "auto" or options["scheduler"] is not None:
        return
    try:
        find_gpus(options["gpus"], os.environ)
    except SweepError as error:
        note(f"on this machine the sweep would not begin: {error}")


def _run(
    whole: Plan,
    plan: Plan,
    before: State,
    forecaster: Forecaster,
    output: Path,
    options: dict[str, Any],
) -> State:
    from pepr_utils.measurement.sweep import engine
    from pepr_utils.measurement.sweep.plan import write_plan
    from pepr_utils.measurement.sweep.study import StudyError
    from pepr_utils.measurement.sweep.view import View
    from pepr_utils.paths import notebook_file

    if options["scheduler"] is None and find_spec("torch") is None:
        raise NotInstalledError("a run needs torch, which is not installed", name="torch")
    if plan.missing:
        faults = [f"{why} ({count(n, 'run')})" for why, n in plan.missing.items()]
        raise StudyError("\n".join([*faults, "nothing was begun"]))
    notebook = options["notebook"] or notebook_file("fine_tune.md")
    if not notebook.is_file():
        raise StudyError(f"no notebook {notebook}; allowed: a jupytext .md file or an .ipynb file")
    if _on_a_processor(plan, forecaster, options):
        note("no graphics card is visible: the runs go to the processor, where 256 px take days; "
             "--gpus N makes that an error")  # fmt: skip
    parameters = {
        "weights": str(options["weights"].expanduser().resolve()) if options["weights"] else "",
        "carbon_intensity": options["carbon_intensity"] or "",
        "any_device": options["any_device"],
    }
    view = View(sys.stderr, forecaster.seconds, plan.names(), before=before)

    begun: list[Path] = []
    aside: tuple[str, ...] = ()

    def watch(progress: Progress) -> None:
        nonlocal aside
        aside = progress.aside
        if not begun:  # not before the engine has found that it can begin
            begun.append(write_plan(whole, output, forecaster.seconds))
        forecaster.learn(progress.state.done)
        view.update(progress)

    found = engine.sweep(
        [planned.run for planned in plan.runs],
        notebook,
        output,
        slots=options["slots"],
        gpus=options["gpus"],
        scheduler=options["scheduler"],
        attempts=options["attempts"],
        time_limit_s=options["time_limit_s"],
        seconds=forecaster.seconds,
        options=parameters,
        watch=watch,
    )
    for line in aside:
        note(line)
    return found


def _on_a_processor(plan: Plan, forecaster: Forecaster, options: dict[str, Any]) -> bool:
    """Whether runs of the paper's image size are begun without any sign of a GPU."""
    ours = options["scheduler"] is None and options["gpus"] in ("auto", 0)
    return ours and forecaster.device is None and _of_full_size(plan)


def _of_full_size(plan: Plan) -> bool:
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
    if after.waiting:
        note(f"{count(len(after.waiting), 'run')} left: the same command goes on")
