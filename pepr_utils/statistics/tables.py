"""Tables of the tests: the primary family, effects of choices, equivalence, the controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pepr_utils.results import ResultSet
from pepr_utils.scoring.uncertainty import FEWEST_RESAMPLES
from pepr_utils.statistics.comparisons import (
    ARMS,
    AVERAGE,
    AVERAGE_RELEASED,
    GROUPS,
    PERFORMANCES,
    USUAL,
    Comparison,
)
from pepr_utils.statistics.multiple_testing import primary_family, try_test
from pepr_utils.statistics.testing import Tested

All = Mapping[str, Tested | None]
_HIGHER = {"first higher": "{} higher", "second higher": "{} higher", "no difference": "none"}


def format_p(p: float | None) -> str:
    """Write a *p* as tables do.

    Examples
    --------
    >>> format_p(0.0004), format_p(0.0317), format_p(float("nan"))
    ('< 0.001', '0.032', 'n/a')
    """
    if p is None or np.isnan(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def finding(comparison: Comparison, conclusion: str) -> str:
    """Name the group that is higher by a conclusion of `Tested`, or ``none``."""
    first, second = comparison.groups
    return _HIGHER[conclusion].format(first if conclusion == "first higher" else second)


def interval(low: float, high: float) -> str:
    """Write an interval of differences.

    Examples
    --------
    >>> interval(-0.0123, 0.2)
    '-0.012 to 0.200'
    """
    return "n/a" if np.isnan(low) or np.isnan(high) else f"{low:z.3f} to {high:z.3f}"


def distinct(tested: All) -> list[str]:
    """Names of the tests that are available, without those on the same values as an earlier one.

    Where a set has one data set, its mean over data sets is the same comparison again.
    """
    seen, names = set(), []
    for name, one in tested.items():
        if one is None:
            continue
        factor, performance = one.comparison.factor, one.comparison.performance
        key = (factor, performance, one.n_a, one.n_b, one.mean_a, one.mean_b, one.p)
        if key not in seen:
            names.append(name)
        seen.add(key)
    return names


def family_table(result_set: ResultSet, tested: All) -> pd.DataFrame:
    """The primary family by factor, with raw and adjusted p-values and the conclusions."""
    table = primary_family(result_set, dict(tested))
    rows = []
    for row in table.to_dict("records"):
        one = tested.get(row["name"])
        comparison = Comparison(row["factor"], row["performance"], row["scope"])
        found = row["conclusion"]
        rows.append(
            {
                "factor": " against ".join(comparison.groups),
                "performance": PERFORMANCES[row["performance"]],
                "on": "mean" if row["scope"] == AVERAGE else row["scope"],
                "test": row["test"],
                "n": "–" if one is None else f"{one.n_a}, {one.n_b}",
                "difference": row["difference"],
                "95 % interval": "–"
                if one is None
                else interval(one.difference_low, one.difference_high),
                "g": np.nan if one is None else one.effect,
                "p": format_p(row["p"]),
                "p, Holm": format_p(row["p_holm"]),
                "higher": found if one is None else finding(comparison, found),
                "P = 1": np.nan
                if one is None or one.control_difference is None
                else one.control_difference,
                "above majority": "–" if one is None else _above(one),
            }
        )
    return pd.DataFrame(rows)


def by_reading(
    sets: Mapping[str, ResultSet], tested: All | None = None, **options: object
) -> pd.DataFrame:
    """The primary family under several readings of a set's copied values.

    Parameters
    ----------
    sets : mapping
        Result sets by the label of their reading, the one as published first.
    tested : mapping, optional
        What `all_tests` returned for the first, if it was computed before.
    **options
        As for `test`.

    Returns
    -------
    pandas.DataFrame
        factor, performance, on, the adjusted *p* under each reading with its conclusion, and
        ``changes`` where that is not the same under all.
    """
    options = {"n_resamples": FEWEST_RESAMPLES} | options  # no interval is shown
    given = [None if tested is None else dict(tested), *[None] * (len(sets) - 1)]
    each = {
        reading: primary_family(one, known, **options)
        for (reading, one), known in zip(sets.items(), given, strict=True)
    }
    rows = []
    for i, row in enumerate(next(iter(each.values())).to_dict("records")):
        comparison = Comparison(row["factor"], row["performance"], row["scope"])
        shown = {
            "factor": " against ".join(comparison.groups),
            "performance": PERFORMANCES[comparison.performance],
            "on": _where(comparison),
        }
        found = {reading: str(table["conclusion"].iloc[i]) for reading, table in each.items()}
        for reading, conclusion in found.items():
            higher = (
                "" if conclusion == "not available" else f" ({finding(comparison, conclusion)})"
            )
            shown[reading] = f"{format_p(each[reading]['p_holm'].iloc[i])}{higher}"
        rows.append(shown | {"changes": "changes" if len(set(found.values())) > 1 else ""})
    return pd.DataFrame(rows)


def choices(
    result_set: ResultSet, tested: All, names: Iterable[str], **options: object
) -> pd.DataFrame:
    """Each comparison under every test, under other labels, and by resampled families.

    Returns
    -------
    pandas.DataFrame
        factor, performance, on, a *p* per choice (text), the bootstrap's interval, the finding of
        the declared test and ``changes``: the choices under which another group, or none, is
        found higher at 0.05, without adjustment.
    """
    options = {"n_resamples": FEWEST_RESAMPLES} | options  # of other labels, only p is shown
    rows = []
    for name in names:
        one = tested.get(name)
        if one is None:
            continue
        comparison = one.comparison
        p = dict(one.tests)
        declared, *others = p
        found = {test: one.conclusion(p[test]) for test in others}
        if not comparison.paired:
            other = try_test(result_set, name, labels="alternative", **options)
            p["other labels"] = np.nan if other is None else other.p
            if other is not None:
                found["other labels"] = other.conclusion()
        found["families"] = _by_interval(one)
        changes = [choice for choice, what in found.items() if what != one.conclusion()]
        rows.append(
            {
                "factor": " against ".join(comparison.groups),
                "performance": PERFORMANCES[comparison.performance],
                "on": _where(comparison),
                "declared": f"{format_p(p[declared])}",
                "Student": format_p(p["Student"]),
                "Mann-Whitney": format_p(p["Mann-Whitney"]),
                "other labels": format_p(p.get("other labels", np.nan)),
                "families": interval(one.difference_low, one.difference_high),
                "higher": finding(comparison, one.conclusion()),
                "changes under": ", ".join(changes) or "nothing",
            }
        )
    return _table(rows, "performance", "on", "declared", "higher", "changes under")


def _by_interval(one: Tested) -> str:
    if one.difference_low > 0:
        return "first higher"
    return "second higher" if one.difference_high < 0 else "no difference"


def _where(comparison: Comparison) -> str:
    return {AVERAGE: "mean", AVERAGE_RELEASED: "mean of all"}.get(
        comparison.scope, comparison.scope
    )


def averaging(tested: All) -> pd.DataFrame:
    """The averaged comparisons over the experiments as stated and over all of them.

    Returns
    -------
    pandas.DataFrame
        factor, performance, and for both averages the medians, the difference of the means, the
        declared *p* and the finding; ``changes`` is yes where the findings differ.
    """
    rows = []
    for factor in (f for f in GROUPS if f not in ARMS):
        for performance, label in PERFORMANCES.items():
            stated, every = (
                tested.get(Comparison(factor, performance, scope).name)
                for scope in (AVERAGE, AVERAGE_RELEASED)
            )
            if stated is None or every is None:
                continue
            row = {"factor": " against ".join(GROUPS[factor]), "performance": label}
            for one, of in ((stated, "stated"), (every, "all")):
                row |= {
                    f"medians, {of}": f"{one.median_a:.4f}, {one.median_b:.4f}",
                    f"difference, {of}": one.difference,
                    f"p, {of}": format_p(one.p),
                    f"higher, {of}": finding(one.comparison, one.conclusion()),
                }
            same = stated.conclusion() == every.conclusion()
            rows.append(row | {"changes": "" if same else "changes"})
    return _table(rows, "performance", "changes")


def equivalence_table(tested: All, names: Iterable[str]) -> pd.DataFrame:
    """Intervals of the difference and the equivalence test, for each comparison of a set."""
    rows = []
    for one in (tested.get(name) for name in names):
        if one is None:
            continue
        rows.append(
            {
                "factor": " against ".join(one.comparison.groups),
                "performance": PERFORMANCES[one.comparison.performance],
                "on": _where(one.comparison),
                "difference": one.difference,
                "95 % interval, t": interval(one.t_low, one.t_high),
                "90 % interval, families": interval(one.equivalence_low, one.equivalence_high),
                "p, different": format_p(one.p),
                f"p, within {one.margin:g}": format_p(one.p_equivalence),
                "verdict": verdict(one),
                "by families": "within" if one.equivalent_by_families else "not within",
            }
        )
    return _table(rows, "performance", "on", "difference", "verdict", "by families")


def verdict(one: Tested) -> str:
    """Answer by both tests: whether there is a difference, and whether it can be a large one."""
    if one.p < USUAL:
        small = f", by less than {one.margin:g}" if one.equivalent else ""
        return f"{finding(one.comparison, one.conclusion())}{small}"
    return f"equal within {one.margin:g}" if one.equivalent else "not decided"


def control_table(tested: All, names: Iterable[str]) -> pd.DataFrame:
    """For comparisons of scores: the same with P = 1 for all, and the majority class."""
    rows = []
    for one in (tested.get(name) for name in names):
        if one is None or one.comparison.performance != "pepr_e":
            continue
        significant = one.p < USUAL  # of any other difference, a share means nothing
        rows.append(
            {
                "factor": " against ".join(one.comparison.groups),
                "on": _where(one.comparison),
                "difference, PePR-E": one.difference,
                "p": format_p(one.p),
                "difference, P = 1": one.control_difference,
                "p, P = 1": format_p(one.p_control),
                "share of cost": one.cost_share if significant else np.nan,
                "majority class": one.majority,
                "above it": _above(one),
            }
        )
    return _table(rows, "on", "difference, PePR-E", "majority class", "above it")


def _above(one: Tested) -> str:
    """How many models of each group are above the majority class, where it is known."""
    if one.above_a is None:
        return "–"
    return f"{one.above_a} of {one.n_a}, {one.above_b} of {one.n_b}"


def _table(rows: list[dict], *columns: str) -> pd.DataFrame:
    """Make a table of rows; without any, an empty one with the first columns."""
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["factor", *columns])
