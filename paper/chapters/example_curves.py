"""Performance curves of different character, on which the statements about the curve are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

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
