"""`pepr race`: find the model with the best score without training all of them to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.text_table import count, echo, fraction, lines, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.statistics.race_simulation import RaceField


@click.command()
@click.option(
    "--simulate",
    metavar="SET",
    help="Replay races on the learning curves of a result set; nothing is trained.",
)
@click.option(
    "--rule",
    metavar="RULE",
    help="halving, exact or both; --simulate has baselines too: all, accuracy, hyperband, "
    "freeze-thaw, random, cheapest.",
)
@click.option("--alpha", default=1.0, show_default=True, help="Emphasis on performance.")
@click.option(
    "--eta",
    default=2,
    show_default=True,
    help="After each rung 1 / eta of the candidates go on, for eta times the epochs.",
)
@click.option("--first-epochs", default=1, show_default=True, help="Epochs of the first rung.")
@click.option(
    "--cautious",
    is_flag=True,
    help="Keep a candidate unless the best is ahead by more than the noise of the images (95 % "
    "interval).",
)
@click.option(
    "--cost",
    default="E",
    show_default=True,
    metavar="E|C|T|COL",
    help="With --simulate: energy, emissions or training time.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="With --simulate: race N random parts of each field, their accuracies drawn anew.",
)
@click.option(
    "--candidates",
    type=click.IntRange(min=2),
    default=40,
    show_default=True,
    help="With --draws: candidates of each part.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --simulate: images behind each accuracy; default as many as SET says.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With --simulate: of --draws, random and hyperband.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
def race(simulate: str | None, as_json: bool, **options: Any) -> None:
    """Find the model with the best score without training all of them to the end.

    halving: all candidates train for an epoch; the better half by PePR trains for one more, the
    better half of these for two more, and so on. exact: whole trainings, cheapest first, until
    the next candidate could not win even with a perfect performance. both: halving, without the
    candidates that cannot win.

    With --simulate the epochs are looked up in SET (see `pepr data list`) instead of trained, and
    each rule is told by the share of the energy of training all candidates that it spends, and by
    its regret: by how much the score of the model that it finds lies below the best.

    \b
    Example:
      pepr race --simulate published
      pepr race --simulate published-repaired --rule halving --alpha 4
      pepr race --simulate published --draws 200 --json
    """
    if simulate is None:
        raise click.UsageError("no --simulate SET, such as: pepr race --simulate published")
    _simulate(simulate, as_json=as_json, **options)


def _simulate(
    result_set: str, *, rule: str | None, cost: str, draws: int, as_json: bool, **options: Any
) -> None:
    from pepr_utils.results import load_result_set
    from pepr_utils.results.export import to_json
    from pepr_utils.statistics.race_simulation import race_fields, simulate_races

    fields = race_fields(load_result_set(result_set), cost=cost)
    names = None if rule is None else [rule]
    found = simulate_races(fields, names, draws=draws, **options)
    if as_json:
        echo(to_json(_by_experiment(found, drawn=draws > 0).drop(columns="label")))
    elif rule is None:
        _print_rules(found)
    else:
        _print_experiments(_by_experiment(found, drawn=draws > 0), drawn=draws > 0)
    if not as_json:
        _print_basis(fields, draws, options["candidates"])


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
        columns["best found"] = map("{:.0%}".format, found["best_found"])
    else:
        columns["true winner"] = found["true_winner"].where(found["regret"] > 0, "the same")
    echo("\n".join(lines(columns, name="experiment")))


def _print_basis(fields: list[RaceField], draws: int, candidates: int) -> None:
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
    if any(field.assumed for field in fields):
        text += "; only whole runs were metered, so their epochs are taken to cost the same"
    echo("\n" + "\n".join(wrapped(text)))
