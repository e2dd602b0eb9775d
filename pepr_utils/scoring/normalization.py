"""From an absolute cost to the resource R in [0, 1]: named, interchangeable rules, by group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import (
    as_floats,
    as_pandas,
    check_finite,
    first,
    group_codes,
    like_input,
    pandas_index,
    position,
    sorted_by_group,
    to_floats,
    to_number,
)

Bounds = tuple[np.ndarray, np.ndarray]
#: Group of each cost, or None for a single group.
Codes = np.ndarray | None


def normalize(
    cost: Any,
    *,
    method: str = "minmax",
    lower: float | None = None,
    upper: float | None = None,
    by: Any = None,
    outside: str | None = None,
) -> Any:
    r"""Normalise an absolute cost to [0, 1] within an experiment.

    The paper (section 2) defines :math:`R = (R_{abs} - R_{min}) / (R_{max} - R_{min})` with
    bounds fixed across the models of an experiment: ``method="minmax"``.

    Parameters
    ----------
    cost : array_like or pandas.Series, shape (n,)
        Absolute cost in any unit (kWh, g, GB, s), finite and not negative.
    method : {"minmax", "max", "fixed", "quantile", "log"}, default "minmax"
        ``minmax``: bounds are the group's smallest and largest cost.
        ``max``: the lower bound is 0, the upper the group's largest cost. The PePR-E values
        printed in Table 1 of the paper follow from this rule.
        ``fixed``: both bounds are given, in the unit of the cost; `outside` decides what is done
        with a cost beyond them.
        ``quantile``: bounds are the group's quantiles `lower` and `upper` (default 0.05 and
        0.95); costs beyond are clipped to 0 or 1. For groups with outliers (footnote 4).
        ``log``: min-max of log10(cost); every cost must be above 0.
    lower, upper : float, optional
        The bounds (``fixed``) or quantile levels (``quantile``). Other rules take none.
    by : array_like, shape (n,), optional
        Group label of each cost, for example the experiment; each group has its own bounds.
    outside : {"error", "clip"}, optional
        With ``fixed``, a cost beyond the bounds is an error (the default) or is clipped to 0 or 1.
        No other rule takes it: within their own bounds nothing lies outside, and ``quantile``
        always clips.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        R in [0, 1], in the order of `cost` and of its precision, index kept. Where the two bounds
        of a group are equal (one model, or equal costs) R is 0; not so under ``max``, whose lower
        bound is 0 and which gives a single model R = 1, nor under ``fixed``.

    Raises
    ------
    ScoreInputError
        If a cost is missing, negative or not finite (for ``log`` also if it is 0), a bound is
        missing or out of order, a cost lies outside fixed bounds, or a label is missing.
    UnknownNameError
        If `method` or `outside` is not one of those named.

    Examples
    --------
    >>> normalize([2.0, 3.0, 6.0]).tolist()
    [0.0, 0.25, 1.0]
    >>> normalize([2.0, 3.0, 6.0], method="max").round(3).tolist()
    [0.333, 0.5, 1.0]
    >>> normalize([1.0, 3.0, 10.0, 30.0], by=["a", "a", "b", "b"]).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    if not isinstance(method, str) or method not in NORMALIZATIONS:
        raise unknown_name("normalisation", str(method), NORMALIZATIONS)
    _check_outside(outside, method)
    lower = None if lower is None else to_number(lower, "lower")
    upper = None if upper is None else to_number(upper, "upper")
    cost, by = as_pandas(cost), as_pandas(by)
    index = pandas_index(cost, by)
    values = as_floats(cost, "cost", keep_float32=True)
    codes, n_groups = None, 1
    if by is not None:
        codes, n_groups = group_codes(by, values, what="cost")
    flat = values.ravel()
    extent = _extent(flat, codes, n_groups)
    positive = extent[0].min() >= 0 and extent[1].max() < np.inf  # not so where one is NaN
    if method == "log" or not positive:
        check_finite(values, cost, "cost")
        check_sign(values, cost, strictly=method == "log")
    low, high = NORMALIZATIONS[method](flat, codes, extent, lower, upper)
    if method == "fixed" and outside != "clip":
        _check_inside(values, cost, low[0], high[0])
    resource = _by_group(flat, low, high, codes, log=method == "log")
    return like_input(resource.reshape(values.shape), index, "resource")


#: Values that are placed at once, few enough for all arrays of a step to stay in the cache.
_BLOCK = 1 << 15


def _by_group(
    values: np.ndarray, low: np.ndarray, high: np.ndarray, codes: np.ndarray | None, *, log: bool
) -> np.ndarray:
    """Place each cost between the bounds of its group, a block at a time."""
    low, high = low.astype(values.dtype), high.astype(values.dtype)
    if codes is None:
        return between(values, low, high, log=log)
    resource = np.empty(values.shape, values.dtype)
    for begin in range(0, values.size, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        group = codes[block]
        resource[block] = between(values[block], low[group], high[group], log=log)
    return resource


def between(values: np.ndarray, low: Any, high: Any, *, log: bool = False) -> np.ndarray:
    """Place costs between given bounds, clipped to [0, 1]; 0 where the bounds are equal."""
    if log:
        values, low, high = np.log10(values), np.log10(low), np.log10(high)
    resource, span = values - low, high - low
    resource /= np.where(span > 0, span, np.inf)
    return np.clip(resource, 0.0, 1.0, out=resource)


def bounds(cost: np.ndarray, method: str = "minmax") -> tuple[float, float]:
    """R_min and R_max that a rule finds in the costs of one group."""
    check_finds_bounds(method)
    low, high = group_bounds(method, to_floats(cost, "cost"))
    return float(low[0]), float(high[0])


def group_bounds(
    method: str, values: np.ndarray, codes: Codes = None, n: int = 1, *given: float | None
) -> Bounds:
    """R_min and R_max of each group of costs that have been checked."""
    lower, upper = given or (None, None)
    return NORMALIZATIONS[method](values, codes, _extent(values, codes, n), lower, upper)


def check_finds_bounds(method: Any) -> None:
    """Raise unless `method` is a rule that needs no bounds to be given."""
    if method == "fixed":
        others = ", ".join(name for name in NORMALIZATIONS if name != "fixed")
        raise ScoreInputError(
            f"method 'fixed' needs both bounds, which are not taken here; allowed: {others}"
        )
    if method not in NORMALIZATIONS:
        raise unknown_name("normalisation", str(method), NORMALIZATIONS)


def _extent(values: np.ndarray, codes: Codes, n: int) -> Bounds:
    """Smallest and largest cost of each group; NaN where one is."""
    if codes is None:
        return values.min(keepdims=True), values.max(keepdims=True)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    return low, high


def _minmax(_values: np.ndarray, _codes: Codes, extent: Bounds, lower: Any, upper: Any) -> Bounds:
    _takes_no_bounds(lower, upper)
    return extent


def _max(_values: np.ndarray, _codes: Codes, extent: Bounds, lower: Any, upper: Any) -> Bounds:
    _takes_no_bounds(lower, upper)
    return np.zeros_like(extent[1]), extent[1]


def _fixed(_values: np.ndarray, _codes: Codes, extent: Bounds, lower: Any, upper: Any) -> Bounds:
    if lower is None or upper is None:
        raise ScoreInputError(
            f"method 'fixed' got lower={lower!r}, upper={upper!r}; "
            "it needs both, in the unit of the cost"
        )
    if not (np.isfinite([lower, upper]).all() and 0 <= lower < upper):
        raise ScoreInputError(
            f"lower={lower!r}, upper={upper!r}; allowed: 0 <= lower < upper, both finite"
        )
    n = extent[0].size
    return np.full(n, float(lower)), np.full(n, float(upper))


def _quantile(values: np.ndarray, codes: Codes, extent: Bounds, lower: Any, upper: Any) -> Bounds:
    levels = (0.05 if lower is None else lower, 0.95 if upper is None else upper)
    if not 0 <= levels[0] < levels[1] <= 1:
        raise ScoreInputError(
            f"quantile levels lower={levels[0]!r}, upper={levels[1]!r}; "
            "allowed: 0 <= lower < upper <= 1"
        )
    n = extent[0].size
    if codes is None:
        ordered, sizes = np.sort(values), np.array([values.size])
    else:
        ordered, sizes = values[sorted_by_group(values, codes, n)], np.bincount(codes, minlength=n)
    starts = np.cumsum(sizes) - sizes
    low, high = (_quantile_of_sorted(ordered, starts, sizes, level) for level in levels)
    return low, high


def _quantile_of_sorted(
    ordered: np.ndarray, starts: np.ndarray, sizes: np.ndarray, level: float
) -> np.ndarray:
    """Quantile of each group of values that lie sorted one group after the other (linear rule)."""
    place = level * (sizes - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, sizes - 1)
    first_value, next_value = ordered[starts + below], ordered[starts + above]
    return first_value + (place - below) * (next_value - first_value)


#: The rules by name; each gives the lower and upper bound of every group.
NORMALIZATIONS: dict[str, Callable[..., Bounds]] = {
    "minmax": _minmax,
    "max": _max,
    "fixed": _fixed,
    "quantile": _quantile,
    "log": _minmax,
}


def _check_outside(outside: Any, method: str) -> None:
    if outside is None:
        return
    if outside not in ("error", "clip"):
        raise unknown_name("value of outside", str(outside), ("error", "clip"))
    if method != "fixed":
        raise ScoreInputError(
            f"outside={outside!r} was given with method {method!r}; only method='fixed' takes it"
        )


def _takes_no_bounds(lower: Any, upper: Any) -> None:
    if lower is not None or upper is not None:
        raise ScoreInputError(
            f"lower={lower!r}, upper={upper!r} were given, but this rule finds its own bounds; "
            "use method='fixed' to set them"
        )


def check_sign(values: np.ndarray, cost: Any, *, strictly: bool, what: str = "cost") -> None:
    """Raise `ScoreInputError` for a negative cost, with `strictly` also for one of 0."""
    if values.min() < 0 or (strictly and values.min() == 0):
        bad = values <= 0 if strictly else values < 0
        allowed = "above 0 (method 'log')" if strictly else "0 or more"
        raise ScoreInputError(
            f"{what}{position(cost, bad)} is {first(values, bad)}; allowed: {allowed}"
        )


def _check_inside(values: np.ndarray, cost: Any, low: float, high: float) -> None:
    bad = (values < low) | (values > high)
    if bad.any():
        raise ScoreInputError(
            f"cost{position(cost, bad)} is {first(values, bad)}; allowed: {low:g} to {high:g}; "
            "widen lower and upper, or pass outside='clip'"
        )
