"""The columns of the two tidy tables, from the schema; reading a CSV table and checking a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args, get_origin

import pandas as pd
from pydantic import BaseModel

from pepr_utils.errors import InvalidTableError, listed
from pepr_utils.results.schema import PUBLISHED_DOUBTS, Epoch, PublishedRun, Run

#: The key that rows of `runs` share when they may be compared; derived, see `experiments`.
EXPERIMENT_MEANING = "comparison key: only runs of one experiment are scored together"
Dtype = Literal["Int64", "float64", "boolean", "string", "object"]
_LARGEST = 10**308  # that a float holds, in round numbers
_DTYPES: dict[Any, Dtype] = {int: "Int64", float: "float64", bool: "boolean", str: "string"}


@dataclass(frozen=True)
class Column:
    """One column: what it means and which values it allows."""

    name: str
    table: str
    dtype: Dtype
    nullable: bool
    meaning: str
    unit: str = ""
    doubt: str = ""
    lower: float | None = None
    lower_open: bool = False
    upper: float | None = None
    choices: tuple[str, ...] = ()
    published_only: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values as text, for messages and for the dictionary."""
        if self.choices:
            text = " or ".join(self.choices)
        elif self.dtype == "boolean":
            text = "true or false"
        elif self.dtype in ("Int64", "float64"):
            text = self._range("a whole number" if self.dtype == "Int64" else "a finite number")
        else:
            text = "text"
        return text + (", or empty" if self.nullable else "")

    def _range(self, kind: str) -> str:
        if self.lower is not None and self.upper is not None:
            low = f"above {self.lower:g}" if self.lower_open else f"from {self.lower:g}"
            return f"{kind} {low} to {self.upper:g}"
        if self.lower is not None:
            return f"{kind} {'above' if self.lower_open else 'of at least'} {self.lower:g}"
        return kind


@cache
def columns(table: Literal["runs", "epochs"] = "runs") -> dict[str, Column]:
    """Columns of a table by name, published-only ones included."""
    if table == "epochs":
        key = Column("run_id", "epochs", "string", False, "the run that the epoch belongs to")
        return {"run_id": key} | _model_columns(Epoch, "epochs")
    runs = _model_columns(PublishedRun, "runs")
    experiment = Column("experiment", "runs", "string", False, EXPERIMENT_MEANING)
    first, *rest = runs
    return {first: runs[first], "experiment": experiment} | {name: runs[name] for name in rest}


def _model_columns(model: type[BaseModel], table: str) -> dict[str, Column]:
    found = {}
    for name, field in model.model_fields.items():
        kinds, metadata, choices = _unwrap(field.annotation)
        limits = {k: v for m in (*metadata, *field.metadata) for k, v in _limits(m).items()}
        base = next((k for k in kinds if k in _DTYPES), None)
        extra: Any = field.json_schema_extra or {}
        found[name] = Column(
            name=name,
            table=table,
            dtype="string" if choices else _DTYPES.get(base, "object"),
            nullable=type(None) in kinds,
            meaning=field.description or "",
            unit=extra.get("unit", ""),
            doubt=extra.get("doubt", ""),
            lower=limits.get("ge", limits.get("gt")),
            lower_open="gt" in limits,
            upper=limits.get("le"),
            choices=choices,
            published_only=name not in Run.model_fields and table == "runs",
        )
    return found


def _unwrap(annotation: Any) -> tuple[list[Any], list[Any], tuple[str, ...]]:
    """Flatten unions, Annotated and Literal into types, constraints and choices."""
    metadata = list(getattr(annotation, "__metadata__", ()))
    if metadata:
        kinds, inner, choices = _unwrap(annotation.__origin__)
        return kinds, metadata + inner, choices
    if get_origin(annotation) is Literal:
        return [str], [], tuple(get_args(annotation))
    args = get_args(annotation)
    if not args or get_origin(annotation) in (dict, tuple):
        return [get_origin(annotation) or annotation], [], ()
    kinds, choices = [], ()
    for arg in args:
        k, m, c = _unwrap(arg)
        kinds, metadata, choices = kinds + k, metadata + m, choices + c
    return kinds, metadata, choices


def _limits(constraint: Any) -> dict[str, float]:
    parts = [constraint, *getattr(constraint, "metadata", ())]
    return {
        k: getattr(p, k)
        for p in parts
        for k in ("ge", "gt", "le")
        if getattr(p, k, None) is not None
    }


def check_table(
    frame: pd.DataFrame,
    *,
    required: Iterable[str],
    table: Literal["runs", "epochs"] = "runs",
    source: str = "table",
) -> pd.DataFrame:
    """Check a table of runs or epochs against the schema and give its columns their types.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any subset of the table's columns, in any order; columns that the schema does not know are
        kept, unless their name is close to that of a known column which is absent (a misspelling).
    required : iterable of str
        Columns that have to be there.
    table : {"runs", "epochs"}, default "runs"
        Which table it is.
    source : str, default "table"
        Where the frame came from, for messages.

    Returns
    -------
    pandas.DataFrame
        A copy with typed columns, row order kept.

    Raises
    ------
    InvalidTableError
        If a column is missing or misspelt or a value is not allowed; the message names the value,
        its row and column, and what is allowed.

    Examples
    --------
    >>> check_table(pd.DataFrame({"test_accuracy": [0.9]}), required=["test_accuracy"]).shape
    (1, 1)
    """
    known = columns(table)
    _check_names(list(frame.columns), list(required), known, source)
    if frame.empty:
        raise InvalidTableError(f"{source}: no rows; at least one run is needed")
    checked = frame.copy()
    for name in frame.columns:
        if name in known and known[name].dtype != "object":
            checked[name] = check_values(frame[name], known[name], source)
    return checked


def check_values(
    values: pd.Series,
    column: Column,
    source: str,
    *,
    nullable: bool | None = None,
    written: pd.Series | None = None,
) -> pd.Series:
    """Check one column's values against its specification and return them typed.

    Messages use the name of `values`, and each value as it was `written` in the file; `nullable`
    overrides the column's own.
    """
    shown = values if written is None else written
    if nullable is not None:
        column = replace(column, nullable=nullable)
    empty = _is_empty(values)
    if not column.nullable:
        _refuse(values, empty, column, source)
    if column.dtype == "boolean":
        text = values.astype("string").str.strip().str.lower()
        typed = text.map(
            {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
        )
        _refuse(values, typed.isna() & ~empty, column, source)
        return typed.astype("boolean")
    if column.dtype == "string":
        typed = values.astype("string").where(~empty)
        if column.choices:
            _refuse(values, ~typed.isin(column.choices) & ~empty, column, source)
        return typed
    if values.dtype == "bool":
        _refuse(shown, pd.Series(True, index=values.index), column, source)
    typed = _to_floats(values, empty)
    bad = (typed.isna() & ~empty) | typed.isin([float("inf"), float("-inf")])
    if column.lower is not None:
        bad |= typed <= column.lower if column.lower_open else typed < column.lower
    if column.upper is not None:
        bad |= typed > column.upper
    if column.dtype == "Int64":
        bad |= ~empty & ((typed % 1 != 0) | (typed.abs() > 2**53))
    _refuse(shown, bad, column, source)
    return typed.astype(column.dtype)


def _to_floats(values: pd.Series, empty: pd.Series) -> pd.Series:
    if values.dtype == "float64":
        return values
    if values.dtype == "object":  # JSON's whole numbers of any length, which floats do not hold
        values = values.map(lambda v: math.inf if isinstance(v, int) and abs(v) > _LARGEST else v)
    return pd.to_numeric(values.where(~empty), errors="coerce").astype("Float64").astype("float64")


def _is_empty(values: pd.Series) -> pd.Series:
    if values.dtype.kind in "fiub":
        return values.isna()
    blank = values.astype("string").str.strip() == ""
    return values.isna() | blank.fillna(False).astype(bool)


def _check_names(
    names: list[str], required: list[str], known: dict[str, Column], source: str
) -> None:
    if twice := sorted(n for n, times in Counter(names).items() if times > 1):
        raise InvalidTableError(f"{source}: column {twice[0]!r} appears twice; keep one")
    absent = [name for name in known if name not in names]
    for name in (name for name in names if name not in known):
        if close := get_close_matches(str(name), absent, n=1, cutoff=0.85):
            fix, unit = f"did you mean {close[0]!r}?", known[close[0]].unit
            stem, known_stem = (n.rpartition("_")[0] for n in (str(name), close[0]))
            if unit not in ("", "1") and stem == known_stem:
                fix = f"convert its values to {unit} and name it {close[0]!r}"
            raise InvalidTableError(f"{source}: unknown column {name!r}; {fix}")
    missing = [name for name in required if name not in names]
    if missing:
        raise InvalidTableError(
            f"{source}: no column {missing[0]!r}; it has {listed([*map(repr, names)])}; "
            f"needed: {', '.join(required)}"
        )


def _refuse(values: pd.Series, bad: pd.Series, column: Column, source: str) -> None:
    bad = bad.fillna(False).astype(bool)
    if not bad.any():
        return
    row = int(bad.to_numpy().argmax())
    value = values.iloc[row]
    shown = "empty" if pd.isna(value) or str(value).strip() == "" else shorten(str(value))
    hint = ""
    if column.upper == 1 and column.dtype == "float64":
        number = pd.to_numeric(pd.Series([value]), errors="coerce").iloc[0]
        is_percentage = 1 < number <= 100 or str(value).strip().endswith("%")
        hint = f"; --percent {values.name!r} divides percentages by 100" if is_percentage else ""
    raise InvalidTableError(
        f"{source}: row {row + 1}, column {str(values.name)!r} is {shown}; "
        f"allowed: {column.allowed}{hint}"
    )


def shorten(value: object, limit: int = 60) -> str:
    """Return a value as a message shows it: quoted, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def data_dictionary() -> pd.DataFrame:
    """Data dictionary of both tables, generated from the schema.

    Returns
    -------
    pandas.DataFrame
        One row per column: table, column, type, unit, allowed values, meaning, the result sets
        that have it and, for the published set, what is doubtful about it.

    Examples
    --------
    >>> data_dictionary().set_index(["table", "column"]).loc[("runs", "energy_kwh"), "unit"]
    'kWh'
    """
    types = {"Int64": "integer", "float64": "number", "boolean": "true/false", "string": "text"}
    return pd.DataFrame(
        {
            "table": c.table,
            "column": c.name,
            "type": types.get(c.dtype, "mapping"),
            "unit": {"1": "fraction"}.get(c.unit, c.unit),
            "allowed": c.allowed if c.dtype != "object" else "name and version, or empty",
            "meaning": c.meaning,
            "in sets": "published" if c.published_only else "all",
            "doubt": c.doubt or (PUBLISHED_DOUBTS.get(c.name, "") if c.table == "runs" else ""),
        }
        for table in ("runs", "epochs")
        for c in columns(table).values()
    )
