"""Two rankings of the same models: who moved, how well they agree, and what differs in the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pepr_utils.errors import NotAvailableError
from pepr_utils.results.ranking import ERRORS, Ranking
from pepr_utils.scoring.stability import ranks
from pepr_utils.statistics.testing import paired_tests


@dataclass(frozen=True)
class Compared:
    """Two rankings of the models of one group.

    Attributes
    ----------
    group : str or None
        Its label.
    models : pandas.DataFrame
        The models in both, those that moved most first: ``model``, ``rank_a``, ``rank_b`` (among
        the models in both), ``moved`` (places up from A to B), ``performance_a``,
        ``performance_b`` (P in [0, 1]), ``pepr_a``, ``pepr_b``.
    only_a, only_b : list of str
        Models in one of them.
    agreement : dict
        `rank_agreement` of the scores.
    tests : dict
        By ``performance`` and ``pepr`` what `paired_tests` says of A minus B.
    """

    group: str | None
    models: pd.DataFrame
    only_a: list[str]
    only_b: list[str]
    agreement: dict[str, float]
    tests: dict[str, dict[str, float | None]]


def rank_agreement(a: Any, b: Any) -> dict[str, float]:
    """Rank correlations of two lists of scores with 95 % intervals.

    Spearman's interval by Bonett and Wright (2000), Kendall's by Fieller, Hartley and Pearson
    (1957): normal after Fisher's transformation, the models taken as independent.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        Scores of the same models.

    Returns
    -------
    dict of str to float
        ``spearman``, ``kendall`` (tau-b) and their ``_low`` and ``_high``; NaN where the scores
        do not vary, and the intervals of fewer than five models or of a perfect agreement.

    Examples
    --------
    >>> found = rank_agreement([1, 2, 3, 4, 5, 6], [2, 1, 3, 4, 5, 6])
    >>> {name: round(value, 2) for name, value in found.items() if "kendall" not in name}
    {'spearman': 0.94, 'spearman_low': 0.38, 'spearman_high': 1.0}
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    varied = a.size > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    rho = float(stats.spearmanr(a, b).statistic) if varied else np.nan
    tau = float(stats.kendalltau(a, b).statistic) if varied else np.nan
    n = max(a.size, 5)
    errors = np.sqrt((1 + rho**2 / 2) / (n - 3)), np.sqrt(0.437 / (n - 4))
    found = {}
    for name, value, error in zip(("spearman", "kendall"), (rho, tau), errors, strict=True):
        known = a.size == n and abs(value) < 1 - 1e-12
        centre = np.arctanh(value) if known else np.nan
        found |= {
            name: value,
            f"{name}_low": float(np.tanh(centre - ERRORS * error)),
            f"{name}_high": float(np.tanh(centre + ERRORS * error)),
        }
    return found


def compare_rankings(a: Ranking, b: Ranking) -> list[Compared]:
    """Compare two rankings, group by group.

    Models are matched by name within the groups of one label; where each ranking has one group,
    that is the group.

    Parameters
    ----------
    a, b : Ranking
        What `pepr_utils.results.ranking.rank` returns.

    Returns
    -------
    list of Compared
        One for each group that both have.

    Raises
    ------
    NotAvailableError
        If no model is in both.
    """
    first, second = _scored(a), _scored(b)
    if first["group"].nunique() == second["group"].nunique() == 1:
        label = first["group"].iloc[0]
        second["group"] = label
    found = []
    for label in first["group"].unique():
        one = first[first["group"] == label].drop(columns="group")
        other = second[second["group"] == label].drop(columns="group")
        both = one.merge(other, on="model", suffixes=("_a", "_b"))
        if not both.empty:
            found.append(_compared(label or None, both, one["model"], other["model"]))
    if not found:
        names = [", ".join(frame["model"].head(3)) for frame in (first, second)]
        raise NotAvailableError(
            f"no model is in both; the first has {names[0]}, ..., the second {names[1]}, ...; "
            "name them alike, or choose their column with --label"
        )
    return found


def _compared(label: str | None, both: pd.DataFrame, a: pd.Series, b: pd.Series) -> Compared:
    both = both.assign(rank_a=ranks(both["pepr_a"]), rank_b=ranks(both["pepr_b"]))
    both["moved"] = both["rank_a"] - both["rank_b"]
    order = both.assign(far=-both["moved"].abs()).sort_values(["far", "rank_a", "rank_b"])
    columns = ["model", "rank_a", "rank_b", "moved",
               "performance_a", "performance_b", "pepr_a", "pepr_b"]  # fmt: skip
    return Compared(
        label,
        both.loc[order.index, columns].reset_index(drop=True),
        list(a[~a.isin(b)]),
        list(b[~b.isin(a)]),
        rank_agreement(both["pepr_a"], both["pepr_b"]),
        {
            name: paired_tests(both[f"{name}_a"].to_numpy(), both[f"{name}_b"].to_numpy())
            for name in ("performance", "pepr")
        },
    )


def _scored(ranking: Ranking) -> pd.DataFrame:
    """Group, name, P and score of each model that is scored; a name twice counts by its best."""
    models, known = ranking.models, ranking.models.known
    groups = "" if models.groups is None else models.groups[known].astype(str)
    frame = pd.DataFrame({"model": models.model[known].astype(str)}).assign(group=groups)
    frame["performance"] = models.scale.fraction(models.numbers.loc[known, models.performance])
    frame["pepr"] = ranking.table.loc[known, "pepr"]
    return frame.sort_values("pepr", ascending=False, kind="stable").drop_duplicates(
        ["group", "model"]
    )
