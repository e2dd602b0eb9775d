"""Result of one comparison: every test, interval and control, and the conclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pepr_utils.statistics.comparisons import USUAL, Comparison

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
