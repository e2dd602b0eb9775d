"""Checks of "no difference" and of "the same everywhere": a large p alone says neither."""

from __future__ import annotations

from paper.checks.differences import TESTS, p_of, tested_fields
from paper.checks.shared import DATASETS, need_arms
from pepr_utils import statistics as significance
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet


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
