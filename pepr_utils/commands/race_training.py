"""`pepr race` without --simulate: train a field of candidates, rung by rung, in a sweep."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.sweep import run_plan, runs_at_once
from pepr_utils.commands.text_table import count, echo, fraction, lines, note, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pepr_utils.measurement.race import Race
    from pepr_utils.measurement.run import Run
    from pepr_utils.measurement.sweep.forecast import Forecaster
    from pepr_utils.measurement.sweep.plan import Plan
    from pepr_utils.measurement.sweep.state import State

_WORTH_SAYING_BYTES = 1e8
#: Units of a budget: kind and how many of its own unit (kWh, s) they are.
_UNITS = {"Wh": ("energy", 1e-3), "kWh": ("energy", 1.0), "s": ("time", 1.0),
          "min": ("time", 60.0), "h": ("time", 3600.0)}  # fmt: skip
#: What a sweep has options for and a race has not.
_OF_SWEEP = {"notebook": None, "time_limit_s": None, "keep_checkpoints": True, "device": None}


def parse_budget(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """Read a budget such as 200Wh or 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e-?\d+)?)\s*([A-Za-z]+)\s*", value)
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
    output: Path,
    *,
    architectures: str,
    where: str | None,
    seeds: list[int],
    cost: str | None,
    budget: tuple[str, float] | None,
    finish: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Race, print the outcome and return the exit code: 0 where the race is decided."""
    from pepr_utils.measurement import race as racing

    options |= _OF_SWEEP
    say = _say
    plan, sizes = _field(dataset, architectures, where, seeds, options)
    folder = Path(output)
    race, forecaster = _race(plan, dataset, folder, cost, seeds, say, options)
    needed = racing.check_room_for_checkpoints(folder, sizes, len(seeds))
    if needed > _WORTH_SAYING_BYTES:
        say(f"checkpoints will take up to {needed / 1e9:.2g} GB in {folder / 'checkpoints'}")
    limit = None if budget is None else racing.Budget(*budget)
    found = racing.resumed(race)
    train = _trainer(plan, forecaster, folder, options)
    progress = racing.Progress(train, say, runs_at_once(options), limit)
    race = found or race
    if limit is not None:
        limit.check_first_rung(racing.standing(race))
    if found is None:
        _say_costs(race, say)
        race = racing.first_epochs(race, progress)
    now, why = racing.run_race(race, progress)
    leader = now.leader
    if not why and race.winner is None and leader is not None:
        now = replace(now, race=replace(race, winner=race.candidates[leader].name))
        racing.save(now.race)
    if finish and not why:
        now, why = racing.finish(now.race, progress)
    result = racing.as_dict(now, why)
    if as_json:
        echo(json.dumps(result, indent=1))
    else:
        _show(result)
    return 0 if result["winner"] is not None and not why else 1


def _say(text: str) -> None:
    note(text)


def _field(
    dataset: str, architectures: str, where: str | None, seeds: list[int], options: dict[str, Any]
) -> tuple[Plan, list[float]]:
    """The plan of all runs of the field, and the numbers of parameters that are known."""
    from pepr_utils.errors import RunError
    from pepr_utils.measurement.architectures import select_architectures
    from pepr_utils.measurement.run import Run, run_id
    from pepr_utils.measurement.sweep.plan import Plan, Planned
    from pepr_utils.measurement.sweep.study import ALL, check_sizes
    from pepr_utils.results import load_architectures

    table = load_architectures().set_index("architecture")["n_parameters"]
    every = ",".join(table.index) if architectures.strip() == ALL else architectures
    names = select_architectures(every, where)
    if len(names) < 2:
        raise RunError(
            f"the field is {names[0]} alone; a race needs two candidates or more: "
            "--architectures a,b, or all"
        )
    check_sizes(names, options["protocol"])
    shared = options["protocol"], options["pretrained"], options["train_fraction"]
    weights = options["weights"]
    planned = tuple(
        Planned(run, "race", run_id(run, weights))
        for run in (Run(name, dataset, *shared, seed) for seed in seeds for name in names)
    )
    return Plan("race", planned), [float(table[n]) for n in names if n in table.index]


def _race(
    plan: Plan,
    dataset: str,
    folder: Path,
    cost: str | None,
    seeds: list[int],
    say: Callable[[str], object],
    options: dict[str, Any],
) -> tuple[Race, Forecaster]:
    """The race as it is asked for, with what is known of its costs."""
    from pepr_utils.errors import RunError
    from pepr_utils.measurement.datasets import split_sizes
    from pepr_utils.measurement.protocols import protocol
    from pepr_utils.measurement.race import Race, make_candidates
    from pepr_utils.scoring import RaceRules

    sizes = split_sizes(dataset)
    if sizes.val < 1:
        raise RunError(
            f"{dataset} has no validation images, and a race is decided by them, never by test "
            "images; set some of the training images apart"
        )
    n_images = sizes.val * len(seeds)
    rules = RaceRules(
        protocol(options["protocol"]).epochs,
        options["rule"] or "halving",
        options["alpha"],
        options["eta"],
        options["first_epochs"],
        n_images=n_images if options["cautious"] else None,
    )
    kind = _cost(cost, say, options)
    runs: dict[str, dict[str, Run]] = {}
    for planned in plan.runs:
        runs.setdefault(planned.run.architecture, {})[planned.run_id or ""] = planned.run
    whole = _forecaster(plan, folder, options, dataset, sizes)
    training = _forecaster(plan, folder, options, dataset, replace(sizes, val=0, test=0))
    settings = {
        "data": dataset,
        "seeds": seeds,
        **{name: options[name] for name in ("protocol", "pretrained", "train_fraction", "alpha",
                                            "eta", "first_epochs", "cautious")},
        "rule": rules.rule,
    }  # fmt: skip
    candidates = tuple(make_candidates(runs, kind, whole, training))
    say(
        f"{count(len(candidates), 'candidate')} on {dataset}, by PePR on the validation accuracy "
        f"of {count(n_images, 'image')} and the {kind} of the training; rule {rules.rule}"
    )
    return Race(folder, candidates, rules, kind, n_images, settings), whole


def _cost(cost: str | None, say: Callable[[str], object], options: dict[str, Any]) -> str:
    """The kind of cost: as asked for, else energy where this machine can read it, else time."""
    from pepr_utils.errors import unknown_name
    from pepr_utils.measurement.metering.check import possibilities
    from pepr_utils.measurement.race import COSTS

    letters = {letter: name for name, letter in COSTS.items()}
    if cost is not None:
        if letters.get(cost, cost) not in COSTS:
            raise unknown_name("cost", cost, [*COSTS, *letters])
        return letters.get(cost, cost)
    counted = {(found.part, found.method) for found in possibilities() if found.available}
    if options["scheduler"] is not None or any(
        pair in counted for pair in (("gpu", "counter"), ("gpu", "polled"), ("cpu", "rapl"))
    ):
        return "energy"
    say("no energy counter can be read on this machine (pepr meter --check says why): the cost is "
        "the time of the training; --cost energy takes the estimate")  # fmt: skip
    return "time"


def _forecaster(
    plan: Plan, folder: Path, options: dict[str, Any], dataset: str, sizes: Any
) -> Forecaster:
    """Forecasts from the folder's own runs first, then from those of --basis, then published."""
    from pepr_utils.commands.sweep import LAST_BASIS, of_full_size
    from pepr_utils.measurement.store import measured_on
    from pepr_utils.measurement.sweep.forecast import HERE, Forecaster, Source, name_of
    from pepr_utils.measurement.sweep.state import state
    from pepr_utils.results import load_result_set
    from pepr_utils.results.load import of_records

    names = [*options["basis"], *([LAST_BASIS] if of_full_size(plan) else [])]
    sources = [Source.of(load_result_set(name)) for name in names]
    if done := state(folder).done:
        own = {name_of(dataset): sizes} if sizes.val else None
        sources.insert(0, Source.of(of_records(done, HERE), sizes=own))
    return Forecaster(sources, device=measured_on(folder), sizes={dataset: sizes})


def _trainer(
    plan: Plan, forecaster: Forecaster, folder: Path, options: dict[str, Any]
) -> Callable[[Sequence[Run], int | None], State]:
    """What trains runs up to an epoch: a sweep with its table."""
    from pepr_utils.measurement.sweep.plan import Plan
    from pepr_utils.measurement.sweep.state import named_state

    def train(runs: Sequence[Run], until_epoch: int | None) -> State:
        wanted = set(runs)
        part = Plan(plan.study, tuple(p for p in plan.runs if p.run in wanted))
        before = named_state(folder, part.names(), until_epoch)
        return run_plan(plan, part, before, forecaster, folder, options, until_epoch=until_epoch)

    return train


def _say_costs(race: Race, say: Callable[[str], object]) -> None:
    """Say where the cost of each candidate is from, those of one source in a line."""
    by_basis: dict[str, list[str]] = {}
    for candidate in race.candidates:
        by_basis.setdefault(candidate.basis, []).append(candidate.name)
    for basis, names in by_basis.items():
        if basis:
            say(f"the {race.cost} of {', '.join(names)} is expected from: {basis}")


# -- the outcome -----------------------------------------------------------------------------------


def _show(found: dict[str, Any]) -> None:
    """Print the outcome: the candidates, what was spent and saved, how sure it is."""
    rows = sorted(found["candidates"], key=_order)
    nan = float("nan")
    columns = {
        "architecture": [r["architecture"] for r in rows],
        "epochs": [str(r["epochs_done"]) for r in rows],
        "val. accuracy": [fraction(nan if r["val_accuracy"] is None else r["val_accuracy"])
                          for r in rows],
        "R": [f"{r['resource']:.3f}" for r in rows],
        "PePR": [fraction(nan if r["score"] is None else r["score"]) for r in rows],
        "outcome": [_outcome(r) for r in rows],
    }  # fmt: skip
    echo("\n".join(lines(columns, name="architecture")))
    for sentence in [*_winner(found), *_savings(found)]:
        echo("\n".join(wrapped(sentence)))


def _order(row: dict[str, Any]) -> tuple:
    rank = ("winner", "finished", "competing", "eliminated", "failed").index(row["outcome"])
    return rank, -row["epochs_done"], -(row["score"] or 0.0)


def _outcome(row: dict[str, Any]) -> str:
    if row["outcome"] != "eliminated":
        return row["outcome"]
    epoch = row["eliminated_after_epoch"]
    return f"out after epoch {epoch}" if epoch else "not begun"


def _winner(found: dict[str, Any]) -> list[str]:
    if found["undecided_because"]:
        return [f"not decided, {found['leader'] or 'nobody'} leads: {found['undecided_because']}"]
    row = next(r for r in found["candidates"] if r["architecture"] == found["winner"])
    tested = row["test_accuracy"]
    text = f"winner: {row['architecture']}, PePR {row['score']:.4f} by validation accuracy"
    said = [text if tested is None else f"{text}; its test accuracy is {tested:.4f}"]
    if found["by_proof"]:
        said.append("no candidate that was not trained can score more, whatever its accuracy")
    if (sure := found["confidence"]) is None:
        return said
    images = count(sure["validation_images"], "validation image")
    lead = f"the closest was {sure['closest']}, {sure['lead']:.4f} behind after epoch"
    noise = f"the noise of {images} is {sure['noise']:.4f} ({sure['level']:.0%} interval)"
    within = sure["lead"] <= sure["noise"]
    verdict = "so it may be the better one" if within else "so it is behind"
    said.append(f"{lead} {sure['after_epoch']}; {noise}, {verdict}")
    if sure["images_needed"]:
        said.append(f"about {sure['images_needed']:,} validation images would tell them apart")
    return said


def _savings(found: dict[str, Any]) -> list[str]:
    from pepr_utils.measurement.race import Spent

    race, every = Spent(**found["spent_in_race"]), found["training_all"]
    whole, n = Spent(every["kwh"], every["seconds"]), every["candidates_forecast"]
    share = found["share_of_training_all"]
    how = "as measured" if not n else f"for {n} of them forecast from the epochs that they have"
    of_all = "" if share is None else f", {share:.0%} of training all to the end"
    said = [f"the race took {race}{of_all} ({whole}, {how})"]
    if n and found["winner"]:
        left = Spent(
            *(None if None in (a, b) else max(0.0, a - b)
              for a, b in ((whole.kwh, found["spent"]["kwh"]),
                           (whole.seconds, found["spent"]["seconds"])))
        )  # fmt: skip
        said.append(f"--finish trains the others to the end for about {left}")
    return said
