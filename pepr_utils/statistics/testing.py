"""One comparison tested: every test, the effect and its interval, equivalence, and the controls."""

# ruff: noqa: PT028 (`test` is the verb of this package, not a test of it)

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln

from pepr_utils.results import ResultSet
from pepr_utils.scoring import beats_majority
from pepr_utils.statistics.comparisons import MARGIN, USUAL, Comparison
from pepr_utils.statistics.resampling import (
    ROUNDING,
    family_weights,
    percentiles,
    weighted_mean,
    weighted_median,
    weighted_variance,
)
from pepr_utils.statistics.samples import Labels, find, groups

N_RESAMPLES = 5000
LEVEL = 0.95
#: Up to this many values, ties among them, a rank test counts every arrangement.
_FEW = 12
NAN = float("nan")


@dataclass(frozen=True)
class Tested:
    """Result of comparing a first group (a) with a second one (b).

    Differences are a minus b, in units of accuracy or score. Intervals are 95 % percentile
    intervals of a bootstrap that draws families of architectures; ``t_low`` and ``t_high`` are the
    declared *t*-test's own interval, which counts every model as independent. What does not apply
    or is not known is NaN or None: of values without spread no *t*-test, of one family no
    bootstrap, and of two pairs no effect size is defined.

    Attributes
    ----------
    comparison : Comparison
        What was compared.
    n_a, n_b, n_families : int
        Models in each group, and the families that they are of.
    mean_a, mean_b, median_a, median_b : float
        Of both groups.
    difference, difference_low, difference_high : float
        Of the means.
    median_difference, median_difference_low, median_difference_high : float
        Of the medians.
    t_low, t_high : float
        95 % interval of the difference of the means by the declared test.
    p_student, p_welch, p_mann_whitney : float
        Two-sided, the groups taken as independent.
    p_paired, p_wilcoxon : float or None
        Paired *t*-test and signed-rank test; None where groups are not paired.
    effect, effect_low, effect_high : float
        Hedges's g: the difference over the pooled standard deviation; of pairs, over the root
        mean square of both groups' standard deviations. Corrected for small samples.
    margin, p_equivalence : float
        Two one-sided tests (of the declared kind) of a difference as large as the margin.
    equivalence_low, equivalence_high : float
        90 % bootstrap interval of the difference of the means.
    control_difference, p_control : float or None
        Difference and declared test of cost alone (the score with P = 1 for all); None for
        accuracies.
    cost_share : float or None
        Share of the mean difference of the logarithm of the score that is due to cost: as the
        score is P times cost alone, its logarithm is a sum. Above 1 where accuracy works the
        other way; NaN for a set with a score of 0.
    majority : float
        Score, which is also the accuracy, of the majority class.
    above_a, above_b : int or None
        Models above it; None where it is not known.
    """

    __test__: ClassVar[bool] = False  # pytest would take it for a class of tests

    comparison: Comparison
    n_a: int
    n_b: int
    n_families: int
    mean_a: float
    mean_b: float
    median_a: float
    median_b: float
    difference: float
    difference_low: float
    difference_high: float
    median_difference: float
    median_difference_low: float
    median_difference_high: float
    t_low: float
    t_high: float
    p_student: float
    p_welch: float
    p_mann_whitney: float
    p_paired: float | None
    p_wilcoxon: float | None
    effect: float
    effect_low: float
    effect_high: float
    margin: float
    p_equivalence: float
    equivalence_low: float
    equivalence_high: float
    control_difference: float | None
    p_control: float | None
    cost_share: float | None
    majority: float
    above_a: int | None
    above_b: int | None

    @property
    def p(self) -> float:
        """*p* of the declared test: paired where there are pairs, else Welch's."""
        return self.p_welch if self.p_paired is None else self.p_paired

    @property
    def equivalent(self) -> bool:
        """Whether the equivalence test rules out a difference as large as the margin."""
        return bool(self.p_equivalence < USUAL)

    @property
    def equivalent_by_families(self) -> bool:
        """Whether the 90 % bootstrap interval of the difference lies within the margins."""
        return bool(-self.margin < self.equivalence_low and self.equivalence_high < self.margin)

    @property
    def tests(self) -> dict[str, float]:
        """Every *p* by the test's name, the declared one first."""
        unpaired = {
            "Welch": self.p_welch,
            "Student": self.p_student,
            "Mann-Whitney": self.p_mann_whitney,
        }
        if self.p_paired is None:
            return unpaired
        return {
            "paired t": self.p_paired,
            "Wilcoxon": NAN if self.p_wilcoxon is None else self.p_wilcoxon,
            **unpaired,
        }

    def conclusion(self, p: float | None = None, level: float = USUAL) -> str:
        """First or second group higher, or no significant difference, by a *p* at a level."""
        p = self.p if p is None else p
        if not p < level:
            return "no difference"
        return "first higher" if self.difference > 0 else "second higher"


def test(
    result_set: ResultSet,
    name: str | Comparison,
    *,
    labels: Labels = "released",
    margin: float = MARGIN,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    alpha: float = 1.0,
) -> Tested:
    """Test one declared comparison on a result set.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    name : str or Comparison
        Name of a declared comparison, such as ``"size-pepr_e-lidc"``.
    labels : {"released", "alternative"}
        Whose labels put a model into a group; see `LABELS`.
    margin : float, default 0.02
        Largest difference in accuracy or score that counts as none, above 0.
    n_resamples : int, default 5000
        Resamples of the bootstrap.
    seed : int, default 0
        Its seed; the same seed gives the same intervals.
    alpha : float, default 1.0
        Emphasis on performance of the score, at least 1.

    Returns
    -------
    Tested
        Every test, interval and control.

    Raises
    ------
    UnknownNameError
        If there is no such comparison.
    NotAvailableError
        If the set does not have its runs.
    """
    comparison = find(result_set, name)
    samples = groups(result_set, comparison, labels=labels, alpha=alpha)
    found = compare_samples(samples, comparison, margin=margin, n_resamples=n_resamples, seed=seed)
    return Tested(comparison=comparison, **found)


test.__test__ = False  # pytest would collect it where a test imports it


def compare_samples(
    samples: pd.DataFrame,
    comparison: Comparison,
    *,
    margin: float = MARGIN,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute every field of `Tested` from the two samples that `groups` returns."""
    first, second = (
        samples[samples["group"] == group].sort_values("architecture")
        for group in comparison.groups
    )
    a, b = first["value"].to_numpy(float), second["value"].to_numpy(float)
    paired = comparison.paired
    with warnings.catch_warnings():  # of values that hardly differ
        warnings.simplefilter("ignore", RuntimeWarning)
        tested = _tests(a, b, paired)
        tested["p_equivalence"] = equivalence(a, b, margin, paired=paired)
        control = _control(first, second, paired)
    return (
        {
            "n_a": a.size,
            "n_b": b.size,
            "n_families": int(samples["family"].nunique()),
            "mean_a": a.mean(),
            "mean_b": b.mean(),
            "median_a": float(np.median(a)),
            "median_b": float(np.median(b)),
            "difference": a.mean() - b.mean(),
            "median_difference": float(np.median(a) - np.median(b)),
            "effect": float(
                _hedges(a.mean() - b.mean(), a.var(ddof=1), b.var(ddof=1), a.size, b.size, paired)
            ),
            "margin": margin,
        }
        | tested
        | _intervals(samples, comparison, n_resamples, seed)
        | control
        | _majority(first, second)
    )


def _tests(a: np.ndarray, b: np.ndarray, paired: bool) -> dict[str, float | None]:
    declared = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b, equal_var=False)
    interval = declared.confidence_interval(LEVEL)
    spread, spread_unpaired = _spread(a, b, paired), _spread(a, b, paired=False)
    return {
        "p_student": float(stats.ttest_ind(a, b).pvalue) if spread_unpaired else NAN,
        "p_welch": float(stats.ttest_ind(a, b, equal_var=False).pvalue) if spread_unpaired else NAN,
        "p_mann_whitney": _rank_sum(a, b),
        "p_paired": (float(declared.pvalue) if spread else NAN) if paired else None,
        "p_wilcoxon": _signed_rank(a - b) if paired else None,
        "t_low": float(interval.low) if spread else NAN,
        "t_high": float(interval.high) if spread else NAN,
    }


def paired_tests(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    """Test whether pairs of values differ in the mean.

    Parameters
    ----------
    a, b : numpy.ndarray, shape (n,)
        Values of the same models.

    Returns
    -------
    dict of str to float
        ``difference`` of the means (a minus b), its 95 % interval by the paired *t*-test
        (``t_low``, ``t_high``), ``p_paired`` and ``p_wilcoxon`` (signed ranks); NaN where the
        differences have no spread.

    Examples
    --------
    >>> found = paired_tests(np.array([0.8, 0.9, 0.7]), np.array([0.7, 0.8, 0.65]))
    >>> round(found["difference"], 3), found["p_paired"] < 0.05
    (0.083, True)
    """
    with warnings.catch_warnings():  # of values that hardly differ
        warnings.simplefilter("ignore", RuntimeWarning)
        found = _tests(a, b, paired=True) if a.size > 1 else {}
    kept = {name: found.get(name, NAN) for name in ("t_low", "t_high", "p_paired", "p_wilcoxon")}
    return {"difference": float(a.mean() - b.mean()), **kept}


def _spread(a: np.ndarray, b: np.ndarray, paired: bool) -> bool:
    """Whether a *t*-test has a spread to divide by; without one it would give 0, 1 or anything."""
    parts = (a - b,) if paired else (a, b)
    return bool(max(np.ptp(part) for part in parts) > ROUNDING)


def _rank_sum(a: np.ndarray, b: np.ndarray) -> float:
    """*p* of Mann and Whitney; with ties SciPy approximates it, however few the values."""
    both = np.concatenate([a, b])
    tied_few = both.size <= _FEW and np.unique(both).size < both.size
    method = stats.PermutationMethod() if tied_few else "auto"
    return float(stats.mannwhitneyu(a, b, alternative="two-sided", method=method).pvalue)


def _signed_rank(differences: np.ndarray) -> float:
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def equivalence(a: np.ndarray, b: np.ndarray, margin: float, *, paired: bool) -> float:
    """*p* of two one-sided *t*-tests that the difference of the means is as large as a margin.

    Below 0.05 it is smaller, in either direction; the same as a 90 % interval that
    lies within the margins. NaN of values without spread.

    Examples
    --------
    >>> a = np.array([0.80, 0.81, 0.79, 0.80])
    >>> bool(equivalence(a, a + 0.001, 0.02, paired=False) < 0.05)
    True
    """
    if not _spread(a, b, paired):
        return NAN
    if paired:
        d = a - b
        low = stats.ttest_1samp(d, -margin, alternative="greater").pvalue
        high = stats.ttest_1samp(d, margin, alternative="less").pvalue
    else:
        low = stats.ttest_ind(a + margin, b, equal_var=False, alternative="greater").pvalue
        high = stats.ttest_ind(a - margin, b, equal_var=False, alternative="less").pvalue
    return float(max(low, high))


def _hedges(difference, var_a, var_b, n_a, n_b, paired: bool):
    """Hedges's g of numbers or arrays; NaN without spread, or of two pairs.

    At one degree of freedom the correction is 0, whatever the difference.
    """
    if paired:
        variance, freedom = (var_a + var_b) / 2, n_a - 1
    else:
        freedom = n_a + n_b - 2
        variance = ((n_a - 1) * var_a + (n_b - 1) * var_b) / freedom
    correction = np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) * np.sqrt(2 / freedom)
    spread = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (spread > ROUNDING) & (np.asarray(freedom) > 1)
        return np.where(known, correction * difference / spread, np.nan)


def _intervals(
    samples: pd.DataFrame, comparison: Comparison, n_resamples: int, seed: int
) -> dict[str, float]:
    """Percentile intervals over resampled families."""
    weights = family_weights(list(samples["family"]), n_resamples, seed)
    values = samples["value"].to_numpy(float)
    sides = []
    for group in comparison.groups:
        member = (samples["group"] == group).to_numpy()
        w, v = weights[:, member], values[member]
        sides.append(
            (weighted_mean(v, w), weighted_variance(v, w), weighted_median(v, w), w.sum(axis=1))
        )
    (mean_a, var_a, median_a, n_a), (mean_b, var_b, median_b, n_b) = sides
    enough = (n_a > 1) & (n_b > 1)
    difference = mean_a - mean_b
    effect = np.full(n_resamples, np.nan)
    effect[enough] = _hedges(
        difference[enough], var_a[enough], var_b[enough], n_a[enough], n_b[enough],
        comparison.paired,
    )  # fmt: skip
    found = {}
    for name, draws, level in (
        ("difference", difference, LEVEL),
        ("median_difference", median_a - median_b, LEVEL),
        ("effect", effect, LEVEL),
        ("equivalence", difference, 1 - 2 * USUAL),
    ):
        found[f"{name}_low"], found[f"{name}_high"] = percentiles(draws, level)
    return found


def _control(first: pd.DataFrame, second: pd.DataFrame, paired: bool) -> dict[str, float | None]:
    """The same comparison with P = 1 for all; nothing where no cost is in the values."""
    a, b = (part["cost_alone"].to_numpy(float) for part in (first, second))
    if np.isnan(a).all():
        return {"control_difference": None, "p_control": None, "cost_share": None}
    of_score, of_cost = (
        first[column].mean(skipna=False) - second[column].mean(skipna=False)
        for column in ("log_value", "log_cost_alone")
    )
    tested = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b, equal_var=False)
    return {
        "control_difference": a.mean() - b.mean(),
        "p_control": float(tested.pvalue) if _spread(a, b, paired) else NAN,
        "cost_share": of_cost / of_score if of_score else NAN,
    }


def _majority(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float | int | None]:
    shares = pd.concat([first["majority"], second["majority"]])
    share = float(shares.iloc[0])
    if shares.isna().any() or shares.nunique() != 1:
        return {"majority": NAN, "above_a": None, "above_b": None}
    above = [
        int(np.sum(beats_majority(part["value"].to_numpy(float), share)))
        for part in (first, second)
    ]
    return {"majority": share, "above_a": above[0], "above_b": above[1]}
