"""From an absolute cost to the resource R in [0, 1]: named, interchangeable rules, by group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import first, like_input, pandas_index, position, to_floats

Bounds = tuple[np.ndarray, np.ndarray]


def normalize(
    cost: Any,
    *,
    method: str = "minmax",
    lower: float | None = None,
    upper: float | None = None,
    by: Any = None,
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
        printed in Table 1 of the paper come out under this rule.
        ``fixed``: both bounds are given, in the unit of the cost; a cost outside them is an error.
        ``quantile``: bounds are the group's quantiles `lower` and `upper` (default 0.05 and
        0.95); costs beyond are clipped to 0 or 1. For groups with outliers.
        ``log``: min-max of log10(cost); every cost must be above 0.
    lower, upper : float, optional
        The bounds (``fixed``) or quantile levels (``quantile``). Other rules take none.
    by : array_like, shape (n,), optional
        Group label of each cost, for example the experiment; each group has its own bounds.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        R in [0, 1], in the order of `cost`, index kept. Where the two bounds of a group are equal
        (one model, or equal costs) R is 0.

    Raises
    ------
    ScoreInputError
        If a cost is missing, negative or not finite, a bound is missing or out of order, or a
        label is missing.
    UnknownNameError
        If `method` is not one of the rules.

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
    lower, upper = (b if b is None else float(to_floats(b, "bound")) for b in (lower, upper))
    index = pandas_index(cost, by)
    values = to_floats(cost, "cost")
    _check_sign(values, cost, strictly=method == "log")
    codes, n_groups = _group_codes(by, values)
    low, high = NORMALIZATIONS[method](values.ravel(), codes, n_groups, lower, upper)
    if method == "log":
        values, low, high = np.log10(values), np.log10(low), np.log10(high)
    if method == "fixed":
        _check_inside(values, cost, low[0], high[0])
    low, high = low[codes].reshape(values.shape), high[codes].reshape(values.shape)
    span = high - low
    resource = np.divide(values - low, span, out=np.zeros_like(values), where=span > 0)
    return like_input(np.clip(resource, 0.0, 1.0), index, "resource")


def _minmax(values: np.ndarray, codes: np.ndarray, n: int, lower: Any, upper: Any) -> Bounds:
    _takes_no_bounds(lower, upper)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    return low, high


def _max(values: np.ndarray, codes: np.ndarray, n: int, lower: Any, upper: Any) -> Bounds:
    _, high = _minmax(values, codes, n, lower, upper)
    return np.zeros(n), high


def _fixed(_values: np.ndarray, _codes: np.ndarray, n: int, lower: Any, upper: Any) -> Bounds:
    if lower is None or upper is None:
        raise ScoreInputError(
            f"method 'fixed' got lower={lower!r}, upper={upper!r}; "
            "it needs both, in the unit of the cost"
        )
    if not (np.isfinite([lower, upper]).all() and 0 <= lower < upper):
        raise ScoreInputError(
            f"lower={lower!r}, upper={upper!r}; allowed: 0 <= lower < upper, both finite"
        )
    return np.full(n, float(lower)), np.full(n, float(upper))


def _quantile(values: np.ndarray, codes: np.ndarray, n: int, lower: Any, upper: Any) -> Bounds:
    levels = (0.05 if lower is None else lower, 0.95 if upper is None else upper)
    if not 0 <= levels[0] < levels[1] <= 1:
        raise ScoreInputError(
            f"quantile levels lower={levels[0]!r}, upper={levels[1]!r}; "
            "allowed: 0 <= lower < upper <= 1"
        )
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n))
    groups = np.split(values[order], starts[1:])
    low, high = np.array([np.quantile(g, levels) for g in groups]).reshape(n, 2).T
    return low, high


#: The rules by name; each gives the lower and upper bound of every group.
NORMALIZATIONS: dict[str, Callable[..., Bounds]] = {
    "minmax": _minmax,
    "max": _max,
    "fixed": _fixed,
    "quantile": _quantile,
    "log": _minmax,
}


def _takes_no_bounds(lower: Any, upper: Any) -> None:
    if lower is not None or upper is not None:
        raise ScoreInputError(
            f"lower={lower!r}, upper={upper!r} were given, but this rule finds its own bounds; "
            "use method='fixed' to set them"
        )


def _check_sign(values: np.ndarray, cost: Any, *, strictly: bool) -> None:
    bad = values <= 0 if strictly else values < 0
    if bad.any():
        allowed = "above 0 (method 'log')" if strictly else "0 or more"
        raise ScoreInputError(
            f"cost{position(cost, bad)} is {first(values, bad)}; allowed: {allowed}"
        )


def _check_inside(values: np.ndarray, cost: Any, low: float, high: float) -> None:
    bad = (values < low) | (values > high)
    if bad.any():
        raise ScoreInputError(
            f"cost{position(cost, bad)} is {first(values, bad)}; allowed: {low:g} to {high:g}; "
            "widen lower and upper"
        )


def _group_codes(by: Any, values: np.ndarray) -> tuple[np.ndarray, int]:
    if values.size == 0:
        raise ScoreInputError("cost is empty; at least one value is needed")
    if by is None:
        return np.zeros(values.size, dtype=np.intp), 1
    import pandas as pd

    labels = np.asarray(by)
    if labels.shape != values.shape or values.ndim != 1:
        raise ScoreInputError(
            f"by has shape {labels.shape} and cost {values.shape}; allowed: one label for each cost"
        )
    codes, uniques = pd.factorize(labels)
    if (codes < 0).any():
        raise ScoreInputError(
            f"by{position(by, codes < 0)} is missing; every cost needs a group label"
        )
    return codes, len(uniques)
