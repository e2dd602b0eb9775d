"""Bootstrap that draws families of architectures, all resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Values in [0, 1] that differ by no more have no spread.
ROUNDING = 1e-12


def family_weights(families: Sequence[str], n_resamples: int, seed: int) -> np.ndarray:
    """How often each model is in each resample when families are drawn with replacement.

    Parameters
    ----------
    families : sequence of str, length n
        Family of each model; models of one family are drawn together.
    n_resamples : int
        Number of resamples.
    seed : int
        Seed of the random numbers; the families count in alphabetical order, so that the order of
        the models does not matter.

    Returns
    -------
    numpy.ndarray of float, shape (n_resamples, n)
        Whole numbers, 0 or more.

    Examples
    --------
    >>> weights = family_weights(["a", "a", "b"], 4, seed=0)
    >>> bool((weights[:, 0] == weights[:, 1]).all()), weights[:, [0, 2]].sum(axis=1).tolist()
    (True, [2.0, 2.0, 2.0, 2.0])
    """
    names, codes = np.unique(np.asarray(families, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=n_resamples)
    return drawn[:, codes].astype(float)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of each resample; NaN where it holds no model of the group.

    Examples
    --------
    >>> weighted_mean(np.array([1.0, 4.0]), np.array([[1.0, 1.0], [0.0, 3.0]])).tolist()
    [2.5, 4.0]
    """
    total = weights.sum(axis=1)
    return np.divide(weights @ values, total, out=np.full(total.shape, np.nan), where=total > 0)


def weighted_variance(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Variance (n - 1) of each resample; NaN where it holds fewer than two models.

    Examples
    --------
    >>> weighted_variance(np.array([1.0, 4.0]), np.array([[1.0, 1.0], [2.0, 1.0]])).tolist()
    [4.5, 3.0]
    """
    total = weights.sum(axis=1)
    centred = values - values.mean()  # against cancellation
    mean = weighted_mean(centred, weights)
    squares = weights @ centred**2 - total * np.nan_to_num(mean) ** 2
    short = np.full(total.shape, np.nan)
    return np.divide(np.maximum(squares, 0.0), total - 1, out=short, where=total > 1)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median of each resample, the mean of the two middle ones where the number is even.

    Examples
    --------
    >>> weighted_median(np.array([5.0, 1.0, 2.0]), np.array([[1.0, 1, 1], [1, 1, 0]])).tolist()
    [2.0, 3.0]
    """
    order = np.argsort(values)
    ranked, counts = values[order], weights[:, order].cumsum(axis=1)
    total = counts[:, -1]
    low, high = np.floor((total - 1) / 2), np.floor(total / 2)
    last = values.size - 1
    below, above = (
        ranked[np.minimum((counts <= place[:, None]).sum(axis=1), last)] for place in (low, high)
    )
    return np.where(total > 0, (below + above) / 2, np.nan)


def percentiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    """Percentile interval; NaN where fewer than half of the resamples have a value.

    NaN too where all resamples have the same value, as of a single family: nothing was varied.

    Examples
    --------
    >>> percentiles(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    known = draws[np.isfinite(draws)]
    if known.size < draws.size / 2 or np.ptp(known) <= ROUNDING:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
