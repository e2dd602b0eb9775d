"""The integral representation of the PePR curve (section 2 of the paper), evaluated numerically."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    check_alpha,
    check_unit_interval,
    pandas_index,
    to_floats,
    to_number,
)
from pepr_utils.scoring.curve import evaluate


@dataclass(frozen=True)
class IntegralRepresentation:
    """The three terms of the integral representation at each resource.

    Attributes
    ----------
    start : float
        The score at the first resource: f(0) where the curve starts at 0.
    gain : float or numpy.ndarray
        First integral: performance gained per resource, weighted by alpha / (alpha + r).
    penalty : float or numpy.ndarray
        Second integral: performance held, weighted by alpha / (alpha + r)^2.
    error : float or numpy.ndarray
        The quadrature's own estimate of its absolute error, larger where it found no
        convergence, as for an unbounded f' that is differentiated numerically; 0 for samples.
    """

    start: float
    gain: Any
    penalty: Any
    error: Any

    @property
    def pepr(self) -> Any:
        """The score: start + gain - penalty."""
        return self.start + self.gain - self.penalty


def integral_representation(
    performance: Any,
    resource: Any,
    *,
    derivative: Callable[[float], float] | None = None,
    start: float = 0.0,
    points: Sequence[float] = (),
    alpha: float = 1.0,
) -> IntegralRepresentation:
    r"""Evaluate the PePR curve as a start plus a gain minus a penalty.

    The paper's form, for a curve f on [0, 1]:

    .. math:: f(0) + \int_0^R \frac{f'(r)}{1+r} dr - \int_0^R \frac{f(r)}{(1+r)^2} dr.

    From another first resource :math:`r_0` the first term is :math:`f(r_0) / (1 + r_0)`. It holds
    for every absolutely continuous f; where f jumps, the jump is missing.

    Parameters
    ----------
    performance : callable or array_like, shape (n,)
        The curve f: a function, or its samples at `resource`.
    resource : float or array_like, shape (n,)
        The resources R in [0, 1] at which the curve is wanted. For samples they must increase;
        the first one is where the identity starts, since f(0) is not observed in a measured curve.
    derivative : callable, optional
        f' of a callable. Without it, f is differentiated numerically at each point.
    start : float, default 0.0
        First resource of a callable.
    points : sequence of float, optional
        Kinks of a callable, where the quadrature is split.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    IntegralRepresentation
        Terms at each resource. For samples they are those of the piecewise-linear curve through
        them, in closed form; for a callable they are found by adaptive quadrature.

    Raises
    ------
    ScoreInputError
        If a value lies outside [0, 1], samples do not increase in resource, or a resource lies
        below `start`.

    Examples
    --------
    >>> terms = integral_representation(lambda r: r, 1.0, derivative=lambda r: 1.0)
    >>> round(terms.gain, 6), round(terms.penalty, 6), round(terms.pepr, 6)  # ln 2, ln 2 - 1/2
    (0.693147, 0.193147, 0.5)
    >>> integral_representation([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]).pepr.round(6).tolist()
    [0.0, 0.333333, 0.5]
    """
    a, start = to_number(alpha, "alpha"), to_number(start, "start")
    check_alpha(np.asarray(a), alpha)
    r = to_floats(resource, "resource")
    check_unit_interval(r, resource, "resource", "pass the cost through normalize() first")
    if callable(performance):
        return _of_callable(performance, r, derivative, start, points, a)
    if derivative is not None or len(points) or start:
        raise ScoreInputError(
            "derivative, start and points were given with samples; only a callable takes them"
        )
    pandas_index(performance, resource)
    return _of_samples(performance, r, a)


def _of_samples(performance: Any, r: np.ndarray, alpha: float) -> IntegralRepresentation:
    f = to_floats(performance, "performance")
    check_unit_interval(f, performance, "performance", "divide percentages by 100")
    if f.ndim != 1 or f.shape != r.shape:
        raise ScoreInputError(
            f"performance has shape {f.shape} and resource {r.shape}; "
            "allowed: two lists of one length, at least one sample"
        )
    step = np.diff(r)
    if (step <= 0).any():
        where = int(np.argmax(step <= 0)) + 1
        raise ScoreInputError(
            f"resource at position {where} is {r[where]:.12g}, after {r[where - 1]:.12g}; "
            "samples must increase in resource; sort them, and average those at one resource"
        )
    # On one straight piece, with x = alpha + r, the first integral is the slope times a logarithm
    # and the second that less a term in 1 / x. Written without the slope, which may overflow.
    rise, x = np.diff(f), alpha + r
    share = step / x[:-1]
    log_per_step = np.divide(np.log1p(share), share, out=np.ones_like(share), where=share > 0)
    log_per_step /= x[:-1]
    gain = alpha * rise * log_per_step
    penalty = alpha * (rise * (log_per_step - 1 / x[1:]) + f[:-1] * step / (x[:-1] * x[1:]))
    zero = np.zeros(1)
    return IntegralRepresentation(
        start=float(alpha * f[0] / (alpha + r[0])),
        gain=np.concatenate((zero, np.cumsum(gain))),
        penalty=np.concatenate((zero, np.cumsum(penalty))),
        error=np.zeros_like(r),
    )


def _of_callable(
    function: Callable[[float], Any],
    r: np.ndarray,
    derivative: Callable[[float], float] | None,
    start: float,
    points: Sequence[float],
    alpha: float,
) -> IntegralRepresentation:
    if not 0 <= start <= 1 or (r < start).any():
        raise ScoreInputError(
            f"start is {start:g} and the smallest resource {r.min():g}; "
            "allowed: 0 <= start <= resource <= 1"
        )
    first = float(evaluate(function, np.array([start]))[0])
    slope = derivative or _numerical_derivative(function, start, float(r.max()))
    exact = derivative is not None
    gains, penalties, errors = [], [], []
    for end in r.ravel():
        inside = [p for p in points if start < p < end]
        gain, e1 = _integrate(
            lambda x: slope(x) * alpha / (alpha + x), start, end, inside, exact=exact
        )
        penalty, e2 = _integrate(
            lambda x: float(evaluate(function, np.asarray(x))) * alpha / (alpha + x) ** 2,
            start,
            end,
            inside,
        )
        gains.append(gain)
        penalties.append(penalty)
        errors.append(e1 + e2)
    shaped = [np.reshape(v, r.shape) if r.ndim else v[0] for v in (gains, penalties, errors)]
    return IntegralRepresentation(alpha * first / (alpha + start), *shaped)


def _integrate(
    integrand: Callable[[float], float],
    low: float,
    high: float,
    points: list[float],
    *,
    exact: bool = True,
) -> tuple[float, float]:
    from scipy.integrate import quad_vec

    if low == high:  # where the slope may not be bounded
        return 0.0, 0.0
    # Numerical differentiation is good to about 1e-12: a smaller tolerance only takes longer.
    tolerance, limit = (1e-12, 1000) if exact else (1e-10, 30)
    # Not `quad`: near a singularity its extrapolation can be off by far more than its error.
    value, error = quad_vec(
        integrand,
        low,
        high,
        points=points or None,
        epsabs=tolerance,
        epsrel=tolerance,
        norm="max",
        limit=limit + len(points),
    )
    return float(value), float(error)


def _numerical_derivative(
    function: Callable[[float], Any], low: float, high: float
) -> Callable[[float], float]:
    """Differentiate within an interval, with steps that shrink towards its ends."""
    from scipy.differentiate import derivative as differentiate

    def elementwise(x: np.ndarray) -> np.ndarray:
        return np.vectorize(function, otypes=[float])(x)

    def slope(x: float) -> float:
        step = min(_STEP, x - low, high - x)
        if step <= 0:  # an interval of a few bits: its integral is 0 to within rounding
            return 0.0
        return float(differentiate(elementwise, x, initial_step=step).df)

    return slope


#: Largest step of numerical differentiation, in units of the resource.
_STEP = 0.02
