"""The primary family of tests, its p-values adjusted together by Holm's method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet
from pepr_utils.statistics.comparisons import (
    DATASETS,
    USUAL,
    declared,
    primary,
)
from pepr_utils.statistics.testing import Tested, test


def holm(p: Any) -> np.ndarray:
    """Adjust p-values so that the chance of any false rejection among them stays below the level.

    Parameters
    ----------
    p : array_like, shape (n,)
        p-values; NaN counts as no test and stays NaN.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Adjusted p-values, at most 1, to be compared with the level itself (Holm 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def datasets_of(result_set: ResultSet) -> tuple[str, ...]:
    """Data sets that the comparisons are declared for: the paper's, if the set has any of them."""
    own = [str(name) for name in result_set.runs["dataset"].dropna().unique()]
    return DATASETS if set(own) & set(DATASETS) else tuple(own)


def try_test(result_set: ResultSet, name: str, **options: Any) -> Tested | None:
    """Test a comparison; None where the set does not have its runs."""
    try:
        return test(result_set, name, **options)
    except NotAvailableError:
        return None


def all_tests(result_set: ResultSet, **options: Any) -> dict[str, Tested | None]:
    """Every declared comparison of the set's data sets, tested; None where it is not available."""
    names = declared(datasets_of(result_set))
    return {name: try_test(result_set, name, **options) for name in names}


def primary_family(
    result_set: ResultSet, tested: dict[str, Tested | None] | None = None, **options: Any
) -> pd.DataFrame:
    """Test the primary family and adjust its p-values by Holm's method.

    Parameters
    ----------
    result_set : ResultSet
        Any set; of a set without any of the paper's data sets, its own count.
    tested : dict, optional
        What `all_tests` returned, if it was computed before.
    **options
        As for `test`.

    Returns
    -------
    pandas.DataFrame
        One row per declared test, in the declared order: ``name``, ``comparison`` (its label),
        ``factor``, ``performance``, ``scope``, ``test``, ``n_a``, ``n_b``, ``difference``, ``p``,
        ``p_holm``, ``conclusion`` (by the adjusted p, at 0.05). A comparison without runs is
        null and ``not available``, and does not count in the adjustment.
    """
    datasets = datasets_of(result_set)
    known, rows = declared(datasets), []
    for name in primary(datasets):
        one = tested.get(name) if tested is not None else try_test(result_set, name, **options)
        rows.append((name, one))
    adjusted = holm([np.nan if one is None else one.p for _, one in rows])
    return pd.DataFrame(
        [
            {
                "name": name,
                "comparison": known[name].label,
                "factor": known[name].factor,
                "performance": known[name].performance,
                "scope": known[name].scope,
                "test": known[name].primary_test,
                "n_a": pd.NA if one is None else one.n_a,
                "n_b": pd.NA if one is None else one.n_b,
                "difference": np.nan if one is None else one.difference,
                "p": np.nan if one is None else one.p,
                "p_holm": after,
                "conclusion": "not available" if one is None else one.conclusion(after, USUAL),
            }
            for (name, one), after in zip(rows, adjusted, strict=True)
        ]
    )
