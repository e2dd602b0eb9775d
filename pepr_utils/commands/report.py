"""`pepr report`: a page for a colleague that says which model is worth its cost."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.comparison import Comparison, comparing
from pepr_utils.commands.score import ranking_of, score
from pepr_utils.commands.select import budgets, select
from pepr_utils.commands.text_table import count, note
from pepr_utils.errors import PeprError

if TYPE_CHECKING:
    from pepr_utils.results.result_set import ResultSet
    from pepr_utils.results.table_reader import UserTable


@click.command()
@comparing()
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show the first N of each group at once, the others folded.",
)
@click.option(
    "-o", "--output", metavar="OUT", type=click.Path(path_type=Path), required=True,
    help="The page: .html (with a chart), .pdf (needs Chromium), .md or .tex.",
)  # fmt: skip
def report(
    read: Callable[..., Comparison],
    maximum: tuple[str, ...],
    minimum: tuple[str, ...],
    top: int,
    chance: float | None,
    output: Path,
    **options: Any,
) -> None:
    """Write a page about the models of TABLE, for a colleague who does not know PePR.

    The answer comes first: the best model for its cost, the best within the budgets, the one of
    the highest performance, the cheapest, and how firm that is. Then a chart, the ranking, what
    the notes and the audit found, how to read it, and where it comes from. The page is one file
    and needs no network. TABLE and the options for its columns are as for `pepr score`, budgets as
    for `pepr select`.

    \b
    Example:
      pepr report models.csv --performance accuracy --cost energy_wh -o report.html
      pepr report models.csv --performance auc --cost kwh --max kwh=2 -o report.pdf
      pepr report results/xrays -o report.html
      pepr report published --top 5 -o report.md
    """
    from pepr_utils.reporting import check_report_target
    from pepr_utils.reporting import report as write_report

    check_report_target(output)
    ranking = ranking_of(read, **options)
    models = ranking.models
    limits = {
        "maximum": budgets(models, "--max", maximum),
        "minimum": budgets(models, "--min", minimum),
    }
    result_set, reason = _to_audit(models.as_read)
    left = f"; {models.left_out[0]} left out: {models.left_out[1]}" if models.left_out else ""
    write_report(
        ranking, output, name=models.table.name, audited=result_set or reason, top=top,
        chance=chance, **limits,
        provenance={
            "Table": models.table.name,
            "SHA-256": _hash_of(models.table),
            "Rows": count(int(models.known.sum()), "model") + " compared" + left,
            "Taken as": "; ".join([*models.as_read.taken, *models.remarks])
            or "one model in each row",
            "To repeat it": _command(models.table.path, output),
        },
    )  # fmt: skip
    note(f"wrote {output}")


def _to_audit(table: UserTable) -> tuple[ResultSet | None, str]:
    """The result set, or why there is none."""
    from pepr_utils.results.load import available_result_sets, load_result_set, of_table
    from pepr_utils.results.table_reader import REQUIRED_IN_TABLE

    if not table.follows_dictionary:
        missing = [name for name in REQUIRED_IN_TABLE if name not in table]
        return None, (
            "it finds copied values, impossible powers and accuracies that the test set cannot "
            f"give, in tables with the columns of the data dictionary; {', '.join(missing)} are "
            "missing here."
        )
    try:
        if table.name in available_result_sets() or Path(table.name).is_dir():
            return load_result_set(table.name), ""
        return of_table(table), ""
    except PeprError as error:
        return None, f"{error}."


def _hash_of(table: UserTable) -> str:
    from pepr_utils.results.load import content_hash

    if table.path is not None:
        return hashlib.sha256(table.path.read_bytes()).hexdigest()
    try:
        return content_hash(table.name)
    except PeprError:  # neither a file nor a set, such as standard input
        return "not known"


def _command(table: Path | None, output: Path) -> str:
    """The command that was given, without the folders of this machine."""
    own = {str(path) for path in (table, output) if path is not None}
    return shlex.join(["pepr", *(Path(a).name if a in own else a for a in sys.argv[1:])])


#: Options that are those of other commands.
_BORROWED = {
    score: ("weights", "alpha", "method", "lower", "upper", "outside", "chance"),
    select: ("maximum", "minimum"),
}
report.params += [
    p for command, names in _BORROWED.items() for p in command.params if p.name in names
]
