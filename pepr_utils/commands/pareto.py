"""`pepr pareto`: the models of a table that no other beats, and the knee of their front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.comparison import (
    Comparison,
    check_output,
    comparing,
    output_options,
    print_json,
    show_notes,
    write_charts,
    write_output,
)
from pepr_utils.commands.text_table import clean, count, echo, lines, wrapped
from pepr_utils.results.models import Scale
from pepr_utils.scoring import pareto_front, pareto_knee

if TYPE_CHECKING:
    import pandas as pd

ADDED = ["pareto", "knee"]


@click.command()
@comparing(any_numbers=True)
@click.option(
    "--better",
    metavar="P[,C]",
    default="high,low",
    show_default=True,
    help="Which direction of performance is better, high or low; and of cost, where that is not "
    "low: one for all costs or one for each.",
)
@click.option("--all", "everything", is_flag=True, help="Show all models, the front marked.")
@output_options
def pareto(
    read: Callable[..., Comparison],
    better: str,
    everything: bool,
    output: Path | None,
    chart: Path | None,
    as_json: bool,
) -> None:
    """Show the models of TABLE that no other beats in performance and every cost.

    They are sorted by cost. The knee, where a further gain begins to cost disproportionately, is
    marked where there is one --cost; a front over several has none. Any numbers will do; nothing
    is normalised. TABLE and the options for its columns are as for `pepr score`.

    \b
    Example:
      pepr pareto models.csv --performance accuracy --cost energy_wh
      pepr pareto models.csv --performance loss --cost gb --better low
      pepr pareto models.csv --performance auc --cost kwh --cost gb
      pepr pareto published --cost M --all
    """
    from pepr_utils.results.notes import notes_on_numbers

    comparison = read()
    check_output(comparison.table, ADDED, output)
    better = better if "," in better else f"{better},low"
    found = _front(comparison, tuple(word.strip() for word in better.split(",")))
    order = comparison.numbers.sort_values(
        [*comparison.costs, comparison.performance],
        ascending=[True] * len(comparison.costs) + [False],
        kind="stable",
    ).index
    order = order[comparison.known[order]]
    parts = list(comparison.parts(order))
    shown = parts if everything else [(label, rows[_flags(found, rows)]) for label, rows in parts]
    write_output(comparison.table, found, output)
    if as_json:
        print_json(comparison, found, shown)
    else:
        _print_text(comparison, found, parts, shown, better)
    write_charts(chart, lambda: _charts(comparison, found, parts, better))
    comparison.report_left_out("compared")
    show_notes(notes_on_numbers(comparison))


def _front(comparison: Comparison, better: tuple[str, ...]) -> pd.DataFrame:
    """Whether each row is on its group's front, and its knee; null where it is not compared.

    Of several costs there is no knee: null throughout.
    """
    import pandas as pd

    known = comparison.known
    p, c = comparison.numbers[comparison.performance], comparison.numbers[comparison.costs]
    found = pd.DataFrame(index=known.index, columns=ADDED, dtype="boolean")
    found.loc[known, "pareto"] = pareto_front(
        p[known].to_numpy(), c[known].to_numpy(), better=better, by=comparison.codes()
    )
    if len(comparison.costs) > 1:
        return found
    found.loc[known, "knee"] = False
    for _, rows in comparison.parts(known.index[known]):
        if len(rows):
            knee = pareto_knee(p[rows].to_numpy(), c.loc[rows].to_numpy(), better=better)
            if knee is not None:
                found.loc[rows[knee], "knee"] = True
    return found


def _charts(
    comparison: Comparison, found: pd.DataFrame, parts: list, better: str
) -> list[dict[str, Any]]:
    """A chart for each group; of several costs the first is drawn."""
    from pepr_utils.reporting import chart
    from pepr_utils.reporting.content import titles

    good, cheap, *_ = (word.strip() for word in better.split(","))
    models = replace(comparison, costs=comparison.costs[:1], scale=Scale(good))
    performance, cost = titles(models)
    charts = []
    for label, rows in parts:
        frame = comparison.numbers.loc[rows, [comparison.performance, comparison.costs[0]]]
        frame = frame.set_axis(["performance", "cost"], axis=1).assign(
            model=comparison.model[rows], front=_flags(found, rows), role="others"
        )
        frame.loc[frame["front"], "role"] = "Pareto front"
        frame.loc[found.loc[rows, "knee"].fillna(value=False).to_numpy(bool), "role"] = "knee"
        line = "step-after" if cheap == "low" else "step-before"
        if len(frame):
            charts.append(
                chart(
                    frame, performance=performance, cost=cost, title=label, scale=models.scale,
                    line=line,
                )
            )  # fmt: skip
    return charts


def _flags(found: pd.DataFrame, rows: pd.Index):
    return found.loc[rows, "pareto"].to_numpy(dtype=bool)


def _print_text(
    comparison: Comparison, found: pd.DataFrame, parts: list, shown: list, better: str
) -> None:
    text: list[str] = []
    n_costs = len(comparison.costs)
    knees = found["knee"].fillna(value=False)
    for (label, compared), (_, rows) in zip(parts, shown, strict=True):
        on_front = int(_flags(found, compared).sum())
        of = f"{on_front:,} of {count(len(compared), 'model')} on the front"
        if on_front and n_costs == 1 and not knees[compared].any():
            of += ", which has no knee"
        text.append(clean(of if label is None else f"{label}: {of}"))
        marks = [
            "knee" if knee else "yes" if on else ""
            for on, knee in zip(found.loc[rows, "pareto"], knees[rows], strict=True)
        ]
        if on_front:
            text += lines({**comparison.cells(rows), "front": marks}, name="model")
        text.append("")
    first, *others = (word.strip() for word in better.split(","))
    directions = [first, *(others if len(others) == n_costs else others * n_costs)]
    named = zip(directions, [comparison.performance, *comparison.costs], strict=True)
    text += wrapped(
        f"front: no other model is at least as good in {'both' if n_costs == 1 else 'all'} and "
        f"better in one; better is {', '.join(map(' '.join, named))}"
    )
    echo("\n".join(text))
