"""Checks of section 2: properties of the score by its definition, and the tried statements."""

from __future__ import annotations

from functools import cache

import numpy as np

from paper.chapters import statements
from paper.chapters.curve import PAPERS_ARCHITECTURE, pepr_curves
from paper.checks.shared import arm
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet
from pepr_utils.scoring import normalize, pepr, pepr_weighted

_STEP = 1e-6


def _by_resource(performance: float, resource: float) -> float:
    """How much the score falls with the resource, by finite differences."""
    low, high = resource, min(resource + _STEP, 1.0)
    low = low if high > low else low - _STEP
    return (pepr(performance, low) - pepr(performance, high)) / (high - low)


def _by_performance(performance: float, resource: float) -> float:
    low = min(performance, 1.0 - _STEP)
    return (pepr(low + _STEP, resource) - pepr(low, resource)) / _STEP


@check(reads_runs=False)
def insensitive(_: ResultSet) -> float:
    """Largest sensitivity to the resource at performance 0."""
    return max(_by_resource(0.0, r) for r in (0.0, 0.25, 0.5, 0.75, 1.0))


@check(reads_runs=False)
def equal_weights(_: ResultSet, resources: tuple[float, ...]) -> float:
    """Sensitivity to the resource over that to performance at P = 1: the lowest such ratio."""
    return min(_by_resource(1.0, r) / _by_performance(1.0, r) for r in resources)


@check(reads_runs=False)
def single(_: ResultSet) -> bool:
    """Whether a model alone scores its performance."""
    return all(pepr(p, normalize([cost]))[0] == p for p in (0.0, 0.3, 1.0) for cost in (0.0, 7.0))


@check(reads_runs=False)
def pair(_: ResultSet, which: int) -> float:
    """Score over performance of the cheaper or more expensive of two models."""
    performance = np.array([0.8, 0.9])
    return float((pepr(performance, normalize([10.0, 50.0])) / performance)[which])


@check(reads_runs=False)
def guess(_: ResultSet) -> float:
    """Score of random guessing between two equal classes at no cost."""
    return pepr(0.5, 0.0)


@check(reads_runs=False)
def ideal(_: ResultSet) -> float:
    """Score at P = 1 and R = 0."""
    return pepr(1.0, 0.0)


@check(reads_runs=False)
def most_expensive(_: ResultSet, alpha: float) -> float:
    """Score of a perfect model that is the most expensive."""
    return pepr(1.0, 1.0, alpha=alpha)


@check(reads_runs=False)
def weighted(_: ResultSet) -> bool:
    """Whether the score of several resources with one of weight 1 is the score of that one."""
    resources = [[0.2, 0.9], [0.7, 0.1]]
    given = np.asarray(pepr_weighted([0.9, 0.6], resources, [1.0, 0.0]))
    return bool(np.allclose(given, pepr([0.9, 0.6], [0.2, 0.7])))


@cache
def tried(name: str) -> str:
    """Outcome of a statement of section 2; it depends on no data."""
    return next(s for s in statements.STATEMENTS if s.name == name).check().outcome


@check(reads_runs=False)
def statement(_: ResultSet, name: str) -> LabelledValue:
    """Whether a statement of section 2 holds as it stands."""
    return LabelledValue(tried(name) == statements.HOLDS, tried(name))


@check(reads_runs=False)
def conditioned(_: ResultSet, name: str) -> LabelledValue:
    """Whether it holds, if need be under the condition that the chapter names."""
    return LabelledValue(tried(name) != statements.FAILS, tried(name))


@check(reads_runs=False)
def bounds_as_printed(_: ResultSet) -> LabelledValue:
    """Whether the bounds of footnote 5 hold of the formula that it prints."""
    holds = statements.bounds_hold_as_printed()
    return LabelledValue(holds, "yes, if f increases" if holds else "no")


@check(reads_runs=False)
def maximum_above_start(_: ResultSet) -> bool:
    """Whether the maximum of the PePR curve is never below the start of the curve."""
    return statements.maximum_above_start()


@check
def optimum_inside(result_set: ResultSet) -> LabelledValue:
    """Whether the best epoch by score of the paper's example is neither the first nor the last."""
    experiment = arm(result_set, "derma")["experiment"].iloc[0]
    frame = pepr_curves(result_set, experiment=experiment)
    curve = frame[frame["architecture"] == PAPERS_ARCHITECTURE]
    if curve.empty:
        raise NotAvailableError(f"epochs of {PAPERS_ARCHITECTURE} on derma")
    best, last = int(curve.loc[curve["optimum"], "epoch"].iloc[0]), int(curve["epoch"].max())
    inside = 1 < best < last
    return LabelledValue(inside, f"{'yes' if inside else 'no'}: epoch {best} of {last}")
