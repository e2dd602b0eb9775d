"""Shared by `pepr score`, `pareto` and `select`: what is compared, and the output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.text_table import clean, count, echo, fraction, note, number
from pepr_utils.errors import InvalidTableError, PeprError, ScoreInputError

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.user_table import UserTable

#: Keys of the output beside the table's own columns.
RESERVED = ("group", "model", "rank", "resource", "pepr", "pareto", "knee")
DEFAULT_PERFORMANCE, DEFAULT_COST = "test_accuracy", "E"
_NAMING = ("architecture", "model", "name", "run_id")


@dataclass(frozen=True)
class Comparison:
    """Models to be compared, their numbers checked.

    Attributes
    ----------
    table : UserTable
        The whole table.
    performance : str
        Name of the performance column.
    costs : list of str
        Names of the cost columns.
    numbers : pandas.DataFrame
        These columns as floats, for every row of the table.
    model : pandas.Series of str
        What each row is called.
    groups : pandas.Series of str or None
        Group of each row; None where all are compared with each other.
    grouped_by : str
        What the groups are called.
    failed, known : pandas.Series of bool
        Failed or paused runs; rows that are compared: the others with a performance and every cost.
    """

    table: UserTable
    performance: str
    costs: list[str]
    numbers: pd.DataFrame
    model: pd.Series
    groups: pd.Series | None
    grouped_by: str
    failed: pd.Series
    known: pd.Series

    def parts(self, order: pd.Index) -> Iterator[tuple[str | None, pd.Index]]:
        """Each group's label and its rows in the order given; groups as in the table."""
        if self.groups is None:
            yield None, order
            return
        ordered = self.groups.loc[order]
        rows = ordered.groupby(ordered, sort=False).groups
        for label in self.groups.unique():
            yield str(label), rows.get(label, order[:0])

    def codes(self) -> Any:
        """A number for the group of each row that is compared, or None."""
        if self.groups is None:
            return None
        return self.groups[self.known].factorize()[0]

    def report_left_out(self, what: str) -> None:
        """Report on stderr how many rows are not compared, and why."""
        if self.known.all():
            return
        reasons = []
        for column in dict.fromkeys([self.performance, *self.costs]):
            missing = self.numbers[column].isna() & ~self.failed
            if missing.any():
                row = int(missing.to_numpy().argmax()) + 1
                more = f"row {row}" if missing.sum() == 1 else f"the first in row {row}"
                reasons.append(f"{missing.sum():,} without {column} ({more})")
        if self.failed.any():
            kinds = self.table.rows.loc[self.failed, "status"].value_counts()
            reasons += [count(int(n), f"{status} run") for status, n in kinds.items()]
        left = int((~self.known).sum())
        note(f"note: {left:,} of {count(len(self.known), 'row')} not {what}: {', '.join(reasons)}")

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
        known = rows[self.known[rows]]
        costs = self.numbers.loc[known, self.costs]
        ranges = [f"{cost} {_range(costs[cost])}" for cost in self.costs]
        return ", ".join([count(len(known), "row"), *ranges])

    def weights(self, text: str | None) -> dict[str, float]:
        """Weight of each cost, from ``--weights``."""
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
        return dict(zip(self.costs, weights, strict=True))

    def within(self, parts: list) -> str:
        """What costs were normalised over, for the last line of the output."""
        if self.groups is not None:
            return f"within each of {count(len(parts), 'group')} ({self.grouped_by})"
        return f"over {self.scope(parts[0][1])}"


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


def comparing(*, any_numbers: bool = False) -> Callable:
    """Give a command the argument TABLE and the options that say what is compared.

    The command is called with a function that makes the `Comparison` (`costs_above_zero` for the
    rule `log`) and its own options.
    """
    options = [
        click.argument("table", metavar="TABLE"),
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
            help="Compare runs of different experiments with each other (refused otherwise).",
        ),
        click.option(
            "--label", metavar="COL", help="Column that names a model in the output."
        ),
    ]  # fmt: skip

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(*, table, performance, cost, by, together, label, **own):
            def read(*, costs_above_zero: bool = False) -> Comparison:
                from pepr_utils.results.user_table import load_user_table

                loaded = load_user_table(table)
                ranges = ({}, {}) if any_numbers else (
                    {"lower": 0.0, "upper": 1.0},
                    {"lower": 0.0, "lower_open": costs_above_zero},
                )  # fmt: skip
                return _compare(loaded, (performance, list(cost)), ranges, (by, together), label)

            return command(read, **own)

        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def weights_option(function: Callable) -> Callable:
    """Add ``--weights``."""
    return click.option("--weights", metavar="W1,W2", help="Weight of each --cost; together 1.")(
        function
    )


def _compare(
    table: UserTable,
    names: tuple[str | None, list[str]],
    ranges: tuple[dict, dict],
    grouping: tuple[tuple[str, ...], bool],
    label: str | None,
) -> Comparison:
    import pandas as pd

    performance, costs = _resolve(table, *names)
    failed = table.failed
    numbers = pd.DataFrame({performance: table.numbers(performance, **ranges[0])})
    for cost in costs:
        numbers[cost] = table.numbers(cost, **ranges[1])
    groups, grouped_by = _groups(table, *grouping)
    known = numbers.notna().all(axis=1) & ~failed
    if not known.any():
        raise InvalidTableError(
            f"{table.name}: no row has {' and '.join(map(repr, numbers.columns))}"
            + (" and a status of 'done'" if failed.any() else "")
            + "; at least one is needed"
        )
    model = _models(table, label, {performance, *costs, *grouping[0]})
    return Comparison(table, performance, costs, numbers, model, groups, grouped_by, failed, known)


def _resolve(table: UserTable, performance: str | None, costs: list[str]) -> tuple[str, list[str]]:
    if performance is None:
        performance = _default(table, "--performance", DEFAULT_PERFORMANCE)
    performance = table.column(performance, "performance column", numeric=True)
    costs = costs or [_default(table, "--cost", DEFAULT_COST)]
    resolved = [table.cost_column(cost) for cost in costs]
    used = [performance, *resolved]
    for name in used:
        refuse_reserved(name)
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice is not None:
        raise PeprError(f"column {twice!r} is named twice; performance and costs must differ")
    return performance, resolved


def refuse_reserved(name: str) -> None:
    """Refuse a column whose name the output needs for something else."""
    if name in RESERVED:
        raise PeprError(
            f"column {name!r} cannot be compared: the output has one of that name; "
            "rename it in the table"
        )


def _default(table: UserTable, option: str, name: str) -> str:
    column = "energy_kwh" if name == DEFAULT_COST else name
    if column in table.rows.columns:
        return column
    numeric = ", ".join(table.numeric_columns()) or "none"
    raise PeprError(
        f"{option} is needed, since {table.name} has no column {column!r}; "
        f"its numeric columns: {numeric}"
    )


def _groups(table: UserTable, by: tuple[str, ...], together: bool) -> tuple[pd.Series | None, str]:
    experiments = table.experiments
    if by in ((), ("experiment",)) and experiments is not None and not together:
        one = experiments.nunique() == 1 and not by
        return (None, "") if one else (experiments, "experiment")
    if not by:
        return None, ""
    parts = [table.labels(table.column(name, "group column")) for name in by]
    label = parts[0]
    for part in parts[1:]:
        label = label + ", " + part
    if experiments is not None and not together:
        _refuse_mixed(experiments, label, by)
    return label, ", ".join(by)


def _refuse_mixed(experiments: pd.Series, label: pd.Series, by: tuple[str, ...]) -> None:
    mixed = experiments.groupby(label, sort=False).nunique()
    if (mixed > 1).any():
        raise ScoreInputError(
            f"group {clean(str(mixed.idxmax()))!r} of {', '.join(by)} mixes {mixed.max()} "
            "experiments, whose costs are not comparable; allowed: groups within an experiment "
            "(the default), or --together to compare them anyway"
        )


def _models(table: UserTable, label: str | None, used: set[str]) -> pd.Series:
    """Name each row: by the column given, a usual one, the first text, else its number."""
    import pandas as pd

    if label is not None:
        column = table.column(label, "label column")
    else:
        usual = [c for c in _NAMING if c in table.rows.columns and c not in used]
        column = next(iter(usual or [c for c in table.text_columns() if c not in used]), None)
    numbers = pd.Series([f"row {i + 1}" for i in range(len(table.rows))], index=table.rows.index)
    if column is None:
        return numbers.rename("model")
    text = table.rows[column].astype("string").str.strip()
    return text.where(text.notna() & (text != ""), numbers).rename("model").astype(object)


def output_options(function: Callable) -> Callable:
    """Add ``--output`` and ``--json``."""
    function = click.option(
        "--json", "as_json", is_flag=True, help="Print a JSON array of objects."
    )(function)
    return click.option(
        "-o",
        "--output",
        metavar="OUT",
        type=click.Path(path_type=Path),
        help="Write the table with what is computed to OUT: .csv, .parquet or .json.",
    )(function)


def check_output(table: UserTable, added: list[str], output: Path | None) -> None:
    """Refuse an output that cannot be written, before anything is computed or printed."""
    from pepr_utils.results.export import check_target

    if output is not None:
        check_target(table, output, added)


def write_output(table: UserTable, added: pd.DataFrame, output: Path | None) -> None:
    """Write the file of ``--output``, and report it on stderr."""
    from pepr_utils.results.export import write_table

    if output is not None:
        write_table(table, added, output)
        note(f"wrote {count(len(added), 'row')} to {output}")


def print_json(comparison: Comparison, added: pd.DataFrame, parts: Iterable) -> None:
    """Print the rows of each group, with what was computed, as one JSON array."""
    import pandas as pd

    from pepr_utils.results.export import to_json

    frames = [comparison.described(label, rows).join(added) for label, rows in parts]
    echo(to_json(pd.concat(frames)))
