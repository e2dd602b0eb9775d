"""The PePR curve of a performance curve, equation (2) of the paper, and its optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    check_unit_interval,
    like_input,
    pandas_index,
    to_floats,
    to_number,
)
from pepr_utils.scoring.score import pepr

#: Scores of a callable curve that differ by less than this count as tied.
TIE = 1e-12
#: Intervals into which the optimum of a callable curve is bracketed before it is refined.
BRACKETS = 1000


@dataclass(frozen=True)
class CurveOptimum:
    """The highest point of a PePR curve.

    Attributes
    ----------
    resource, performance, pepr : float
        Where it lies, the performance there, and the score: P*ePRc in the paper.
    position : int or None
        Position of the sample, counted from 0; None for a callable.
    diminishing : tuple of float or None
        The region of diminishing returns: the resources beyond the optimum up to the end of the
        curve, where no point has a higher score. None where the optimum is the end.
    """

    resource: float
    performance: float
    pepr: float
    position: int | None
    diminishing: tuple[float, float] | None


def pepr_curve(performance: Any, resource: Any, *, alpha: float = 1.0) -> Any:
    """Score every point of a performance curve: equation (2) of the paper.

    Parameters
    ----------
    performance : callable, array_like or pandas.Series
        The performance curve: a function from a resource in [0, 1] to a performance in [0, 1],
        or its values at `resource`, shape (n,).
    resource : float, array_like or pandas.Series, shape (n,)
        Normalised resources in [0, 1]. For learning curves, the cumulative cost normalised over
        all models and epochs of the comparison: on a model's own axis the optimum is nearly
        always the first epoch.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        The score at each resource, in the order given; a pandas index is kept. Nothing is
        smoothed; see `smooth_curve`.

    Raises
    ------
    ScoreInputError
        As `pepr` does, also for values that the callable returns.

    Examples
    --------
    >>> pepr_curve([0.5, 0.9, 0.96], [0.0, 0.2, 1.0]).round(3).tolist()
    [0.5, 0.75, 0.48]
    >>> pepr_curve(lambda r: r, [0.0, 0.25, 1.0]).tolist()
    [0.0, 0.2, 0.5]
    """
    if callable(performance):
        index = pandas_index(resource)
        r = to_floats(resource, "resource")
        check_unit_interval(r, resource, "resource", "pass the cost through normalize() first")
        return like_input(np.asarray(pepr(evaluate(performance, r), r, alpha=alpha)), index, "pepr")
    return pepr(performance, resource, alpha=alpha)


def pepr_optimum(performance: Any, resource: Any = None, *, alpha: float = 1.0) -> CurveOptimum:
    """Find the maximum of a PePR curve; of tied points it is the one with the smallest resource.

    Parameters
    ----------
    performance : callable or array_like, shape (n,)
        The performance curve: a function on [0, 1], or its samples.
    resource : array_like, shape (n,), or pair of float, optional
        The resources of the samples. For a callable, the ends of the interval that is searched;
        default (0, 1).
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    CurveOptimum
        For samples, the best sample. It is also the optimum of the piecewise-linear curve through
        them, since the score is monotone along any straight piece. For a callable it is found by
        bracketing and bounded minimisation; features narrower than a thousandth of the interval
        can be missed.

    Raises
    ------
    ScoreInputError
        Where `pepr` raises, if there is no sample, or the interval is reversed.

    Examples
    --------
    >>> best = pepr_optimum([0.5, 0.9, 0.96], [0.0, 0.2, 1.0])
    >>> best.position, best.resource, round(best.pepr, 3), best.diminishing
    (1, 0.2, 0.75, (0.2, 1.0))
    >>> round(pepr_optimum(lambda r: r**0.5 / 2).resource, 6)  # f' = f / (1 + R) at R = 1
    1.0
    """
    alpha = to_number(alpha, "alpha")
    if callable(performance):
        return _optimum_of_callable(performance, resource, alpha)
    if resource is None:
        raise ScoreInputError("resource is missing; samples need the resource of each")
    p, r = to_floats(performance, "performance"), to_floats(resource, "resource")
    if p.ndim != 1 or p.shape != r.shape:
        raise ScoreInputError(
            f"performance has shape {p.shape} and resource {r.shape}; "
            "allowed: two lists of one length, at least one sample"
        )
    score = np.asarray(pepr(performance, resource, alpha=alpha))
    # Among the highest scores the smallest resource, then the first sample.
    best = int(np.lexsort((np.arange(len(r)), r, -score))[0])
    return _optimum(float(r[best]), float(p[best]), float(score[best]), best, float(r.max()))


def evaluate(function: Callable[[float], Any], at: np.ndarray) -> np.ndarray:
    """Evaluate a performance curve at each resource and check what it returns."""
    performance = np.empty(at.shape)
    for place, resource in np.ndenumerate(at):
        what = f"performance at resource {resource:.12g}"
        value = to_number(function(float(resource)), what)
        check_unit_interval(np.asarray(value), value, what, "the curve must stay within")
        performance[place] = value
    return performance


def _optimum_of_callable(
    function: Callable[[float], Any], interval: Any, alpha: float
) -> CurveOptimum:
    from scipy.optimize import minimize_scalar

    low, high = _interval(interval)
    grid = np.linspace(low, high, BRACKETS + 1)
    scores = np.asarray(pepr_curve(function, grid, alpha=alpha))
    candidates = list(zip(scores, grid, strict=True))
    padded = np.concatenate(([-np.inf], scores, [-np.inf]))
    peaks = np.flatnonzero((scores >= padded[:-2]) & (scores > padded[2:]))
    for peak in peaks:
        left, right = grid[max(peak - 1, 0)], grid[min(peak + 1, BRACKETS)]
        if left < right:
            found = minimize_scalar(
                lambda r: -float(pepr_curve(function, r, alpha=alpha)),
                bounds=(left, right),
                method="bounded",
                options={"xatol": 1e-12},
            )
            candidates.append((-found.fun, float(found.x)))
    highest = max(score for score, _ in candidates)
    # A refined point replaces its grid point only where it is truly higher.
    at = min(r for score, r in candidates if score >= highest - TIE)
    performance = float(evaluate(function, np.array([at]))[0])
    return _optimum(
        float(at), performance, float(pepr(performance, at, alpha=alpha)), None, float(high)
    )


def _interval(interval: Any) -> tuple[float, float]:
    ends = to_floats((0.0, 1.0) if interval is None else interval, "resource")
    if ends.shape != (2,) or not 0 <= ends[0] <= ends[1] <= 1:
        raise ScoreInputError(
            f"resource is {interval!r}; a callable needs the ends of an interval within [0, 1], "
            "lower one first"
        )
    return float(ends[0]), float(ends[1])


def _optimum(
    resource: float, performance: float, score: float, position: int | None, end: float
) -> CurveOptimum:
    diminishing = (resource, end) if resource < end else None
    return CurveOptimum(resource, performance, score, position, diminishing)
