"""A table to be scored: a user's own file, or the runs of a result set.

Only the columns that a question needs are read and checked, each as a whole.
"""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from pepr_utils.errors import unknown_name
from pepr_utils.paths import user_path
from pepr_utils.results.load import available_result_sets, load_result_set
from pepr_utils.results.table_reader import Reading, UserTable, read_table_files


def load_user_table(name_or_path: str | os.PathLike[str], **options: Any) -> UserTable:
    """Load a table by path, or the runs of a result set by name or folder.

    Parameters
    ----------
    name_or_path : str or path
        Any file with a header and a row for each model: CSV with any separator and decimal mark,
        a spreadsheet, Parquet, JSON or JSON lines, also compressed; ``-`` for standard input;
        carbontracker's logs or a folder of them; or the name of a result set or a folder of
        records, as for `load_result_set`. What it was taken for is in `UserTable.taken`.
    **options
        How files are read: what `pepr_utils.results.table_reader.Reading` lists, such as
        ``decimal=","``, ``percent=["accuracy"]``, ``mapping={"accuracy": "top1 %"}`` or
        ``join=["energies.csv"], on="model"``.

    Raises
    ------
    UnknownNameError
        If there is no such file, set or column.
    InvalidTableError
        If a file cannot be read as a table, or has no rows; or a key to join by appears twice.
    NotInstalledError
        If a package is needed that is not installed.

    Examples
    --------
    >>> load_user_table("published").rows.shape[0]  # doctest: +SKIP
    1048
    """
    reading = Reading(**options)
    name = os.fspath(name_or_path)
    path = user_path(name)
    if name in available_result_sets() or (path.is_dir() and not any(path.glob("*.log"))):
        given = {option: value for option, value in options.items() if value}
        loaded = load_result_set(name, **given)
        table = UserTable(name, loaded.runs.reset_index(drop=True))
        table.say(*loaded.taken)
        return table
    for file in (path, *reading.joined):
        if str(file) != "-" and not file.exists():
            raise unknown_name(
                "file or result set", str(file), available_result_sets(),
                also="the path of a table (CSV, spreadsheet, Parquet, JSON) or a folder of records",
            )  # fmt: skip
    return read_table_files(path, reading)


def read_table(name_or_path: str | os.PathLike[str], **options: Any) -> pd.DataFrame:
    """Read a table of models, one row each: a file of any kind, or a result set's runs.

    Parameters
    ----------
    name_or_path : str or path
        See `load_user_table`.
    **options
        The options of `load_user_table`, such as ``decimal=","`` or ``percent=["accuracy"]``.

    Returns
    -------
    pandas.DataFrame
        Every column, rows numbered from 0; numbers with empty cells among them as floats,
        percentages that are called or written so as fractions.

    Raises
    ------
    InvalidTableError, UnknownNameError
        If the file is damaged or malformed, or there is neither such a file nor such a set.

    Examples
    --------
    >>> read_table("published").shape[0]
    1048
    """
    table = load_user_table(name_or_path, **options)
    return table.with_numbers(options.get("mapping") or ())
