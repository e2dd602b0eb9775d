"""Monotone curves fitted to noisy learning curves, with SciPy; applied on request only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import check_unit_interval, pandas_index, to_floats

METHODS = ("isotonic", "pchip")
#: A performance below this is 0: SciPy's interpolant overflows on slopes so small.
_NOTHING = 1e-100


@dataclass(frozen=True)
class SmoothCurve:
    """A curve fitted to samples; call it with a resource.

    Attributes
    ----------
    method : {"isotonic", "pchip"}
        How it was fitted.
    resource, performance : numpy.ndarray, shape (n,)
        The knots: resources of the samples, in ascending order, and the fitted performance.
    largest_change : float
        The most that fitting moved a sample; 0 where none was changed.
    derivative : callable
        Slope of the curve at a resource.
    """

    method: str
    resource: np.ndarray
    performance: np.ndarray
    largest_change: float
    derivative: Callable[[float], float]
    _value: Callable[[float], float]

    def __call__(self, resource: float) -> float:
        """Performance at a resource within the range of the samples."""
        low, high = self.resource[0], self.resource[-1]
        if not low <= resource <= high:
            raise ScoreInputError(
                f"resource is {resource:.12g}; allowed: {low:.12g} to {high:.12g}, "
                "the range of the samples; the fit does not extrapolate"
            )
        return float(np.clip(self._value(resource), 0.0, 1.0))


def smooth_curve(performance: Any, resource: Any, *, method: str = "isotonic") -> SmoothCurve:
    """Fit a curve to a sampled performance curve.

    Parameters
    ----------
    performance : array_like, shape (n,)
        Performance in [0, 1] at each resource; at least two samples.
    resource : array_like, shape (n,)
        Resources in [0, 1], all different, in any order.
    method : {"isotonic", "pchip"}, default "isotonic"
        ``isotonic``: the non-decreasing values nearest to the samples in least squares, then a
        PCHIP interpolant through them, which is non-decreasing too. It changes samples where the
        curve falls. ``pchip``: the interpolant through the samples as they are; it never
        overshoots, and it falls where they fall.

    Returns
    -------
    SmoothCurve
        A callable for `pepr_curve`, `pepr_optimum` and `integral_representation`, with its slope
        and with the largest change that fitting made.

    Raises
    ------
    ScoreInputError
        If a value is out of range, samples share a resource, or there are fewer than two.
    UnknownNameError
        If `method` is another.

    Examples
    --------
    >>> fitted = smooth_curve([0.5, 0.8, 0.7, 0.9], [0.1, 0.4, 0.7, 1.0])
    >>> fitted.performance.tolist(), round(fitted.largest_change, 3)
    ([0.5, 0.75, 0.75, 0.9], 0.05)
    """
    from scipy.interpolate import PchipInterpolator
    from scipy.optimize import isotonic_regression

    if method not in METHODS:
        raise unknown_name("smoothing", str(method), METHODS)
    pandas_index(performance, resource)
    p, r = to_floats(performance, "performance"), to_floats(resource, "resource")
    check_unit_interval(p, performance, "performance", "divide percentages by 100")
    check_unit_interval(r, resource, "resource", "pass the cost through normalize() first")
    if p.ndim != 1 or p.shape != r.shape or p.size < 2:
        raise ScoreInputError(
            f"performance has shape {p.shape} and resource {r.shape}; "
            "allowed: two lists of one length, at least two samples"
        )
    order = np.argsort(r, kind="stable")
    p, r = p[order], r[order]
    if (np.diff(r) == 0).any():
        twice = r[int(np.argmax(np.diff(r) == 0))]
        raise ScoreInputError(
            f"resource {twice:.12g} appears twice; average the samples at one resource"
        )
    fitted = isotonic_regression(p).x if method == "isotonic" else p
    fitted = np.where(fitted < _NOTHING, 0.0, fitted)
    value = PchipInterpolator(r, fitted, extrapolate=False)
    slope = value.derivative()
    return SmoothCurve(
        method=method,
        resource=r,
        performance=fitted,
        largest_change=float(np.abs(fitted - p).max()),
        derivative=lambda x: float(slope(x)),
        _value=value,
    )
