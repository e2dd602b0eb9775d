"""What section 2 of the paper says of the score and its curve, each tried: proof or counterexample.

A statement is a function that evaluates its evidence on the example curves or by SymPy, and
returns whether it holds, under what condition, and the evidence in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pepr_utils.scoring import (
    integral_representation,
    pepr,
    pepr_curve,
    pepr_optimum,
    prove_integral_representation,
)

if TYPE_CHECKING:
    import sympy

#: Resources at which the shape of a curve is examined.
GRID = np.linspace(0.0, 1.0, 301)
_FLAT = 1e-12


@dataclass(frozen=True)
class ExampleCurve:
    """A performance curve on [0, 1], given by a formula in ``r``.

    Attributes
    ----------
    name : str
        What it is like.
    formula : str
        Performance as a SymPy expression in ``r``.
    kinks : tuple of float
        Where the slope jumps.
    """

    name: str
    formula: str
    kinks: tuple[float, ...] = ()

    @cached_property
    def expression(self) -> sympy.Expr:
        """The formula as a SymPy expression."""
        import sympy

        return sympy.sympify(self.formula, rational=True)

    @cached_property
    def performance(self) -> Callable[[float], float]:
        """The curve f as a function of the resource."""
        return self._function(self.expression)

    @cached_property
    def slope(self) -> Callable[[float], float]:
        """Its derivative f', taken symbolically."""
        import sympy

        return self._function(sympy.diff(self.expression, sympy.Symbol("r")))

    @property
    def increasing(self) -> bool:
        """Whether it never falls."""
        return bool((np.diff([self.performance(r) for r in GRID]) >= -_FLAT).all())

    @property
    def concave(self) -> bool:
        """Whether its slope never rises."""
        return bool((np.diff([self.performance(r) for r in GRID], n=2) <= _FLAT).all())

    @staticmethod
    def _function(expression: sympy.Expr) -> Callable[[float], float]:
        import sympy

        compiled = sympy.lambdify(sympy.Symbol("r"), expression, modules="math")
        return lambda r: float(compiled(r))


#: Thirteen curves: constant, straight, concave, S-shaped, with steps, falling, oscillating, kinked.
CURVES = (
    ExampleCurve("constant", "7/10"),
    ExampleCurve("slow riser", "7/10 + r/10"),
    ExampleCurve("straight", "3/10 + 6*r/10"),
    ExampleCurve("saturating", "9/10 - 6*exp(-6*r)/10"),
    ExampleCurve("power law", "1 - 1/(1 + 25*r)**(3/5)"),
    ExampleCurve("hyperbola", "1/10 + 8*r/(10*r + 1)"),
    ExampleCurve("square root", "9*sqrt(r)/10"),
    ExampleCurve("late riser", "1/(1 + exp(-16*(r - 6/10)))"),
    ExampleCurve(
        "two steps", "1/10 + 9/20/(1 + exp(-60*(r - 1/10))) + 9/20/(1 + exp(-60*(r - 1/2)))"
    ),
    ExampleCurve("peak, then overfitting", "2/5 + 2*r*exp(1 - 5*r)"),
    ExampleCurve("dip, then recovery", "9/10 - 16*r*(1 - r)/5"),
    ExampleCurve("oscillating", "1/2 + 3*sin(20*r)/10"),
    ExampleCurve("kinked", "Piecewise((1/5 + 3*r/2, r < 2/5), (4/5, True))", kinks=(0.4,)),
)

HOLDS, CONDITION, FAILS = "holds", "holds under a condition", "does not hold"
#: Differences below this are rounding, not a change of the score.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """Outcome of a statement, with its reason.

    Attributes
    ----------
    outcome : str
        `HOLDS`, `CONDITION` or `FAILS`.
    reason : str
        Proof, condition or counterexample, with the values that were found.
    """

    outcome: str
    reason: str


@dataclass(frozen=True)
class Statement:
    """A statement of section 2, in our words, and the function that tries it."""

    name: str
    words: str
    check: Callable[[], Finding]


def table() -> pd.DataFrame:
    """Try every statement.

    Returns
    -------
    pandas.DataFrame
        Columns statement, outcome, why; one row per statement.
    """
    found = [(statement, statement.check()) for statement in STATEMENTS]
    return pd.DataFrame(
        {
            "statement": [s.words for s, _ in found],
            "outcome": [f.outcome for _, f in found],
            "why": [f.reason for _, f in found],
        }
    )


def curve_named(name: str) -> ExampleCurve:
    """The example curve of that name."""
    return next(curve for curve in CURVES if curve.name == name)


def check_identity() -> Finding:
    """The integral representation equals the score."""
    proof = prove_integral_representation()
    worst = max(_identity_error(curve) for curve in CURVES)
    # A step from 0.2 to 0.8 has slope 0 wherever it has one: the gain misses the jump.
    step = integral_representation(
        lambda r: 0.2 if r < 0.5 else 0.8, 1.0, derivative=lambda _: 0.0, points=[0.5]
    )
    return Finding(
        HOLDS if proof.holds and worst < _ROUNDING else FAILS,
        "Both sides start equal and have the same derivative (SymPy: the difference of the "
        f"derivatives is {proof.slope_difference}). On {len(CURVES)} example curves they differ by "
        f"at most {worst:.0e}. It supposes that f is the integral of its slope: for a step from "
        f"0.2 to 0.8 the score at R = 1 is {pepr(0.8, 1.0):.2f}, and the integrals give "
        f"{step.pepr:.2f}.",
    )


def check_weights() -> Finding:
    """Both integrals weigh low resources more."""
    falls = all((np.diff(w) < 0).all() for w in (1 / (1 + GRID), 1 / (1 + GRID) ** 2))
    return Finding(
        HOLDS if falls else FAILS,
        "The weights 1/(1+r) and 1/(1+r)² fall from 1 to 1/2 and to 1/4.",
    )


def check_positive_integrals() -> Finding:
    """Both integrals are positive."""
    signs = {
        curve.name: integral_representation(
            curve.performance, 1.0, derivative=curve.slope, points=curve.kinks
        )
        for curve in CURVES
    }
    negative = [name for name, terms in signs.items() if terms.gain < -_ROUNDING]
    rising = [c.name for c in CURVES if c.increasing and signs[c.name].gain < -_ROUNDING]
    penalties = min(terms.penalty for terms in signs.values())
    return Finding(
        CONDITION if negative and not rising and penalties > 0 else FAILS,
        "The second is, wherever f is. The first is not negative if f never falls, and is 0 for a "
        f"constant; it is negative for: {', '.join(negative)} "
        f"({signs[negative[0]].gain:.2f} for the first of these).",
    )


def check_never_below_start() -> Finding:
    """The score is at least the performance at zero resource."""
    worse = [c for c in CURVES if c.increasing and pepr_curve(c.performance, 1.0) < _start(c)]
    example = curve_named("slow riser")
    of_maximum = "It does hold" if maximum_above_start() else "Nor does it hold"
    return Finding(
        FAILS if worse else HOLDS,
        "The second integral is positive but subtracted. The score is at least f(0) exactly where "
        f"f(R) ≥ (1 + R) f(0). Counterexample, with f increasing: f = {example.expression} has "
        f"f(0) = {_start(example):.2f} and the score {pepr_curve(example.performance, 1.0):.2f} at "
        f"R = 1. {of_maximum} of the curve's maximum, which is taken over R = 0 as well.",
    )


def maximum_above_start() -> bool:
    """Whether the maximum of each example's PePR curve is at least f(0)."""
    return all(pepr_optimum(c.performance).pepr >= _start(c) - _ROUNDING for c in CURVES)


def check_rises() -> Finding:
    """The score rises wherever f' > 1."""
    broken = [c.name for c in CURVES if (_changes(c)[_lowest_slopes(c) > 1] < -_ROUNDING).any()]
    return Finding(
        FAILS if broken else HOLDS,
        "The score rises exactly where f' > f / (1 + r), and f / (1 + r) ≤ 1 since f ≤ 1. This "
        "needs no increasing f.",
    )


def check_falls() -> Finding:
    """The score falls wherever f' < f(0)/2."""
    broken = [c for c in CURVES if _rises_though_flat(c).any()]
    increasing = [c.name for c in broken if c.increasing]
    example = curve_named("dip, then recovery")
    at = GRID[:-1][_rises_though_flat(example)]
    r = float(at[len(at) // 2])
    return Finding(
        FAILS if increasing else HOLDS,
        "If f increases, f / (1 + r) ≥ f(0) / 2 and the score falls where f' is less. The "
        "assumption, which the paper makes, is needed; measured curves do not keep it. Without it, "
        f"f = {example.expression} has f(0)/2 = {_start(example) / 2:.2f}; at r = {r:.2f} its "
        f"slope is {example.slope(r):.2f} and the score rises.",
    )


def check_footnote_bounds() -> Finding:
    """Footnote 5: f(0)/2 <= f(r)/(1+r) <= 1, called a bound of the second integrand."""
    meant = bounds_hold_as_printed()
    literal = [c for c in _increasing() if not _within(_values(c) / (1 + GRID) ** 2, _start(c) / 2)]
    example = curve_named("constant")
    return Finding(
        FAILS if not meant else CONDITION if literal else HOLDS,
        "The printed formula holds if f increases, and it is what the two statements above need. "
        "It bounds f(r)/(1+r). The second integrand is f(r)/(1+r)², for which the lower bound is "
        "f(0)/4: the "
        f"constant f = {_start(example):.2f} has {example.performance(1.0) / 4:.3f} there at "
        f"r = 1, less than f(0)/2 = {_start(example) / 2:.2f}.",
    )


def bounds_hold_as_printed() -> bool:
    """Whether f(0)/2 <= f(r)/(1+r) <= 1 on every increasing example curve."""
    return all(_within(f / (1 + GRID), f[0] / 2) for f in map(_values, _increasing()))


def check_maxima() -> Finding:
    """Maxima of the score lie at points of diminishing returns."""
    inner = []
    for curve in (c for c in _increasing() if not c.kinks):
        best = pepr_optimum(curve.performance)
        if 0 < best.resource < 1:
            inner.append(abs(curve.slope(best.resource) - best.pepr))
    several = [c.name for c in CURVES if _n_maxima(c) > 1]
    concave = [c.name for c in CURVES if c.concave and _n_maxima(c) > 1]
    return Finding(
        CONDITION if max(inner) < 1e-4 and several and not concave else FAILS,
        "At a maximum inside the axis where f has a slope, f' = f / (1 + R): the slope equals the "
        "score (on "
        f"{len(inner)} increasing curves they differ by at most {max(inner):.0e}), so it lies "
        "between f(0)/2 and 1. That the score does not rise again beyond it is certain if f is "
        f"concave, and not otherwise. With more than one maximum: {', '.join(several)}.",
    )


STATEMENTS = (
    Statement("identity", "The PePR curve equals its integral representation.", check_identity),
    Statement("weights", "Both integrals put more weight on low resources.", check_weights),
    Statement("positive", "Both integrals are positive.", check_positive_integrals),
    Statement(
        "never below",
        "The score is always at least the performance at zero resource.",
        check_never_below_start,
    ),
    Statement("rises", "The score increases where f' > 1.", check_rises),
    Statement("falls", "The score decreases where f' < f(0)/2 (for increasing f).", check_falls),
    Statement(
        "footnote 5",
        "f(0)/2 ≤ f(r)/(1+r) ≤ 1, called a bound of the second integrand (footnote 5).",
        check_footnote_bounds,
    ),
    Statement(
        "maxima", "Maxima of the PePR curve lie at points of diminishing returns.", check_maxima
    ),
)


def _increasing() -> list[ExampleCurve]:
    return [curve for curve in CURVES if curve.increasing]


def _start(curve: ExampleCurve) -> float:
    return curve.performance(0.0)


def _values(curve: ExampleCurve) -> np.ndarray:
    return np.array([curve.performance(r) for r in GRID])


def _slopes(curve: ExampleCurve) -> np.ndarray:
    """Slopes on the grid; an infinite one at 0 is taken just to the right of it."""
    return np.array([curve.slope(r if r > 0 else 1e-9) for r in GRID])


def _lowest_slopes(curve: ExampleCurve) -> np.ndarray:
    """Lower of the slopes at both ends of each interval of the grid."""
    slopes = _slopes(curve)
    return np.minimum(slopes[:-1], slopes[1:])


def _changes(curve: ExampleCurve) -> np.ndarray:
    """Change of the score over each interval of the grid, from the scores themselves."""
    return np.diff(pepr_curve(curve.performance, GRID))


def _rises_though_flat(curve: ExampleCurve) -> np.ndarray:
    slopes = _slopes(curve)
    steepest = np.maximum(slopes[:-1], slopes[1:])
    return (steepest < _start(curve) / 2) & (_changes(curve) > _ROUNDING)


def _within(values: np.ndarray, lower: float) -> bool:
    return bool((values >= lower - _ROUNDING).all() and (values <= 1 + _ROUNDING).all())


def _n_maxima(curve: ExampleCurve) -> int:
    """Number of local maxima of the score on the grid, its ends included."""
    score = np.asarray(pepr_curve(curve.performance, GRID))
    turns = np.sign(np.diff(score))
    turns = turns[turns != 0]
    signs = np.concatenate(([1], turns, [-1]))
    return int(((signs[:-1] > 0) & (signs[1:] < 0)).sum())


def _identity_error(curve: ExampleCurve) -> float:
    """Largest difference between both sides over eleven resources."""
    at = np.linspace(0.0, 1.0, 11)
    terms = integral_representation(
        curve.performance, at, derivative=curve.slope, points=curve.kinks
    )
    return float(np.abs(terms.pepr - pepr_curve(curve.performance, at)).max())
