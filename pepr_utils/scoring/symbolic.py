"""The integral representation of the PePR curve proved with SymPy, and its terms written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pepr_utils.errors import PeprError

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class IntegralProof:
    """Both sides of the integral representation, and what remains of their difference.

    Attributes
    ----------
    curve, representation : sympy.Expr
        ``alpha f(R) / (alpha + R)`` and the start plus the gain minus the penalty.
    slope_difference : sympy.Expr
        Derivative of `curve` minus that of `representation`, with respect to R, simplified.
    start_difference : sympy.Expr
        `curve` minus `representation` at R = r0.
    """

    curve: sympy.Expr
    representation: sympy.Expr
    slope_difference: sympy.Expr
    start_difference: sympy.Expr

    @property
    def holds(self) -> bool:
        """Whether both sides start equal and change equally, hence are equal everywhere."""
        return self.slope_difference == 0 and self.start_difference == 0


def prove_integral_representation(
    function: sympy.Expr | None = None, *, start: sympy.Expr | float = 0
) -> IntegralProof:
    """Prove the integral representation for any f, or for a given one, with any alpha.

    Two functions that agree at one point and have the same derivative everywhere are equal. The
    derivative of an integral with respect to its upper end is the integrand there, which is all
    that SymPy is asked to know about f: differentiable, with an integrable derivative.

    Parameters
    ----------
    function : sympy.Expr, optional
        Performance as an expression in the symbol ``r``; default an undefined function ``f(r)``.
    start : sympy.Expr or float, default 0
        First resource r0.

    Returns
    -------
    IntegralProof
        Both sides and their differences.

    Raises
    ------
    PeprError
        If SymPy is not installed, or the performance is no expression in ``r`` alone.

    Examples
    --------
    >>> prove_integral_representation().holds
    True
    >>> import sympy
    >>> prove_integral_representation(1 - sympy.exp(-3 * sympy.Symbol("r"))).holds
    True
    """
    sp = _sympy()
    r = sp.Symbol("r")
    upper, alpha = sp.symbols("R alpha", positive=True)
    try:
        f = sp.Function("f")(r) if function is None else sp.sympify(function, strict=True)
    except sp.SympifyError:
        raise PeprError(
            f"the performance is {function!r}; allowed: a SymPy expression in the symbol r"
        ) from None
    unknown = f.free_symbols - {r}
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise PeprError(f"the performance has the symbols {names}; allowed: r alone")
    gain = sp.Integral(sp.diff(f, r) * alpha / (alpha + r), (r, start, upper))
    penalty = sp.Integral(f * alpha / (alpha + r) ** 2, (r, start, upper))
    curve = alpha * f.subs(r, upper) / (alpha + upper)
    first = curve.subs(upper, start)
    representation = first + gain - penalty
    slope = sp.diff(curve, upper) - sp.diff(representation, upper)
    at_start = curve.subs(upper, start) - (
        first + gain.subs(upper, start).doit() - penalty.subs(upper, start).doit()
    )
    return IntegralProof(
        curve, representation, sp.simplify(slope.doit()), sp.simplify(at_start.doit())
    )


def _sympy():
    try:
        import sympy
    except ImportError:
        raise PeprError(
            "the symbolic proof needs SymPy; pip install 'pepr-utils[book]' or sympy"
        ) from None
    return sympy
