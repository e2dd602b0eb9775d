"""Both forms of the PePR curve against each other, terms by hand, and what is refused."""

from math import log, log1p, pi

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import integral_representation, pepr, pepr_curve, smooth_curve

UNIT = st.floats(0, 1)
ALPHA = st.floats(1, 1e6)


def test_terms_by_hand():
    """F(r) = r: gain ln 2, penalty ln 2 - 1/2. f = 1: no gain, penalty 1/2."""
    terms = integral_representation(lambda r: r, 1.0, derivative=lambda r: 1.0)
    assert (terms.start, terms.gain, terms.penalty) == pytest.approx((0, log(2), log(2) - 0.5))
    sampled = integral_representation([0.0, 1.0], [0.0, 1.0])
    assert sampled.gain.tolist() == pytest.approx([0, log(2)])
    assert sampled.penalty.tolist() == pytest.approx([0, log(2) - 0.5])
    assert sampled.error.tolist() == [0, 0]
    flat = integral_representation(lambda r: 1.0, [0.0, 0.5, 1.0])
    assert flat.start == 1
    assert flat.gain.tolist() == pytest.approx([0, 0, 0], abs=1e-10)
    assert flat.penalty.tolist() == pytest.approx([0, 1 / 3, 1 / 2])


def test_terms_with_alpha_and_another_start_by_hand():
    """From 1/2 with alpha = 2: start 2 f / 2.5, gain 2 ln(3 / 2.5), penalty by parts."""
    gain = 2 * log(3 / 2.5)
    expected = (0.4, gain, gain - (2 / 3 - 0.4))
    terms = integral_representation(lambda r: r, 1.0, start=0.5, alpha=2.0)
    assert (terms.start, terms.gain, terms.penalty) == pytest.approx(expected)
    sampled = integral_representation([0.5, 1.0], [0.5, 1.0], alpha=2.0)
    assert (sampled.start, sampled.gain[1], sampled.penalty[1]) == pytest.approx(expected)


def test_terms_have_the_shape_of_the_resource():
    one = integral_representation(lambda r: r, 0.5)
    assert np.ndim(one.gain) == np.ndim(one.pepr) == np.ndim(one.error) == 0
    many = integral_representation(lambda r: r, [[0.5, 1.0]])
    assert many.pepr.shape == many.error.shape == (1, 2)


@given(st.data())
def test_identity_for_samples(data):
    r = np.array(sorted(data.draw(st.sets(UNIT, min_size=1, max_size=15))))
    p = np.array(data.draw(st.lists(UNIT, min_size=r.size, max_size=r.size)))
    alpha = data.draw(ALPHA)
    terms = integral_representation(p, r, alpha=alpha)
    np.testing.assert_allclose(terms.pepr, pepr(p, r, alpha=alpha), atol=1e-10, rtol=0)
    assert terms.start == pytest.approx(pepr(p[0], r[0], alpha=alpha))
    assert (np.diff(terms.penalty) >= -1e-12).all()


CURVES = {
    "straight": (lambda a: lambda r: a * r, lambda a: lambda r: a),
    "falling": (lambda a: lambda r: 1 - a * r, lambda a: lambda r: -a),
    "saturating": (
        lambda a: lambda r: 1 - np.exp(-9 * a * r),
        lambda a: lambda r: 9 * a * np.exp(-9 * a * r),
    ),
    "sigmoid": (
        lambda a: lambda r: 1 / (1 + np.exp(-30 * (r - a))),
        lambda a: lambda r: 7.5 / np.cosh(15 * (r - a)) ** 2,
    ),
    "wave": (
        lambda a: lambda r: 0.5 + 0.5 * np.sin(12 * a * r),
        lambda a: lambda r: 6 * a * np.cos(12 * a * r),
    ),
    "power": (
        lambda a: lambda r: r ** (a + 0.25),
        lambda a: lambda r: (a + 0.25) * r ** (a - 0.75),
    ),
}


@given(st.sampled_from(sorted(CURVES)), UNIT, UNIT, UNIT, st.floats(1, 100))
def test_identity_for_functions_with_their_derivative(name, a, start, end, alpha):
    start, end = sorted((start, end))
    assume(start == end or end - start > 1e-200)  # not a few bits beside an unbounded slope
    function, derivative = (make(a) for make in CURVES[name])
    terms = integral_representation(
        function, end, derivative=derivative, start=start, points=[a], alpha=alpha
    )
    assert terms.start == pytest.approx(pepr(function(start), start, alpha=alpha))
    assert terms.pepr == pytest.approx(pepr(function(end), end, alpha=alpha), abs=1e-10)


def test_nothing_is_integrated_at_the_start():
    terms = integral_representation(lambda r: r**0.5, [0.0, 1.0], derivative=lambda r: 0.5 / r**0.5)
    assert (terms.gain[0], terms.penalty[0], terms.error[0]) == (0, 0, 0)
    assert terms.pepr.tolist() == pytest.approx([0, 0.5])


@pytest.mark.parametrize("start", [0.0, 1e-300, 1e-12, 1e-10, 1e-6])
@pytest.mark.parametrize("power", [0.1, 0.25, 0.5])
def test_identity_near_a_singularity_of_the_derivative(power, start):
    terms = integral_representation(
        lambda r: r**power, 1.0, derivative=lambda r: power * r ** (power - 1), start=start
    )
    assert abs(terms.pepr - 0.5) < 1e-12
    assert terms.error < 1e-11


@pytest.mark.parametrize("name", ["straight", "falling", "saturating", "sigmoid", "wave"])
def test_identity_for_functions_differentiated_numerically(name):
    function, start = CURVES[name][0](0.6), 0.1
    ends = [start, 0.4, 1.0]
    terms = integral_representation(function, ends, start=start)
    np.testing.assert_allclose(terms.pepr, pepr_curve(function, ends), atol=1e-10, rtol=0)
    assert np.max(terms.error) < 1e-8


def test_the_terms_of_a_curve_with_a_kink():
    function = lambda r: abs(r - 0.5)  # noqa: E731
    terms = integral_representation(function, 1.0, points=[0.5])
    assert terms.pepr == pytest.approx(0.25, abs=1e-12)
    # gain: -ln(1.5) until 1/2, then ln(2 / 1.5)
    assert terms.gain == pytest.approx(log(2 / 1.5) - log(1.5), abs=1e-12)


def test_numerical_derivative_stays_between_start_and_the_last_resource():
    called_at = []

    def function(r):
        called_at.append(r)
        return r * r

    terms = integral_representation(function, 0.36, start=0.35)
    assert min(called_at) >= 0.35
    assert max(called_at) <= 0.36 + 1e-12
    assert terms.pepr == pytest.approx(0.36**2 / 1.36, abs=1e-12)


def test_an_interval_of_one_bit():
    end = np.nextafter(0.5, 1)
    terms = integral_representation(lambda r: r, end, start=0.5)
    assert terms.pepr == pytest.approx(end / (1 + end), abs=1e-15)


def test_a_kink_outside_the_range_changes_nothing():
    terms = integral_representation(lambda r: r, 0.5, points=[0.2, 0.9])
    assert terms.pepr == pytest.approx(1 / 3)


@pytest.mark.parametrize("method", ["isotonic", "pchip"])
def test_identity_for_a_fitted_curve_with_and_without_its_derivative(method):
    fitted = smooth_curve([0.5, 0.8, 0.7, 0.9], [0.1, 0.4, 0.7, 1.0], method=method)
    for derivative in (fitted.derivative, None):
        terms = integral_representation(
            fitted, [0.1, 0.55, 1.0], start=0.1, points=[0.4, 0.7], derivative=derivative
        )
        expected = pepr_curve(fitted, [0.1, 0.55, 1.0])
        np.testing.assert_allclose(terms.pepr, expected, atol=1e-10, rtol=0)


@pytest.mark.slow
def test_an_unbounded_derivative_shows_in_the_error_not_in_a_warning():
    terms = integral_representation(lambda r: r**0.5, 1.0)
    assert abs(terms.pepr - 0.5) < terms.error < 1e-4
    # gain of sqrt(r): arctan(1)
    assert terms.gain == pytest.approx(pi / 4, abs=1e-5)


@pytest.mark.parametrize("derivative", [lambda r: 0.0, None])
def test_a_jump_is_missing(derivative):
    """From 0.3 to 0.9 at 0.37: 0.6 / 1.37 is missing. Split there, it takes no refinement."""
    called_at = []

    def function(r):
        called_at.append(r)
        return 0.9 if r >= 0.37 else 0.3

    terms = integral_representation(function, 1.0, derivative=derivative, points=[0.37])
    assert pepr(0.9, 1.0) - terms.pepr == pytest.approx(0.6 / 1.37, abs=1e-9)
    if derivative is not None:
        assert len(called_at) < 100


def test_closed_form_is_exact_for_tiny_and_steep_pieces():
    r = [0.5, 0.5 + 1e-13, 0.5 + 2e-13]
    terms = integral_representation([0.0, 1.0, 0.0], r)
    np.testing.assert_allclose(terms.pepr, pepr([0.0, 1.0, 0.0], r), atol=1e-12)
    assert terms.gain[1] == pytest.approx(log1p(1e-13 / 1.5) / 1e-13, rel=1e-2)
    # a step that vanishes next to alpha + r
    terms = integral_representation([0.0, 1.0], [0.0, 5e-324], alpha=3.0)
    assert terms.pepr.tolist() == [0.0, 1.0]


IDENTITY = {"performance": lambda r: r, "resource": 0.5}
SAMPLES = {"performance": [0.1, 0.2], "resource": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (IDENTITY, {"alpha": 0.9}, "alpha is 0.9"),
        (IDENTITY, {"alpha": [1.0, 2.0]}, "alpha is .*one number"),
        (IDENTITY, {"start": -0.1}, "start is -0.1 .*0 <= start <= resource"),
        (IDENTITY, {"start": 0.6}, "start is 0.6 and the smallest resource 0.5"),
        (IDENTITY, {"start": "x"}, "start is 'x'"),
        (IDENTITY, {"resource": 1.5}, "resource is 1.5"),
        (IDENTITY, {"performance": lambda r: 1 + r}, "performance at resource 0.*allowed: 0 to 1"),
        (IDENTITY, {"performance": lambda r: r - 0.1}, "performance at resource 0 is -0.1"),
        (IDENTITY, {"performance": lambda r: 0.5 - r, "resource": 1}, "performance at resource"),
        (SAMPLES, {"derivative": lambda r: 1.0}, "only a callable takes them"),
        (SAMPLES, {"points": [0.5]}, "only a callable takes them"),
        (SAMPLES, {"start": 0.5}, "only a callable takes them"),
        (SAMPLES, {"resource": [1.0, 0.0]}, "resource at position 1 is 0, after 1; samples must"),
        (SAMPLES, {"resource": [0.5, 0.5]}, "resource at position 1 is 0.5, after 0.5"),
        (SAMPLES, {"resource": [0.5]}, "two lists of one length"),
        (SAMPLES, {"performance": 0.5, "resource": 0.5}, "two lists of one length"),
        (SAMPLES, {"performance": [0.5, 51]}, "performance at position 1 is 51"),
        (SAMPLES, {"performance": [], "resource": []}, "resource is empty"),
        (
            SAMPLES,
            {"performance": pd.Series([0.1, 0.2]), "resource": pd.Series([0, 1], index=[1, 0])},
            "different indexes",
        ),
    ],
)
def test_refuses(base, change, message):
    with pytest.raises(ScoreInputError, match=message):
        integral_representation(**{**base, **change})
