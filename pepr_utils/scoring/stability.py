"""How a ranking by PePR changes: with alpha, with the normalisation, with who is compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    broadcast,
    check_alpha,
    pandas_index,
    to_floats,
    to_number,
)
from pepr_utils.scoring.normalization import check_finds_bounds, normalize
from pepr_utils.scoring.score import pepr

if TYPE_CHECKING:
    import pandas as pd


def ranks(score: Any) -> pd.Series:
    """Rank scores: 1 is the highest, equal scores share the smaller rank.

    Parameters
    ----------
    score : array_like or pandas.Series, shape (n,)
        Scores, without missing values.

    Returns
    -------
    pandas.Series of int
        The rank of each, in the order given.

    Raises
    ------
    ScoreInputError
        If a score is missing.

    Examples
    --------
    >>> ranks([0.7, 0.9, 0.7]).tolist()
    [2, 1, 2]
    """
    import pandas as pd

    values = to_floats(score, "score")
    if values.ndim != 1:
        raise ScoreInputError(f"score has shape {values.shape}; allowed: a list of scores")
    series = pd.Series(values, index=pandas_index(score), name="rank")
    return series.rank(method="min", ascending=False).astype(int)


def compare_normalizations(
    performance: Any,
    cost: Any,
    *,
    methods: Iterable[str] = ("minmax", "max", "quantile", "log"),
    alpha: float = 1.0,
) -> pd.DataFrame:
    """Rank models under several normalisation rules.

    Parameters
    ----------
    performance, cost : array_like or pandas.Series, shape (n,)
        Performance in [0, 1] and absolute cost of the models of one experiment.
    methods : iterable of str
        Rules of `normalize`; any but ``fixed``, which needs bounds.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    pandas.DataFrame, shape (n, number of methods)
        Rank of each model (rows, in the order given) under each rule (columns).

    Raises
    ------
    ScoreInputError, UnknownNameError
        As `normalize` and `pepr` do.

    Examples
    --------
    >>> compare_normalizations([0.9, 0.6, 0.5], [9.0, 2.0, 1.0], methods=["minmax", "log"])
       minmax  log
    0       3    3
    1       1    2
    2       2    1
    """
    import pandas as pd

    methods = list(methods)
    for method in methods:
        check_finds_bounds(method)
    return pd.DataFrame(
        {
            method: ranks(pepr(performance, normalize(cost, method=method), alpha=alpha))
            for method in methods
        }
    )


def agreement(first: Any, second: Any, *, top: int = 5) -> dict[str, float]:
    """Compare two rankings of the same models.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Ranks, 1 the best, as `ranks` gives them.
    top : int, default 5
        How many leaders are compared.

    Returns
    -------
    dict
        ``kendall_tau`` (tau-b: 1 for the same order, -1 for the reverse; NaN for one model),
        ``top_shared`` (how many models with a rank of at most `top` in the first also have one in
        the second) and ``largest_shift`` (most places that one model moves).

    Raises
    ------
    ScoreInputError
        If the rankings differ in length or `top` is below 1.

    Examples
    --------
    >>> agreement([1, 2, 3], [1, 3, 2], top=1)["largest_shift"]
    1
    """
    from scipy.stats import kendalltau

    pandas_index(first, second)
    a, b = to_floats(first, "rank"), to_floats(second, "rank")
    if a.ndim != 1 or a.shape != b.shape:
        raise ScoreInputError(f"rankings have shapes {a.shape} and {b.shape}; allowed: one length")
    if to_number(top, "top") < 1:
        raise ScoreInputError(f"top is {top}; allowed: 1 or more")
    varied = a.size > 1 and len(set(a)) > 1 and len(set(b)) > 1
    return {
        "kendall_tau": float(kendalltau(a, b).statistic) if varied else float("nan"),
        "top_shared": int(((a <= top) & (b <= top)).sum()),
        "largest_shift": int(np.abs(a - b).max()),
    }


def leave_one_out(
    performance: Any,
    cost: Any,
    *,
    alpha: float = 1.0,
    method: str = "minmax",
    top: int = 5,
) -> pd.DataFrame:
    """Re-rank the others with each model left out in turn.

    Under min-max only the cheapest and the most expensive model change the others' scores. Removing
    the most expensive one has the effect of a smaller alpha, adding one that costs more that of a
    larger alpha: `equivalent_alpha` computes it.

    Parameters
    ----------
    performance, cost : array_like or pandas.Series, shape (n,), n >= 2
        Performance in [0, 1] and absolute cost of the models of one experiment.
    alpha, method
        See `pepr` and `normalize`; any rule but ``fixed``, which needs bounds.
    top : int, default 5
        How many leaders are compared.

    Returns
    -------
    pandas.DataFrame, shape (n, 6)
        For each model removed (the index of the input): ``largest_score_change`` among the
        others, ``kendall_tau``, ``largest_shift`` and ``top_shared`` between the others' rankings
        with and without it (see `agreement`), ``moves_bounds`` (whether any other's resource
        changed) and ``leader``, the index of the model that leads without it
        (of tied ones the cheaper, then the first).

    Raises
    ------
    ScoreInputError, UnknownNameError
        As `normalize` and `pepr` do, and for fewer than two models.

    Examples
    --------
    >>> leave_one_out([0.9, 0.8, 0.7], [10.0, 2.0, 1.0])["moves_bounds"].tolist()
    [True, False, True]
    """
    import pandas as pd

    check_finds_bounds(method)
    index = pandas_index(performance, cost)
    p, c = to_floats(performance, "performance"), to_floats(cost, "cost")
    if p.ndim != 1 or p.shape != c.shape or p.size < 2:
        raise ScoreInputError(
            f"performance has shape {p.shape} and cost {c.shape}; "
            "allowed: two lists of one length, at least two models"
        )
    labels = pd.RangeIndex(p.size) if index is None else index
    resource = np.asarray(normalize(c, method=method))
    score = np.asarray(pepr(p, resource, alpha=alpha))
    rows = []
    for i in range(p.size):
        rest = np.arange(p.size) != i
        new_resource = np.asarray(normalize(c[rest], method=method))
        new_score = np.asarray(pepr(p[rest], new_resource, alpha=alpha))
        rows.append(
            {
                "moves_bounds": bool((new_resource != resource[rest]).any()),
                "largest_score_change": float(np.abs(new_score - score[rest]).max()),
                **agreement(ranks(score[rest]), ranks(new_score), top=top),
                "leader": labels[rest][int(np.lexsort((c[rest], -new_score))[0])],
            }
        )
    return pd.DataFrame(rows, index=labels)


def equivalent_alpha(
    old_bounds: tuple[float, float], new_bounds: tuple[float, float], *, alpha: float = 1.0
) -> float:
    r"""Alpha with which the old resource gives the scores that a new upper bound gives.

    If the most expensive model changes and the cheapest stays, every resource is divided by one
    number, :math:`R' = R / s` with s = (new range) / (old range), and
    :math:`\alpha P / (\alpha + R / s) = s \alpha P / (s \alpha + R)`: the comparison is scored
    as if alpha were s times as large. A very costly model that joins makes the score tend to the
    performance.

    Parameters
    ----------
    old_bounds, new_bounds : pair of float
        Smallest and largest cost before and after, the smallest being the same.
    alpha : float, default 1.0
        The alpha in use, at least 1.

    Returns
    -------
    float
        The equivalent alpha; below 1 where the range became smaller.

    Raises
    ------
    ScoreInputError
        If the lower bounds differ, a range is empty, or alpha is below 1.

    Examples
    --------
    >>> equivalent_alpha((1.0, 5.0), (1.0, 9.0))
    2.0
    """
    old, new = to_floats(old_bounds, "bound"), to_floats(new_bounds, "bound")
    if old.shape != (2,) or new.shape != (2,) or old[0] != old.min() or old[0] != new[0]:
        raise ScoreInputError(
            f"bounds are {old_bounds!r} and {new_bounds!r}; allowed: two pairs of smallest and "
            "largest cost with the same smallest one"
        )
    if not (old[1] > old[0] and new[1] > new[0]):
        raise ScoreInputError(
            f"bounds are {old_bounds!r} and {new_bounds!r}; a range is empty; "
            "allowed: largest above smallest"
        )
    alpha = to_number(alpha, "alpha")
    check_alpha(np.asarray(alpha), alpha)
    return float(alpha * (new[1] - new[0]) / (old[1] - old[0]))


def leaders_by_alpha(performance: Any, resource: Any) -> pd.DataFrame:
    """Find which model leads for which alpha, exactly, from alpha = 1 upwards.

    The reciprocal of the score, ``1/P + (R/P) / alpha``, is a straight line in 1 / alpha, so the
    leaders are the lower envelope of lines.

    Parameters
    ----------
    performance, resource : array_like or pandas.Series, shape (n,)
        Performance and normalised resource in [0, 1] of the models of one experiment.

    Returns
    -------
    pandas.DataFrame
        One row per leader: ``model`` (its index label or position), ``from_alpha`` and
        ``to_alpha`` (infinite for the last: the most accurate model), ``performance``,
        ``resource``. Of tied leaders the cheaper one is named, then the first.

    Raises
    ------
    ScoreInputError
        As `pepr` does, and if every performance is 0.

    Examples
    --------
    >>> leaders_by_alpha([0.9, 0.8], [0.5, 0.0])[["model", "from_alpha", "to_alpha"]]
       model  from_alpha  to_alpha
    0      1         1.0       4.0
    1      0         4.0       inf
    """
    import pandas as pd

    index = pandas_index(performance, resource)
    score = np.asarray(pepr(performance, resource))
    p, r = to_floats(performance, "performance"), to_floats(resource, "resource")
    p, r = broadcast(performance=p, resource=r)
    if p.ndim != 1 or not (p > 0).any():
        raise ScoreInputError(
            f"performance has shape {p.shape}; allowed: a list with at least one value above 0"
        )
    leader = int(np.lexsort((r, -score))[0])
    x, rows = 1.0, []
    while True:
        label = leader if index is None else index[leader]
        # Towards smaller x = 1 / alpha the leader is overtaken by a better model that costs more:
        # P (1 + R' x) = P' (1 + R x). A rival for which there is no such x ahead is there already,
        # its score being the same but for rounding.
        gain = p - p[leader]
        rivals = np.flatnonzero(gain > 0)
        spread = p[leader] * r[rivals] - p[rivals] * r[leader]
        crossing = np.full(rivals.size, x)
        np.divide(gain[rivals], spread, out=crossing, where=spread > 0)
        crossing = np.minimum(crossing, x)
        nearest = crossing.max(initial=0.0)
        if nearest < x:
            end = 1 / nearest if nearest else np.inf
            rows.append((label, 1 / x, end, p[leader], r[leader]))
        if not rivals.size:
            return pd.DataFrame(
                rows, columns=["model", "from_alpha", "to_alpha", "performance", "resource"]
            )
        overtaking = rivals[crossing == nearest]
        leader = int(overtaking[np.lexsort((r[overtaking], -p[overtaking]))[0]])
        x = nearest
