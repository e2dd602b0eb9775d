"""A score with its interval: test images and repeated runs are resampled, bounds held fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    check_unit_interval,
    first,
    pandas_index,
    position,
    to_floats,
    to_number,
)
from pepr_utils.scoring.normalization import (
    between,
    bounds,
    check_finds_bounds,
    check_sign,
    normalize,
)
from pepr_utils.scoring.score import pepr
from pepr_utils.scoring.stability import ranks

if TYPE_CHECKING:
    import pandas as pd

#: Fewer resamples than this make no useful interval.
FEWEST_RESAMPLES = 100
#: Resamples of images that are drawn at once.
_CHUNK = 200


def score_intervals(
    performance: Any,
    cost: Any,
    *,
    n_test: Any = None,
    cost_repeats: Sequence[Any] | None = None,
    alpha: float = 1.0,
    method: str = "minmax",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Give each model of an experiment its score and rank with percentile intervals.

    The performance is resampled over test images: together for all models where it is known which
    images each got right, so that luck with the images cancels between models; else by a binomial
    draw for each model. The cost is the mean of repeated runs, resampled among them; a single run
    has no known spread, and its cost is not varied. R_min and R_max stay those of the models as
    measured, since a bootstrap of a maximum is not consistent: a cost drawn beyond them counts as
    the bound. `leave_one_out` shows separately what depends on them.

    Parameters
    ----------
    performance : array_like or pandas.Series, shape (n,), or array_like of bool, (n, images)
        Accuracy in [0, 1]; or which test images each model classifies correctly, the same images
        for all.
    cost : array_like or pandas.Series, shape (n,)
        Absolute cost of each model.
    n_test : int or array_like, shape (n,), optional
        Number of test images behind each accuracy; needed where accuracies are given.
    cost_repeats : sequence of array_like, optional
        For each model the costs of its repeated runs, their mean being its cost; one or more.
    alpha, method
        See `pepr` and `normalize`; any rule but ``fixed``, which needs bounds.
    level : float, default 0.95
        Coverage of the intervals, between 0 and 1.
    n_resamples : int, default 2000
        Number of resamples, at least 100.
    seed : int, default 0
        Seed of the random numbers.

    Returns
    -------
    pandas.DataFrame, shape (n, 9)
        ``performance``, ``resource``, ``pepr``, ``pepr_low``, ``pepr_high``, ``rank``,
        ``rank_low`` (the better end), ``rank_high``, and ``leads``: the share of resamples in
        which the model has the highest score. With a handful of repeated runs the spread of the
        cost is understated; an accuracy of exactly 0 or 1 has no binomial spread.

    Raises
    ------
    ScoreInputError
        If `n_test` is missing, shapes do not fit, or a value is out of range.

    Examples
    --------
    >>> found = score_intervals([0.9, 0.8], [3.0, 1.0], n_test=1000)
    >>> found[["pepr", "rank"]].round(3).to_dict("list")
    {'pepr': [0.45, 0.8], 'rank': [2, 1]}
    >>> bool((found["pepr_low"] < found["pepr"]).all())
    True
    """
    import pandas as pd
    from scipy.stats import rankdata

    level, n_resamples = _options(level, n_resamples, seed)
    check_finds_bounds(method)
    # Rows of a frame of hits are models, as the rows of a column are.
    models = performance.iloc[:, 0] if hasattr(performance, "columns") else performance
    index = pandas_index(models, cost, n_test)
    hits = _hits(performance)
    if hits is not None:
        performance = hits.mean(axis=1)
    p, c = to_floats(performance, "performance"), to_floats(cost, "cost")
    if p.ndim != 1 or p.shape != c.shape:
        raise ScoreInputError(
            f"performance has shape {p.shape} and cost {c.shape}; allowed: two lists of one length"
        )
    check_unit_interval(p, performance, "performance", "divide percentages by 100")
    resource = np.asarray(normalize(c, method=method))
    score = np.asarray(pepr(p, resource, alpha=alpha))
    rng = np.random.default_rng(seed)
    drawn_p = _performances(p, n_test, hits, n_resamples, rng)
    drawn_r = _resources(c, cost_repeats, method, n_resamples, rng)
    drawn = np.asarray(pepr(drawn_p, drawn_r, alpha=alpha))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(drawn, tails, axis=1)
    placed = rankdata(-drawn, method="min", axis=0)
    rank_low, rank_high = np.quantile(placed, tails, axis=1, method="inverted_cdf")
    return pd.DataFrame(
        {
            "performance": p,
            "resource": resource,
            "pepr": score,
            "pepr_low": low,
            "pepr_high": high,
            "rank": np.asarray(ranks(score)),
            "rank_low": rank_low.astype(int),
            "rank_high": rank_high.astype(int),
            "leads": (placed == 1).mean(axis=1),
        },
        index=index,
    )


def _options(level: Any, n_resamples: Any, seed: Any) -> tuple[float, int]:
    share, number = to_number(level, "level"), to_number(n_resamples, "n_resamples")
    if not 0 < share < 1:
        raise ScoreInputError(f"level is {level!r}; allowed: between 0 and 1, such as 0.95")
    if number < FEWEST_RESAMPLES or number % 1:
        raise ScoreInputError(
            f"n_resamples is {n_resamples!r}; allowed: a whole number, {FEWEST_RESAMPLES} or more"
        )
    if to_number(seed, "seed") < 0 or to_number(seed, "seed") % 1:
        raise ScoreInputError(f"seed is {seed!r}; allowed: a whole number, 0 or more")
    return share, int(number)


def _hits(correct: Any) -> np.ndarray | None:
    """Which images each model gets right, as 0 and 1; None where accuracies are given."""
    hits = to_floats(correct, "performance", allow_bool=True)
    if hits.ndim < 2:
        return None
    bad = ~np.isin(hits, (0, 1))
    if hits.ndim > 2 or bad.any():
        found = f"{position(correct, bad)} is {first(hits, bad)}" if bad.any() else ""
        raise ScoreInputError(
            f"performance{found or f' has shape {hits.shape}'}; allowed: one accuracy for each "
            "model, or one row for each model and one column for each image, true where it is right"
        )
    return hits


def _performances(
    p: np.ndarray, n_test: Any, hits: np.ndarray | None, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw accuracies, shape (models, resamples)."""
    if hits is None:
        images = _image_counts(p, n_test)
        return rng.binomial(images[:, None], p[:, None], size=(p.size, n)) / images[:, None]
    n_images = hits.shape[1]
    chunks = [
        rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=min(_CHUNK, n - begin))
        for begin in range(0, n, _CHUNK)
    ]
    return np.concatenate([hits @ counts.T for counts in chunks], axis=1) / n_images


def _image_counts(p: np.ndarray, n_test: Any) -> np.ndarray:
    if n_test is None:
        raise ScoreInputError(
            "n_test is missing; the spread of an accuracy depends on the number of test images"
        )
    counts = to_floats(n_test, "n_test")
    if counts.shape not in ((), p.shape):
        raise ScoreInputError(
            f"n_test has shape {counts.shape} for {p.size} models; allowed: one number for all "
            "models, or one for each"
        )
    bad = (counts < 1) | (counts % 1 != 0) | (counts > 2**53)
    if bad.any():
        raise ScoreInputError(
            f"n_test{position(n_test, bad)} is {first(counts, bad)}; allowed: a whole number of "
            "images, 1 or more"
        )
    return np.broadcast_to(counts.astype(np.int64), p.shape)


def _resources(
    c: np.ndarray,
    repeats: Sequence[Any] | None,
    method: str,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw resources within the bounds of the costs as measured, shape (models, resamples or 1)."""
    if repeats is None:
        return np.asarray(normalize(c, method=method))[:, None]
    if len(repeats) != c.size:
        raise ScoreInputError(
            f"cost_repeats has {len(repeats)} entries for {c.size} models; allowed: one for each"
        )
    drawn = np.empty((c.size, n))
    for i, values in enumerate(repeats):
        what = f"cost_repeats of model {i}"
        runs = np.atleast_1d(to_floats(values, what))
        check_sign(runs, values, strictly=method == "log", what=what)
        if not np.isclose(runs.mean(), c[i], rtol=1e-6):
            raise ScoreInputError(
                f"{what} have the mean {runs.mean():.6g} and its cost is {c[i]:.6g}; "
                "pass the mean of the runs as the cost"
            )
        drawn[i] = rng.choice(runs, size=(n, runs.size)).mean(axis=1)
    low, high = bounds(c, method)
    return between(drawn, np.float64(low), np.float64(high), log=method == "log")
