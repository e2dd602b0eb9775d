"""`pepr score`: rank the models of a table by performance per resource unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from pepr_utils.commands.comparison import (
    Comparison,
    check_output,
    comparing,
    output_options,
    print_json,
    weighed,
    weights_option,
    write_output,
)
from pepr_utils.commands.text_table import clean, echo, fraction, lines, number, wrapped
from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import NORMALIZATIONS, normalize, pepr, weighted_resource

if TYPE_CHECKING:
    import pandas as pd

ADDED = ["resource", "pepr", "rank"]


@dataclass(frozen=True)
class _Rule:
    """The options of the score: normalisation, weights and emphasis."""

    normalize: str
    lower: float | None
    upper: float | None
    outside: str | None
    weights: dict[str, float]
    alpha: float

    def in_words(self) -> str:
        """The rule as text, for the last line of the output."""
        low = 0.05 if self.lower is None else self.lower
        high = 0.95 if self.upper is None else self.upper
        return {
            "minmax": "min-max",
            "max": "its share of the largest",
            "fixed": f"fixed bounds {low:g} to {high:g}",
            "quantile": f"quantiles {low:g} to {high:g} (clipped beyond)",
            "log": "min-max of its logarithm",
        }[self.normalize]


@click.command()
@comparing()
@weights_option
@click.option(
    "--alpha",
    type=click.FloatRange(min=1),
    default=1.0,
    show_default=True,
    help="Emphasis on performance, 1 or more.",
)
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
@output_options
def score(read: Callable[..., Comparison], top: int | None, as_json: bool, **options) -> None:
    """Rank the models of TABLE by PePR = P / (1 + R).

    TABLE is a file of your own, one row per model, or a result set: CSV with any separator and
    decimal mark, a spreadsheet, Parquet, JSON or JSON lines, also compressed, or - for standard
    input. What it was taken for is said in one line. A result set, and a file with the columns
    architecture, dataset, test_accuracy and energy_kwh (or energy_wh ...), needs no option: it is
    scored by energy within each experiment; --cost takes E, C, M, T or D for energy, carbon,
    memory, time or training images there. A row without a value is listed without a score. Rows of
    a file are counted from 1 below the header.

    \b
    Example:
      pepr score models.csv --performance accuracy --cost energy_wh
      pepr score models.csv --performance auc --cost kwh --cost gb --weights 0.7,0.3
      pepr score models.xlsx --performance acc --percent acc --cost energy_wh
      pepr score acc.csv --join emissions.csv --on model=project_name --performance acc
      pepr score published --top 5
      pepr score models.csv --performance auc --cost kwh -o scored.csv
    """
    output: Path | None = options.pop("output")
    weights, method = options.pop("weights"), options.pop("method")
    _check_bounds(method, options["lower"], options["upper"], options["outside"])
    comparison = read(costs_above_zero=method == "log")
    check_output(comparison.table, ADDED, output)
    rule = _Rule(normalize=method, weights=comparison.weights(weights), **options)
    scored = _score(comparison, rule)
    parts = list(comparison.parts(_ranked(comparison, scored)))
    write_output(comparison.table, scored, output)
    if as_json:
        print_json(comparison, scored, [(label, rows[:top]) for label, rows in parts])
    else:
        _print_text(comparison, scored, parts, rule, top)
    comparison.report_left_out("scored")


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


def _score(comparison: Comparison, rule: _Rule) -> pd.DataFrame:
    """Resource, score and rank of every row, null where it is not scored."""
    import pandas as pd

    known, codes = comparison.known, comparison.codes()
    if rule.normalize == "fixed" and rule.outside != "clip":
        _check_inside(comparison, rule.lower, rule.upper)
    resources = [
        normalize(
            comparison.numbers.loc[known, cost].to_numpy(),
            method=rule.normalize,
            lower=rule.lower,
            upper=rule.upper,
            outside=rule.outside,
            by=codes,
        )
        for cost in comparison.costs
    ]
    resource = weighted_resource(np.column_stack(resources), list(rule.weights.values()))
    performance = comparison.numbers.loc[known, comparison.performance].to_numpy()
    scored = pd.DataFrame(index=known.index, columns=ADDED, dtype="float64")
    scored.loc[known, "pepr"] = pepr(performance, resource, alpha=rule.alpha)
    scored.loc[known, "resource"] = resource
    groups = pd.Series(0, index=known.index) if comparison.groups is None else comparison.groups
    rank = scored["pepr"].groupby(groups).rank(method="min", ascending=False)
    return scored.assign(rank=rank.astype("Int64"))


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


def _ranked(comparison: Comparison, scored: pd.DataFrame) -> pd.Index:
    """Rows from the best score down; of equal ones the cheaper first, then as in the table."""
    cost = comparison.numbers[comparison.costs[0]]
    order = scored.assign(best=-scored["pepr"], cost=cost)
    return order.sort_values(["best", "resource", "cost"], kind="stable", na_position="last").index


def _print_text(
    comparison: Comparison, scored: pd.DataFrame, parts: list, rule: _Rule, top: int | None
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
        text += [*lines(columns, name="model"), ""]
    how = f"{weighed(rule.weights)} by {rule.in_words()} {comparison.within(parts)}"
    text += wrapped(f"resource: {how}; alpha {rule.alpha:g}")
    echo("\n".join(text))
