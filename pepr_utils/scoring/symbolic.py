"""What is said of the score, proved with SymPy: the integral representation, the resource limit."""

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
    jumps : tuple of sympy.Expr
        Resources at which f jumps: there it is not the integral of its slope.
    """

    curve: sympy.Expr
    representation: sympy.Expr
    slope_difference: sympy.Expr
    start_difference: sympy.Expr
    jumps: tuple[sympy.Expr, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether f does not jump and both sides start equal and change equally."""
        return self.slope_difference == 0 and self.start_difference == 0 and not self.jumps


def prove_integral_representation(
    function: sympy.Expr | None = None, *, start: sympy.Expr | float = 0
) -> IntegralProof:
    """Prove the integral representation for any f, or for a given one, with any alpha.

    Two functions that are integrals of their derivatives, agree at one point and have the same
    derivative (almost everywhere) are equal. The derivative of an integral with respect to its
    upper end is the integrand there, which is all that the proof uses of an undefined f.
    A given f is searched for jumps, where the identity fails.

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
        curve,
        representation,
        sp.simplify(slope.doit()),
        sp.simplify(at_start.doit()),
        () if function is None else _jumps(f, r),
    )


@dataclass(frozen=True)
class ResourceLimitProof:
    """What it takes for a model of much resource to win nothing.

    Attributes
    ----------
    highest : sympy.Expr
        ``alpha P_max / (alpha + R)``, the score of a model of the highest performance.
    limit : sympy.Expr
        The resource at which `highest` is the best score b.
    rises, falls : bool
        Whether a score rises with the performance, and `highest` falls with the resource.
    """

    highest: sympy.Expr
    limit: sympy.Expr
    rises: bool
    falls: bool

    @property
    def holds(self) -> bool:
        """Whether no score at the limit or beyond it exceeds b."""
        sp = _sympy()
        b, resource = sp.Symbol("b", positive=True), sp.Symbol("R", positive=True)
        at_limit = sp.simplify(self.highest.subs(resource, self.limit) - b)
        return self.rises and self.falls and at_limit == 0


def prove_resource_limit() -> ResourceLimitProof:
    """Prove from which resource on no model scores more than b, for any alpha and ceiling of P.

    Returns
    -------
    ResourceLimitProof
        The limit and what it rests on.

    Raises
    ------
    PeprError
        If SymPy is not installed.

    Examples
    --------
    >>> proof = prove_resource_limit()
    >>> proof.holds, proof.limit
    (True, P_max*alpha/b - alpha)
    """
    sp = _sympy()
    p, highest_p, r, alpha, b = sp.symbols("P P_max R alpha b", positive=True)
    score = alpha * p / (alpha + r)
    highest = score.subs(p, highest_p)
    (limit,) = sp.solve(sp.Eq(highest, b), r, check=False)
    rises, falls = sp.diff(score, p).is_positive, sp.diff(highest, r).is_negative
    return ResourceLimitProof(highest, sp.expand(limit), bool(rises), bool(falls))


def _jumps(f: sympy.Expr, r: sympy.Symbol) -> tuple[sympy.Expr, ...]:
    """Find where on (0, 1) a formula jumps: between the pieces of what it is made of."""
    sp = _sympy()
    if f.has(sp.floor, sp.ceiling, sp.frac):
        raise PeprError(f"the performance is {f}, with a rounding; allowed: Piecewise, Heaviside")
    real = sp.Symbol("r", real=True)
    pieces = f.subs(r, real).rewrite(sp.Piecewise)
    conditions = [
        c for p in pieces.atoms(sp.Piecewise) for _, c in p.args if c not in (True, False)
    ]
    seams = {s for c in conditions for s in c.as_set().boundary & sp.Interval.open(0, 1)}
    # SymPy's own limit does not distinguish the pieces: compare both sides very close to the seam.
    near = sp.Rational(1, 10**12)
    steps = {s: pieces.subs(real, s + near) - pieces.subs(real, s - near) for s in seams}
    return tuple(sorted(s for s, step in steps.items() if abs(float(step)) > _JUMP))


#: A change by more than this within 1e-12 on both sides of a seam is a jump.
_JUMP = 1e-4


def _sympy():
    try:
        import sympy
    except ImportError:
        raise PeprError(
            "the symbolic proof needs SymPy, which is not installed: pip install sympy"
        ) from None
    return sympy
