"""How much single rows decide: which run sets each bound of a cost, and what follows without it."""

from __future__ import annotations

import pandas as pd

from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.scores import cost_column, score_runs

#: How many leaders are compared.
TOP = 5
_COLUMNS = [
    "experiment",
    "bound",
    "run_id",
    "architecture",
    "cost",
    "next_architecture",
    "next_cost",
    "top",
    "top_without",
    "median_pepr",
    "median_pepr_without",
]


def bounds(result_set: ResultSet, *, cost: str = "E", alpha: float = 1.0) -> pd.DataFrame:
    """Runs that set R_min and R_max of each experiment, and the best by score without each.

    Parameters
    ----------
    result_set : ResultSet
        Any set; experiments with fewer than seven runs that have the cost are left out.
    cost, alpha
        See `pepr_utils.results.score_runs`; normalised by min-max.

    Returns
    -------
    pandas.DataFrame
        Two rows per experiment, ``bound`` lowest and highest: the run, its cost and the next run's;
        ``top``, the five best of the *other* runs by score, and ``top_without``, the same when the
        row sets no bound; their median score with and without it.
    """
    column, rows = cost_column(result_set.finished, cost), []
    for key, part in result_set.finished.groupby("experiment", sort=False):
        known = part.dropna(subset=[column, "test_accuracy"])
        if len(known) < TOP + 2:
            continue
        ordered = known.sort_values([column, "architecture"])
        scored = score_runs(known, cost=cost, alpha=alpha)
        for bound, at, beside in (("lowest", 0, 1), ("highest", -1, -2)):
            run, following = ordered.iloc[at], ordered.iloc[beside]
            without = score_runs(known.drop(index=ordered.index[at]), cost=cost, alpha=alpha)
            rows.append(
                (
                    key,
                    bound,
                    run["run_id"],
                    run["architecture"],
                    float(run[column]),
                    following["architecture"],
                    float(following[column]),
                    _best(scored.loc[without.index]),
                    _best(without),
                    scored.loc[without.index, "pepr"].median(),
                    without["pepr"].median(),
                )
            )
    return pd.DataFrame(rows, columns=_COLUMNS)


def _best(scored: pd.DataFrame) -> tuple[str, ...]:
    order = scored.sort_values(["pepr", "architecture"], ascending=[False, True])
    return tuple(order["architecture"].head(TOP))
