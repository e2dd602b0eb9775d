"""`pepr compare`: who moved between two rankings, and how well they agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.comparison import (
    Comparison,
    chart_option,
    comparing,
    rule_options,
    weights_option,
    write_charts,
)
from pepr_utils.commands.text_table import clean, count, echo, fraction, lines, wrapped

if TYPE_CHECKING:
    from pepr_utils.results.ranking import Ranking
    from pepr_utils.statistics.rankings import Compared


@click.command()
@comparing(tables=("a", "b"))
@weights_option
@rule_options
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True,
    help="Show the N models of each group that moved most.",
)  # fmt: skip
@chart_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object per group.")
def compare(
    read: Callable[..., Comparison],
    weights: str | None,
    top: int,
    as_json: bool,
    chart: Path | None,
    **how: Any,
) -> None:
    """Compare the rankings of two tables, A and B, by PePR.

    Each is scored as `pepr score` scores it; models are matched by name, within groups of one
    label. Shown are the models that moved most, the rank correlations of the scores with 95 %
    intervals, and paired tests of performance and score, A minus B. The options for columns are as
    for `pepr score` and hold for both tables.

    \b
    Example:
      pepr compare last_year.csv this_year.csv --performance accuracy --cost energy_wh
      pepr compare published published-repaired --top 5
      pepr compare laptop.csv server.csv --performance auc --cost kwh --json
    """
    from pepr_utils.results.ranking import Rule, rank
    from pepr_utils.statistics.rankings import compare_rankings

    rankings = []
    for at in (0, 1):
        comparison = read(costs_above_zero=how["method"] == "log", at=at)
        rankings.append(rank(comparison, Rule(comparison.weights(weights), **how)))
        comparison.report_left_out(f"compared of {comparison.table.name}")
    found = compare_rankings(*rankings)
    write_charts(chart, lambda: [_chart(one) for one in found])
    if as_json:
        echo(json.dumps([_as_json(one) for one in found], indent=1, allow_nan=False))
        return
    names = [clean(ranking.models.table.name) for ranking in rankings]
    how = "; of several models of one name the best" if any(map(_repeats, rankings)) else ""
    text = [*wrapped(f"A: {names[0]}, B: {names[1]}; ranks among the models in both{how}"), ""]
    for one in found:
        text += [*_as_text(one, top, rankings[0].models.performance), ""]
    echo("\n".join(text[:-1]))


def _repeats(ranking: Ranking) -> bool:
    """Whether several models of a group have one name."""
    models = ranking.models
    names = models.numbers.assign(model=models.model, group=models.groups)[models.known]
    return bool(names.duplicated(["model", "group"]).any())


def _chart(found: Compared) -> dict[str, Any]:
    """The scores in B against those in A; the five models that moved most are named."""
    from pepr_utils.reporting import chart

    frame = found.models.assign(
        performance=found.models["pepr_b"], cost=found.models["pepr_a"], front=False, role="others"
    )
    frame.loc[frame.index[frame["moved"] != 0][:5], "role"] = "moved most"
    kept = frame[["model", "performance", "cost", "front", "role"]]
    return chart(kept, performance="PePR in B", cost="PePR in A", title=found.group, line="equal")


def _as_text(one: Compared, top: int, performance: str) -> list[str]:
    moved = int((one.models["moved"] != 0).sum())
    of = f"{moved:,} of {count(len(one.models), 'model')} moved"
    for label, names in (("A", one.only_a), ("B", one.only_b)):
        if names:
            more = ", ..." if len(names) > 3 else ""
            of += f"; {len(names):,} only in {label}: {', '.join(names[:3])}{more}"
    text = wrapped(of if one.group is None else f"{one.group}: {of}")
    best = one.models.head(top)
    text += lines(
        {
            "model": best["model"],
            "rank A": map(str, best["rank_a"]),
            "rank B": map(str, best["rank_b"]),
            "moved": [f"{places:+d}" if places else "0" for places in best["moved"]],
            "P in A": map(fraction, best["performance_a"]),
            "P in B": map(fraction, best["performance_b"]),
            "PePR A": map(fraction, best["pepr_a"]),
            "PePR B": map(fraction, best["pepr_b"]),
        },
        name="model",
    )
    agreed = one.agreement
    text += wrapped(
        "rank correlation of the scores: "
        + ", ".join(
            f"{name.capitalize()} {agreed[name]:.3f}"
            f"{_interval(agreed[f'{name}_low'], agreed[f'{name}_high'])}"
            for name in ("spearman", "kendall")
        )
    )
    for name, shown in (("pepr", "PePR"), ("performance", performance)):
        test = one.tests[name]
        text += wrapped(
            f"{shown}, A minus B: {test['difference']:+.4f}"
            f"{_interval(test['t_low'], test['t_high'])}, paired t: p {_p(test['p_paired'])}, "
            f"Wilcoxon: p {_p(test['p_wilcoxon'])}"
        )
    return text


def _interval(low: float, high: float) -> str:
    return "" if low != low else f" (95 % {low:.3f} to {high:.3f})"


def _p(value: float) -> str:
    return "not defined" if value != value else "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _as_json(one: Compared) -> dict[str, Any]:
    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {name: None if value != value else float(value) for name, value in values.items()}

    return {
        "group": one.group,
        "models": one.models.to_dict("records"),
        "only_in_a": one.only_a,
        "only_in_b": one.only_b,
        "rank_correlation": plain(one.agreement),
        "tests": {name: plain(test) for name, test in one.tests.items()},
    }
