"""The options of every command that reads a table, and the line that says how it was read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pepr_utils.commands.text_table import note
from pepr_utils.errors import PeprError


def reading_options(command: Callable) -> Callable:
    """Add the options that say how a file is read; the command gets them as ``reading``.

    They are the fields of `pepr_utils.results.table_reader.Reading`.
    """
    options = {
        "percent": click.option(
            "--percent", metavar="COL", multiple=True,
            help="Column of percentages, divided by 100; may be given several times."),
        "mapping": click.option(
            "--map", "mapping", metavar="NEW=COL", multiple=True, callback=_pairs,
            help="Call a column NEW; COL may end in its unit or %, as in accuracy=top1%."),
        "join": click.option(
            "--join", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
            help="Add the columns of a further table, by --on."),
        "on": click.option("--on", metavar="COL", help="Column that the tables share, or A=B."),
        "sep": click.option(
            "--sep", metavar="CHAR", help="Separator of a text file.  [default: as found]"),
        "decimal": click.option(
            "--decimal", type=click.Choice([",", "."]),
            help="Decimal mark of a text file.  [default: as found]"),
        "sheet": click.option(
            "--sheet", metavar="NAME", help="Sheet of a spreadsheet, by name or number."),
    }  # fmt: skip

    @functools.wraps(command)
    def run(**own):
        reading = {name: own.pop(name) for name in options}
        return command(reading={k: v for k, v in reading.items() if v}, **own)

    for option in reversed(options.values()):
        run = option(run)
    return run


def _pairs(_context: Any, _option: Any, texts: tuple[str, ...]) -> dict[str, str]:
    """New name -> column, from ``--map``."""
    pairs: dict[str, str] = {}
    for text in texts:
        new, equals, column = (part.strip() for part in text.partition("="))
        if not (new and equals and column) or new in pairs:
            raise click.UsageError(
                f"--map is {text!r}; allowed: NEW=COL, each NEW once, such as --map "
                "accuracy=top1% or --map energy_kwh='consumed (Wh)'"
            )
        pairs[new] = column
    return pairs


@contextmanager
def saying_how_read() -> Iterator[list]:
    """Collect tables; say of each, in one line on stderr, what it was taken for.

    Where the command ends in an error, that is the one line.
    """
    tables: list = []
    try:
        yield tables
    except (PeprError, click.ClickException):
        tables.clear()
        raise
    finally:
        for table in tables:
            say_how_read(table.name, table.taken)


def say_how_read(name: str, taken: Iterable[str]) -> None:
    """Say in one line what a file was taken for, where that was not the plain default."""
    if taken:
        note(f"read {name} as: {'; '.join(taken)}")
