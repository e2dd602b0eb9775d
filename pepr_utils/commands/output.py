"""Output of `pepr score`, `pareto` and `select`: a file, or JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pepr_utils.commands.text_table import count, note

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.user_table import UserTable


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
