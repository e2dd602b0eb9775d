"""Choose a model under budgets: the best that stays within a limit on energy, memory or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pepr_utils.errors import InfeasibleBudgetError, ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import as_pandas, to_floats, to_number
from pepr_utils.scoring.normalization import check_finds_bounds, normalize
from pepr_utils.scoring.pareto import pareto_front
from pepr_utils.scoring.score import pepr, weighted_resource

if TYPE_CHECKING:
    import pandas as pd

OBJECTIVES = ("pepr", "performance")
#: Columns of the ranking that are computed here; others of that name are replaced.
ADDED = ("rank", "resource", "pepr", "pareto")


@dataclass(frozen=True)
class Selection:
    """The models that meet the budgets.

    Attributes
    ----------
    best : pandas.Series
        The row chosen.
    ranking : pandas.DataFrame
        All models that meet the budgets, best first: the table's rows with ``rank``,
        ``resource``, ``pepr`` and ``pareto`` (on the front of all models, budgets or not).
    n_candidates : int
        Models with a performance and every cost, within budget or not.
    n_unknown : int
        Candidates left out because a budgeted value of theirs is missing.
    """

    best: pd.Series
    ranking: pd.DataFrame
    n_candidates: int
    n_unknown: int


def select(
    table: pd.DataFrame,
    *,
    performance: str = "test_accuracy",
    cost: str | Mapping[str, float] = "energy_kwh",
    maximum: Mapping[str, float] | None = None,
    minimum: Mapping[str, float] | None = None,
    objective: str = "pepr",
    alpha: float = 1.0,
    method: str = "minmax",
    label: str | None = None,
) -> Selection:
    """Choose the best model that stays within every budget.

    The resource is normalised over all models that have a performance and every cost, before any is
    left out: a budget decides which models may be chosen, not what they score.

    Parameters
    ----------
    table : pandas.DataFrame, or what has ``to_pandas``, as Polars' has
        One row per model, all of one experiment.
    performance : str
        Column of the performance (in [0, 1]).
    cost : str or mapping of str to float
        Column of the cost; of several costs, the weight of each column (see `pepr_weighted`).
    maximum, minimum : mapping of str to float, optional
        Budgets: the largest and smallest value that a column may have, in the column's unit. A
        missing value meets no budget.
    objective : {"pepr", "performance"}, default "pepr"
        What is maximised. Ties go to the smaller resource, then to the smaller first cost, then to
        the earlier row.
    alpha, method
        See `pepr` and `normalize`; any rule but ``fixed``, which needs bounds.
    label : str, optional
        Column that names a model in messages; default ``architecture`` or ``model``, else the
        index.

    Returns
    -------
    Selection
        The row chosen and the ranking of all that meet the budgets.

    Raises
    ------
    InfeasibleBudgetError
        If no model meets the budgets: which of them are not met, and the nearest model.
    UnknownNameError
        If a column or the objective does not exist.
    ScoreInputError
        If a value is out of range, a budget is no number, no row has every value, a column that
        is used has the name of one that is added, or the weights do not sum to 1.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"model": ["a", "b", "c"], "accuracy": [0.9, 0.85, 0.8], "wh": [40, 15, 10]}
    ... )
    >>> chosen = select(table, performance="accuracy", cost="wh", maximum={"wh": 20})
    >>> chosen.best["model"], len(chosen.ranking)
    ('c', 2)
    >>> select(
    ...     table, performance="accuracy", cost="wh", maximum={"wh": 20}, objective="performance"
    ... ).best["model"]
    'b'
    """
    check_finds_bounds(method)
    table = as_pandas(table)
    if not hasattr(table, "columns"):
        raise ScoreInputError(
            f"table is a {type(table).__name__}; allowed: a pandas DataFrame, one row per model"
        )
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise ScoreInputError(f"column {twice!r} appears twice in the table; keep one")
    if "experiment" in table and table["experiment"].nunique() > 1:
        raise ScoreInputError(
            f"the table has runs of {table['experiment'].nunique()} experiments, which are not "
            "compared; select within one: table[table['experiment'] == ...]"
        )
    budgets = _budgets(maximum, minimum)
    weights = {cost: 1.0} if isinstance(cost, str) else cost
    if not isinstance(weights, Mapping) or not weights:
        raise ScoreInputError(f"cost is {cost!r}; allowed: a column, or columns with their weights")
    costs = list(weights)
    for column in (performance, *costs, *(b.column for b in budgets)):
        if column not in table:
            raise unknown_name("column", column, table.columns)
        if column in ADDED:
            raise ScoreInputError(
                f"column {column!r} is one that the selection adds ({', '.join(ADDED)}); rename it"
            )
    if objective not in OBJECTIVES:
        raise unknown_name("objective", str(objective), OBJECTIVES)
    rows = _candidates(table, [performance, *costs])
    scored = _score(rows, performance, weights, alpha=alpha, method=method)
    met = np.array([b.met(rows[b.column]) for b in budgets]).reshape(len(budgets), len(rows))
    known = np.array([rows[b.column].notna() for b in budgets]).reshape(met.shape)
    feasible = np.all(met, axis=0)
    if not feasible.any():
        raise _infeasible(rows, budgets, met, known, _labels(rows, label))
    aim = scored["pepr"] if objective == "pepr" else to_floats(rows[performance], performance)
    first_cost = to_floats(rows[costs[0]], costs[0])
    order = np.lexsort((first_cost, scored["resource"], -np.asarray(aim)))  # stable: earlier rows
    ranking = scored.iloc[order[feasible[order]]]
    ranking = ranking.assign(rank=np.arange(1, len(ranking) + 1))
    return Selection(
        best=ranking.iloc[0],
        ranking=ranking,
        n_candidates=len(scored),
        n_unknown=int((~known.all(axis=0)).sum()),
    )


@dataclass(frozen=True)
class _Budget:
    """A limit on one column."""

    column: str
    limit: float
    sign: int  # 1 for at most, -1 for at least

    def __str__(self) -> str:
        return f"{self.column} {'<=' if self.sign > 0 else '>='} {self.limit:.6g}"

    def met(self, values: pd.Series) -> np.ndarray:
        """Whether each value is within the limit; a missing one is not."""
        numbers = to_floats(values, self.column, allow_nan=True)
        return self.sign * numbers <= self.sign * self.limit

    def miss(self, values: pd.Series) -> np.ndarray:
        """Share of the limit by which each value misses it; below 0 if met, infinite if unknown."""
        numbers = to_floats(values, self.column, allow_nan=True)
        share = self.sign * (numbers - self.limit) / (abs(self.limit) or 1.0)
        return np.where(np.isnan(share), np.inf, share)


def _budgets(
    maximum: Mapping[str, float] | None, minimum: Mapping[str, float] | None
) -> list[_Budget]:
    found = []
    for limits, sign in ((maximum, 1), (minimum, -1)):
        for column, limit in (limits or {}).items():
            found.append(_Budget(column, to_number(limit, f"budget of {column!r}"), sign))
    return found


def _candidates(table: pd.DataFrame, needed: list[str]) -> pd.DataFrame:
    rows = table[table[needed].notna().all(axis=1)]
    if rows.empty:
        both = "both " if len(needed) == 2 else ""
        raise ScoreInputError(
            f"no row has {both}{' and '.join(map(repr, needed))}; at least one is needed"
        )
    return rows


def _score(
    rows: pd.DataFrame,
    performance: str,
    weights: Mapping[str, float],
    *,
    alpha: float,
    method: str,
) -> pd.DataFrame:
    costs = np.column_stack([to_floats(rows[cost], "cost") for cost in weights])
    each = np.column_stack([normalize(rows[cost], method=method) for cost in weights])
    resource = weighted_resource(each, list(weights.values()))
    return rows.assign(
        rank=0,
        resource=resource,
        pepr=pepr(rows[performance], resource, alpha=alpha),
        pareto=pareto_front(rows[performance], costs),
    )


def _labels(table: pd.DataFrame, label: str | None) -> Any:
    if label is not None and label not in table:
        raise unknown_name("column", label, table.columns)
    named = label or next((c for c in ("architecture", "model") if c in table), None)
    return table.index if named is None else table[named].to_numpy()


def _infeasible(
    rows: pd.DataFrame, budgets: list[_Budget], met: np.ndarray, known: np.ndarray, labels: Any
) -> InfeasibleBudgetError:
    """Report which budgets are not met, and which model misses them by least."""
    alone = met.sum(axis=1)
    binding = [b for b, n in zip(budgets, alone, strict=True) if n == 0]
    if not binding:
        rest = [np.delete(met, i, axis=0).all(axis=0).any() for i in range(len(budgets))]
        binding = [b for b, helps in zip(budgets, rest, strict=True) if helps] or budgets
    described = []
    for budget, n, has in zip(budgets, alone, known, strict=True):
        text = f"{budget} is met by {n} of {len(rows)}"
        if not has.any():
            text += f" ({budget.column} is missing for all; fill it in, or drop this budget)"
        if n == 0 and has.any():
            values = rows[budget.column].to_numpy()[has].astype(float)
            extreme = ("smallest", values.min()) if budget.sign > 0 else ("largest", values.max())
            text += f" ({extreme[0]} is {extreme[1]:.6g})"
        described.append(text)
    misses = np.max([b.miss(rows[b.column]) for b in budgets], axis=0)
    message = (
        f"no model meets every budget: {', '.join(described)}; "
        f"binding: {', '.join(map(str, binding))}"
    )
    nearest: dict[str, Any] = {}
    if np.isfinite(misses).any():
        at = int(np.argmin(misses))
        nearest = {b.column: float(rows[b.column].iloc[at]) for b in budgets}
        values = ", ".join(f"{column} {value:.6g}" for column, value in nearest.items())
        message += f"; nearest: {labels[at]} ({values}); loosen the binding budgets"
        nearest = {"model": labels[at], **nearest}
    return InfeasibleBudgetError(message, binding=[str(b) for b in binding], nearest=nearest)
