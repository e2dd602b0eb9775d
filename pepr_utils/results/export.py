"""Write a table: CSV, Excel, Parquet, JSON, Markdown or LaTeX by the file's suffix, or nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.printable import for_spreadsheet, markdown_cell, without_controls
from pepr_utils.results.atomic import replacing
from pepr_utils.results.table_files import need, need_pyarrow
from pepr_utils.results.table_reader import UserTable

SUFFIXES = (".csv", ".xlsx", ".parquet", ".json", ".md", ".tex")
_TEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def check_target(table: UserTable, target: Path, added: list[str]) -> None:
    """Refuse, before anything is computed, what could not be written or would replace something.

    Raises
    ------
    PeprError
        If the suffix is unknown, a package is missing, the folder does not exist, `target` is a
        folder or the table's own file, or the table has one of the columns that are `added`.
    """
    suffix = target.suffix.lower()
    if target.is_dir():
        raise PeprError(f"output {str(target)!r} is a folder; name a file in it")
    if suffix not in SUFFIXES:
        raise PeprError(
            f"output {str(target)!r} ends in {target.suffix or 'no suffix'!r}; "
            f"allowed: {', '.join(SUFFIXES)}"
        )
    if suffix == ".parquet":
        need_pyarrow()
    if suffix == ".xlsx":
        need("xlsxwriter", "a spreadsheet", "tables")
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

    CSV keeps the text of a text file, but for decimal commas and thousands. Excel, Parquet and
    JSON get numbers where a whole column is numbers. Markdown and LaTeX, for documents, are in the
    order of the rank and round what was computed to four decimals. Text that a spreadsheet would
    run as a formula gets an apostrophe before it in CSV, which the reader takes away, and is plain
    text in Excel.

    Raises
    ------
    PeprError
        If it cannot be written; an older file of that name is then unchanged.
    """
    suffix = target.suffix.lower()
    as_text = suffix in (".csv", ".md", ".tex")
    frame = pd.concat([_rows(table, typed=not as_text), added], axis=1)
    for name in frame.columns[[_holds_objects(frame[c]) for c in frame.columns]]:
        frame[name] = frame[name].map(_as_text, na_action="ignore").astype("string")
    try:
        with replacing(target) as temporary:
            _write(frame, list(added.columns), suffix, temporary)
    except OSError as error:
        raise PeprError(f"output {str(target)!r} cannot be written: {error.strerror}") from None


def _write(frame: pd.DataFrame, added: list[str], suffix: str, path: Path) -> None:
    if suffix == ".csv":
        without_formulas(frame).to_csv(path, index=False, encoding="utf-8")
    elif suffix == ".parquet":
        frame.to_parquet(path, index=False, engine="pyarrow", write_page_checksum=True)
    elif suffix == ".json":
        path.write_text(to_json(frame) + "\n", encoding="utf-8")
    elif suffix == ".xlsx":
        options = {"strings_to_formulas": False, "strings_to_urls": False}
        with path.open("wb") as file, pd.ExcelWriter(
            file, engine="xlsxwriter", engine_kwargs={"options": options}
        ) as writer:  # fmt: skip
            frame.to_excel(writer, sheet_name="models", index=False)
    else:
        path.write_text(_document(frame, added, suffix), encoding="utf-8")


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is a formula for a spreadsheet.

    Examples
    --------
    >>> without_formulas(pd.DataFrame({"file": ["a.png", "=1+1"]}))["file"].tolist()
    ['a.png', "'=1+1"]
    """
    return frame.rename(columns=for_spreadsheet).apply(
        lambda c: c if c.dtype.kind in "biufM" else c.map(for_spreadsheet, na_action="ignore")
    )


def _document(frame: pd.DataFrame, added: list[str], suffix: str) -> str:
    """Lay a table out for a document: the best first, what was computed with four decimals."""
    for name in frame[added].select_dtypes("float"):
        frame[name] = frame[name].map("{:.4f}".format, na_action="ignore")
    if "rank" in added:
        frame = frame.sort_values("rank", kind="stable")
    cells = frame.astype("string").fillna("").replace(r"\s*[\r\n\t]+\s*", " ", regex=True)
    rows = [list(map(str, frame.columns)), *cells.to_numpy().tolist()]
    if suffix == ".md":
        lines = ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * len(frame.columns), *lines[1:]]) + "\n"
    lines = [" & ".join(without_controls(c).translate(_TEX) for c in row) + r" \\" for row in rows]
    rule, begin = r"\hline", rf"\begin{{tabular}}{{{'l' * len(frame.columns)}}}"
    return "\n".join([begin, rule, lines[0], rule, *lines[1:], rule, r"\end{tabular}"]) + "\n"


def to_json(frame: pd.DataFrame) -> str:
    """Return the rows as a JSON array of objects, missing values as null, infinite ones as text."""
    cells = frame.astype(object).where(frame.notna(), None)
    objects = cells.replace({math.inf: "inf", -math.inf: "-inf"}).to_dict("records")
    return json.dumps(objects, indent=1, allow_nan=False, default=_plain)


def _rows(table: UserTable, *, typed: bool) -> pd.DataFrame:
    """Return the rows with a decimal point and no thousands in text that is numbers.

    Typed, they become numbers, but for percentages and codes such as 007.
    """
    rows = table.rows.copy()
    for name in table.numeric_columns():
        if not isinstance(rows[name].dtype, pd.StringDtype):
            continue
        try:
            plain = table.plain(name)
        except InvalidTableError:  # 1,234 alone: it is written as it was read
            continue
        if typed and not plain.divided and not rows[name].str.match(r"\s*[-+]?0\d").any():
            rows[name] = pd.to_numeric(plain.text)
        elif plain.taken:
            rows[name] = plain.text + "%" * plain.divided
    return rows


def _holds_objects(values: pd.Series) -> bool:
    return values.dtype == object


def _as_text(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
