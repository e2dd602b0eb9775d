"""Checks of "no difference" and of "the same everywhere": a large p alone says neither."""

from __future__ import annotations

from typing import Any

from pepr_utils.errors import NotAvailableError
from pepr_utils.reporting import significance
from pepr_utils.reporting.claims.checks.differences import NAMES, p_value
from pepr_utils.reporting.claims.checks.shared import DATASETS, arm
from pepr_utils.reporting.claims.compare import Told
from pepr_utils.reporting.claims.registry import check
from pepr_utils.results import ResultSet
from pepr_utils.results.audit.remembered import remembered


@remembered
def _tested(result_set: ResultSet, *, name: str) -> dict[str, Any]:
    """Fields of the tested comparison on the paper's three data sets; hardly any is resampled."""
    for dataset in DATASETS:
        arm(result_set, dataset)
    return vars(significance.test(result_set, name, n_resamples=2))


def no_difference(result_set: ResultSet, name: str) -> Told:
    """*p* of a comparison by Student's test, with its interval and what equivalence says."""
    tested, p = _tested(result_set, name=name), p_value(result_set, name, "student")
    if not p >= 0:
        raise NotAvailableError(f"values with a spread for {name}")
    equal = tested["p_equivalence"]
    within = "equivalent" if equal < significance.USUAL else "not decided"
    return Told(
        p,
        f"p {p:.2g} ({NAMES['student']}); difference {tested['t_low']:.3f} to "
        f"{tested['t_high']:.3f} (95 %, Welch); {within} within {tested['margin']:g} "
        f"(p {equal:.1g})",
    )


for _factor in ("size", "type", "efficient"):
    check(f"no-difference/{_factor}-accuracy-average", f"{_factor}-accuracy-average")(no_difference)


@check("significant/findings-on-size")
def findings_on_size(result_set: ResultSet) -> Told:
    """Data sets with no significant difference in accuracy and small models ahead by PePR-E."""
    found = []
    for dataset in DATASETS:
        accuracy, score = (
            _tested(result_set, name=f"size-{performance}-{dataset}")
            for performance in ("accuracy", "pepr_e")
        )
        ahead = score["p_student"] < significance.USUAL and score["difference"] > 0
        if accuracy["p_student"] >= significance.USUAL and ahead:
            found.append(dataset)
    return Told(len(found), f"{len(found)} ({', '.join(found) or 'none'})")
