"""Shared by `pepr score`, `pareto` and `select`: what is compared, and the output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.table_options import reading_options, saying_how_read
from pepr_utils.commands.text_table import count, echo, fraction, note, number, wrapped
from pepr_utils.results.models import Models, Question, Scale, find_models
from pepr_utils.scoring import NORMALIZATIONS

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.notes import Note
    from pepr_utils.results.ranking import Ranking
    from pepr_utils.results.table_reader import UserTable


@dataclass(frozen=True)
class Comparison(Models):
    """The models that a command compares, as it shows them.

    Attributes
    ----------
    shows_interval : bool
        Whether the terminal shows the interval of each score.
    """

    shows_interval: bool = False

    def report_left_out(self, what: str) -> None:
        """Report on stderr how many rows are not compared, and why."""
        if self.left_out:
            rows, reasons = self.left_out
            note(f"note: {rows} not {what}: {reasons}")

    def described(self, label: str | None, rows: pd.Index) -> pd.DataFrame:
        """The keys of JSON that all commands share: group, model and numbers."""
        frame = self.numbers.loc[rows]
        frame.insert(0, "group", None if label is None else label)
        frame.insert(1, "model", self.model[rows])
        return frame

    def cells(self, rows: pd.Index) -> dict[str, Iterable[str]]:
        """Name and numbers of each row as the terminal shows them, by column."""
        show = fraction if self.numbers[self.performance].max() <= 1 else number
        return {
            "model": self.model[rows],
            self.performance: map(show, self.numbers.loc[rows, self.performance]),
            **{cost: map(number, self.numbers.loc[rows, cost]) for cost in self.costs},
        }

    def scope(self, rows: pd.Index) -> str:
        """How many of these rows are compared, and from which cost to which."""
        costs = self.numbers.loc[rows, self.costs][self.known[rows]]
        ranges = [f"{cost} {_range(costs[cost])}" for cost in self.costs]
        return ", ".join([count(len(costs), "row"), *ranges])

    def weights(self, text: str | None) -> dict[str, float]:
        """Weight of each cost, from ``--weights``."""
        from pepr_utils.results.ranking import shares

        if text is None:
            if (n := len(self.costs)) > 1:
                share = round(1 / n, 2)
                such = ",".join([f"{share:g}"] * (n - 1) + [f"{1 - share * (n - 1):.2g}"])
                raise click.UsageError(
                    f"{n} costs need --weights that sum to 1, such as --weights {such}"
                )
            return {self.costs[0]: 1.0}
        try:
            weights = [float(part) for part in text.split(",")]
        except ValueError:
            raise click.UsageError(
                f"--weights is {text!r}; allowed: numbers with commas between, such as 0.5,0.5"
            ) from None
        if len(weights) != len(self.costs):
            raise click.UsageError(
                f"--weights has {count(len(weights), 'number')} for "
                f"{count(len(self.costs), 'cost')} ({', '.join(self.costs)}); allowed: one for "
                "each --cost"
            )
        found = shares(self.costs, weights)
        if list(found.values()) != weights:
            taken = ",".join(f"{weight:.4g}" for weight in found.values())
            note(f"note: --weights {text} is taken as {taken}")
        return found

    def within(self, parts: list) -> str:
        """What costs were normalised over, for the last line of the output."""
        if self.groups is not None:
            return f"within each of {count(len(parts), 'group')} ({self.grouped_by})"
        return f"over {self.scope(self.numbers.index)}"


def weighed(weights: dict[str, float]) -> str:
    """What the resource is computed from, as text."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{weight:g} x {cost}" for cost, weight in weights.items()) + ", each"


def _range(values: pd.Series) -> str:
    if values.empty:
        return "-"
    low, high = number(values.min()), number(values.max())
    return f"{low} in all" if values.min() == values.max() else f"{low} to {high}"


def comparing(*, any_numbers: bool = False, tables: tuple[str, ...] = ("table",)) -> Callable:
    """Give a command the argument TABLE, or several, and the options that say what is compared.

    The command is called with a function that makes the `Comparison` (`costs_above_zero` for the
    rule `log`; `at`, which of the tables) and its own options.
    """
    options = [
        *(click.argument(name, metavar=name.upper()) for name in tables),
        click.option(
            "--performance", metavar="COL",
            help="Performance column" + ("." if any_numbers else ", fractions from 0 to 1."),
        ),
        click.option(
            "--cost", metavar="COL", multiple=True,
            help="Cost column, in any unit; may be given several times"
            + ("." if any_numbers else ", with --weights."),
        ),
        click.option(
            "--by", metavar="COL", multiple=True,
            help="Compare within groups of equal COL; may be given several times.",
        ),
        click.option(
            "--together", is_flag=True,
            help="Compare runs of different experiments or data sets with each other.",
        ),
        click.option(
            "--label", metavar="COL", help="Column that names a model in the output."
        ),
        click.option(
            "--each-row", is_flag=True,
            help="Keep repeated rows of one model, such as seeds, apart; else they are averaged.",
        ),
    ]  # fmt: skip
    if not any_numbers:
        options += [
            click.option(
                "--better", type=click.Choice(["high", "low"]), default="high", show_default=True,
                help="Which performance is better; low for an error rate e, scored as 1 - e.",
            ),
            click.option(
                "--performance-range", metavar="LOW,HIGH", callback=_range_of,
                help="Worst and best possible performance, such as 0,100 for percentages "
                "(the other way round for --better low).  [default: 0,1]",
            ),
            click.option(
                "--n-test", type=click.IntRange(1, 10**12),
                help="Number of test images, for the interval of each score.",
            ),
        ]  # fmt: skip

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(*, reading, performance, cost, by, together, label, each_row, **own):
            scale = Scale()
            if not any_numbers:
                scale = Scale(own.pop("better"), *own.pop("performance_range"))
            n_test, paths = own.pop("n_test", None), [own.pop(name) for name in tables]

            def read(*, costs_above_zero: bool = False, at: int = 0) -> Comparison:
                from pepr_utils.results.user_table import load_user_table

                loaded = load_user_table(paths[at], **reading)
                how_read.append(loaded)
                asked = Question(
                    performance, cost, by, together, label, each_row, scale, n_test,
                    any_numbers=any_numbers, costs_above_zero=costs_above_zero,
                )  # fmt: skip
                found = find_models(loaded, asked, Comparison)
                for remark in found.remarks:
                    note(f"note: {remark}")
                shows_interval = n_test is not None or found.runs is not None
                return replace(found, shows_interval=shows_interval)

            with saying_how_read() as how_read:
                return command(read, **own)

        run = reading_options(run)
        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def weights_option(function: Callable) -> Callable:
    """Add ``--weights``."""
    return click.option(
        "--weights", metavar="W1,W2", help="Weight of each --cost, such as 0.7,0.3 or 7,3."
    )(function)


alpha_option = click.option(
    "--alpha", type=click.FloatRange(min=1), default=1.0, show_default=True,
    help="Emphasis on performance, 1 or more.",
)  # fmt: skip


def rule_options(function: Callable) -> Callable:
    """Add ``--alpha`` and ``--normalize`` with the rules that need no further bounds."""
    function = click.option(
        "--normalize", "method", default="minmax", show_default=True,
        type=click.Choice([rule for rule in NORMALIZATIONS if rule != "fixed"]),
        help="How costs become a resource from 0 to 1, over all models compared.",
    )(function)  # fmt: skip
    return alpha_option(function)


def _range_of(_context: Any, _option: Any, text: str | None) -> tuple[float, float]:
    """The numbers of ``--performance-range``."""
    if text is None:
        return 0.0, 1.0
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}; allowed: two numbers with a comma between, such as 0,100"
        ) from None
    return low, high


chance_option = click.option(
    "--chance", type=click.FloatRange(0, 1),
    help="Performance, as P, of always giving one answer; by default that of the largest class "
    "where it is known.",
)  # fmt: skip


def intervals(scored: pd.DataFrame) -> dict[str, Iterable[str]]:
    """Spread, number of runs and interval of the score, where known, by column."""
    columns: dict[str, Iterable[str]] = {}
    if "n_runs" in scored:
        columns["runs"] = map(number, scored["n_runs"].astype("float64"))
        columns["sd"] = map(number, scored["performance_sd"])
    if "pepr_low" in scored:
        both = zip(scored["pepr_low"], scored["pepr_high"], strict=True)
        columns["95 %"] = ["-" if low != low else f"{low:.3f}-{high:.3f}" for low, high in both]
    return columns


def show_notes(found: list[Note]) -> None:
    """Print the gravest notes on stderr, each with what follows from it."""
    from pepr_utils.results.notes import SHOWN

    for one in found[:SHOWN]:
        text = wrapped(f"{one.severity}: {one}")
        echo("\n".join([text[0], *(f"  {line}" for line in text[1:])]), err=True)


def chart_option(function: Callable) -> Callable:
    """Add ``--chart``."""
    return click.option(
        "--chart", metavar="FILE", type=click.Path(path_type=Path), callback=_checked_chart,
        help="Draw the models to FILE: .svg, .png or .html.",
    )(function)  # fmt: skip


def output_options(function: Callable) -> Callable:
    """Add ``--output``, ``--chart`` and ``--json``."""
    function = chart_option(function)
    function = click.option(
        "--json", "as_json", is_flag=True, help="Print a JSON array of objects."
    )(function)
    return click.option(
        "-o",
        "--output",
        metavar="OUT",
        type=click.Path(path_type=Path),
        help="Write the table with what is computed: .csv, .xlsx, .parquet, .json, .md or .tex.",
    )(function)


def _checked_chart(_context: Any, _option: Any, target: Path | None) -> Path | None:
    """Refuse a chart that cannot be written, before anything is computed."""
    if target is not None:
        from pepr_utils.reporting import check_chart_target

        check_chart_target(target)
    return target


def write_chart(target: Path | None, ranking: Ranking, **budgets: Any) -> None:
    """Write the file of ``--chart`` for a ranking."""
    if target is not None:
        from pepr_utils.reporting import charts

        write_charts(target, lambda: charts(ranking, **budgets))


def write_charts(target: Path | None, charts: Callable[[], list[dict[str, Any]]]) -> None:
    """Write the file of ``--chart``, and report it on stderr."""
    if target is not None:
        from pepr_utils.reporting import write_charts as write

        write(charts(), target)
        note(f"drew {target}")


def check_output(table: UserTable, added: list[str], output: Path | None) -> None:
    """Refuse an output that cannot be written, before anything is computed or printed."""
    if output is not None:
        from pepr_utils.results.export import check_target

        check_target(table, output, added)


def write_output(table: UserTable, added: pd.DataFrame, output: Path | None) -> None:
    """Write the file of ``--output``, and report it on stderr."""
    if output is not None:
        from pepr_utils.results.export import write_table

        write_table(table, added, output)
        note(f"wrote {count(len(added), 'row')} to {output}")


def print_json(comparison: Comparison, added: pd.DataFrame, parts: Iterable) -> None:
    """Print the rows of each group, with what was computed, as one JSON array."""
    import pandas as pd

    from pepr_utils.results.export import to_json

    frames = [comparison.described(label, rows).join(added) for label, rows in parts]
    echo(to_json(pd.concat(frames)))
