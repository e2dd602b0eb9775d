"""The symbolic proof: it holds for any f, for given ones and from any start, and could fail."""

import sys
from dataclasses import replace

import pytest
import sympy as sp

from pepr_utils.errors import PeprError
from pepr_utils.scoring import (
    IntegralProof,
    integral_representation,
    prove_integral_representation,
    prove_resource_limit,
    resource_limit,
)

r, R, alpha = sp.Symbol("r"), sp.Symbol("R", positive=True), sp.Symbol("alpha", positive=True)


def test_any_function_any_alpha():
    proof = prove_integral_representation()
    assert proof.holds
    assert proof.slope_difference == proof.start_difference == 0
    assert proof.curve == alpha * sp.Function("f")(R) / (alpha + R)


@pytest.mark.parametrize(
    "function", [r, 1 - r, sp.sqrt(r), 1 - sp.exp(-3 * r), sp.sin(r) ** 2, sp.Rational(1, 2), 0.5]
)
@pytest.mark.parametrize("start", [0, sp.Rational(1, 3), sp.Symbol("r0", positive=True)])
def test_given_functions_from_any_start(function, start):
    assert prove_integral_representation(function, start=start).holds


def test_its_terms_are_those_of_the_numbers():
    """Evaluate the written-out integrals for f = r (1 - r) + 1/4, from 1/5 to 4/5, alpha = 2."""
    function = r * (1 - r) + sp.Rational(1, 4)
    proof = prove_integral_representation(function, start=sp.Rational(1, 5))
    values = {R: sp.Rational(4, 5), alpha: 2}
    found = integral_representation(lambda x: x * (1 - x) + 0.25, 0.8, start=0.2, alpha=2.0)
    start, (gain, penalty) = (
        sum(a for a in proof.representation.args if not a.has(sp.Integral)),
        sorted(
            (a for a in proof.representation.args if a.has(sp.Integral)),
            key=lambda a: a.could_extract_minus_sign(),
        ),
    )
    assert float(start.subs(values)) == pytest.approx(found.start)
    assert float(gain.subs(values).doit()) == pytest.approx(found.gain)
    assert -float(penalty.subs(values).doit()) == pytest.approx(found.penalty)
    assert float(proof.curve.subs(values)) == pytest.approx(found.pepr)


@pytest.mark.parametrize("differences", [(1, 0), (0, 1), (R, 0)])
def test_a_difference_is_no_proof(differences):
    assert not IntegralProof(R, R, *map(sp.sympify, differences)).holds


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (sp.Symbol("x") * r, "has the symbols x; allowed: r alone"),
        (R, "has the symbols R"),
        ("1 - exp(-r)", "the performance is '1 - exp.*allowed: a SymPy expression"),
    ],
)
def test_refuses(function, message):
    with pytest.raises(PeprError, match=message):
        prove_integral_representation(function)


def test_without_sympy_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(PeprError, match="needs SymPy, which is not installed: pip install"):
        prove_integral_representation()


@pytest.mark.parametrize(
    ("formula", "jumps"),
    [
        ("Piecewise((1/5, r < 1/2), (4/5, True))", ["1/2"]),
        ("Heaviside(r - 1/4)", ["1/4"]),
        ("Piecewise((r, r < 1/2), (1/2, True))", []),  # a kink is no jump
        ("Abs(r - 1/2)", []),
    ],
)
def test_a_formula_that_jumps_is_not_proved(formula, jumps):
    """The identity misses a jump: the curve is 2/5 at R = 1 in the first case, the integrals 0."""
    proof = prove_integral_representation(sp.sympify(formula, rational=True))
    assert [str(jump) for jump in proof.jumps] == jumps
    assert proof.holds == (not jumps)


def test_a_rounding_in_a_formula_is_refused():
    with pytest.raises(PeprError, match="with a rounding; allowed: Piecewise"):
        prove_integral_representation(sp.floor(2 * sp.Symbol("r")) / 2)


def test_the_resource_limit_is_proved_and_is_the_one_that_is_computed():
    proof = prove_resource_limit()
    assert proof.holds
    best, ceiling = sp.Symbol("b", positive=True), sp.Symbol("P_max", positive=True)
    values = {best: 0.8, ceiling: 0.9, alpha: 3.0}
    assert float(proof.limit.subs(values)) == pytest.approx(
        resource_limit(0.8, alpha=3.0, ceiling=0.9)
    )


def test_another_limit_is_not_proved():
    proof = prove_resource_limit()
    assert not replace(proof, limit=proof.limit / 2).holds
    assert not replace(proof, falls=False).holds
