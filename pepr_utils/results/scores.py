"""Scores of a table of runs: a cost column, normalised within each experiment, and the score."""

from __future__ import annotations

import pandas as pd

from pepr_utils.errors import InvalidTableError, ScoreInputError, unknown_name
from pepr_utils.results.tables import shorten
from pepr_utils.scoring import normalize, pepr

#: Cost columns by the letter of the score, in order of preference: PePR-E, -C, -M, -T, -D. Memory
#: is the GPU's, or without one that of the process.
COST_COLUMNS = {
    "E": ("energy_kwh",),
    "C": ("co2eq_g",),
    "M": ("reserved_memory_gb", "resident_memory_gb"),
    "T": ("train_time_s", "released_train_time_s"),
    "D": ("n_train",),
}


def cost_column(runs: pd.DataFrame, cost: str) -> str:
    """Resolve a cost to a column of `runs`: a letter (E, C, M, T, D) or a column's own name."""
    for name in COST_COLUMNS.get(cost, (cost,)):
        if name in runs and runs[name].notna().any():
            return name
    if cost in COST_COLUMNS or cost in runs:
        names = " or ".join(COST_COLUMNS.get(cost, (cost,)))
        raise InvalidTableError(
            f"cost {cost!r} needs {names}, which no run has; choose another cost"
        )
    numeric = [c for c in runs.select_dtypes("number") if runs[c].notna().any()]
    raise unknown_name("cost", cost, [*COST_COLUMNS, *numeric])


def score_runs(
    runs: pd.DataFrame,
    *,
    cost: str = "E",
    performance: str = "test_accuracy",
    alpha: float = 1.0,
    method: str = "minmax",
    by: str | None = "experiment",
) -> pd.DataFrame:
    """Add the columns ``resource`` and ``pepr`` to a table of runs.

    Parameters
    ----------
    runs : pandas.DataFrame
        The `runs` of a result set, or any table with the columns named here.
    cost : str, default "E"
        ``E``, ``C``, ``M``, ``T`` or ``D`` for energy, carbon, memory, time or training images,
        or a column name. Within one experiment all models have the same images, so that PePR-D
        equals the performance there; it compares experiments, with `by` None.
    performance : str, default "test_accuracy"
        Column of the performance, in [0, 1].
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    method : str, default "minmax"
        Normalisation rule; see `pepr_utils.scoring.normalize`.
    by : str or None, default "experiment"
        Column within which costs are normalised. None asks for one normalisation over all rows.

    Returns
    -------
    pandas.DataFrame
        A copy with both columns; they are null where performance or cost is, and for failed
        and paused runs, which count for no bound either.

    Raises
    ------
    InvalidTableError, UnknownNameError
        If a column is absent.
    ScoreInputError
        If another column than the experiment is given as `by` and mixes experiments in a group,
        or a value is out of range.

    Examples
    --------
    >>> runs = pd.DataFrame({"experiment": "x", "test_accuracy": [0.9, 0.8], "energy_kwh": [2, 1]})
    >>> score_runs(runs)["pepr"].tolist()
    [0.45, 0.8]
    """
    column = cost_column(runs, cost)
    if performance not in runs:
        raise unknown_name("performance column", performance, runs.select_dtypes("number"))
    _check_groups(runs, by)
    cost_values, performances = numbers_of(runs, column), numbers_of(runs, performance)
    known = performances.notna() & cost_values.notna()
    if "status" in runs:
        known &= (runs["status"] == "done").fillna(True)
    scored = runs.assign(resource=float("nan"), pepr=float("nan"))
    if known.any():
        groups = None if by is None else runs.loc[known, by]
        resource = normalize(cost_values[known], method=method, by=groups)
        scored.loc[known, "resource"] = resource
        scored.loc[known, "pepr"] = pepr(performances[known], resource, alpha=alpha)
    return scored


def numbers_of(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as floats; an error names the first value that is no number, and its row."""
    values = pd.to_numeric(frame[column], errors="coerce").astype("Float64").astype("float64")
    bad = values.isna() & frame[column].notna()
    if bad.any():
        raise InvalidTableError(
            f"row {frame.index[int(bad.to_numpy().argmax())]!r}, column {column!r} is "
            f"{shorten(str(frame.loc[bad, column].iloc[0]))}; allowed: a number, or empty"
        )
    return values


def _check_groups(runs: pd.DataFrame, by: str | None) -> None:
    if by is None:
        return
    if not isinstance(by, str):
        raise ScoreInputError(f"by is {by!r}; allowed: the name of one column, or None")
    if by not in runs:
        raise unknown_name("group column", by, runs.columns)
    if by == "experiment" or "experiment" not in runs:
        return
    mixed = runs.groupby(by, dropna=False)["experiment"].nunique()
    if (mixed > 1).any():
        raise ScoreInputError(
            f"group {mixed.idxmax()!r} of {by!r} mixes {mixed.max()} experiments, "
            "which are not comparable; allowed: by='experiment', a finer grouping, "
            "or by=None to score all rows together"
        )
