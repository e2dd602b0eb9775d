"""Checks of bounds: single rows on which every other row's normalised cost hangs."""

from __future__ import annotations

from collections.abc import Iterator

from pepr_utils.audit.bounds import TOP, bounds
from pepr_utils.audit.finding import Finding, rows_of
from pepr_utils.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet

#: A bound stands apart if it is this much further out than the next run's cost.
APART = 1.25


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
