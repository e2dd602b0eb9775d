"""A user's table: read from files column by column, with units, percentages and joins."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError, ScoreInputError, unknown_name
from pepr_utils.paths import user_path
from pepr_utils.results.experiments import KEY_COLUMNS, experiment_keys, experiment_labels
from pepr_utils.results.scores import COST_COLUMNS, cost_column
from pepr_utils.results.table_files import SEPARATORS, TableFile, open_table
from pepr_utils.results.table_numbers import (
    Numbers,
    are_numbers,
    as_numbers,
    sampled_marks,
)
from pepr_utils.results.table_profiles import (
    Alias,
    aliases,
    carbontracker_logs,
    converted,
    recognised,
    says_percent,
)
from pepr_utils.results.tables import Column, check_values, columns

#: Columns that a user's own table needs; every other column of the dictionary may be absent.
_OTHER_NAMES = {
    "architecture": ("model", "name"),
    "test_accuracy": ("accuracy", "test_acc", "acc"),
}
#: A result set keeps so many columns that the data dictionary does not have.
MOST_OTHERS = 1_000
REQUIRED_IN_TABLE = ("architecture", "dataset", "test_accuracy", "energy_kwh")


@dataclass(frozen=True)
class Conventions:
    """How the numbers of a table are written.

    Attributes
    ----------
    decimal : str or None
        The decimal mark, where it was given.
    marks : dict
        Column -> decimal marks that other columns of its file prove.
    percent : frozenset of str
        Columns that hold percentages.
    by_name : bool
        Whether a column whose name says percent holds percentages.
    aliases : dict
        Columns that are made of others.
    plain : bool
        Whether percentages have been divided.
    """

    decimal: str | None = None
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    percent: frozenset[str] = frozenset()
    by_name: bool = False
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    plain: bool = False


class UserTable:
    """Rows as they were read, numbered from 0, and where they came from.

    Parameters
    ----------
    name : str
        For messages: the file's name, or the result set's.
    rows : pandas.DataFrame or TableFile
        Every column; text as text where the file holds text. Columns of a file are read when they
        are used.
    path : pathlib.Path, optional
        The file, where it was one.
    conventions : Conventions, optional
        How its numbers are written.

    Attributes
    ----------
    columns : list of str
        Every column of the file.
    """

    def __init__(
        self,
        name: str,
        rows: pd.DataFrame | TableFile,
        path: Path | None = None,
        conventions: Conventions | None = None,
    ) -> None:
        self.name, self.path = name, path
        self.conventions = conventions or Conventions()
        self.file = rows if isinstance(rows, TableFile) else None
        self._said: dict[str, list[str]] = {}
        self.say(*(self.file.taken if self.file else ()))
        self._read: dict[str, pd.Series] = {}
        self._floats: dict[str, pd.Series] = {}
        self._numeric: dict[str, bool] = {}
        if isinstance(rows, pd.DataFrame):
            self._read = {str(name): rows[name] for name in rows.columns}
            self.columns, self.index = list(self._read), rows.index
            self.rows = rows
        else:
            self.columns = list(rows.columns)

    @property
    def taken(self) -> list[str]:
        """What the table was taken for, where that was not the plain default.

        Separator, decimal mark, encoding, sheet, units converted, percentages divided: it grows as
        columns are used.
        """
        return [f"{text} ({', '.join(of)})" if of else text for text, of in self._said.items()]

    def say(self, *texts: str, column: str | None = None) -> None:
        """Add to what it was taken for."""
        for text in texts:
            of = self._said.setdefault(text, [])
            if column and column not in of:
                self._said[text] = [*of, column]

    def with_rows(self, read: Callable[[list[str]], pd.DataFrame]) -> UserTable:
        """Return a table of the same columns, whose values are `read`, as `numbers` gives them."""
        file = TableFile(self.name, self.columns, read, pd.DataFrame())
        conventions = replace(self.conventions, plain=True)
        table = UserTable(self.name, file, self.path, conventions)
        table._said = self._said
        return table

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every column, read as a whole."""
        self.read(self.columns)
        return pd.DataFrame({name: self._read[name] for name in self.columns})

    @cached_property
    def index(self) -> pd.Index:
        """Row numbers, from 0."""
        if not (self._read or self._floats):
            self.read(self.columns[:1])
        return next(iter((self._floats or self._read).values())).index

    def __contains__(self, name: str) -> bool:
        """Whether there is a column, of its own or made of another."""
        return name in self.columns or name in self.conventions.aliases

    def read(self, names: Iterable[str]) -> None:
        """Read columns in one go; those that do not exist are passed over."""
        sources = {s for s in map(self.source, names) if s not in self._read}
        if sources and self.file and (wanted := [n for n in self.columns if n in sources]):
            frame = self.file.read(wanted)
            self._read |= {name: frame[name] for name in wanted}

    def read_numbers(self, names: Iterable[str], texts: Iterable[str] = ()) -> None:
        """Read columns of plain numbers of a text file, without their text, and `texts` in one go.

        Of a file that holds numbers as numbers, all of them.
        """
        if self.file is None or self.file.floats is None:
            self.read([*names, *texts])
            return
        sources = {
            s for s in map(self.source, names) if s not in self._read and s not in self._floats
        }
        if not sources:
            return
        beside = {s for s in map(self.source, texts) if s not in self._read and s not in sources}
        texts = [name for name in self.columns if name in beside]
        wanted = [n for n in self.columns if n in sources and self._looks_plain(n)]
        if wanted and (frame := self.file.floats(wanted, texts)) is not None:
            self._floats |= {name: frame[name] for name in wanted}
            self._read |= {name: frame[name] for name in texts}

    def _looks_plain(self, name: str) -> bool:
        marks = {self.conventions.decimal, *self.conventions.marks.get(name, ())}
        sample = None if self.file is None else self.file.sample[name]
        return sample is not None and "," not in marks and are_numbers(sample, plainly=True)

    def source(self, name: str) -> str:
        """Return the column of the file that a column's values come from."""
        alias = self.conventions.aliases.get(name)
        return alias.source if alias and name not in self.columns else name

    def values(self, name: str) -> pd.Series:
        """Return a column as it was read."""
        self.read([name])
        return self._read[self.source(name)].rename(name)

    @property
    def follows_dictionary(self) -> bool:
        """Whether it has the columns that make a table a result set."""
        return all(name in self for name in REQUIRED_IN_TABLE)

    def column(self, name: str, what: str = "column", *, numeric: bool = False) -> str:
        """Return `name` if there is such a column.

        Raises
        ------
        UnknownNameError
            If there is none; the message lists the columns, or the `numeric` ones.
        """
        if name in self:
            return name
        names = (self.numeric_columns() if numeric else []) or self.columns
        made = [n for n in self.conventions.aliases if n not in names]
        raise unknown_name(f"{what} of {self.name}:", name, [*names, *made])

    def cost_column(self, cost: str, what: str = "cost column") -> str:
        """Resolve a column's name or, where the data dictionary's columns are, E, C, M, T or D."""
        known = [name for name in COST_COLUMNS.get(cost, ()) if name in self]
        if cost not in self and known:
            return cost_column(pd.DataFrame({name: self.numbers(name) for name in known}), cost)
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
            If a value is no finite number, out of range or could be read in two ways; row (from
            1), column and value are named. Empty and the usual texts for missing (``NA``,
            ``NaN``, ``null``) are allowed.
        """
        spec = Column(
            name, "runs", "float64", nullable=True, meaning="",
            lower=lower, upper=upper, lower_open=lower_open,
        )  # fmt: skip
        return self._checked(name, spec)

    def _checked(self, name: str, spec: Column) -> pd.Series:
        """Return a column as numbers of its specification; messages show what is in the file."""
        self.read_numbers([name])
        if self.source(name) in self._floats:
            values = self._floats[self.source(name)].rename(name)
            with suppress(InvalidTableError):  # whose message is to show what is in the file
                return self._scaled(name, values, spec, values)
        values = written = self.values(name)
        divided = False
        if _is_text(values):
            values, divided, taken = self.plain(name)
            written = written.where(values.notna())
            if taken:
                self.say(taken, column=name)
        return self._scaled(name, values, spec, written, divided=divided)

    def _scaled(
        self,
        name: str,
        values: pd.Series,
        spec: Column,
        written: pd.Series,
        *,
        divided: bool = False,
    ) -> pd.Series:
        """Convert units and percentages, and check the range."""
        alias = self.conventions.aliases.get(name) if name not in self.columns else None
        factor = alias.factor if alias else Fraction(1)
        if alias:
            self.say(alias.said)
        if divided or self._is_percentage(name, values):
            factor /= 100
        if factor != 1:
            any_number = Column(name, "runs", "float64", nullable=True, meaning="")
            values = check_values(values, any_number, self.name, written=written)
            values = values * factor.numerator / factor.denominator
        return check_values(values, spec, self.name, nullable=True, written=written)

    def plain(self, name: str) -> Numbers:
        """Return a column of text as numbers with a decimal point; see `as_numbers`."""
        return as_numbers(
            self.values(name).astype("string"),
            f"{self.name}: column {self.source(name)!r}",
            decimal=self.conventions.decimal,
            elsewhere=self.conventions.marks.get(self.source(name), frozenset()),
        )

    def _is_percentage(self, name: str, values: pd.Series) -> bool:
        """Whether a column is to be divided by 100: it was asked for, or its name says so."""
        if self.conventions.plain:
            return False
        asked = bool({name, self.source(name)} & self.conventions.percent)
        if not asked:
            if not (self.conventions.by_name and says_percent(name)):
                return False
            if not (pd.to_numeric(values, errors="coerce") > 1).any():
                raise InvalidTableError(
                    f"{self.name}: column {name!r} says percent, and none of its values is above "
                    f"1; add --percent {name!r} if they are percentages, or rename it if they are "
                    "fractions"
                )
        self.say("percentages divided by 100", column=name)
        return True

    def labels(self, name: str) -> pd.Series:
        """Return a column as text, without missing values.

        Raises
        ------
        InvalidTableError
            If a value is empty.
        """
        text = self.values(name).astype("string").str.strip()
        empty = (text.isna() | (text == "").fillna(True)).to_numpy(dtype=bool)
        if empty.any():
            raise InvalidTableError(
                f"{self.name}: row {int(empty.argmax()) + 1}, column {name!r} is empty; "
                "allowed: a group label in every row; fill it in, or group by another column"
            )
        return text

    def numeric_columns(self) -> list[str]:
        """Columns that hold numbers, each with at least one."""
        self.read_numbers(self.columns)
        self.read(name for name in self.columns if name not in self._floats)
        return [name for name in self.columns if self.is_numeric(name)]

    def text_columns(self) -> list[str]:
        """Columns with any value that is not a number."""
        numeric = set(self.numeric_columns())
        return [name for name in self.columns if name not in numeric]

    def is_numeric(self, name: str) -> bool:
        """Whether a column holds numbers, at least one."""
        if name not in self._numeric:
            self.read_numbers([name])
            values = self._floats[name] if name in self._floats else self.values(name)
            if name in self._floats:  # as below, in a hundredth of the time
                numeric = not np.isnan(values.to_numpy()).all()
            elif _is_text(values):
                numeric = values.dtype.kind != "b" and are_numbers(values.astype("string"))
            else:
                numeric = values.notna().any()
            self._numeric[name] = bool(numeric)
        return self._numeric[name]

    @property
    def failed(self) -> pd.Series:
        """Which rows are failed or paused runs: none, unless it follows the data dictionary."""
        if not self.follows_dictionary or "status" not in self:
            return pd.Series(False, index=self.index)
        status = check_values(self.values("status"), columns()["status"], self.name, nullable=True)
        return (status != "done").fillna(False).astype(bool)

    @property
    def experiments(self) -> pd.Series | None:
        """The label of each row's experiment, or None for a table of other columns."""
        if not self.follows_dictionary:
            return None
        if "experiment" in self:
            keys = self.labels("experiment")
        else:
            known = [name for name in (*KEY_COLUMNS, "dataset_hash") if name in self]
            typed = {name: self._typed(name) for name in known}
            frame = pd.DataFrame(typed).astype(object)
            records = frame.where(frame.notna(), None).to_dict("records")
            keys = pd.Series(experiment_keys(records), index=self.index)
        if not (keys.str.count("/") == len(KEY_COLUMNS) - 1).all():
            return keys
        return keys.map(experiment_labels(keys)).astype("string")

    def _typed(self, name: str) -> pd.Series:
        """A column of the data dictionary in its type."""
        if columns()[name].dtype in ("float64", "Int64"):
            return self._checked(name, columns()[name])
        return check_values(self.values(name), columns()[name], self.name, nullable=True)

    def with_numbers(self, mapped: Iterable[str] = ()) -> pd.DataFrame:
        """Every column, text that is numbers as floats, and those that were mapped."""
        frame = self.rows.copy()
        for name in mapped:
            numeric = self.is_numeric(self.source(name))
            frame[name] = self.numbers(name) if numeric else self.values(name)
        for name in self.numeric_columns():
            percent = says_percent(name) and self.conventions.by_name
            asked = name in self.conventions.percent
            if _is_text(frame[name]) or percent or asked:
                frame[name] = self.numbers(name)
        return frame

    def as_dictionary(self) -> pd.DataFrame:
        """Every column, those that are made of others under the data dictionary's name and unit.

        A model is an architecture, an accuracy a test accuracy, and without a data set all rows
        are of one, called as the file. Columns of other names are left out where there are
        thousands: to read them all takes a minute.
        """
        for name, others in _OTHER_NAMES.items():
            source = next((other for other in others if other in self), None)
            if name not in self and source is not None:
                made = {**self.conventions.aliases, name: converted(name, self.source(source))}
                self.conventions = replace(self.conventions, aliases=made)
        known = columns()
        used = {*known, *map(self.source, known)}
        others = [name for name in self.columns if name not in used]
        if len(others) > MOST_OTHERS:
            self.read(used)
            frame = pd.DataFrame({n: self._read[n] for n in self.columns if n in used})
            self.say(f"{len(others):,} columns that are not of the data dictionary left out")
        else:
            frame = self.rows.copy()
        for name in known:
            number = known[name].dtype in ("float64", "Int64")
            if name in self and number and _is_text_or_made(self, name):
                frame[name] = self._typed(name)
            elif name in self and name not in self.columns:
                frame[name] = self.values(name)
                self.say(self.conventions.aliases[name].said)
        if "dataset" not in frame:
            frame["dataset"] = Path(self.name).stem
            self.say(f"all rows of one data set, {Path(self.name).stem!r}")
        made = {self.source(n) for n in frame.columns if n not in self.columns}
        return frame.drop(columns=[n for n in made if n not in known])


def _is_text(values: pd.Series) -> bool:
    return values.dtype.kind not in "fiub" or pd.api.types.is_bool_dtype(values)


def _is_text_or_made(table: UserTable, name: str) -> bool:
    return (
        name not in table.columns
        or _is_text(table.values(name))
        or bool({name, table.source(name)} & table.conventions.percent)
    )


@dataclass(frozen=True)
class Reading:
    """How files are read: the options of every function and command that reads a table.

    Attributes
    ----------
    sep, decimal : str, optional
        Separator and decimal mark of a text file, where they are not to be found out.
    sheet : str, optional
        Name or number, from 1, of a spreadsheet's sheet.
    percent : str or collection of str, optional
        Columns that hold percentages.
    mapping : mapping, optional
        New name -> column, with the unit that its values are in where its name does not end in
        it: ``{"accuracy": "top1 %", "energy_kwh": "consumed (Wh)"}``.
    join : str, path or collection of them, optional
        Files with further columns of the same models.
    on : str, optional
        Column by which they are joined, or ``A=B`` where it has two names.
    """

    sep: str | None = None
    decimal: str | None = None
    sheet: str | None = None
    percent: str | Collection[str] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    join: str | os.PathLike[str] | Collection[str | os.PathLike[str]] = ()
    on: str | None = None

    @property
    def joined(self) -> list[Path]:
        """The files of `join`."""
        files = [self.join] if isinstance(self.join, str | os.PathLike) else self.join
        return [user_path(file) for file in files]


def read_table_files(path: Path, reading: Reading) -> UserTable:
    """Read a table from a file, and join others to it; see `load_user_table`."""
    sep, decimal, join = _separator(reading.sep), reading.decimal, reading.joined
    if decimal not in (None, ",", "."):
        raise ScoreInputError(f"decimal is {decimal!r}; allowed: ',' or '.'")
    if bool(join) != bool(reading.on):
        missing = "--on COL, the column that both have" if join else "--join FILE"
        raise ScoreInputError(f"{'--join' if join else '--on'} needs {missing}")
    table = _read_one(path, sep, decimal, reading.sheet)
    for file in join:
        table = _joined(table, _read_one(file, None, decimal, None), str(reading.on))
    percent = [reading.percent] if isinstance(reading.percent, str) else reading.percent
    return _with_options(table, percent, reading.mapping or {})


def _separator(sep: str | None) -> str | None:
    if sep is None:
        return None
    named = {name: mark for mark, name in SEPARATORS.items()} | {"\\t": "\t"}
    found = named.get(sep.lower(), sep)
    if len(found) != 1 or found.isalnum() or found in "\"'\r\n.+-":
        raise ScoreInputError(
            f"sep is {sep!r}; allowed: {', '.join(SEPARATORS.values())}, or another single "
            "character"
        )
    return found


def _read_one(path: Path, sep: str | None, decimal: str | None, sheet: str | None) -> UserTable:
    logs = carbontracker_logs(_text_files(path))
    if logs is not None:
        table = UserTable(path.name, logs, path)
        table.say("carbontracker's logs, what they call actual consumption")
        return table
    file = open_table(path, sep=sep, sheet=sheet)
    if file.sample.empty:
        raise InvalidTableError(f"{file.name}: no rows; at least one is needed below the header")
    if profile := recognised(file.columns):
        file.taken.append(profile.name)
    marks = dict.fromkeys(file.columns, frozenset(sampled_marks(file.sample)))
    conventions = Conventions(decimal, marks, by_name=True, aliases=aliases(file.columns))
    return UserTable(file.name, file, path if path.is_file() else None, conventions)


def _text_files(path: Path) -> list[Path]:
    """The files that may be logs of carbontracker: the one named, or those of a folder."""
    if path.is_dir():
        return sorted(path.glob("*.log"))
    return [path] if path.suffix == ".log" and path.is_file() else []


def _with_options(
    table: UserTable, percent: Collection[str], mapping: Mapping[str, str]
) -> UserTable:
    """Add what options say of single columns."""
    made, divided = dict(table.conventions.aliases), set()
    for name, text in mapping.items():
        if name in table.columns:
            raise ScoreInputError(f"{table.name}: has a column {name!r} already; map another name")
        match = re.fullmatch(r"(?P<column>.+?)[\s:]*[\[(]?(?P<unit>%|[A-Za-z]+)[\])]?", text)
        if text in table:
            made[name] = converted(name, table.source(text))
            if says_percent(text):
                divided.add(name)
        elif match and match["column"] in table:
            made[name] = converted(name, table.source(match["column"]), match["unit"])
        else:
            table.column(text)
    for name in percent:
        divided.add(name if name in made else table.column(name))
    table.conventions = replace(table.conventions, percent=frozenset(divided), aliases=made)
    return table


def _joined(left: UserTable, right: UserTable, on: str) -> UserTable:
    """Join the columns of one table to the rows of another, by equal text in a column of each."""
    key, _, other = (part.strip() for part in on.partition("="))
    keys = left.labels(left.column(key, "--on column"))
    other = right.column(other or key, "--on column")
    there = right.labels(other)
    other = right.source(other)
    tag = r"(?<=.)\.[^.]*$"  # of weights, as timm names them
    bare = keys.str.replace(tag, "", regex=True)
    taken: list[str] = []
    if not keys.isin(there).any() and bare.isin(there).any():
        keys = bare
        taken.append(f"{key} without what follows the point, as {right.name} has it")
    if not keys.isin(there).any():
        raise InvalidTableError(
            f"nothing in column {other!r} of {right.name} ({_some(there)}) is in column {key!r} of "
            f"{left.name} ({_some(keys)}); allowed: the same names; --on A=B names a column of each"
        )
    twice = there[there.duplicated()]
    if len(twice):
        raise InvalidTableError(
            f"{right.name}: row {int(twice.index[0]) + 1}, column {other!r} repeats "
            f"{str(twice.iloc[0])!r}; allowed: each once in a file that is joined"
        )
    rows = keys.map(pd.Series(there.index, index=there))
    taken += [*left.taken, *(f"{right.name}: {text}" for text in right.taken)]
    for table, missing in ((right, keys[rows.isna()]), (left, there[~there.isin(keys)])):
        if len(missing):
            taken.append(f"{len(missing):,} not in {table.name}: {_some(missing)}")
    clashes = set(left.columns) & set(right.columns) - {other}
    names = {n: f"{n} ({right.name})" if n in clashes else n for n in right.columns if n != other}
    if clashes:
        taken.append(f"{', '.join(sorted(clashes))} in both files: taken from {left.name}")
    added = right.rows.iloc[rows.fillna(0).astype(int)].set_axis(left.rows.index)
    added = added.mask(rows.isna()).drop(columns=[other]).rename(columns=names)
    marks = {names[n]: m for n, m in right.conventions.marks.items() if n in names}
    made = {
        n: Alias(names.get(a.source, key), a.factor, a.said)
        for n, a in right.conventions.aliases.items()
        if n not in left and n not in names.values()
    }
    c = left.conventions
    joined = UserTable(
        left.name,
        pd.concat([left.rows, added], axis=1),
        left.path,
        Conventions(c.decimal, {**marks, **c.marks}, by_name=True, aliases={**made, **c.aliases}),
    )
    joined.say(*taken)
    return joined


def _some(names: pd.Series, n: int = 3) -> str:
    """The first few names."""
    found = [str(name) for name in names.unique()]
    return ", ".join(found[:n]) + (f" and {len(found) - n:,} more" if len(found) > n else "")
