"""`pepr select`: the best model of a table that stays within budgets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.comparison import (
    Comparison,
    chance_option,
    check_output,
    comparing,
    output_options,
    rule_options,
    show_notes,
    weighed,
    weights_option,
    write_chart,
    write_output,
)
from pepr_utils.commands.text_table import (
    clean,
    count,
    echo,
    fraction,
    lines,
    note,
    number,
    wrapped,
)
from pepr_utils.errors import InfeasibleBudgetError
from pepr_utils.results.models import refuse_reserved
from pepr_utils.scoring import select as choose
from pepr_utils.scoring.selection import OBJECTIVES, Selection

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.notes import Note

#: What --output adds to the table.
ADDED = ["resource", "pepr", "rank"]
#: Column of P in [0, 1] beside the performance in the user's own numbers.
P = "P of the selection"
Found = Selection | InfeasibleBudgetError


@click.command()
@comparing()
@weights_option
@click.option(
    "--max",
    "maximum",
    metavar="COL=VALUE",
    multiple=True,
    help="Largest value allowed in a column; may be given several times.",
)
@click.option(
    "--min",
    "minimum",
    metavar="COL=VALUE",
    multiple=True,
    help="Smallest value allowed in a column; may be given several times.",
)
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default="pepr",
    show_default=True,
    help="What is best: the highest score or the highest performance.",
)
@rule_options
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Show the best N of each group.",
)
@chance_option
@output_options
def select(
    read: Callable[..., Comparison],
    maximum: tuple[str, ...],
    minimum: tuple[str, ...],
    top: int,
    as_json: bool,
    output: Path | None,
    chart: Path | None,
    weights: str | None,
    chance: float | None,
    **how: Any,
) -> None:
    """Choose the best model of TABLE that stays within every budget.

    A budget may carry a unit where the name of its column ends in one: --max energy_kwh=20Wh. A
    model without a value in a budgeted column is left out. Where no model meets the budgets, the
    exit code is 1 and the message names the budgets that are not met and the nearest model.
    TABLE and the options for its columns are as for `pepr score`.

    \b
    Example:
      pepr select models.csv --performance accuracy --cost energy_wh --max memory_gb=8
      pepr select published --max energy_kwh=20Wh --max reserved_memory_gb=8
      pepr select published --min test_accuracy=0.7 --objective performance
      pepr select models.csv --performance auc --cost kwh --max kwh=2 -o chosen.csv
      pepr select models.csv --performance auc --cost kwh --cost gb --weights 0.7,0.3
    """
    from pepr_utils.results.ranking import Rule, rank

    comparison = read()
    check_output(comparison.table, ADDED, output)
    how["cost"] = comparison.weights(weights)
    limits = {
        "maximum": budgets(comparison, "--max", maximum),
        "minimum": budgets(comparison, "--min", minimum),
    }
    frame = _frame(comparison, limits)
    found = [
        (label, _choose(frame.loc[rows], how, limits))
        for label, rows in comparison.parts(frame.index)
    ]
    write_output(comparison.table, _added(comparison, found), output)
    if as_json:
        objects = [_as_json(label, outcome, top) for label, outcome in found]
        echo(json.dumps(objects, indent=1, allow_nan=False))
    else:
        _print_text(comparison, frame, [f for f in found if isinstance(f[1], Selection)], how, top)
    if chart:
        rule = Rule(how["cost"], alpha=how["alpha"], method=how["method"])
        within = _added(comparison, found)["rank"].notna()
        chosen = {label: f.best.name for label, f in found if isinstance(f, Selection)}
        write_chart(chart, rank(comparison, rule), within=within, chosen=chosen)
    comparison.report_left_out("compared")
    show_notes(_notes(comparison, how, found, chance))
    infeasible = [(label, f) for label, f in found if isinstance(f, InfeasibleBudgetError)]
    for label, outcome in infeasible:
        note(str(outcome) if label is None else f"{label}: {outcome}")
    if infeasible:
        sys.exit(1)


def _notes(
    comparison: Comparison,
    how: dict[str, Any],
    found: list[tuple[str | None, Found]],
    chance: float | None,
) -> list[Note]:
    """The notes on the table and, where the score decides, on the models within budget."""
    from pepr_utils.results.notes import notes, notes_on_numbers
    from pepr_utils.results.ranking import Rule, rank

    within = [index for _, f in found if isinstance(f, Selection) for index in f.ranking.index]
    if how["objective"] != "pepr" or not within:
        return notes_on_numbers(comparison)
    rule = Rule(how["cost"], alpha=how["alpha"], method=how["method"])
    return notes(rank(comparison, rule), chance=chance, among=within)


def _added(comparison: Comparison, found: list[tuple[str | None, Found]]) -> pd.DataFrame:
    """Resource, score and rank of the rows within budget; null for the others."""
    import pandas as pd

    rankings = [f.ranking[ADDED] for _, f in found if isinstance(f, Selection)]
    chosen = pd.concat(rankings) if rankings else pd.DataFrame(columns=ADDED)
    added = chosen.reindex(comparison.known.index)
    return added.astype({"resource": "float64", "pepr": "float64", "rank": "Int64"})


def budgets(comparison: Comparison, option: str, texts: tuple[str, ...]) -> dict[str, float]:
    """Column and limit of each budget given."""
    from pepr_utils.results.units import to_unit_of

    limits: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip():
            raise click.UsageError(
                f"{option} is {text!r}; allowed: COL=VALUE, such as {option} memory_gb=8"
            )
        column = comparison.table.cost_column(name.strip(), "budget column")
        refuse_reserved(column)
        if column in limits:
            raise click.UsageError(f"{option} is given twice for {column!r}; keep one")
        limits[column] = to_unit_of(column, value)
        scale = comparison.scale
        inside = scale.lower <= limits[column] <= scale.upper
        if column == comparison.performance and not inside:
            raise click.UsageError(
                f"{option} of {column!r} is {value.strip()!r}; allowed: {scale.lower:g} to "
                f"{scale.upper:g}" + ("; divide percentages by 100" if scale.upper == 1 else "")
            )
    return limits


def _frame(comparison: Comparison, limits: dict[str, dict[str, float]]) -> pd.DataFrame:
    """The models that are compared: name, numbers, and the columns that have a budget."""
    p = comparison.scale.fraction(comparison.numbers[comparison.performance])
    frame = comparison.numbers.assign(model=comparison.model, **{P: p})
    for column in (*limits["maximum"], *limits["minimum"]):
        if column not in frame:
            frame[column] = comparison.table.numbers(column)
    return frame[comparison.known]


def _choose(rows: pd.DataFrame, how: dict[str, Any], limits: dict[str, Any]) -> Found:
    if rows.empty:
        return InfeasibleBudgetError("no model has every value needed", binding=[], nearest={})
    try:
        return choose(
            rows,
            performance=P,
            label="model",
            **limits,
            **how,
        )
    except InfeasibleBudgetError as infeasible:
        return infeasible


def _as_json(label: str | None, found: Found, top: int) -> dict[str, Any]:
    from pepr_utils.results.export import to_json

    if isinstance(found, InfeasibleBudgetError):
        return {
            "group": label,
            "feasible": False,
            "message": str(found),
            "binding": found.binding,
            "nearest": found.nearest or None,
        }
    models = found.ranking.iloc[:top].drop(columns=P)
    return {
        "group": label,
        "feasible": True,
        "n_feasible": len(found.ranking),
        "n_candidates": found.n_candidates,
        "n_unknown": found.n_unknown,
        "models": json.loads(to_json(models[["model", *models.columns.drop("model")]])),
    }


def _print_text(
    comparison: Comparison,
    frame: pd.DataFrame,
    found: list[tuple[str | None, Selection]],
    how: dict[str, Any],
    top: int,
) -> None:
    text: list[str] = []
    extra = [c for c in frame if c not in {*comparison.numbers, "model", P}]
    for label, selection in found:
        of = f"{len(selection.ranking):,} of {count(selection.n_candidates, 'model')} within budget"
        if selection.n_unknown:
            of += f", {selection.n_unknown:,} left out for a missing value"
        text.append(clean(of if label is None else f"{label}: {of}"))
        best = selection.ranking.iloc[:top]
        columns = {
            "rank": map(str, best["rank"]),
            **comparison.cells(best.index),
            **{name: map(number, best[name]) for name in extra},
            "resource": map(fraction, best["resource"]),
            "PePR": map(fraction, best["pepr"]),
        }
        text += [*lines(columns, name="model"), ""]
    if found:
        rule = how["method"].replace("minmax", "min-max")
        best = how["objective"].replace("pepr", "PePR")
        text += wrapped(
            f"best: highest {best}; resource: {weighed(how['cost'])} by {rule} over all "
            f"models compared, within budget or not; alpha {how['alpha']:g}"
        )
        echo("\n".join(text))
