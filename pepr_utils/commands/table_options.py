"""The options of every command that reads a table, and the line that says how it was read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pepr_utils.commands.text_table import note
from pepr_utils.errors import PeprError


def reading_options(command: Callable) -> Callable:
    """Add the options that say how a file is read; the command gets them as ``reading``.

    They are the keyword arguments of `pepr_utils.results.user_table.load_user_table`.
    """

    @functools.wraps(command)
    def run(*, percent, mapping, join, sep, decimal, sheet, on, **own):
        pairs = {}
        for text in mapping:
            new, equals, column = (part.strip() for part in text.partition("="))
            if not (new and equals and column) or new in pairs:
                raise click.UsageError(
                    f"--map is {text!r}; allowed: NEW=COL, each NEW once, such as --map "
                    "accuracy=top1% or --map energy_kwh='consumed (Wh)'"
                )
            pairs[new] = column
        reading = {
            "sep": sep, "decimal": decimal, "sheet": sheet, "on": on,
            "percent": percent, "join": join, "mapping": pairs,
        }  # fmt: skip
        return command(reading={k: v for k, v in reading.items() if v}, **own)

    options = [
        click.option("--percent", metavar="COL", multiple=True,
                     help="Column of percentages, divided by 100; may be given several times."),
        click.option("--map", "mapping", metavar="NEW=COL", multiple=True,
                     help="Call a column NEW; COL may end in its unit or %, as in accuracy=top1%."),
        click.option("--join", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
                     help="Add the columns of a further table, by --on."),
        click.option("--on", metavar="COL", help="Column that the tables share, or A=B."),
        click.option("--sep", metavar="CHAR",
                     help="Separator of a text file.  [default: as found]"),
        click.option("--decimal", type=click.Choice([",", "."]),
                     help="Decimal mark of a text file.  [default: as found]"),
        click.option("--sheet", metavar="NAME", help="Sheet of a spreadsheet, by name or number."),
    ]  # fmt: skip
    for option in reversed(options):
        run = option(run)
    return run


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
