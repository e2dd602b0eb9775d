"""What a check returns: a finding with its severity, rows and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet

Severity = Literal["error", "warning", "note"]

#: Values that cannot be right, values that are doubtful, things to know.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Row(NamedTuple):
    """One run that a finding concerns."""

    architecture: str
    experiment: str
    run_id: str


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes
    ----------
    check : str
        Name of the check in `pepr_utils.audit.CHECKS`.
    severity : {"error", "warning", "note"}
        *error*: the values cannot be right. *warning*: they are doubtful, or mean
        something else than their column's name. *note*: right, but good to know when using them.
    rows : tuple of Row
        The runs concerned, sorted.
    columns : tuple of str
        The columns concerned.
    evidence : str
        What is seen and where, in one line.
    """

    check: str
    severity: Severity
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as `pepr audit --json` prints it."""
        return {
            "check": self.check,
            "severity": self.severity,
            "rows": [row._asdict() for row in self.rows],
            "columns": list(self.columns),
            "evidence": self.evidence,
        }


def rows_of(runs: pd.DataFrame) -> tuple[Row, ...]:
    """Return the rows of a table of runs, sorted by experiment and architecture."""
    names = zip(runs["architecture"], runs["experiment"], runs["run_id"], strict=True)
    rows = [Row(*(str(name) for name in row)) for row in names]
    return tuple(sorted(rows, key=lambda row: (row.experiment, row.architecture, row.run_id)))


def by_experiment(result_set: ResultSet, flagged: pd.Series) -> Iterator[tuple[str, pd.DataFrame]]:
    """Label and flagged runs of each experiment that has any.

    Parameters
    ----------
    result_set : ResultSet
        The set that is audited.
    flagged : pandas.Series of bool
        By the index of finished runs; one that is not in it, or null, is not flagged.
    """
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    rows = runs.loc[flagged.index[flagged.fillna(False).astype(bool)]]
    for key, part in rows.groupby("experiment"):
        yield labels[str(key)], part


def some(names: Iterable[object], limit: int = 6) -> str:
    """Join names for a line of text, the first few of a long list.

    Examples
    --------
    >>> some(["a", "b"]), some("abcdefgh", limit=2)
    ('a, b', 'a, b and 6 more')
    """
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def count(rows: Sized, what: str) -> str:
    """Write how many there are.

    Examples
    --------
    >>> count([1], "run"), count("ab", "energy")
    ('1 run', '2 energies')
    """
    return counted(len(rows), what)


def counted(n: int, what: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "value"), counted(1200, "value")
    ('1 value', '1,200 values')
    """
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{n:,} {what if n == 1 else several}"


def span(values: pd.Series, digits: int = 0) -> str:
    """Write the range of some numbers, or the one number that they all are.

    Examples
    --------
    >>> span(pd.Series([2.0, 1.0]), 1), span(pd.Series([7, 7]))
    ('1.0 to 2.0', '7')
    """
    low, high = f"{values.min():,.{digits}f}", f"{values.max():,.{digits}f}"
    return low if low == high else f"{low} to {high}"
