"""A table to be scored: a user's own CSV or Parquet file, or the runs of a result set.

Only the columns that a question needs are checked, each as a whole; the others are carried along.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError, PeprError, how_to_install, unknown_name
from pepr_utils.results.experiments import KEY_COLUMNS, experiment_keys, experiment_labels
from pepr_utils.results.load import REQUIRED_IN_CSV, available_result_sets, load_result_set
from pepr_utils.results.scores import COST_COLUMNS, cost_column, score_runs
from pepr_utils.results.tables import Column, check_values, columns, read_rows

#: How people and programs (the last line: pandas and Excel) write that a number is missing, in
#: small letters. A dash is not among them: accounting formats write 0 as a dash.
MISSING = (
    "", "na", "n/a", "nan", "-nan", "null", "none",
    "<na>", "nat", "#n/a",
)  # fmt: skip


@dataclass(frozen=True)
class UserTable:
    """Rows as they were read, numbered from 0, and where they came from.

    Attributes
    ----------
    name : str
        For messages: the file's name, or the result set's.
    rows : pandas.DataFrame
        Every column; text as text where the file holds text.
    path : pathlib.Path or None
        The file, where it was one.
    """

    name: str
    rows: pd.DataFrame
    path: Path | None = None

    @property
    def follows_dictionary(self) -> bool:
        """Whether it has the columns that make a table a result set."""
        return set(REQUIRED_IN_CSV) <= set(self.rows.columns)

    def column(self, name: str, what: str = "column", *, numeric: bool = False) -> str:
        """Return `name` if there is such a column.

        Raises
        ------
        UnknownNameError
            If there is none; the message lists the columns, or the `numeric` ones.
        """
        if name in self.rows.columns:
            return name
        names = (self.numeric_columns() if numeric else []) or self.rows.columns
        raise unknown_name(f"{what} of {self.name}:", name, names)

    def cost_column(self, cost: str, what: str = "cost column") -> str:
        """Resolve a column's name or, where the data dictionary's columns are, E, C, M, T or D."""
        known = any(name in self.rows.columns for name in COST_COLUMNS.get(cost, ()))
        if cost not in self.rows.columns and known:
            return cost_column(self.rows, cost)
        return self.column(cost, what, numeric=True)

    def numbers(
        self,
        name: str,
        *,
        lower: float | None = None,
        upper: float | None = None,
        lower_open: bool = False,
    ) -> pd.Series:
        """Check a column and return it as floats, missing ones as NaN.

        Parameters
        ----------
        name : str
            A column that exists.
        lower, upper : float, optional
            The range allowed; `lower` itself is allowed unless `lower_open`.

        Raises
        ------
        InvalidTableError
            If a value is no finite number or out of range; row (from 1), column and value are
            named. Empty and the usual texts for missing (``NA``, ``NaN``, ``null``) are allowed.
        """
        values = self.rows[name]
        if values.dtype.kind not in "fiub" or pd.api.types.is_bool_dtype(values):
            values = values.astype("string")
            values = values.mask(values.str.strip().str.lower().isin(MISSING))
        number = Column(
            name, "runs", "float64", nullable=True, meaning="",
            lower=lower, upper=upper, lower_open=lower_open,
        )  # fmt: skip
        return check_values(values, number, self.name)

    def labels(self, name: str) -> pd.Series:
        """Return a column as text, without missing values.

        Raises
        ------
        InvalidTableError
            If a value is empty.
        """
        text = self.rows[name].astype("string").str.strip()
        empty = (text.isna() | (text == "").fillna(True)).to_numpy(dtype=bool)
        if empty.any():
            raise InvalidTableError(
                f"{self.name}: row {int(empty.argmax()) + 1}, column {name!r} is empty; "
                "allowed: a group label in every row; fill it in, or group by another column"
            )
        return text

    def numeric_columns(self) -> list[str]:
        """Columns that hold numbers, each with at least one."""
        return [str(name) for name in self.rows.columns if self._is_numeric(name)]

    def text_columns(self) -> list[str]:
        """Columns with any value that is not a number."""
        numeric = set(self.numeric_columns())
        return [str(name) for name in self.rows.columns if name not in numeric]

    def _is_numeric(self, name: str) -> bool:
        try:
            return bool(self.numbers(name).notna().any())
        except (InvalidTableError, TypeError, ValueError):
            return False

    @property
    def failed(self) -> pd.Series:
        """Which rows are failed or paused runs: none, unless it follows the data dictionary."""
        if not self.follows_dictionary or "status" not in self.rows.columns:
            return pd.Series(False, index=self.rows.index)
        status = check_values(self.rows["status"], columns()["status"], self.name, nullable=True)
        return (status != "done").fillna(False).astype(bool)

    @property
    def experiments(self) -> pd.Series | None:
        """The label of each row's experiment, or None for a table of other columns."""
        if not self.follows_dictionary:
            return None
        if "experiment" in self.rows.columns:
            keys = self.labels("experiment")
        else:
            key = (*KEY_COLUMNS, "dataset_hash")
            known = [name for name in key if name in self.rows.columns]
            typed = {
                name: check_values(self.rows[name], columns()[name], self.name, nullable=True)
                for name in known
            }
            frame = pd.DataFrame(typed).astype(object)
            records = frame.where(frame.notna(), None).to_dict("records")
            keys = pd.Series(experiment_keys(records), index=self.rows.index)
        if not (keys.str.count("/") == len(KEY_COLUMNS) - 1).all():
            return keys
        return keys.map(experiment_labels(keys)).astype("string")


def load_user_table(name_or_path: str | os.PathLike[str]) -> UserTable:
    """Load a table by path, or the runs of a result set by name or folder.

    Parameters
    ----------
    name_or_path : str or path
        A CSV file (UTF-8, commas, a header) or a Parquet file with any columns; or the name of a
        result set or a folder of records, as for `load_result_set`.

    Raises
    ------
    UnknownNameError
        If there is no such file or set.
    InvalidTableError
        If the file cannot be read as a table, or has no rows.
    PeprError
        If it is a Parquet file and pyarrow is not installed.

    Examples
    --------
    >>> load_user_table("published").rows.shape[0]  # doctest: +SKIP
    1048
    """
    name = os.fspath(name_or_path)
    path = Path(name).expanduser()
    if name in available_result_sets() or path.is_dir():
        return UserTable(name, load_result_set(name).runs.reset_index(drop=True))
    if not path.exists():
        raise unknown_name(
            "table", name, available_result_sets(),
            also="the path of a CSV or Parquet file or of a folder of records",
        )  # fmt: skip
    rows = _reader(path)(path)
    if rows.empty:
        raise InvalidTableError(f"{path.name}: no rows; at least one is needed below the header")
    return UserTable(path.name, rows, path)


def read_table(name_or_path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table of models, one row each: any CSV or Parquet file, or a result set's runs.

    Parameters
    ----------
    name_or_path : str or path
        See `load_user_table`.

    Returns
    -------
    pandas.DataFrame
        Every column, rows numbered from 0; numbers with empty cells among them as floats.

    Raises
    ------
    InvalidTableError, UnknownNameError
        If the file is damaged or malformed, or there is neither such a file nor such a set.

    Examples
    --------
    >>> read_table("published").shape[0]
    1048
    """
    table = load_user_table(name_or_path)
    texts = [name for name in table.numeric_columns() if table.rows[name].dtype.kind not in "fiub"]
    return table.rows.assign(**{name: table.numbers(name) for name in texts})


def score(
    table: pd.DataFrame,
    *,
    performance: str = "test_accuracy",
    cost: str = "E",
    alpha: float = 1.0,
    method: str = "minmax",
) -> pd.DataFrame:
    """Rank the models of a table by PePR, as the command ``pepr score`` does.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per model. With the columns of the data dictionary it is scored within each
        experiment, any other as a whole.
    performance : str, default "test_accuracy"
        Column of the performance, in [0, 1].
    cost : str, default "E"
        Column of the cost or, where the data dictionary's columns are, E, C, M, T or D.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    method : str, default "minmax"
        Normalisation rule; see `pepr_utils.scoring.normalize`.

    Returns
    -------
    pandas.DataFrame
        The table with ``resource``, ``pepr`` and ``rank`` (in the experiment), the best score
        first, of equal ones the cheaper; rows without a value last.

    Raises
    ------
    InvalidTableError, UnknownNameError
        If a column is absent.
    ScoreInputError
        If a value is out of range.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["a", "b"], "auc": [0.9, 0.8], "kwh": [2.0, 1.0]})
    >>> score(table, performance="auc", cost="kwh")[["model", "pepr", "rank"]].values.tolist()
    [['b', 0.8, 1], ['a', 0.45, 2]]
    """
    if not isinstance(table, pd.DataFrame):
        raise InvalidTableError(
            f"table is a {type(table).__name__}; allowed: a pandas DataFrame, one row per model, "
            "such as the `runs` of a result set"
        )
    rows = table.reset_index(drop=True)
    groups = UserTable("the table", rows).experiments
    if groups is None:
        groups = pd.Series("all", index=rows.index)
    scored = score_runs(
        rows.assign(experiment=groups),
        performance=performance,
        cost=cost,
        alpha=alpha,
        method=method,
    )
    rank = scored["pepr"].groupby(groups).rank(method="min", ascending=False).astype("Int64")
    found = rows.assign(resource=scored["resource"], pepr=scored["pepr"], rank=rank)
    order = pd.DataFrame({"best": -found["pepr"], "cost": rows[cost_column(rows, cost)]})
    found = found.loc[order.sort_values(["best", "cost"], kind="stable").index]
    return found.set_axis(table.index[found.index])


def _reader(path: Path) -> Callable[[Path], pd.DataFrame]:
    readers = {".csv": read_rows, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise InvalidTableError(
            f"{path.name}: its name ends in {path.suffix or 'no suffix'!r}; allowed: .csv "
            "(UTF-8, comma-separated) or .parquet; save or rename it so"
        )
    return readers[path.suffix.lower()]


def _read_parquet(path: Path) -> pd.DataFrame:
    need_pyarrow()
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidTableError(f"{path.name}: not a readable Parquet file ({reason})") from None
    kept = [name for name in frame.index.names if name is not None and name not in frame]
    frame = frame.reset_index(level=kept) if kept else frame
    frame = frame.reset_index(drop=True)
    frame.columns = frame.columns.map(str)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidTableError(f"{path.name}: column {twice!r} appears twice; keep one")
    return frame


def need_pyarrow() -> None:
    """Raise unless pyarrow, which Parquet needs, can be imported.

    Raises
    ------
    PeprError
        With the command that installs it.
    """
    if find_spec("pyarrow") is None:
        raise PeprError(
            "Parquet needs pyarrow, which is not installed: "
            f"{how_to_install('parquet')}, or use CSV"
        )
