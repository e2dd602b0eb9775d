"""Choose among the candidates of a scikit-learn search by PePR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pepr_utils.errors import ScoreInputError


def best_by_pepr(
    performance: str = "mean_test_score",
    cost: str | Mapping[str, float] = "mean_fit_time",
    *,
    alpha: float = 1.0,
    method: str = "minmax",
    performance_range: tuple[float, float] = (0.0, 1.0),
) -> Callable[[Mapping[str, Any]], int]:
    """Make a ``refit`` for scikit-learn's searches that takes the candidate with the best PePR.

    A resource is relative to what it is compared with, so no scorer of one candidate can compute
    it. A search calls ``refit`` once it has the results of all.

    Parameters
    ----------
    performance : str, default "mean_test_score"
        Key of ``cv_results_`` with the performance, higher the better.
    cost : str or mapping of str to float, default "mean_fit_time"
        Key of ``cv_results_`` with the cost, such as ``mean_score_time`` or, of a scoring that
        returns a metered quantity, ``mean_test_energy_kwh``; or several with their weights.
    alpha, method
        See `pepr_utils.results.score`.
    performance_range : pair of float, default (0, 1)
        The worst and best performance, such as (-1, 0) for ``neg_brier_score``.

    Returns
    -------
    callable
        From ``cv_results_`` to the position of the best candidate; of equal ones the cheaper.
        Candidates without a performance, whose fit failed, are left out.

    Raises
    ------
    ScoreInputError
        When called, if there is no such key or a performance is out of range.

    Examples
    --------
    >>> results = {"mean_test_score": [0.95, 0.94], "mean_fit_time": [9.0, 1.0]}
    >>> best_by_pepr()(results)
    1

    As in ``GridSearchCV(estimator, grid, refit=best_by_pepr(alpha=2.0))``.
    """
    how = {"alpha": alpha, "method": method, "performance_range": performance_range}
    return partial(_best, performance=performance, cost=cost, how=how)


def _best(
    cv_results: Mapping[str, Any],
    *,
    performance: str,
    cost: str | Mapping[str, float],
    how: dict[str, Any],
) -> int:
    import pandas as pd

    from pepr_utils.results.ranking import score

    keys = [performance, *([cost] if isinstance(cost, str) else cost)]
    for key in keys:
        if key not in cv_results:
            known = [name for name in cv_results if str(name).startswith("mean_")]
            raise ScoreInputError(
                f"cv_results_ has no {key!r}; allowed: {', '.join(known)}; name it in best_by_pepr"
            )
    table = pd.DataFrame({key: cv_results[key] for key in keys})
    ranked = score(table, performance=performance, cost=cost, each_row=True, **how)
    return int(ranked.index[0])
