"""Write a table to CSV, Parquet or JSON: by the file's suffix, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.results.atomic import replacing
from pepr_utils.results.table_files import need_pyarrow
from pepr_utils.results.table_numbers import MISSING
from pepr_utils.results.table_reader import UserTable

SUFFIXES = (".csv", ".parquet", ".json")


def check_target(table: UserTable, target: Path, added: list[str]) -> None:
    """Refuse, before anything is computed, what could not be written or would replace something.

    Raises
    ------
    PeprError
        If the suffix is unknown, pyarrow is missing, the folder does not exist, `target` is a
        folder or the table's own file, or the table has one of the columns that are `added`.
    """
    if target.is_dir():
        raise PeprError(f"output {str(target)!r} is a folder; name a file in it")
    if target.suffix.lower() not in SUFFIXES:
        raise PeprError(
            f"output {str(target)!r} ends in {target.suffix or 'no suffix'!r}; "
            f"allowed: {', '.join(SUFFIXES)}"
        )
    if target.suffix.lower() == ".parquet":
        need_pyarrow()
    if not target.parent.is_dir():
        raise PeprError(f"output {str(target)!r}: no folder {str(target.parent)!r}; make it first")
    if table.path is not None and target.exists() and target.samefile(table.path):
        raise PeprError(f"output {str(target)!r} is the table itself; name another file")
    present = [name for name in added if name in table.columns]
    if present:
        raise InvalidTableError(
            f"{table.name}: has a column {present[0]!r} already, and the output adds one of that "
            "name; rename or drop it"
        )


def write_table(table: UserTable, added: pd.DataFrame, target: Path) -> None:
    """Write all columns of a table and those added to it, row order kept.

    CSV keeps the text of a CSV file unchanged. Parquet and JSON get numbers where a whole
    column is numbers.

    Raises
    ------
    PeprError
        If it cannot be written; an older file of that name is then unchanged.
    """
    suffix = target.suffix.lower()
    rows = table.rows if suffix == ".csv" else _typed(table)
    frame = pd.concat([rows, added], axis=1)
    for name in frame.columns[[_holds_objects(frame[c]) for c in frame.columns]]:
        frame[name] = frame[name].map(_as_text, na_action="ignore").astype("string")
    try:
        with replacing(target) as temporary:
            if suffix == ".csv":
                frame.to_csv(temporary, index=False, encoding="utf-8")
            elif suffix == ".parquet":
                frame.to_parquet(temporary, index=False, engine="pyarrow")
            else:
                temporary.write_text(to_json(frame) + "\n", encoding="utf-8")
    except OSError as error:
        raise PeprError(f"output {str(target)!r} cannot be written: {error.strerror}") from None


def to_json(frame: pd.DataFrame) -> str:
    """Return the rows as a JSON array of objects, what is missing as null."""
    objects = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return json.dumps(objects, indent=1, allow_nan=False, default=_plain)


def _typed(table: UserTable) -> pd.DataFrame:
    """Convert text columns of numbers to numbers; codes such as 007 stay text."""
    rows = table.rows.copy()
    for name in table.numeric_columns():
        if isinstance(rows[name].dtype, pd.StringDtype):
            text = rows[name].str.strip()
            text = text.mask(text.str.lower().isin(MISSING))
            if not text.str.match(r"[-+]?0\d").any():
                rows[name] = pd.to_numeric(text)
    return rows


def _holds_objects(values: pd.Series) -> bool:
    return values.dtype == object


def _as_text(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
