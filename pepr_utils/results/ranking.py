"""The ranking of models by PePR, with the interval of each score; `score` for a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError, ScoreInputError
from pepr_utils.results.models import Models, Question, Scale, find_models
from pepr_utils.results.notes import Note, notes
from pepr_utils.results.table_reader import UserTable
from pepr_utils.scoring import normalize, pepr, weighted_resource
from pepr_utils.scoring.arrays import as_pandas
from pepr_utils.scoring.normalization import between, group_bounds

#: Coverage of the intervals, and the standard errors that a normal distribution takes for it.
LEVEL, ERRORS = 0.95, 1.959964


@dataclass(frozen=True)
class Rule:
    """How costs become the score.

    Attributes
    ----------
    weights : dict of str to float
        Weight of each cost column, together 1.
    alpha, method, lower, upper, outside
        See `pepr_utils.scoring.pepr` and `pepr_utils.scoring.normalize`.
    """

    weights: dict[str, float]
    alpha: float = 1.0
    method: str = "minmax"
    lower: float | None = None
    upper: float | None = None
    outside: str | None = None

    def resource(self, costs: Mapping[str, Any], by: Any) -> np.ndarray:
        """The resource of each row, costs normalised within the groups `by`."""
        how = {"method": self.method, "lower": self.lower, "upper": self.upper}
        each = [
            normalize(np.asarray(costs[cost]), by=by, outside=self.outside, **how)
            for cost in self.weights
        ]
        if len(each) == 1:
            return each[0]
        return np.asarray(weighted_resource(np.column_stack(each), list(self.weights.values())))


@dataclass(frozen=True)
class Ranking:
    """Models in the order of their score.

    Attributes
    ----------
    models : Models
        What was compared.
    rule : Rule
        How it was scored.
    table : pandas.DataFrame
        By the index of the models' numbers: ``resource``, ``pepr``, ``rank`` (1 the best of its
        group) and, where they are known of any model, ``n_runs``, ``performance_sd`` (in the
        user's own unit), ``pepr_low`` and ``pepr_high``; null where a row is not scored.
    order : pandas.Index
        Rows from the best score down; of equal ones the cheaper first, then as in the table. All,
        or the first few that were asked for.
    """

    models: Models
    rule: Rule
    table: pd.DataFrame
    order: pd.Index

    def notes(self, chance: float | None = None) -> list[Note]:
        """What a reader should know before believing the ranking, the gravest first."""
        return notes(self, chance=chance)


def rank(models: Models, rule: Rule, *, head: int | None = None) -> Ranking:
    """Score and rank models within their groups.

    Of repeated runs the score is that of the mean performance and the mean costs. Its interval
    (95 %) joins two spreads: Student's *t* interval of the mean of the runs' own scores, and
    Wilson's interval of a share of `n_test` test images. Bounds of the costs are held fixed.

    Parameters
    ----------
    models : Models
        What is compared.
    rule : Rule
        How costs become the score.
    head : int, optional
        How many are shown, where that is all that the ranking is for: without groups the others
        get neither a place in the order nor a rank, which takes the longest of a large table.

    Returns
    -------
    Ranking
        One row per model.

    Raises
    ------
    ScoreInputError
        If a value or the rule is not allowed.
    """
    known = models.known
    numbers, codes = models.numbers[known], models.codes()
    performance = models.scale.fraction(numbers[models.performance].to_numpy())
    resource = rule.resource({cost: numbers[cost] for cost in models.costs}, codes)
    table = pd.DataFrame(index=known.index, columns=["resource", "pepr"], dtype="float64")
    table.loc[known, "resource"] = resource
    table.loc[known, "pepr"] = pepr(performance, resource, alpha=rule.alpha)
    score, cost = table["pepr"].to_numpy(), models.numbers[models.costs[0]].to_numpy()
    group = None
    if codes is not None:
        group, head = np.zeros(len(table), dtype=np.intp), None
        group[known] = codes
    best_first = _best_first(score, table["resource"].to_numpy(), cost, head=head)
    table["rank"] = _ranks(best_first, score, group)
    order = known.index[best_first]
    seeds = _of_runs(models, rule)
    if seeds is not None:
        table = table.join(seeds[["n_runs", "performance_sd"]])
    if seeds is None and models.n_test is None:
        return Ranking(models, rule, table, order)
    below, above = _half_widths(models, rule, table, None if seeds is None else seeds["half"])
    if below.notna().any():
        table["pepr_low"] = (table["pepr"] - below).clip(lower=0.0)
        table["pepr_high"] = (table["pepr"] + above).clip(upper=1.0)
    return Ranking(models, rule, table, order)


def _best_first(score: np.ndarray, *ties: np.ndarray, head: int | None = None) -> np.ndarray:
    """Positions from the highest score down, equal ones by `ties`, then as they stand; NaN last."""
    if head is not None and head < np.count_nonzero(~np.isnan(score)):
        rows = np.flatnonzero(-score <= np.partition(-score, head)[head])
        return rows[_best_first(score[rows], *(key[rows] for key in ties))]
    order = np.argsort(-score)  # fast, and leaves equal ones in any order; they are few
    ordered = score[order]
    same = (ordered[1:] == ordered[:-1]) | np.isnan(ordered[1:])
    tied = np.append(same, False) | np.append(False, same)
    some = np.sort(order[tied])
    order[tied] = some[np.lexsort([*(key[some] for key in reversed(ties)), -score[some]])]
    return order


def _ranks(order: np.ndarray, score: np.ndarray, group: np.ndarray | None) -> Any:
    """Rank of each row within its group, equal scores sharing the smaller; null without a score.

    `order` has the rows to be ranked, the best first.
    """
    order = order[~np.isnan(score[order])]
    begin: Any = 0
    if group is not None:
        order = order[np.argsort(group[order], kind="stable")]
        begin = _begins(group[order])
    ranks, unranked = np.ones(score.size, dtype=np.int64), np.ones(score.size, dtype=bool)
    ranks[order] += np.maximum(_begins(score[order]), begin) - begin
    unranked[order] = False
    return pd.arrays.IntegerArray(ranks, unranked)


def _begins(values: np.ndarray) -> np.ndarray:
    """Where the run of equal values begins that each value is in."""
    new = np.append(True, values[1:] != values[:-1])
    return np.maximum.accumulate(np.where(new, np.arange(values.size), 0))


def _half_widths(
    models: Models, rule: Rule, table: pd.DataFrame, of_runs: pd.Series | None
) -> tuple[pd.Series, pd.Series]:
    """How far each interval reaches below and above the score; null where no spread is known."""
    runs = pd.Series(np.nan, index=table.index) if of_runs is None else of_runs
    images = pd.Series(np.nan, index=table.index)
    if models.n_test is not None:
        images = models.n_test.where(models.known)
    p = models.scale.fraction(models.numbers[models.performance])
    z2 = ERRORS**2 / images
    centre = (p + z2 / 2) / (1 + z2)
    half = ERRORS * np.sqrt(p * (1 - p) / images + z2 / images / 4) / (1 + z2)
    per_p = 1 / (1 + table["resource"] / rule.alpha)  # the score is P times this
    unknown = images.isna() & runs.isna()
    both = [
        np.sqrt((side * per_p).fillna(0.0) ** 2 + runs.fillna(0.0) ** 2).mask(unknown)
        for side in (p - centre + half, centre + half - p)
    ]
    return both[0], both[1]


def _of_runs(models: Models, rule: Rule) -> pd.DataFrame | None:
    """Number of runs of each model, the spread of its performance, half its score's interval."""
    if models.runs is None:
        return None
    from scipy.special import stdtrit

    runs = models.runs
    row, known = runs["row"], models.known
    scored = known.index[known]
    codes = np.zeros(len(scored), dtype=int) if models.groups is None else models.codes()
    group = codes[scored.get_indexer(pd.Index(row))]
    resource = np.zeros(len(runs))
    for cost, weight in rule.weights.items():
        costs = models.numbers.loc[known, cost].to_numpy()
        given = (rule.lower, rule.upper)
        low, high = group_bounds(rule.method, costs, codes, codes.max() + 1, *given)
        values = runs[cost].to_numpy()
        resource += weight * between(values, low[group], high[group], log=rule.method == "log")
    p = models.scale.fraction(runs[models.performance].to_numpy()).clip(0.0, 1.0)
    score = pd.Series(p / (1 + resource / rule.alpha), index=runs.index)
    n = row.value_counts().reindex(known.index).astype("Int64")
    sizes = n.astype("float64")
    student = pd.Series(stdtrit(sizes - 1, (1 + LEVEL) / 2), index=known.index)
    return pd.DataFrame(
        {
            "n_runs": n,
            "performance_sd": runs[models.performance].groupby(row).std(),
            "half": student * score.groupby(row).std() / np.sqrt(sizes),
        },
        index=known.index,
    )


class Scored(pd.DataFrame):
    """A table ranked by `score`: a DataFrame with the `ranking` that it is from."""

    ranking: Ranking | None
    _metadata: ClassVar[list[str]] = ["ranking"]

    @property
    def _constructor(self) -> type[Scored]:
        return Scored

    @property
    def notes(self) -> list[Note]:
        """What a reader should know before believing the ranking, the gravest first."""
        ranking = getattr(self, "ranking", None)
        return [] if ranking is None else ranking.notes()


def score(  # noqa: PLR0913 (one for each option of the command)
    table: pd.DataFrame,
    *,
    performance: str = "test_accuracy",
    cost: str | Sequence[str] | Mapping[str, float] = "E",
    alpha: float = 1.0,
    method: str = "minmax",
    by: str | Sequence[str] = (),
    together: bool = False,
    label: str | None = None,
    each_row: bool = False,
    better: str = "high",
    performance_range: tuple[float, float] = (0.0, 1.0),
    n_test: int | None = None,
) -> Scored:
    """Rank the models of a table by PePR, as the command ``pepr score`` does.

    Parameters
    ----------
    table : pandas.DataFrame, or what has ``to_pandas``, as Polars' has
        One row per model, or several, such as seeds: these are averaged. With the columns of the
        data dictionary it is scored within each experiment, with a column of data sets within
        each of them, any other as a whole.
    performance : str, default "test_accuracy"
        Column of the performance, in [0, 1] unless `performance_range` is given.
    cost : str, sequence of str, or mapping of str to float, default "E"
        Column of the cost or, where the data dictionary's columns are, E, C, M, T or D; or
        several, equally weighted, or with weights, which are divided by their sum.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    method : str, default "minmax"
        Normalisation rule; see `pepr_utils.scoring.normalize`; any but ``fixed``.
    by : str or sequence of str, optional
        Columns whose values make groups.
    together : bool, default False
        Compare experiments and data sets with each other.
    label : str, optional
        Column that names a model; by default one that usually does.
    each_row : bool, default False
        Keep repeated rows of one model apart.
    better : {"high", "low"}, default "high"
        ``low`` for an error rate or a loss.
    performance_range : pair of float, default (0, 1)
        The worst and best value that a performance can have, such as (0, 100) for percentages.
    n_test : int, optional
        Number of test images, for intervals; by default the column of that name.

    Returns
    -------
    Scored
        The table, one row per model, with ``resource``, ``pepr`` and ``rank`` (in its group) and,
        where known, ``n_runs``, ``performance_sd``, ``pepr_low`` and ``pepr_high``; the best score
        first, of equal ones the cheaper; rows without a value last. A DataFrame whose ``.notes``
        say what to know before believing it.

    Raises
    ------
    InvalidTableError, UnknownNameError
        If a column is absent.
    ScoreInputError
        If a value is out of range.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["a", "b"], "auc": [0.9, 0.8], "kwh": [2.0, 1.0]})
    >>> ranked = score(table, performance="auc", cost="kwh")
    >>> ranked[["model", "pepr", "rank"]].values.tolist()
    [['b', 0.8, 1], ['a', 0.45, 2]]
    >>> [note.kind for note in ranked.notes]
    ['two-models']
    """
    table = as_pandas(table)
    if not isinstance(table, pd.DataFrame):
        raise InvalidTableError(
            f"table is a {type(table).__name__}; allowed: a DataFrame of pandas, or of a library "
            "that converts to it, one row per model, such as the `runs` of a result set"
        )
    named = {cost: 1.0} if isinstance(cost, str) else cost
    weights = list(named.values()) if isinstance(named, Mapping) else [1.0] * len(named)
    rows = table.reset_index(drop=True)
    asked = Question(
        performance, list(named), by=[by] if isinstance(by, str) else by, together=together,
        label=label, each_row=each_row, scale=Scale(better, *performance_range), n_test=n_test,
        costs_above_zero=method == "log",
    )  # fmt: skip
    models = find_models(UserTable("the table", rows), asked)
    rule = Rule(shares(models.costs, weights), alpha=alpha, method=method)
    ranking = rank(models, rule)
    found = Scored(models.rows.drop(columns=ranking.table.columns, errors="ignore"))
    found = found.join(ranking.table).loc[ranking.order]
    found.ranking = ranking
    return found.set_axis(table.index[found.index])


def shares(costs: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Weight of each cost, the weights divided by their sum.

    Raises
    ------
    ScoreInputError
        If a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> shares(["kwh", "gb"], [7, 3])
    {'kwh': 0.7, 'gb': 0.3}
    """
    values = np.asarray(weights, dtype=float)
    if not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
        raise ScoreInputError(
            f"weights are {', '.join(f'{w:g}' for w in weights)}; allowed: numbers of 0 or more, "
            "one above 0"
        )
    total = 1.0 if abs(values.sum() - 1) <= 1e-9 else values.sum()
    return dict(zip(costs, (values / total).tolist(), strict=True))
