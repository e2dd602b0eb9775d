"""Single rows that every other row's normalised cost depends on: who sets the bounds of a cost."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pepr_utils.audit.finding import Finding, rows_of
from pepr_utils.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.scores import cost_column, score_runs

#: A bound is an outlier if it is this much further out than the next run's cost.
APART = 1.25
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
        for bound, at, next_at in (("lowest", 0, 1), ("highest", -1, -2)):
            run, following = ordered.iloc[at], ordered.iloc[next_at]
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


@check("single-bound")
def single_bound(result_set: ResultSet) -> Iterator[Finding]:
    """One row that sets a bound of the energy far from all others and so decides the leaders."""
    runs = result_set.finished
    if not runs["energy_kwh"].notna().any():
        return
    labels = experiment_labels(runs["experiment"])
    for row in bounds(result_set).itertuples(index=False):
        low, high = sorted((row.cost, row.next_cost))
        far = high > APART * low
        moved = set(row.top_without) != set(row.top)
        if far and (moved or row.bound == "highest"):
            words = "change" if moved else "stay"
            yield Finding(
                "single-bound",
                "note",
                rows_of(runs[runs["run_id"] == row.run_id]),
                ("energy_kwh",),
                f"{labels[row.experiment]}: {row.architecture} alone sets the {row.bound} energy, "
                f"{row.cost * 1e3:.2f} Wh; next is {row.next_architecture}, "
                f"{row.next_cost * 1e3:.2f} Wh. Without it the best {TOP} of the others {words}, "
                f"and their median score goes from {row.median_pepr:.3f} to "
                f"{row.median_pepr_without:.3f}",
            )
