"""The Pareto front of performance against cost, in O(n log n), and its knee."""

from __future__ import annotations

from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import group_codes, pandas_index, sorted_by_group, to_floats

#: Which direction of (performance, cost) is better, by default: higher accuracy, lower energy.
BETTER = ("high", "low")


def pareto_front(
    performance: Any,
    cost: Any,
    *,
    better: tuple[str, str] = BETTER,
    by: Any = None,
    missing: str = "error",
) -> Any:
    """Flag the models that no other model beats.

    A model is beaten (dominated) if another one is at least as good in both values and better in
    one of them. Models that are equal in both values do not beat each other: either all of them
    are on the front or none.

    Parameters
    ----------
    performance, cost : array_like or pandas.Series, shape (n,)
        Any two numbers of each model, in any unit; neither is normalised.
    better : pair of {"high", "low"}, default ("high", "low")
        Which direction of the first and of the second value is better: ``("low", "low")`` for a
        loss against energy, ``("high", "high")`` for two kinds of performance.
    by : array_like, shape (n,), optional
        Group label of each model; each group has its own front.
    missing : {"error", "drop"}, default "error"
        With ``drop``, a model that lacks a value (NaN) is off the front and beats no other.

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
    """
    index = pandas_index(performance, cost, by)
    p, c, present = _values(performance, cost, better, missing)
    codes, n_groups = None, 1
    if by is not None:
        codes, n_groups = group_codes(by, p, what="performance")
    if present.all():
        front = _front(p, c, codes, n_groups)
    else:
        front = np.zeros(p.size, dtype=bool)
        codes = None if codes is None else codes[present]
        front[present] = _front(p[present], c[present], codes, n_groups)
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

    It is the point of the front that lies farthest above the straight line between the front's
    ends, both axes scaled to the front's range.

    Parameters
    ----------
    performance, cost, better, missing
        As for `pareto_front`.

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
    p, c, present = _values(performance, cost, better, missing)
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
    performance: Any, cost: Any, better: tuple[str, str], missing: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both values as floats, signed so that high performance and low cost are better."""
    if missing not in ("error", "drop"):
        raise unknown_name("value of missing", str(missing), ("error", "drop"))
    if not isinstance(better, (tuple, list)) or len(better) != len(BETTER):
        raise ScoreInputError(
            f"better is {better!r}; allowed: a pair of 'high' or 'low', such as {BETTER}"
        )
    for direction in better:
        if direction not in BETTER:
            raise unknown_name("direction in better", str(direction), BETTER)
    allow = missing == "drop"
    p = to_floats(performance, "performance", allow_nan=allow)
    c = to_floats(cost, "cost", allow_nan=allow)
    if p.ndim != 1 or p.shape != c.shape:
        raise ScoreInputError(
            f"performance has shape {p.shape} and cost {c.shape}; allowed: two lists of one length"
        )
    present = ~(np.isnan(p) | np.isnan(c))
    return (-p if better[0] == "low" else p), (-c if better[1] == "high" else c), present


def _front(p: np.ndarray, c: np.ndarray, codes: np.ndarray | None, n_groups: int) -> np.ndarray:
    """One pass over the models sorted by group and cost.

    Of the models of a group that cost the same the best are on the front, if they are better than
    all cheaper ones.
    """
    if not p.size:
        return np.zeros(0, dtype=bool)
    order = sorted_by_group(c, codes, n_groups)
    ordered = c[order]
    dearer = np.ones(p.size, dtype=bool)  # where a run of equal costs starts
    np.not_equal(ordered[1:], ordered[:-1], out=dearer[1:])
    if codes is not None:
        group = codes[order]
        dearer[1:] |= group[1:] != group[:-1]
    starts = np.flatnonzero(dearer)
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


def _running_maximum(values: np.ndarray, group: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Highest value so far within each group, and where the next value is of another group."""
    if group is None:
        return np.maximum.accumulate(values), np.zeros(values.size - 1, dtype=bool)
    import pandas as pd

    so_far = pd.Series(values).groupby(group, sort=False).cummax().to_numpy()
    return so_far, group[1:] != group[:-1]
