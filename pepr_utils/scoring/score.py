"""The PePR score itself, equation (1) of the paper with its emphasis parameter alpha."""

from __future__ import annotations

from typing import Any

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    broadcast,
    check_unit_interval,
    like_input,
    pandas_index,
    to_floats,
)


def pepr(performance: Any, resource: Any, *, alpha: float = 1.0) -> Any:
    r"""Performance per resource unit: ``alpha * P / (alpha + R)``.

    With ``alpha = 1`` this is equation (1) of the paper, :math:`P / (1 + R)`. PePR-E, -C, -M, -T
    and -D are this function on another resource column.

    Parameters
    ----------
    performance : float, array_like or pandas.Series
        Performance P in [0, 1], for example test accuracy as a fraction.
    resource : float, array_like or pandas.Series
        Normalised resource cost R in [0, 1]; see `normalize`. A raw cost in kWh or GB is refused
        where it exceeds 1 and must not be passed even where it does not.
    alpha : float, default 1.0
        Emphasis on performance, at least 1. As it grows the score tends to P.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        The score in [0, 1], never above P. Shapes broadcast; a pandas index is kept.

    Raises
    ------
    ScoreInputError
        If a value is missing, not finite or outside [0, 1], if alpha is below 1, or if shapes or
        indexes do not fit. The message names the value and its position.

    Examples
    --------
    >>> pepr(1.0, 1.0)
    0.5
    >>> round(pepr(1.0, 1.0, alpha=100), 2)
    0.99
    >>> pepr([0.9, 0.8], [0.5, 0.0]).tolist()
    [0.6, 0.8]
    """
    index = pandas_index(performance, resource, alpha)
    p = to_floats(performance, "performance")
    r = to_floats(resource, "resource")
    a = to_floats(alpha, "alpha")
    if (a < 1).any():
        raise ScoreInputError(f"alpha is {alpha!r}; allowed: 1 or more")
    check_unit_interval(p, performance, "performance", "divide percentages by 100")
    check_unit_interval(r, resource, "resource", "pass the cost through normalize() first")
    p, r, a = broadcast(performance=p, resource=r, alpha=a)
    # P / (1 + R / alpha) is the same and, unlike alpha P / (alpha + R), never rounds above P.
    return like_input(p / (1 + r / a), index, "pepr")
