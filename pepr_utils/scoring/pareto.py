"""The Pareto front of performance against one cost or several, and the knee of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import (
    as_pandas,
    group_codes,
    pandas_index,
    sorted_by_group,
    to_floats,
)

#: Which direction of (performance, cost) is better, by default: higher accuracy, lower energy.
BETTER = ("high", "low")
#: Up to this many models are compared each with each.
_FEW = 64
#: Of more models than this, those that a sample of them beats are left out before sorting: one in
#: `_STEP` is in the sample, unless more than `_LONG` of it are on the sample's own front.
_MANY, _STEP, _LONG = 100_000, 64, 1000


def pareto_front(
    performance: Any,
    cost: Any,
    *,
    better: tuple[str, ...] = BETTER,
    by: Any = None,
    missing: str = "error",
) -> Any:
    """Flag the models that no other model beats.

    A model is beaten (dominated) if another one is at least as good in every value and better in
    one of them. Models that are equal in every value do not beat each other: either all of them
    are on the front or none.

    Parameters
    ----------
    performance : array_like or pandas.Series, shape (n,), or what has ``to_pandas``
        Any number of each model, in any unit; not normalised.
    cost : array_like, pandas.Series or pandas.DataFrame, shape (n,) or (n, k)
        Likewise one cost, or several: one kind on each position of the last axis.
    better : tuple of {"high", "low"}, default ("high", "low")
        Which direction of performance and of cost is better: ``("low", "low")`` for a loss against
        energy, ``("high", "high")`` for two kinds of performance. Of several costs either one
        direction for all or one for each.
    by : array_like, shape (n,), optional
        Group label of each model; each group has its own front.
    missing : {"error", "drop"}, default "error"
        With ``drop``, a model with a missing value (NaN) is off the front and beats no other.

    Returns
    -------
    numpy.ndarray of bool or pandas.Series
        True on the front, in the order given; a pandas index is kept.

    Raises
    ------
    ScoreInputError
        If a value is infinite, or missing without ``missing="drop"``, or lengths differ.
    UnknownNameError
        If `better` or `missing` is not one of those named.

    Examples
    --------
    >>> pareto_front([0.9, 0.8, 0.8, 0.7], [3.0, 1.0, 2.0, 1.0]).tolist()
    [True, True, False, False]

    The third costs less of the second kind than the first two:

    >>> pareto_front([0.9, 0.8, 0.8, 0.7], [[3, 5], [1, 5], [2, 4], [1, 6]]).tolist()
    [True, True, True, False]
    """
    performance, cost, by = map(as_pandas, (performance, cost, by))
    of_cost = [cost[name] for name in cost] if hasattr(cost, "columns") else [cost]
    index = pandas_index(performance, *of_cost, by)
    p, c, present = _values(performance, cost, better, missing)
    codes, n_groups = None, 1
    if by is not None:
        codes, n_groups = group_codes(by, p, what="performance")
    find = _front if c.ndim == 1 else _joint_front
    if present.all():
        front = find(p, c, codes, n_groups)
    else:
        front = np.zeros(p.size, dtype=bool)
        codes = None if codes is None else codes[present]
        front[present] = find(p[present], c[present], codes, n_groups)
    if index is None:
        return front
    import pandas as pd

    return pd.Series(front, index=index, name="pareto")


def pareto_knee(
    performance: Any,
    cost: Any,
    *,
    better: tuple[str, str] = BETTER,
    missing: str = "error",
) -> int | None:
    """Find the knee of the Pareto front: where a further gain begins to cost disproportionately.

    It is the point of the front farthest above the straight line between the front's
    ends, both axes scaled to the front's range.

    Parameters
    ----------
    performance, cost, better, missing
        As for `pareto_front`; one cost.

    Returns
    -------
    int or None
        Position of the knee among the models given; of ties, the one with the smallest cost and
        then the first. None if no point lies above the line: a front of one or two points, a
        straight or a hollow one.

    Raises
    ------
    ScoreInputError, UnknownNameError
        As `pareto_front` does.

    Examples
    --------
    >>> pareto_knee([0.5, 0.85, 0.9, 0.6], [1.0, 2.0, 10.0, 9.0])
    1
    >>> pareto_knee([0.5, 0.9], [1.0, 10.0]) is None
    True
    """
    performance, cost = as_pandas(performance), as_pandas(cost)
    p, c, present = _values(performance, cost, better, missing)
    if c.ndim != 1:
        raise ScoreInputError(
            f"cost has shape {c.shape}; allowed: one cost, since a front of several has no knee"
        )
    front = np.asarray(pareto_front(performance, cost, better=better, missing=missing))
    on = np.flatnonzero(front & present)
    on = on[np.lexsort((on, c[on]))]
    if on.size < 3 or c[on[0]] == c[on[-1]]:
        return None
    x = (c[on] - c[on[0]]) / (c[on[-1]] - c[on[0]])
    y = (p[on] - p[on[0]]) / (p[on[-1]] - p[on[0]])
    above = y - x
    best = int(np.argmax(above))
    return int(on[best]) if above[best] > _STRAIGHT else None


#: Below this share of the range, a point counts as lying on the line, not above it.
_STRAIGHT = 1e-12


def _values(
    performance: Any, cost: Any, better: tuple[str, ...], missing: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All values as floats, signed so that high performance and low cost are better."""
    if missing not in ("error", "drop"):
        raise unknown_name("value of missing", str(missing), ("error", "drop"))
    allow = missing == "drop"
    p = to_floats(performance, "performance", allow_nan=allow)
    c = to_floats(cost, "cost", allow_nan=allow)
    c = c[:, 0] if c.ndim == 2 and c.shape[1] == 1 else c
    if p.ndim != 1 or c.ndim not in (1, 2) or p.size != len(c):
        raise ScoreInputError(
            f"performance has shape {p.shape} and cost {c.shape}; allowed: two lists of one "
            "length, or rows of several costs"
        )
    _check_directions(better, c)
    missing_cost = np.isnan(c)
    present = ~(np.isnan(p) | (missing_cost if c.ndim == 1 else missing_cost.any(axis=1)))
    signs = np.where(np.array(better[1:]) == "high", -1.0, 1.0)
    flipped = (signs < 0).any()
    return (-p if better[0] == "low" else p), (c * signs if flipped else c), present


def _check_directions(better: tuple[str, ...], c: np.ndarray) -> None:
    n_costs = 1 if c.ndim == 1 else c.shape[1]
    if not isinstance(better, (tuple, list)) or len(better) not in (2, 1 + n_costs):
        each = "" if n_costs == 1 else f", or {1 + n_costs} of them for {n_costs} costs"
        raise ScoreInputError(
            f"better is {better!r}; allowed: a pair of 'high' or 'low', such as {BETTER}{each}"
        )
    for direction in better:
        if direction not in BETTER:
            raise unknown_name("direction in better", str(direction), BETTER)


def _joint_front(
    p: np.ndarray, c: np.ndarray, codes: np.ndarray | None, n_groups: int
) -> np.ndarray:
    """The front over several costs, group by group."""
    values = np.column_stack([c, -p])
    if codes is None:
        return _undominated(values)
    front = np.zeros(p.size, dtype=bool)
    order = sorted_by_group(codes, None, n_groups)
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        front[rows] = _undominated(values[rows])
    return front


def _undominated(values: np.ndarray) -> np.ndarray:
    """Which rows no other is at most equal to in every column and smaller in one."""
    front = np.ones(len(values), dtype=bool)
    if len(values) > _FEW:  # one good row rules out most of the others before sorting
        good = values[(values / (np.abs(values).max(axis=0) + 1)).sum(axis=1).argmin()]
        front = (values < good).any(axis=1) | (values == good).all(axis=1)
    front[front] = _undominated_by_sorting(values[front])
    return front


def _undominated_by_sorting(values: np.ndarray) -> np.ndarray:
    """Sort the rows, join equal ones, and compare the distinct ones."""
    order = np.lexsort(values.T[::-1])
    ordered = values[order]
    new = np.ones(len(values), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    distinct = np.zeros(new.sum(), dtype=bool)
    distinct[_front_of_sorted(ordered[new])] = True
    front = np.empty(len(values), dtype=bool)
    front[order] = distinct[np.cumsum(new) - 1]
    return front


def _front_of_sorted(rows: np.ndarray) -> np.ndarray:
    """Positions of the undominated among different rows in lexicographic order.

    A row can be beaten by an earlier one only, so the first column needs no look. After Kung,
    Luccio and Preparata (1975): the front of the first half, and what it leaves of the second's.
    """
    if len(rows) <= _FEW:
        at_most = (rows[:, None, 1:] <= rows[None, :, 1:]).all(axis=2)
        return np.flatnonzero(~np.triu(at_most, 1).any(axis=0))
    half = len(rows) // 2
    first, second = _front_of_sorted(rows[:half]), half + _front_of_sorted(rows[half:])
    left = second[~_reached(rows[first, 1:], rows[second, 1:])]
    return np.concatenate([first, left])


def _reached(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """For each row, whether one of `points` is at most equal to it in every column."""
    if not points.size or not rows.size:
        return np.zeros(len(rows), dtype=bool)
    if points.shape[1] == 1:
        return rows[:, 0] >= points.min()
    if points.shape[1] == 2:
        order = np.argsort(points[:, 0])
        lowest = np.minimum.accumulate(points[order, 1])
        n_before = np.searchsorted(points[order, 0], rows[:, 0], side="right")
        return (n_before > 0) & (lowest[n_before - 1] <= rows[:, 1])
    if len(points) * len(rows) <= _FEW**2:
        return np.any(np.all(points[:, None] <= rows[None], axis=2), axis=0)
    # Divide both at a value of the first column; across it the other columns decide.
    column = points[:, 0]
    edge = np.partition(column, len(column) // 2)[len(column) // 2]
    low = column < edge
    if tied := not low.any():
        low = column == edge
    above = rows[:, 0] >= edge
    found = np.zeros(len(rows), dtype=bool)
    found[above] = _reached(points[low, 1:], rows[above, 1:])
    found[above] |= _reached(points[~low], rows[above])
    if not tied:
        found[~above] = _reached(points[low], rows[~above])
    return found


def _front(p: np.ndarray, c: np.ndarray, codes: np.ndarray | None, n_groups: int) -> np.ndarray:
    """One pass over the models sorted by group and cost.

    Of the models of a group that cost the same the best are on the front, if they are better than
    all cheaper ones.
    """
    if not p.size:
        return np.zeros(0, dtype=bool)
    if codes is None and p.size > _MANY:
        front = _unbeaten_by_sample(p, c)
        if front.sum() < p.size / 2:
            front[front] = _front(p[front], c[front], None, 1)
            return front
    order = sorted_by_group(c, codes, n_groups)
    ordered = c[order]
    new_cost = np.ones(p.size, dtype=bool)  # where a run of equal costs starts
    np.not_equal(ordered[1:], ordered[:-1], out=new_cost[1:])
    if codes is not None:
        group = codes[order]
        new_cost[1:] |= group[1:] != group[:-1]
    starts = np.flatnonzero(new_cost)
    ordered = p[order]
    best = np.maximum.reduceat(ordered, starts)
    so_far, other = _running_maximum(best, None if codes is None else group[starts])
    beaten = np.zeros(starts.size, dtype=bool)
    beaten[1:] = (best[1:] <= so_far[:-1]) & ~other
    del so_far
    best[beaten] = np.inf
    front = np.empty(p.size, dtype=bool)
    front[order] = ordered >= np.repeat(best, np.diff(starts, append=p.size))
    return front


def _unbeaten_by_sample(p: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Which models may be on the front, since no cheaper one of a sample is better."""
    sample = np.flatnonzero(_front(p[::_STEP], c[::_STEP], None, 1)) * _STEP
    if sample.size > _LONG:
        return np.ones(p.size, dtype=bool)
    sample = sample[np.argsort(c[sample])]
    best = np.concatenate([[-np.inf], p[sample]])
    return p >= best[np.searchsorted(c[sample], c, side="right")]


def _running_maximum(values: np.ndarray, group: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Highest value so far within each group, and where the next value is of another group."""
    if group is None:
        return np.maximum.accumulate(values), np.zeros(values.size - 1, dtype=bool)
    import pandas as pd

    so_far = pd.Series(values).groupby(group, sort=False).cummax().to_numpy()
    return so_far, group[1:] != group[:-1]
