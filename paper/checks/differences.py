"""Checks of what the paper calls significant or not: p-values of the declared comparisons.

A large p alone says neither "no difference" nor "the same everywhere".
"""

from __future__ import annotations

from typing import Any

from paper.checks.shared import (
    DATASETS,
    FRACTION,
    PRETRAINING,
    RELEASED_ARMS,
    need_arms,
)
from pepr_utils import statistics as significance
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet
from pepr_utils.results.result_set import cached_on_result_set

#: Tests by the name that checks call them; the paper says t-test, the released code is Student's.
TESTS = {
    "student": "Student's t-test",
    "welch": "Welch's t-test",
    "mann-whitney": "Mann-Whitney test",
    "paired": "paired t-test",
}

#: Arms that a mean takes, by what is compared; otherwise it is of the three data sets.
AVERAGED = {"pretraining": PRETRAINING, "fraction": FRACTION}


@cached_on_result_set
def tested_fields(result_set: ResultSet, *, name: str) -> dict[str, Any]:
    """Fields of the tested comparison; its intervals are not used, so hardly any is drawn.

    A mean over fewer experiments than the paper's is not taken for the paper's.
    """
    comparison = significance.COMPARISONS[name]
    if comparison.scope == significance.AVERAGE:
        stated = comparison.factor == "pretraining"
        need_arms(result_set, AVERAGED.get(comparison.factor, DATASETS), stated=stated)
    elif comparison.scope == significance.AVERAGE_RELEASED:
        need_arms(result_set, RELEASED_ARMS)
    return vars(significance.test(result_set, name, n_resamples=2))


def p_of(result_set: ResultSet, name: str, test: str) -> float:
    """*p* of a comparison by one test.

    Raises
    ------
    NotAvailableError
        If the values have no spread.
    """
    p = tested_fields(result_set, name=name)[f"p_{test.replace('-', '_')}"]
    if not p >= 0:
        raise NotAvailableError(f"values with a spread for {name}")
    return p


@check
def p_value(result_set: ResultSet, comparison: str, test: str) -> LabelledValue:
    """*p* of a comparison, with the name of the test."""
    p = p_of(result_set, comparison, test)
    return LabelledValue(p, f"{p:.3g} ({TESTS[test]})")


@check
def lead(result_set: ResultSet, comparison: str) -> LabelledValue:
    """Median of the first group minus that of the second."""
    tested = tested_fields(result_set, name=comparison)
    a, b = tested["median_a"], tested["median_b"]
    return LabelledValue(a - b, f"{a - b:.3f} ({a:.4f} and {b:.4f})")


@check
def significant_datasets(result_set: ResultSet, factor: str, performance: str) -> LabelledValue:
    """Data sets in which a difference is significant, the same group ahead in all of them."""
    found = {}
    for dataset in DATASETS:
        tested = tested_fields(result_set, name=f"{factor}-{performance}-{dataset}")
        if tested["p_student"] < significance.USUAL:
            found[dataset] = tested["difference"] > 0
    n = max(sum(found.values()), len(found) - sum(found.values()))
    return LabelledValue(n, f"{n} ({', '.join(found) or 'none'})")


@check
def no_difference(result_set: ResultSet, comparison: str) -> LabelledValue:
    """*p* of a comparison by Student's test, with its interval and what equivalence says."""
    tested = tested_fields(result_set, name=comparison)
    p = p_of(result_set, comparison, "student")
    equal = tested["p_equivalence"]
    within = "equivalent" if equal < significance.USUAL else "not decided"
    return LabelledValue(
        p,
        f"p {p:.2g} ({TESTS['student']}); difference {tested['t_low']:.3f} to "
        f"{tested['t_high']:.3f} (95 %, Welch); {within} within {tested['margin']:g} "
        f"(p {equal:.1g})",
    )


@check
def findings_on_size(result_set: ResultSet) -> LabelledValue:
    """Data sets with no significant difference in accuracy and small models ahead by PePR-E."""
    need_arms(result_set, DATASETS)
    found = []
    for dataset in DATASETS:
        accuracy, score = (
            tested_fields(result_set, name=f"size-{performance}-{dataset}")
            for performance in ("accuracy", "pepr_e")
        )
        ahead = score["p_student"] < significance.USUAL and score["difference"] > 0
        if accuracy["p_student"] >= significance.USUAL and ahead:
            found.append(dataset)
    return LabelledValue(len(found), f"{len(found)} ({', '.join(found) or 'none'})")
