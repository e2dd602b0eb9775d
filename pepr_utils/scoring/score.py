"""The PePR score, equation (1) of the paper, of one resource and of several weighted ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    broadcast,
    check_alpha,
    first,
    like_input,
    pandas_index,
    position,
    to_floats,
    to_fractions,
)

#: How far from 1 the sum of weights may lie.
WEIGHT_TOLERANCE = 1e-9


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
        The score in [0, 1], never above P. Shapes broadcast; a pandas index is kept. It is of
        single precision where performance and resource are.

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
    p = to_fractions(performance, "performance", "divide percentages by 100")
    r = to_fractions(resource, "resource", "pass the cost through normalize() first")
    a = to_floats(alpha, "alpha")
    check_alpha(a, alpha)
    kind = np.result_type(p, r) if a.ndim == 0 else np.dtype(float)
    p, r, a = broadcast(performance=p, resource=r, alpha=a.astype(kind, copy=False))
    # P / (1 + R / alpha) is the same and, unlike alpha P / (alpha + R), never rounds above P.
    score = np.divide(r, a, out=np.empty(p.shape, kind))
    score += 1
    return like_input(np.divide(p, score, out=score), index, "pepr")


def pepr_weighted(performance: Any, resources: Any, weights: Any, *, alpha: float = 1.0) -> Any:
    r"""Score several resources at once: ``alpha * P / (alpha + sum_i w_i R_i)``.

    The general score that section 4 of the paper envisions, :math:`P / (1 + \sum_i w_i R_i)`
    with :math:`\sum_i w_i = 1`.

    Parameters
    ----------
    performance : float, array_like or pandas.Series
        Performance P in [0, 1].
    resources : array_like or pandas.DataFrame, shape (..., k)
        Normalised resources in [0, 1], one kind on each position of the last axis.
    weights : array_like, shape (k,)
        Weight of each resource, none negative, sum 1 (to 1e-9).
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        The score in [0, 1], never above P. A pandas index is kept.

    Raises
    ------
    ScoreInputError
        If a weight is negative, the weights do not sum to 1 or do not match the resources in
        number, and where `pepr` raises.

    Examples
    --------
    >>> round(pepr_weighted(0.9, [1.0, 0.0], weights=[0.5, 0.5]), 3)
    0.6
    >>> pepr_weighted([0.9, 0.8], [[0.5], [0.0]], weights=[1.0]).tolist()
    [0.6, 0.8]
    """
    return pepr(performance, weighted_resource(resources, weights), alpha=alpha)


def weighted_resource(resources: Any, weights: Any) -> Any:
    r"""Join several resources into one: :math:`\sum_i w_i R_i`.

    Parameters
    ----------
    resources, weights
        As for `pepr_weighted`.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        The resource in [0, 1]. A pandas index is kept.

    Raises
    ------
    ScoreInputError
        As `pepr_weighted` does of weights and resources.

    Examples
    --------
    >>> weighted_resource([[1.0, 0.0], [0.5, 0.1]], weights=[0.75, 0.25]).tolist()
    [0.75, 0.4]
    """
    w = to_floats(weights, "weight")
    r = to_fractions(resources, "resource", "pass each cost through normalize() first")
    if w.ndim != 1 or r.ndim == 0 or r.shape[-1] != w.size:
        raise ScoreInputError(
            f"weights have shape {w.shape} and resources {r.shape}; "
            "allowed: one weight for each position of the resources' last axis"
        )
    if (w < 0).any():
        raise ScoreInputError(
            f"weight{position(weights, w < 0)} is {first(w, w < 0)}; allowed: 0 to 1"
        )
    if abs(w.sum() - 1) > WEIGHT_TOLERANCE:
        raise ScoreInputError(
            f"weights sum to {w.sum():.12g}; they must sum to 1; divide each by the sum"
        )
    labelled = hasattr(weights, "iloc") and hasattr(resources, "columns")
    if labelled and list(weights.index) != list(resources.columns):
        raise ScoreInputError(
            f"weights are labelled {list(weights.index)} and the resources' columns "
            f"{list(resources.columns)}; allowed: the same labels in the same order"
        )
    index = resources.index if hasattr(resources, "columns") else None
    return like_input(np.minimum(r @ (w / w.sum()), 1.0), index, "resource")
