"""Checks of the trends that the paper sees in its figures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from paper.chapters.pareto import front_points
from paper.chapters.results import preliminary_choices
from paper.checks.shared import (
    FRACTION,
    PRETRAINING,
    accuracies,
    arm,
    averaged,
    group_medians,
    need_arms,
)
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet
from pepr_utils.results.groups import (
    FRACTION_ARMS,
    PRETRAINING_ARMS,
    fraction_arms,
    in_arms,
    pretraining_arms,
)

#: Rank correlations up to this count as none; the limit is ours.
LEVEL = 0.2


def _share(better: pd.Series) -> str:
    return f"{int(better.sum())} of {len(better)}"


@check
def energy_range(result_set: ResultSet) -> float:
    """Energy of the most expensive model over that of the cheapest, mean of the data sets."""
    energies = averaged(result_set)["energy_wh"]
    return float(energies.max() / energies.min())


def _fractions(result_set: ResultSet) -> pd.DataFrame:
    """Points of figure 3b, if all its arms are there."""
    need_arms(result_set, FRACTION)
    return fraction_arms(result_set)


def _wide(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    if frame.empty:
        raise NotAvailableError("a model with a run in both arms")
    return in_arms(frame, names)


@check
def better(result_set: ResultSet, figure: str, each: bool) -> LabelledValue:
    """Whether every model, or the median one, does better in the first arm."""
    if figure == "3a":
        need_arms(result_set, PRETRAINING, stated=True)
        names = PRETRAINING_ARMS
        wide = _wide(pretraining_arms(result_set), names)
    else:
        names = FRACTION_ARMS
        wide = _wide(_fractions(result_set), names)
    first, second = wide[names[0]], wide[names[1]]
    if each:
        return LabelledValue(bool((first > second).all()), f"{_share(first > second)} models")
    higher = bool(first.median() > second.median())
    words = f"medians {first.median():.4f} and {second.median():.4f}"
    return LabelledValue(higher, f"{'yes' if higher else 'no'}: {words}")


@check
def datasets_of_3b(result_set: ResultSet) -> list[str]:
    """Data sets that figure 3b averages over."""
    frame = _fractions(result_set)
    _wide(frame, FRACTION_ARMS)
    return frame["datasets"].iloc[0].split(", ")


def _choices(result_set: ResultSet) -> pd.DataFrame:
    need_arms(result_set, FRACTION)
    choices = preliminary_choices(result_set)
    if choices.empty:
        raise NotAvailableError("twenty models with a run in both arms")
    return choices


@check
def choice_on_a_tenth(result_set: ResultSet) -> LabelledValue:
    """Whether a shortlist of ten by a tenth of the images beats 95 % of random ones."""
    choices = _choices(result_set)
    better = choices["as good at random"] < 0.05
    shares = ", ".join(f"{100 * share:.0f} %" for share in choices["as good at random"])
    words = f"{_share(better)} data sets; as good at random {shares}"
    return LabelledValue(bool(better.all()), words)


@check
def order_kept(result_set: ResultSet) -> LabelledValue:
    """Whether the accuracies on a tenth and on all images are correlated on each data set."""
    choices = _choices(result_set)
    words = ", ".join(f"{row.correlation:.2f}" for row in choices.itertuples())
    return LabelledValue(bool((choices["low"] > 0).all()), f"rank correlations {words}")


def _against_scratch(result_set: ResultSet, tuned: pd.Series) -> LabelledValue:
    scratch = accuracies(result_set, "derma-scratch")
    both = tuned.index.intersection(scratch.index)
    tuned, scratch = tuned[both], scratch[both]
    higher = bool(tuned.median() >= scratch.median())
    words = f"medians {tuned.median():.4f} and {scratch.median():.4f}"
    counts = f"{_share(tuned >= scratch.median())} models reach the median from scratch"
    return LabelledValue(higher, f"{words}; {counts}, {int((tuned >= scratch).sum())} their own")


@check
def less_data(result_set: ResultSet) -> LabelledValue:
    """Whether fine-tuning on fewer images of Derma reaches training from scratch on all.

    Raises
    ------
    NotAvailableError
        If a tenth does not suffice: between a tenth and all of the images nothing was run.
    """
    found = _against_scratch(result_set, accuracies(result_set, "derma-tenth"))
    if not found.value:
        raise NotAvailableError(
            "fine-tuning on more than a tenth of the images and less than all; on a tenth against "
            f"training from scratch on all: {found.label}"
        )
    return found


@check
def less_compute(result_set: ResultSet) -> LabelledValue:
    """Whether one epoch of fine-tuning on Derma reaches all epochs of training from scratch."""
    runs = arm(result_set, "derma")[["run_id", "architecture"]]
    first = result_set.epochs[result_set.epochs["epoch"] == 1].merge(runs, on="run_id")
    if first.empty:
        raise NotAvailableError("accuracies after the first epoch on derma")
    return _against_scratch(result_set, first.groupby("architecture")["test_accuracy"].mean())


def _by_size(result_set: ResultSet, size: str) -> float:
    """Rank correlation of PePR-E with the number of parameters among small or large models."""
    frame = averaged(result_set)
    part = frame[frame["size"] == size]
    return float(part["n_parameters"].astype(float).corr(part["pepr"], method="spearman"))


@check
def among_large(result_set: ResultSet) -> float:
    """How PePR-E goes with size among large models."""
    return _by_size(result_set, "large")


@check
def level_among_small(result_set: ResultSet) -> LabelledValue:
    """Whether PePR-E hardly goes with size among small models."""
    small = _by_size(result_set, "small")
    return LabelledValue(abs(small) <= LEVEL, f"rank correlation {small:.2f}")


@check
def flatter_among_small(result_set: ResultSet) -> LabelledValue:
    """Whether it goes less with size among small models than among large ones."""
    small, large = _by_size(result_set, "small"), _by_size(result_set, "large")
    return LabelledValue(abs(small) < abs(large), f"rank correlations {small:.2f} and {large:.2f}")


@check
def lead_of_small(result_set: ResultSet, cost: str, scope: str) -> LabelledValue:
    """Median score of small models minus that of large ones."""
    frame = averaged(result_set, cost=cost) if scope == "average" else arm(result_set, scope)
    small, large = group_medians(frame, "pepr")
    return LabelledValue(small - large, f"{small - large:.3f} ({small:.3f} and {large:.3f})")


@check
def knee(result_set: ResultSet) -> LabelledValue:
    """Share of all models and epochs on Derma that score higher than the knee of the front."""
    experiment = arm(result_set, "derma")["experiment"].iloc[0]
    frame = front_points(result_set, experiment=experiment)
    at = frame.loc[frame["role"] == "knee", "pepr"]
    if at.empty:
        raise NotAvailableError("a knee of the Pareto front")
    above = int((frame["pepr"] > at.iloc[0]).sum())
    return LabelledValue(
        above / len(frame), f"{above / len(frame):.3f} ({above} of {len(frame):,} points)"
    )


@check
def front_is_cheap(result_set: ResultSet) -> float:
    """Largest normalised energy on the Pareto front."""
    experiment = arm(result_set, "derma")["experiment"].iloc[0]
    frame = front_points(result_set, experiment=experiment)
    return float(frame.loc[frame["role"] != "other", "resource"].max())
