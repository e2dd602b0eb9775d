"""`pepr race`: find the model with the best score without training all of them to the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.commands.race_training import parse_budget, parse_seeds, train_race
from pepr_utils.commands.run import filled
from pepr_utils.commands.sweep import machine_options
from pepr_utils.commands.text_table import count, echo, fraction, lines, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.statistics.race_simulation import RaceField


#: Options that go with --simulate alone.
_OF_SIMULATION = ("draws", "candidates", "images", "seed")


@click.command()
@click.option("--data", "dataset", callback=filled, metavar="NAME|FOLDER|FILE.npz",
              help="Race on these images; see pepr run.")  # fmt: skip
@click.option("--architectures", metavar="A,B|all", default="",
              help="The field: names of timm's models; all: the paper's 131.")  # fmt: skip
@click.option("--where", metavar="CONDITION",
              help="Choose from the field, or from the 131, such as "
              "'n_parameters < 10e6'.")  # fmt: skip
@click.option("--output", callback=filled, metavar="DIR",
              help="Folder of the result set; what is measured in it is not repeated.")  # fmt: skip
@click.option("--budget", callback=parse_budget, metavar="200Wh|2h",
              help="Stop before the race takes more than this, evaluations included; Wh, kWh, s, "
              "min or h.")  # fmt: skip
@click.option("--seeds", default="1", show_default=True, callback=parse_seeds, metavar="1,2,..",
              help="Train each candidate with these seeds, and compare their means.")  # fmt: skip
@click.option("--finish", is_flag=True,
              help="Then train the eliminated candidates to the end too.")  # fmt: skip
@click.option("--protocol", default="fast", show_default=True, help="paper, fast or demo.")
@click.option("--pretrained/--scratch", default=True, show_default=True,
              help="From ImageNet-1k weights, or from random ones.")  # fmt: skip
@click.option("--train-fraction", default=1.0, show_default=True,
              help="Share of the training images to use.")  # fmt: skip
@machine_options
@intensity_option
@click.option("--simulate", metavar="SET",
              help="Replay races on the learning curves of a result set; nothing is "
              "trained.")  # fmt: skip
@click.option("--rule", metavar="RULE",
              help="halving, exact or both; --simulate has baselines too: all, accuracy, "
              "hyperband, freeze-thaw, random, cheapest.")  # fmt: skip
@click.option("--alpha", default=1.0, show_default=True, help="Emphasis on performance.")
@click.option("--eta", default=2, show_default=True,
              help="After each rung 1 / eta of the candidates go on, for eta times the "
              "epochs.")  # fmt: skip
@click.option("--first-epochs", default=1, show_default=True, help="Epochs of the first rung.")
@click.option("--cautious", is_flag=True,
              help="Keep a candidate unless the best is ahead by more than the noise of the images "
              "(95 % interval).")  # fmt: skip
@click.option("--cost", metavar="energy|time|co2|memory",
              help="What performance is weighed against, also as E, T, C or M; default: energy "
              "where it can be read, else time.")  # fmt: skip
@click.option("--draws", type=click.IntRange(min=0), default=0, metavar="N",
              help="With --simulate: race N random parts of each field, their accuracies drawn "
              "anew.")  # fmt: skip
@click.option("--candidates", type=click.IntRange(min=2), default=40, show_default=True,
              help="With --draws: candidates of each part.")  # fmt: skip
@click.option("--images", type=click.IntRange(min=1), metavar="N",
              help="With --simulate: images behind each accuracy; default as many as SET "
              "says.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="With --simulate: of --draws, random and hyperband.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True,
              help="Print the race as an object, or an array of simulated ones.")  # fmt: skip
@click.pass_context
def race(context: click.Context, simulate: str | None, as_json: bool, **options: Any) -> None:
    """Find the model with the best score without training all of them to the end.

    halving: all candidates train for an epoch; the better half by PePR trains for one more, the
    better half of these for two more, and so on. exact: whole trainings, cheapest first, until
    the next candidate could not win even with a perfect performance. both: halving, without the
    candidates that cannot win.

    With --simulate the epochs are looked up in SET (see `pepr data list`) instead of trained, and
    each rule is told by the share of the energy of training all candidates that it spends, and by
    its regret: by how much the score of the model that it finds lies below the best.

    With --data the candidates are trained by a sweep on these images, and compared by validation
    accuracy, never by test images. Their runs pause after each rung, and only what goes on is
    trained further; `pepr run` or --finish can finish the others later. The same command goes on
    after any interruption. Exit code 0: the race is decided; 1: it is not; 2: it cannot begin.

    \b
    Example:
      pepr race --data ~/xrays --architectures all --output results/race --budget 200Wh
      pepr race --data phantom --architectures resnet18d,dla46_c --protocol demo --scratch \\
        --output results/small
      pepr race --simulate published
      pepr race --simulate published-repaired --rule halving --alpha 4
      pepr race --simulate published --draws 200 --json
    """
    given = {name: options.pop(name) for name in _OF_SIMULATION}
    shared = ("rule", "alpha", "eta", "first_epochs", "cautious")
    if simulate is not None:
        given |= {name: options[name] for name in shared}
        _simulate(simulate, cost=options["cost"] or "E", as_json=as_json, **given)
        return
    dataset, output = options.pop("dataset"), options.pop("output")
    if dataset is None or output is None:
        raise click.UsageError(
            "name the images and a folder for the records, as in: pepr race --data phantom "
            "--architectures all --output DIR; or replay a race: pepr race --simulate published"
        )
    context.exit(train_race(dataset, Path(output), as_json=as_json, **options))


def _simulate(
    result_set: str, *, rule: str | None, cost: str, draws: int, as_json: bool, **options: Any
) -> None:
    from pepr_utils.results import load_result_set
    from pepr_utils.results.export import to_json
    from pepr_utils.statistics.race_simulation import race_fields, simulate_races

    results = load_result_set(result_set)
    fields = race_fields(results, cost=cost)
    names = None if rule is None else [rule]
    found = simulate_races(fields, names, draws=draws, **options)
    if as_json:
        echo(to_json(_by_experiment(found, drawn=draws > 0).drop(columns="label")))
    elif rule is None:
        _print_rules(found)
    else:
        _print_experiments(_by_experiment(found, drawn=draws > 0), drawn=draws > 0)
    if not as_json:
        n_paused = int((results.runs["status"] == "paused").sum())
        _print_basis(fields, draws, options["candidates"], n_paused)


def _by_experiment(found: pd.DataFrame, *, drawn: bool) -> pd.DataFrame:
    """One row per experiment and rule; over draws their means, and the most common names."""
    if not drawn:
        return found.drop(columns=["draw", "n_candidates", "n_begun", "n_finished"])
    by = found.groupby(["experiment", "label", "rule"], sort=False)
    return by.agg(
        energy_share=("energy_share", "mean"),
        regret=("regret", "mean"),
        winner=("winner", lambda names: names.mode()[0]),
        true_winner=("true_winner", lambda names: names.mode()[0]),
        draws=("draw", "size"),
        best_found=("regret", lambda regrets: (regrets == 0).mean()),
        largest_regret=("regret", "max"),
    ).reset_index()


def _print_rules(found: pd.DataFrame) -> None:
    by = found.groupby("rule", sort=False)
    energy, regret = by["energy_share"], by["regret"]
    best = regret.agg(lambda regrets: f"{(regrets == 0).sum():,} of {len(regrets):,}")
    columns = {
        "rule": best.index,
        "energy": map("{:.3f}".format, energy.mean()),
        "from": map("{:.3f}".format, energy.min()),
        "to": map("{:.3f}".format, energy.max()),
        "best found": best,
        "mean regret": map(fraction, regret.mean()),
        "largest regret": map(fraction, regret.max()),
    }
    echo("\n".join(lines(columns, name="rule")))


def _print_experiments(found: pd.DataFrame, *, drawn: bool) -> None:
    columns = {
        "experiment": found["label"],
        "energy": map("{:.3f}".format, found["energy_share"]),
        "regret": map(fraction, found["regret"]),
        "winner": found["winner"],
    }
    if drawn:
        columns["best found"] = (f"{100 * share:.0f} %" for share in found["best_found"])
    else:
        columns["true winner"] = found["true_winner"].where(found["regret"] > 0, "the same")
    echo("\n".join(lines(columns, name="experiment")))


def _print_basis(fields: list[RaceField], draws: int, candidates: int, n_paused: int) -> None:
    """What the numbers rest on, below the table."""
    sizes = {field.architectures.size for field in fields}
    of = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    selected = " and ".join(sorted({field.selected_on for field in fields}))
    text = (
        f"energy: share of what training all candidates to the end takes; regret: in the score, by "
        f"test accuracy at the end. {count(len(fields), 'experiment')} of {of} candidates; "
        f"selected by {selected} accuracy"
    )
    if draws:
        text += f"; {count(draws, 'draw')} of {candidates} candidates each, accuracies drawn anew"
    if n_paused:
        text += f"; {count(n_paused, 'run')} not trained to the end, left out"
    if any(field.assumed for field in fields):
        text += "; only whole runs were metered, so their epochs are taken to cost the same"
    echo("\n" + "\n".join(wrapped(text)))
