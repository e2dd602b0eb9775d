"""`pepr score`: rank the models of a table by performance per resource unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.comparison import (
    Comparison,
    alpha_option,
    chance_option,
    check_output,
    comparing,
    intervals,
    output_options,
    print_json,
    show_notes,
    weighed,
    weights_option,
    write_chart,
    write_output,
)
from pepr_utils.commands.text_table import clean, echo, fraction, lines, number, wrapped
from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import NORMALIZATIONS

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.ranking import Ranking, Rule


@click.command()
@comparing()
@weights_option
@alpha_option
@click.option(
    "--normalize",
    "method",
    type=click.Choice(list(NORMALIZATIONS)),
    default="minmax",
    show_default=True,
    help="How costs become a resource from 0 to 1, over the models compared.",
)
@click.option("--lower", type=float, help="Cost (fixed) or level (quantile) that becomes 0.")
@click.option("--upper", type=float, help="Cost (fixed) or level (quantile) that becomes 1.")
@click.option(
    "--outside",
    type=click.Choice(["error", "clip"]),
    help="What is done with a cost beyond fixed bounds.  [default: error]",
)
@click.option("--top", type=click.IntRange(min=1), help="Print the first N of each group.")
@chance_option
@output_options
def score(
    read: Callable[..., Comparison],
    top: int | None,
    as_json: bool,
    chance: float | None,
    output: Path | None,
    chart: Path | None,
    **options: Any,
) -> None:
    """Rank the models of TABLE by PePR = P / (1 + R).

    TABLE is a file of your own, one row per model, or a result set: CSV with any separator and
    decimal mark, a spreadsheet, Parquet, JSON or JSON lines, also compressed, or - for standard
    input. What it was taken for is said in one line. A result set, and a file with the columns
    architecture, dataset, test_accuracy and energy_kwh (or energy_wh ...), needs no option: it is
    scored by energy within each experiment; --cost takes E, C, M, T or D for energy, carbon,
    memory, time or training images there. A row without a value is listed without a score. Rows of
    a file are counted from 1 below the header.

    Rows of one model, such as its seeds, are averaged, with the spread and an interval of the
    score; a column of data sets makes groups. Below the table are at most three notes on what to
    know before believing it, each with the option that follows from it.

    \b
    Example:
      pepr score models.csv --performance accuracy --cost energy_wh
      pepr score models.csv --performance auc --cost kwh --cost gb --weights 0.7,0.3
      pepr score models.csv --performance top1_error --cost flops --better low --n-test 10000
      pepr score models.xlsx --performance acc --percent acc --cost energy_wh
      pepr score acc.csv --join emissions.csv --on model=project_name --performance acc
      pepr score published --top 5
      pepr score models.csv --performance auc --cost kwh -o scored.csv --chart scored.svg
    """
    ranking = ranking_of(read, head=None if output or chart else top, **options)
    comparison, scored = ranking.models, ranking.table
    check_output(comparison.table, list(scored), output)
    parts = list(comparison.parts(ranking.order))
    write_output(comparison.table, scored, output)
    if as_json:
        print_json(comparison, scored, [(label, rows[:top]) for label, rows in parts])
    else:
        _print_text(comparison, scored, parts, ranking.rule, top)
    write_chart(chart, ranking)
    comparison.report_left_out("scored")
    show_notes(ranking.notes(chance))


def ranking_of(
    read: Callable[..., Comparison],
    weights: str | None,
    method: str,
    *,
    head: int | None = None,
    **options: Any,
) -> Ranking:
    """Read a table and rank its models by the options of the score."""
    from pepr_utils.results.ranking import Rule, rank

    _check_bounds(method, options["lower"], options["upper"], options["outside"])
    comparison = read(costs_above_zero=method == "log")
    rule = Rule(comparison.weights(weights), method=method, **options)
    if method == "fixed" and rule.outside != "clip":
        _check_inside(comparison, rule.lower, rule.upper)
    return rank(comparison, rule, head=head)


def _check_bounds(
    method: str, lower: float | None, upper: float | None, outside: str | None
) -> None:
    given = [f"--{n}" for n, v in (("lower", lower), ("upper", upper)) if v is not None]
    if given and method not in ("fixed", "quantile"):
        raise click.UsageError(
            f"{given[0]} has no effect with --normalize {method}; add --normalize fixed or quantile"
        )
    if method == "fixed" and len(given) < 2:
        raise click.UsageError("--normalize fixed needs --lower and --upper, in the cost's unit")
    if method == "fixed" and not 0 <= lower < upper < float("inf"):
        raise click.UsageError(
            f"--lower is {lower:g} and --upper {upper:g}; allowed: 0 or more, lower below upper"
        )
    if outside and method != "fixed":
        raise click.UsageError("--outside needs --normalize fixed")


def _check_inside(comparison: Comparison, lower: float, upper: float) -> None:
    for cost in comparison.costs:
        values = comparison.numbers[cost].where(comparison.known)
        bad = ((values < lower) | (values > upper)).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise ScoreInputError(
                f"{comparison.table.name}: row {row + 1}, column {cost!r} is "
                f"{values.iloc[row]:.12g}; allowed: {lower:g} to {upper:g}; "
                "widen --lower and --upper, or add --outside clip"
            )


def _print_text(
    comparison: Comparison, scored: pd.DataFrame, parts: list, rule: Rule, top: int | None
) -> None:
    """Print each group's table, and below all of them how the resource was computed."""
    text: list[str] = []
    for label, rows in parts:
        if label is not None:
            text.append(clean(f"{label}: {comparison.scope(rows)}"))
        columns = {
            "rank": [number(float(rank)) for rank in scored.loc[rows[:top], "rank"].astype(float)],
            **comparison.cells(rows[:top]),
            "resource": map(fraction, scored.loc[rows[:top], "resource"]),
            "PePR": map(fraction, scored.loc[rows[:top], "pepr"]),
        }
        if comparison.shows_interval:
            columns |= intervals(scored.loc[rows[:top]])
        text += [*lines(columns, name="model"), ""]
    how = f"{weighed(rule.weights)} by {_in_words(rule)} {comparison.within(parts)}"
    text += wrapped(f"resource: {how}; alpha {rule.alpha:g}")
    echo("\n".join(text))


def _in_words(rule: Rule) -> str:
    """The normalisation as text, for the last line of the output."""
    low = 0.05 if rule.lower is None else rule.lower
    high = 0.95 if rule.upper is None else rule.upper
    return {
        "minmax": "min-max",
        "max": "its share of the largest",
        "fixed": f"fixed bounds {low:g} to {high:g}",
        "quantile": f"quantiles {low:g} to {high:g} (clipped beyond)",
        "log": "min-max of its logarithm",
    }[rule.method]
