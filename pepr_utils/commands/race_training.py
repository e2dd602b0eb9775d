"""`pepr race` without --simulate: train a field of candidates, rung by rung, in sweeps."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.sweep import forecaster_for, run_plan, runs_at_once
from pepr_utils.commands.text_table import count, echo, fraction, lines, note, wrapped
from pepr_utils.errors import NotInstalledError

if TYPE_CHECKING:
    from pepr_utils.measurement.race import Race
    from pepr_utils.measurement.run import Run
    from pepr_utils.measurement.sweep.forecast import Forecaster
    from pepr_utils.measurement.sweep.plan import Plan

#: Units of a budget: the quantity, and how many kWh or s one is.
_UNITS = {"Wh": ("kwh", 1e-3), "kWh": ("kwh", 1.0), "s": ("seconds", 1.0),
          "min": ("seconds", 60.0), "h": ("seconds", 3600.0)}  # fmt: skip
#: Costs by the letters of the score.
_LETTERS = {"E": "energy", "T": "time", "C": "co2", "M": "memory"}
#: What a sweep has options for and a race has not.
_OF_SWEEP = {"notebook": None, "time_limit_s": None, "keep_checkpoints": True, "device": None}
#: What defines a race, beside its candidates.
_SETTINGS = ("protocol", "pretrained", "train_fraction", "seeds", "alpha", "eta", "first_epochs",
             "cautious")  # fmt: skip
#: The exit code of what Ctrl-C has ended.
_INTERRUPTED = 130


def parse_budget(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """Read a budget such as 200Wh or 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*([A-Za-z]+)\s*", value)
    if match is None or match[2] not in _UNITS or not float(match[1]):
        raise click.BadParameter(f"{value!r}; allowed: a number above 0 with {', '.join(_UNITS)}")
    kind, factor = _UNITS[match[2]]
    return kind, float(match[1]) * factor


def parse_seeds(_context: click.Context, _option: click.Parameter, value: str) -> list[int]:
    """Read a list of seeds such as 1,2,3."""
    try:
        return list(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r}; allowed: whole numbers such as 1,2,3") from None


def train_race(
    dataset: str,
    folder: Path,
    *,
    budget: tuple[str, float] | None,
    finish: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Race, print the outcome and return the exit code: 0 where the race is decided."""
    from pepr_utils.measurement import race as racing

    here = [] if options["scheduler"] else ["torch"]
    for name in ("distributed", "jupytext", "papermill", *here):
        if find_spec(name) is None:  # one error, before anything is said of the race
            raise NotInstalledError(f"a race needs {name}, which is not installed", name=name)
    options |= _OF_SWEEP
    plan = _plan(dataset, options)
    asked, forecaster = _race(plan, dataset, folder, options)
    limit = None if budget is None else racing.Budget(*budget)
    racer = racing.Racer(racing.resumed(asked), note, runs_at_once(options), limit, finish)
    run_plan(plan, plan, None, forecaster, folder, options, until=racer.until)
    now = racer.outcome()
    found = racing.as_dict(now, racer.why)
    if as_json:
        echo(json.dumps(found, indent=1))
    elif now.race.fixed:  # before, there are no scores
        _show(found)
    if racer.why and (as_json or not now.race.fixed):
        note(racer.why)
    if racer.why == racing.STOPPED:
        return _INTERRUPTED
    return 1 if racer.why or found["winner"] is None else 0


def _plan(dataset: str, options: dict[str, Any]) -> Plan:
    """The plan of all runs of the field."""
    from pepr_utils.errors import RunError
    from pepr_utils.measurement.architectures import select_architectures
    from pepr_utils.measurement.run import Run, run_id
    from pepr_utils.measurement.sweep.plan import Plan, Planned
    from pepr_utils.measurement.sweep.study import ALL, check_sizes
    from pepr_utils.results import load_architectures

    names = options["architectures"]
    if names.strip() == ALL:
        names = load_architectures()["architecture"].tolist()
    names = select_architectures(names, options["where"])
    if len(names) < 2:
        raise RunError(
            f"the field is {names[0]} alone; a race needs two candidates or more: "
            "--architectures a,b, or all"
        )
    check_sizes(names, options["protocol"])
    shared = options["protocol"], options["pretrained"], options["train_fraction"]
    runs = [Run(name, dataset, *shared, seed) for name in names for seed in options["seeds"]]
    return Plan("race", tuple(Planned(r, "race", run_id(r, options["weights"])) for r in runs))


def _race(
    plan: Plan, dataset: str, folder: Path, options: dict[str, Any]
) -> tuple[Race, Forecaster]:
    """The race that is asked for, with what is known of its costs, said for each candidate."""
    from pepr_utils.errors import RunError
    from pepr_utils.measurement.datasets import split_sizes
    from pepr_utils.measurement.protocols import protocol
    from pepr_utils.measurement.race import Candidate, Race, Spent
    from pepr_utils.measurement.sweep.forecast import NOT_SCALED
    from pepr_utils.scoring import RaceRules

    sizes = split_sizes(dataset)
    if sizes.val < 1:
        raise RunError(
            f"{dataset} has no validation images, and a race is decided by them, never by test "
            "images; set some of the training images apart"
        )
    n_images = sizes.val * len(options["seeds"])
    rules = RaceRules(
        protocol(options["protocol"]).epochs,
        options["rule"] or "halving",
        options["alpha"],
        options["eta"],
        options["first_epochs"],
        n_images=n_images if options["cautious"] else None,
    )
    cost = _cost(options)
    whole = _forecaster(plan, folder, dataset, sizes, options)
    # The score counts the training without its evaluations.
    alone = _forecaster(plan, folder, dataset, replace(sizes, val=0, test=0), options)
    runs: dict[str, dict[str, Run]] = {}
    for planned in plan.runs:
        runs.setdefault(planned.run.architecture, {})[planned.run_id or ""] = planned.run
    candidates, said = [], {}
    for name, own in runs.items():
        training, total = (forecast(next(iter(own.values()))) for forecast in (alone, whole))
        value = {"time": training.seconds, "energy": training.energy_kwh}.get(cost)
        spent, basis = Spent(total.energy_kwh, total.seconds), training.basis
        if value is None or NOT_SCALED in basis:  # it would set the bounds of R to another scale
            value, basis, spent = None, "", Spent(None, None)
        candidates.append(Candidate(name, own, value, basis, spent))
        said.setdefault(candidates[-1].basis, []).append(name)
    note(
        f"{count(len(candidates), 'candidate')} on {dataset}, by PePR on the validation accuracy "
        f"of {count(n_images, 'image')} and the {cost} of the training; rule {rules.rule}"
    )
    for basis, names in said.items():
        if basis:
            note(f"the {cost} of {', '.join(names)} is expected from {basis}")
    settings = {"data": dataset, "cost": cost, "rule": rules.rule}
    settings |= {name: options[name] for name in _SETTINGS}
    return Race(folder, tuple(candidates), rules, cost, n_images, settings), whole


def _cost(options: dict[str, Any]) -> str:
    """The kind of cost: as asked for, else energy where this machine can read it, else time."""
    from pepr_utils.errors import unknown_name
    from pepr_utils.measurement.metering.check import possibilities
    from pepr_utils.measurement.race import COSTS

    if options["cost"] is not None:
        asked = _LETTERS.get(options["cost"], options["cost"])
        if asked not in COSTS:
            raise unknown_name("cost", options["cost"], [*COSTS, *_LETTERS])
        return asked
    measured = {found.method for found in possibilities() if found.available}
    if options["scheduler"] is not None or measured & {"counter", "polled", "rapl"}:
        return "energy"
    note("no energy counter can be read on this machine (pepr meter --check says why): the cost is "
         "the time of the training; --cost energy takes the estimate")  # fmt: skip
    return "time"


def _forecaster(
    plan: Plan, folder: Path, dataset: str, sizes: Any, options: dict[str, Any]
) -> Forecaster:
    """Forecasts from the folder's own runs first, then from those of --basis, then published."""
    from pepr_utils.measurement.store import measured_on
    from pepr_utils.measurement.sweep.state import state
    from pepr_utils.measurement.training.device import choose_device, device_name

    device = measured_on(folder)
    if device is None and options["scheduler"] is not None:
        device = "a device of the scheduler"
    elif device is None:
        device = device_name(choose_device("cpu" if options["gpus"] == 0 else "auto"))
    return forecaster_for(plan, state(folder).done, options["basis"], device, {dataset: sizes})


# -- the outcome -----------------------------------------------------------------------------------


def _show(found: dict[str, Any]) -> None:
    """Print the outcome: the candidates, how sure it is, what was spent and saved."""
    kinds = ("winner", "finished", "competing", "eliminated", "failed")
    rows = sorted(
        found["candidates"],
        key=lambda r: (kinds.index(r["outcome"]), -r["epochs_done"], -(r["score"] or 0.0)),
    )
    columns = {
        "architecture": [r["architecture"] for r in rows],
        "epochs": [str(r["epochs_done"]) for r in rows],
        "val. accuracy": [_fraction(r["val_accuracy"]) for r in rows],
        "R": [f"{r['resource']:.3f}" for r in rows],
        "PePR": [_fraction(r["score"]) for r in rows],
        "outcome": [_outcome(r) for r in rows],
    }
    echo("\n".join(lines(columns, name="architecture")))
    for sentence in [*_decision(found), *_savings(found)]:
        echo("\n".join(wrapped(sentence)))


def _fraction(value: float | None) -> str:
    return fraction(float("nan") if value is None else value)


def _outcome(row: dict[str, Any]) -> str:
    if row["outcome"] != "eliminated":
        return row["outcome"]
    epoch = row["eliminated_after_epoch"]
    return f"out after epoch {epoch}" if epoch else "not begun"


def _decision(found: dict[str, Any]) -> list[str]:
    if found["winner"] is None:
        leads = f"{found['leader']} leads" if found["leader"] else "nothing is measured"
        return [f"not decided, {leads}: {found['undecided_because'] or 'no candidate is left'}"]
    row = next(r for r in found["candidates"] if r["architecture"] == found["winner"])
    text = f"winner: {row['architecture']}, PePR {row['score']:.4f} by validation accuracy"
    tested = row["test_accuracy"]
    said = [text if tested is None else f"{text}; its test accuracy is {tested:.4f}"]
    if found["leader"] != found["winner"]:
        said.append(f"trained to the end, {found['leader']} is the better one by validation")
    if found["by_proof"]:
        said.append(
            "no candidate that was not trained can score more, whatever its accuracy, "
            "if its cost is as expected"
        )
    if (sure := found["confidence"]) is not None:
        images = count(sure["validation_images"], "validation image")
        sure_of_it = "uncertain" if sure["noise"] >= sure["lead"] else "certain"
        behind = "behind" if sure["lead"] >= 0 else "ahead of it, by the costs as measured since,"
        said.append(
            f"the closest to {found['leader']} is {sure['closest']}, {abs(sure['lead']):.4f} "
            f"{behind} after epoch {sure['after_epoch']}; the noise of {images} is "
            f"{sure['noise']:.4f} ({100 * sure['level']:g} % interval): which of them is better is "
            f"{sure_of_it}"
        )
        if sure["images_needed"]:
            said.append(f"about {sure['images_needed']:,} images would tell them apart")
    return said


def _savings(found: dict[str, Any]) -> list[str]:
    from pepr_utils.measurement.race import Spent

    every, share = dict(found["training_all"]), found["share_of_training_all"]
    n, race = every.pop("candidates_forecast"), Spent(**found["spent_in_race"])
    how = f"{n} of them forecast" if n else "as measured"
    of_all = "" if share is None else f", {100 * share:.0f} % of training all to the end"
    said = [f"the race took {race}{of_all} ({Spent(**every)}, {how})"]
    if n and found["winner"]:
        left = {
            kind: None if None in (total, found["spent"][kind]) else total - found["spent"][kind]
            for kind, total in every.items()
        }
        said.append(f"--finish trains the others to the end for about {Spent(**left)}")
    return said
