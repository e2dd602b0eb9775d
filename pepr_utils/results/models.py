"""What is compared: the models of a table, one row each, with their numbers, groups and names.

Repeated rows of one model, such as seeds, are averaged; a column of data sets makes groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from pepr_utils.errors import InvalidTableError, PeprError, ScoreInputError, listed, unknown_name
from pepr_utils.printable import clean

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results.table_reader import UserTable

#: Keys of the output beside the table's own columns.
RESERVED = ("group", "model", "rank", "resource", "pepr", "pepr_low", "pepr_high", "n_runs",
            "performance_sd", "pareto", "knee")  # fmt: skip
DEFAULT_PERFORMANCE, DEFAULT_COST = "test_accuracy", "E"
#: Columns that usually name a model, tell its repeated runs apart, or name a data set.
NAMES = ("architecture", "model", "model_name", "network", "name", "run_id")
REPEATS = ("seed", "repeat", "replicate", "repetition", "random_state", "trial", "fold")
DATASETS = ("dataset", "data_set", "dataset_name", "data", "task")
#: What makes two models of one architecture, beside the experiment.
VARIANTS = ("weights", "image_size", "img_size", "input_size", "resolution")
#: Texts that are Python's at one time.
_PART = 1 << 16


@dataclass(frozen=True)
class Scale:
    """How a performance becomes P in [0, 1].

    Attributes
    ----------
    better : {"high", "low"}
        ``low`` for an error or a loss: 0 becomes P = 1.
    lower, upper : float
        The values that become 0 and 1 (1 and 0 where low is better).

    Examples
    --------
    >>> Scale("low").fraction(0.25), Scale(upper=100).fraction(87.5)
    (0.75, 0.875)
    """

    better: str = "high"
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        if self.better not in ("high", "low"):
            raise unknown_name("direction", str(self.better), ("high", "low"))
        if not self.lower < self.upper:
            raise ScoreInputError(
                f"the performance range is {self.lower:g} to {self.upper:g}; allowed: two numbers, "
                "the smaller first, such as 0,100"
            )

    @property
    def is_share(self) -> bool:
        """Whether the performance is a share or a percentage, as an accuracy is."""
        return self.lower == 0 and self.upper in (1, 100)

    def fraction(self, values: Any) -> Any:
        """P of each value, in [0, 1]."""
        above = values - self.lower if self.better == "high" else self.upper - values
        return above / (self.upper - self.lower)


@dataclass(frozen=True)
class Models:
    """Models to be compared, one row each, their numbers checked.

    Attributes
    ----------
    table : UserTable
        The whole table, of repeated runs one row.
    as_read : UserTable
        The table as it was read.
    performance : str
        Name of the performance column.
    costs : list of str
        Names of the cost columns.
    numbers : pandas.DataFrame
        These columns as floats in the user's own unit, for every row.
    model : pandas.Series of str
        What each row is called.
    groups : pandas.Series of str or None
        Group of each row; None where all are compared with each other.
    grouped_by : str
        What the groups are called.
    failed, known : pandas.Series of bool
        Failed or paused runs; rows that are compared: the others with a performance and every
        cost.
    scale : Scale
        How the performance becomes P.
    n_test : pandas.Series or None
        Test images behind each performance, where it is a share of them.
    runs : pandas.DataFrame or None
        Where repeated rows were averaged: the numbers of each row, and ``row``, the label of its
        model in `numbers`.
    n_copies : int
        Rows that equal an earlier row in every column.
    left_out : tuple of str or None
        How many rows of the table are not compared, and why; None where all are.
    remarks : tuple of str
        What was taken for what without having been asked for.
    """

    table: UserTable
    as_read: UserTable
    performance: str
    costs: list[str]
    numbers: pd.DataFrame
    model: pd.Series
    groups: pd.Series | None
    grouped_by: str
    failed: pd.Series
    known: pd.Series
    scale: Scale = field(default_factory=Scale)
    n_test: pd.Series | None = None
    runs: pd.DataFrame | None = None
    n_copies: int = 0
    left_out: tuple[str, str] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> pd.DataFrame:
        """Every column of the table."""
        return self.table.rows

    def parts(self, order: pd.Index) -> Iterator[tuple[str | None, pd.Index]]:
        """Each group's label and its rows in the order given; groups as in the table."""
        if self.groups is None:
            yield None, order
            return
        ordered = self.groups.loc[order]
        rows = ordered.groupby(ordered, sort=False).groups
        for label in self.groups.unique():
            yield str(label), rows.get(label, order[:0])

    def codes(self) -> Any:
        """A number for the group of each row that is compared, or None."""
        if self.groups is None:
            return None
        return self.groups[self.known].factorize()[0]


Kind = TypeVar("Kind", bound=Models)


@dataclass(frozen=True)
class Question:
    """What is asked of a table.

    Attributes
    ----------
    performance, costs
        Columns; by default those of the data dictionary.
    by : sequence of str
        Columns whose values make groups; by default the experiment of a result set, and a column
        of data sets.
    together : bool
        Compare experiments and data sets with each other.
    label : str, optional
        Column that names a model.
    each_row : bool
        Keep repeated rows of one model apart.
    scale : Scale
        How the performance becomes P.
    n_test : int, optional
        Number of test images; by default the column ``n_test``, where the performance is an
        accuracy or an error rate.
    any_numbers, costs_above_zero : bool
        Check no range; allow no cost of 0.
    """

    performance: str | None = None
    costs: Sequence[str] = ()
    by: Sequence[str] = ()
    together: bool = False
    label: str | None = None
    each_row: bool = False
    scale: Scale = field(default_factory=Scale)
    n_test: int | None = None
    any_numbers: bool = False
    costs_above_zero: bool = False


def find_models(table: UserTable, asked: Question, kind: type[Kind] = Models) -> Kind:
    """Find what is compared in a table: columns, groups, names, repeated runs.

    Parameters
    ----------
    table : UserTable
        Any table.
    asked : Question
        What is asked of it.
    kind : type
        `Models`, or what extends it.

    Raises
    ------
    PeprError, InvalidTableError, UnknownNameError
        If a column is absent or a value is not allowed.
    """
    import pandas as pd

    scale, as_read = asked.scale, table
    performance, costs = _resolve(table, asked.performance, list(asked.costs))
    used = {performance, *costs}
    usual = [asked.label or _column(table, NAMES, used), _column(table, DATASETS, used)]
    table.read_numbers([performance, *costs], [name for name in (*usual, *asked.by) if name])
    failed = table.failed
    if asked.any_numbers:
        numbers = pd.DataFrame({name: table.numbers(name) for name in (performance, *costs)})
    else:
        p = table.numbers(performance, lower=scale.lower, upper=scale.upper)
        numbers = pd.DataFrame({performance: p})
        for cost in costs:
            above = asked.costs_above_zero
            numbers[cost] = table.numbers(cost, lower=0.0, lower_open=above)
    groups, grouped_by, remarks = _groups(table, list(asked.by), asked.together, used)
    known = numbers.notna().all(axis=1) & ~failed
    if not known.any():
        raise InvalidTableError(
            f"{table.name}: no row has {' and '.join(map(repr, numbers.columns))}"
            + (" and a status of 'done'" if failed.any() else "")
            + "; at least one is needed"
        )
    model, named, unique = _names(table, asked.label, used | set(asked.by))
    left_out, averaged = _left_out(table, numbers, failed, known), None
    if not asked.each_row and named and not unique and model.duplicated().any():
        keys = _same_model(table, model, groups, used)
        remarks = (*remarks, *_variants(keys))
        averaged = _averaged(table, numbers, known, keys)
    n_copies = 0
    if averaged is not None:
        n_copies = averaged.n_copies
    elif not unique:
        n_copies = _n_copies(table, numbers.index[numbers.duplicated(keep=False) & known])
    if averaged is not None:
        table, numbers, remark = averaged.table, averaged.numbers, averaged.remark
        remarks, known, first = (*remarks, remark), averaged.known, numbers.index
        model, failed = model[first], failed[first]
        groups = None if groups is None else groups[first]
    return kind(
        table, as_read, performance, costs, numbers, model, groups, grouped_by, failed, known,
        scale=scale,
        n_test=_images(table, performance, scale, asked.n_test),
        runs=None if averaged is None else averaged.runs,
        n_copies=n_copies,
        left_out=left_out,
        remarks=remarks,
    )  # fmt: skip


def _resolve(table: UserTable, performance: str | None, costs: list[str]) -> tuple[str, list[str]]:
    if performance is None:
        performance = _default(table, "--performance", DEFAULT_PERFORMANCE)
    performance = table.column(performance, "performance column", numeric=True)
    costs = costs or [_default(table, "--cost", DEFAULT_COST)]
    resolved = [table.cost_column(cost) for cost in costs]
    used = [performance, *resolved]
    for name in used:
        refuse_reserved(name)
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice is not None:
        raise PeprError(f"column {twice!r} is named twice; performance and costs must differ")
    return performance, resolved


def refuse_reserved(name: str) -> None:
    """Refuse a column whose name the output needs for something else."""
    if name in RESERVED:
        raise PeprError(
            f"column {name!r} cannot be compared: the output has one of that name; "
            "rename it in the table"
        )


def _default(table: UserTable, option: str, name: str) -> str:
    column = "energy_kwh" if name == DEFAULT_COST else name
    if column in table:
        return column
    raise PeprError(
        f"{option} is needed, since {table.name} has no column {column!r}; "
        f"its numeric columns: {listed(table.numeric_columns())}; one of another file: --join FILE "
        "--on COL"
    )


def _groups(
    table: UserTable, by: list[str], together: bool, used: set[str]
) -> tuple[pd.Series | None, str, tuple[str, ...]]:
    """Group of each row, what the groups are called, and what is to be said about it."""
    experiments, remarks = table.experiments, ()
    if by in ([], ["experiment"]) and experiments is not None and not together:
        one = experiments.nunique() == 1 and not by
        return (None, "", ()) if one else (experiments, "experiment", ())
    if experiments is None and not together:
        datasets = _column(table, DATASETS, used)
        n = table.values(datasets).nunique() if datasets and datasets not in by else 0
        if datasets and n > 1:
            remarks = (
                f"compared within each of {n:,} data sets ({datasets}); --together to pool them",
            )
            by = [*by, datasets]
    if not by:
        return None, "", ()
    parts = [table.labels(table.column(name, "group column")) for name in by]
    label = parts[0]
    for part in parts[1:]:
        label = label + ", " + part
    if experiments is not None and not together:
        _refuse_mixed(experiments, label, by)
    return label, ", ".join(by), remarks


def _refuse_mixed(experiments: pd.Series, label: pd.Series, by: list[str]) -> None:
    mixed = experiments.groupby(label, sort=False).nunique()
    if (mixed > 1).any():
        raise ScoreInputError(
            f"group {clean(str(mixed.idxmax()))!r} of {', '.join(by)} mixes {mixed.max()} "
            "experiments, whose costs are not comparable; allowed: groups within an experiment "
            "(the default), or --together to compare them anyway"
        )


def _column(table: UserTable, usual: Sequence[str], used: set[str]) -> str | None:
    """The first column with one of the usual names, in capitals or not, that is not in use."""
    names = [*table.columns, *table.conventions.aliases]
    by_name = {str(c).strip().lower(): c for c in reversed(names) if c not in used}
    return next((by_name[name] for name in usual if name in by_name), None)


def _names(table: UserTable, label: str | None, used: set[str]) -> tuple[pd.Series, bool, bool]:
    """Name each row: by the column given, a usual one, the first text, else its number.

    Also whether equal names are one model, and whether each name, or none, is there once.
    """
    import pandas as pd

    if label is not None:
        column, named = table.column(label, "label column"), True
    else:
        column = _column(table, NAMES, used)
        named = column is not None
        if column is None:
            column = next((c for c in table.text_columns() if c not in used), None)
            named = column is not None and _column(table, REPEATS, used) is not None
    if column is None:
        text = pd.Series(pd.NA, index=table.index, dtype="string")
    else:
        text = table.values(column).astype("string").str.strip()
    unique = column is None or _each_once(text)
    empty = text.index[text.isna() | (text == "").fillna(True)]
    if len(empty):
        text.loc[empty] = pd.array([f"row {i + 1}" for i in empty], dtype="string")
    return text.rename("model"), named, unique


def _each_once(text: pd.Series) -> bool:
    """Whether all texts surely differ, by their hashes: to look up each takes a table of them."""
    parts = (text.iloc[at : at + _PART].to_numpy(object) for at in range(0, len(text), _PART))
    hashes = np.fromiter(map(hash, chain.from_iterable(parts)), np.int64, len(text))
    hashes.sort()
    return not (hashes[1:] == hashes[:-1]).any()


def _left_out(
    table: UserTable, numbers: pd.DataFrame, failed: pd.Series, known: pd.Series
) -> tuple[str, str] | None:
    if known.all():
        return None
    reasons = []
    for column in numbers.columns:
        missing = numbers[column].isna() & ~failed
        if missing.any():
            row = int(missing.to_numpy().argmax()) + 1
            more = f"row {row}" if missing.sum() == 1 else f"the first in row {row}"
            reasons.append(f"{missing.sum():,} without {column} ({more})")
    if failed.any():
        for status, n in table.values("status")[failed].value_counts().items():
            reasons.append(f"{n:,} {status} run{'' if n == 1 else 's'}")
    rows = f"{len(known):,} row{'' if len(known) == 1 else 's'}"
    return f"{int((~known).sum()):,} of {rows}", ", ".join(reasons)


def _same_model(
    table: UserTable, model: pd.Series, groups: pd.Series | None, used: set[str]
) -> pd.DataFrame:
    """What the rows of one model agree in.

    Rows of one name are repeats of one model if a column of seeds tells them apart, perhaps with
    another text, such as a search space. Else they are if they agree in every text but for those
    that few rows share, such as a time.
    """
    import pandas as pd

    keys, experiments = pd.DataFrame({"model": model}), table.experiments
    for name, values in (("group", groups), ("experiment", experiments)):
        if values is not None:
            keys[name] = values
    for name in (_column(table, DATASETS, used), *VARIANTS):
        if name is not None and name in table:
            keys[f"own {name}"] = _text(table.values(name))
    if experiments is not None or not keys.duplicated().any():
        return keys
    seeds = _column(table, REPEATS, used)
    seed = None if seeds is None else _text(table.values(seeds))
    if seed is not None and not keys.assign(seed=seed).duplicated().any():
        return keys
    texts = {c: _text(table.values(c)) for c in table.text_columns() if c not in {seeds, *used}}
    shared = {f"own {c}": v for c, v in texts.items() if v.nunique() <= len(model) / 2}
    if seed is not None:
        for column, values in shared.items():
            if not keys.assign(**{column: values}, seed=seed).duplicated().any():
                return keys.assign(**{column: values})
    return keys.assign(**shared)


def _variants(keys: pd.DataFrame) -> tuple[str, ...]:
    """What is to be said of names that several models of a group have."""
    distinct = keys.drop_duplicates()
    names = [str(name) for name in keys.columns]
    own = [name for name in names if name.startswith("own ")]
    each = distinct.groupby([name for name in names if name not in own], sort=False)
    several = each.size() > 1
    if not several.any():
        return ()
    by = [name.removeprefix("own ") for name in own if each[[name]].nunique().gt(1).any(axis=None)]
    n = int(several.sum())
    return (
        f"{n:,} name{' is that' if n == 1 else 's are those'} of several models, which differ in "
        f"{', '.join(by[:3])}{', ...' if len(by) > 3 else ''}",
    )


def _text(values: pd.Series) -> pd.Series:
    return values.astype("string").fillna("")


class _Averaged(NamedTuple):
    """A table with one row per model."""

    table: UserTable
    numbers: pd.DataFrame
    known: pd.Series
    runs: pd.DataFrame
    n_copies: int
    remark: str


def _averaged(
    table: UserTable, numbers: pd.DataFrame, known: pd.Series, keys: pd.DataFrame
) -> _Averaged | None:
    """One row per model: what its rows agree in, the means of numbers, else nothing.

    Only rows that are compared count for the means of a model that has any. None where no model
    has two rows.
    """
    import pandas as pd

    codes = keys.groupby(list(keys), sort=False).ngroup()
    if codes.is_unique:
        return None
    kept = numbers.index[~codes.duplicated()]
    row = pd.Series(kept[codes.to_numpy()], index=numbers.index)
    counts = known | ~known.groupby(row).transform("any")
    runs = _Runs(table, row, counts)
    over = _column(table, REPEATS, set(map(str, numbers)))
    others = [c for c in table.columns if c not in numbers] if over is None else []
    differ = [str(c) for c in others if not runs.shared(c).all()] if over is None else [over]
    more = ", ..." if len(differ) > 3 else ""
    of = f" over {', '.join(differ[:3])}{more}" if differ else ""
    same = keys.join(numbers).assign(seed=over and _text(table.values(over)))
    copies = same.index[same.duplicated(keep=False)]
    return _Averaged(
        table.with_rows(runs.read),
        numbers[counts].groupby(row[counts]).mean().reindex(kept),
        known.groupby(row).any().reindex(kept),
        numbers[known].assign(row=row[known]),
        _n_copies(table, copies),
        f"{len(row):,} rows are {len(kept):,} models, repeated rows of a model averaged{of}; "
        "--each-row to keep them apart",
    )


def _n_copies(table: UserTable, among: pd.Index) -> int:
    """Rows that equal an earlier one in every column."""
    import pandas as pd

    names = table.columns if len(among) else ()
    every = {c: _comparable(table.values(c)[among]) for c in names}
    return int(pd.DataFrame(every).duplicated().sum())


@dataclass(frozen=True)
class _Runs:
    """Repeated rows: the first of each one's model, and whether it counts for the means."""

    table: UserTable
    row: pd.Series
    counts: pd.Series

    def shared(self, name: str) -> pd.Series:
        """Where a row has the value of its model's first row."""
        values = _comparable(self.table.values(name))
        first = values.loc[self.row].set_axis(values.index)
        return ((values == first).fillna(False) | (values.isna() & first.isna())).astype(bool)

    def read(self, names: Sequence[str]) -> pd.DataFrame:
        """One row per model: means of numbers, what is shared of text."""
        import pandas as pd

        kept, found = pd.Index(self.row.unique()), {}
        for name in names:
            values = self.table.values(name)[kept]
            if str(name).strip().lower() in REPEATS or not self.table.is_numeric(name):
                found[name] = values.where(self.shared(name).groupby(self.row).all())
                continue
            try:
                numbers = self.table.numbers(name)[self.counts]
                means = numbers.groupby(self.row[self.counts]).mean().reindex(kept)
            except InvalidTableError:  # of a column that is not used
                means = values
            whole = values.dtype.kind in "iu" and (values == means).all()
            found[name] = values if whole else means
        return pd.DataFrame(found)


def _comparable(values: pd.Series) -> pd.Series:
    return values if values.dtype.kind in "fiub" else _text(values)


def _images(
    table: UserTable, performance: str, scale: Scale, n_test: int | None
) -> pd.Series | None:
    import pandas as pd

    if n_test is not None:
        if not scale.is_share:
            raise PeprError(
                f"--n-test is {n_test}, but the performance is no share of test images: its range "
                f"is {scale.lower:g} to {scale.upper:g}; leave --n-test out"
            )
        return pd.Series(float(n_test), index=table.index)
    if "n_test" not in table or not (scale.is_share and is_accuracy(performance)):
        return None
    counts = pd.to_numeric(table.values("n_test"), errors="coerce").astype("Float64")
    return counts.astype("float64").where(counts >= 1)


def is_accuracy(column: str) -> bool:
    """Whether a column's name says that it is a share of the test images.

    Examples
    --------
    >>> is_accuracy("test_accuracy"), is_accuracy("top1_err"), is_accuracy("auc")
    (True, True, False)
    """
    return any(word in column.lower() for word in ("acc", "err", "top1", "top-1"))
