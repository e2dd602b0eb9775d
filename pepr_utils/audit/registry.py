"""The one list of checks, and the audit that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pepr_utils.audit.finding import SEVERITIES, Finding
from pepr_utils.errors import InvalidTableError, unknown_name
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.tables import columns

Check = Callable[[ResultSet], list[Finding]]

#: Every check by name, in the order in which their modules register them.
CHECKS: dict[str, Check] = {}

_NEEDED = ("run_id", "experiment", "status", "architecture", "dataset", "test_accuracy")


def check(name: str) -> Callable[[Callable[[ResultSet], Iterable[Finding]]], Check]:
    """Register a function that yields findings under its name."""

    def register(function: Callable[[ResultSet], Iterable[Finding]]) -> Check:
        def run(result_set: ResultSet) -> list[Finding]:
            return list(function(result_set))

        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        CHECKS[name] = run
        return run

    return register


def audit(result_set: ResultSet, checks: Iterable[str] | None = None) -> list[Finding]:
    """Run the checks on a result set and return what they find, errors first.

    Parameters
    ----------
    result_set : ResultSet
        Any set, as `load_result_set` gives it. Failed runs are left out.
    checks : iterable of str, optional
        Names from `CHECKS`; all by default.

    Returns
    -------
    list of Finding
        Empty for a set in which nothing was found. The order of the rows does not matter.

    Raises
    ------
    InvalidTableError
        If the set has no finished run or is not a result set.
    UnknownNameError
        If there is no such check.

    Examples
    --------
    >>> from pepr_utils.results import load_result_set
    >>> findings = audit(load_result_set("published"), ["repeated-rows"])
    >>> findings[0].severity, len(findings[0].rows)
    ('error', 12)
    """
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    absent = [name for name in _NEEDED if name not in result_set.runs]
    if absent:
        raise InvalidTableError(
            f"{result_set.name}: no column {absent[0]!r}; load the set with load_result_set, "
            "which adds what is absent"
        )
    if result_set.finished.empty:
        raise InvalidTableError(f"{result_set.name}: no finished run; nothing to audit")
    # Checks know the columns of the dictionary only; a table may have thousands of others.
    known = [name for name in columns("runs") if name in result_set.runs]
    result_set = replace(result_set, runs=result_set.runs[known])
    found = [finding for name in names for finding in CHECKS[name](result_set)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
