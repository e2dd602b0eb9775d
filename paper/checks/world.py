"""Checks of figures 1 and 4b, which draw on tables beside the result set."""

from __future__ import annotations

import pandas as pd

from paper.chapters import access, imagenet
from paper.checks.shared import arm, group_medians
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet
from pepr_utils.results.result_set import cached_on_result_set


@check(reads_runs=False)
def regions(_: ResultSet) -> int:
    """Regions that the tables of countries name."""
    return access.countries()["region"].nunique()


@check(reads_runs=False)
def gap(_: ResultSet) -> float:
    """Publications per inhabitant in the last year: the region with most over that with least."""
    frame = access.data()
    last = frame.loc[frame["year"] == frame["year"].max(), "per_million"]
    return float(last.max() / last.min())


@cached_on_result_set
def _joined(result_set: ResultSet, *, join: imagenet.Join) -> pd.DataFrame:
    arm(result_set, "derma")
    frame = imagenet.data(result_set, join=join)
    if frame["top1"].notna().sum() == 0:
        raise NotAvailableError("ImageNet results of the set's architectures")
    return frame


@check
def own_results(result_set: ResultSet, join: imagenet.Join) -> LabelledValue:
    """Architectures that a join gives the results of their own, and not another model's."""
    frame = _joined(result_set, join=join)
    own = int(frame["match"].isin(["same weights", "other weights"]).sum())
    others = frame.loc[frame["match"] == "another model"]
    names = ", ".join(
        f"{row.architecture} gets {row.matched}" for row in others.head(2).itertuples()
    )
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return LabelledValue(own, f"{own} (others: {names}{more})" if names else f"{own}")


@check
def accuracy_by_size(result_set: ResultSet) -> LabelledValue:
    """*p* of the difference in ImageNet accuracy between small and large models."""
    tested = imagenet.by_size(_joined(result_set, join="weights"), "top1")
    if tested is None:
        raise NotAvailableError("ImageNet results of two small and two large models")
    medians = f"medians {tested.median_a:.3f} small, {tested.median_b:.3f} large"
    return LabelledValue(tested.p, f"p {tested.p:.1g} (Welch's t-test; {medians})")


@check
def lead(result_set: ResultSet) -> LabelledValue:
    """Median PePR-M of small models minus that of large ones, on ImageNet."""
    small, large = group_medians(
        _joined(result_set, join="weights").dropna(subset=["pepr"]), "pepr"
    )
    return LabelledValue(small - large, f"{small - large:.3f} ({small:.3f} and {large:.3f})")
