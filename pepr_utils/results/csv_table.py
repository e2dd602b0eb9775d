"""Read a CSV table as text, refusing what a lenient reader would shift, rename or drop."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.tables import shorten


def read_rows(path: Path) -> pd.DataFrame:
    """Read a comma-separated file with a header, every value as text.

    Parameters
    ----------
    path : pathlib.Path
        A file in UTF-8, with or without a byte order mark; empty lines are passed over, and the
        line ``sep=,`` that Excel understands before the header.

    Raises
    ------
    InvalidTableError
        If the file is empty, not UTF-8 text or not comma-separated, if a column stands twice, or
        a row has more or fewer values than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            first = next(reader, [])
            if first == ["sep=", ""]:
                first = next(reader, [])
            header = [name.strip() for name in first]
            rows = [row for row in reader if row]
    except UnicodeDecodeError as error:
        raise InvalidTableError(
            f"{path.name}: byte {error.start} is not UTF-8 text; save it as CSV in UTF-8"
        ) from None
    except csv.Error as error:
        raise InvalidTableError(f"{path.name}: not a readable CSV table ({error})") from None
    except OSError as error:
        raise InvalidTableError(f"{path}: cannot be read ({error.strerror})") from None
    _check(path.name, header, rows)
    return pd.DataFrame(rows, columns=header, dtype="string")


def _check(name: str, header: list[str], rows: list[list[str]]) -> None:
    if not any(header):
        raise InvalidTableError(f"{name}: the file is empty; at least a header and one row")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise InvalidTableError(f"{name}: its values are not separated by commas; save it so")
    twice = next((column for column in header if header.count(column) > 1), None)
    if twice is not None:
        raise InvalidTableError(f"{name}: column {twice!r} stands there twice; keep one")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InvalidTableError(
                f"{name}: row {number} has {len(row)} values and the header {len(header)} "
                f"({shorten(','.join(header))}); allowed: one value, or nothing, between commas "
                "for each column, and nothing above the header"
            )
