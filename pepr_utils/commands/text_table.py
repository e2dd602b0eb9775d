"""Tables of text for the terminal: aligned, numbers short, 80 columns wide where possible."""

from __future__ import annotations

import os
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

import click

from pepr_utils.errors import PeprError
from pepr_utils.printable import (  # noqa: F401 (all are used from here)
    clean,
    clean_lines,
    count,
    fraction,
    number,
)

WIDTH = 80
#: A heading longer than this is cut; the line below the table has it in full.
LONGEST_HEADING = 18
#: Exit code for a closed pipe: what a shell reports for SIGPIPE.
BROKEN_PIPE = 128 + 13
#: The names of the models are not cut below this.
NARROWEST_NAME = 16


def lines(columns: Mapping[str, Iterable[str]], *, name: str) -> list[str]:
    """Align a table given by column; column `name` is flush left and cut where space is short."""
    headings = [h if h == name else _cut(clean(h), LONGEST_HEADING) for h in columns]
    rows = [[clean(cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    cells = [headings, *rows]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(headings))]
    at = list(columns).index(name)
    others = sum(widths) - widths[at] + 2 * (len(widths) - 1)
    widths[at] = min(widths[at], max(WIDTH - others, NARROWEST_NAME))
    return ["  ".join(_cells(row, widths, at)).rstrip() for row in cells]


def _cells(row: Sequence[str], widths: Sequence[int], at: int) -> list[str]:
    cells = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        text = _cut(cell, width)
        pad = " " * (width - _width(text))
        cells.append(text + pad if i == at else pad + text)
    return cells


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    shown = ""
    for character in text:
        if _width(shown + character) > width - 1:
            break
        shown += character
    return shown + "…"


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: wide characters two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def wrapped(text: str) -> list[str]:
    """Break a sentence into lines of the table's width."""
    return textwrap.wrap(clean(text), WIDTH, break_long_words=False, break_on_hyphens=False)


def echo(text: str, *, err: bool = False) -> None:
    """Print at once; every command prints by this, so that no foreign text moves the cursor.

    Characters that the terminal cannot show get a substitute. A closed pipe (``| head``) ends the
    program as it ends any other.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = stream.encoding or "utf-8"
    try:
        click.echo(clean_lines(text).encode(encoding, "replace").decode(encoding), err=err)
    except BrokenPipeError:
        _silence(stream)
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        _silence(stream)
        if err:
            sys.exit(2)
        raise PeprError(f"the output cannot be written: {error.strerror}") from None


def _silence(stream: TextIO) -> None:
    """Send what a stream still holds nowhere, so that closing it cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def note(text: str) -> None:
    """Print a remark on stderr, in one line."""
    echo(clean(text), err=True)
