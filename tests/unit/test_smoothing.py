"""Fitted learning curves: isotonic regression against its definition, PCHIP, and refusals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import smooth_curve

SAMPLES = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def _grid(p):
    return np.linspace(0.0, 1.0, len(p))


def _pool_adjacent_violators(values):
    """Merge neighbouring blocks into their mean for as long as one is above the next."""
    blocks = []
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    return [mean for mean, n in blocks for _ in range(n)]


@given(SAMPLES)
def test_isotonic_is_pooling_of_adjacent_violators(p):
    fitted = smooth_curve(p, _grid(p))
    np.testing.assert_allclose(fitted.performance, _pool_adjacent_violators(p), atol=1e-12)
    assert (np.diff(fitted.performance) >= 0).all()
    assert fitted.largest_change == pytest.approx(np.abs(fitted.performance - p).max())


@given(st.lists(st.integers(0, 5), min_size=2, max_size=4), st.data())
def test_no_non_decreasing_curve_is_nearer_in_least_squares(p, data):
    p = np.array(p) / 5
    other = np.sort(data.draw(st.lists(st.floats(0, 1), min_size=p.size, max_size=p.size)))
    fitted = smooth_curve(p, _grid(p)).performance
    assert ((fitted - p) ** 2).sum() <= ((other - p) ** 2).sum() + 1e-12


@given(SAMPLES, st.sampled_from(["isotonic", "pchip"]))
def test_the_curve_goes_through_its_knots_and_never_beyond_their_neighbours(p, method):
    fitted = smooth_curve(p, _grid(p), method=method)
    assert [fitted(r) for r in fitted.resource] == pytest.approx(fitted.performance.tolist())
    for (r0, r1), (p0, p1) in zip(
        pairwise(fitted.resource), pairwise(fitted.performance), strict=True
    ):
        between = [fitted(r) for r in np.linspace(r0, r1, 7)]
        assert min(p0, p1) - 1e-12 <= min(between) <= max(between) <= max(p0, p1) + 1e-12
    if method == "isotonic":
        values = [fitted(r) for r in np.linspace(0, 1, 50)]
        assert (np.diff(values) >= -1e-12).all()


def test_by_hand():
    fitted = smooth_curve([0.5, 0.8, 0.7, 0.9], [0.1, 0.4, 0.7, 1.0])
    assert fitted.performance.tolist() == [0.5, 0.75, 0.75, 0.9]
    assert fitted.largest_change == pytest.approx(0.05)
    assert fitted.method == "isotonic"
    assert fitted(0.55) == 0.75
    assert fitted.derivative(0.55) == 0.0
    as_they_are = smooth_curve([0.5, 0.8, 0.7, 0.9], [0.1, 0.4, 0.7, 1.0], method="pchip")
    assert as_they_are.performance.tolist() == [0.5, 0.8, 0.7, 0.9]
    assert as_they_are.largest_change == 0
    assert as_they_are.derivative(0.55) < 0


def test_two_samples_are_a_straight_line():
    line = smooth_curve([0.2, 0.6], [0.0, 0.8])
    assert line(0.2) == pytest.approx(0.3)
    assert line.derivative(0.2) == pytest.approx(0.5)


def test_samples_come_in_any_order_and_are_not_changed():
    p, r = np.array([0.9, 0.5, 0.7]), np.array([1.0, 0.0, 0.5])
    fitted = smooth_curve(p, r, method="pchip")
    assert fitted.resource.tolist() == [0.0, 0.5, 1.0]
    assert fitted.performance.tolist() == [0.5, 0.7, 0.9]
    fitted.performance[0] = 0.1
    assert p.tolist() == [0.9, 0.5, 0.7]


@pytest.mark.parametrize("resource", [0.05, 1.0])
def test_a_fit_does_not_extrapolate(resource):
    fitted = smooth_curve([0.5, 0.8], [0.1, 0.9])
    with pytest.raises(ScoreInputError, match=rf"resource is {resource:g}; allowed: 0.1 to 0.9"):
        fitted(resource)


@pytest.mark.parametrize(
    ("performance", "resource", "message"),
    [
        ([0.5], [0.1], "at least two samples"),
        (0.5, 0.1, "at least two samples"),
        ([0.5, 0.6], [0.1], r"shape \(2,\) and resource \(1,\)"),
        ([0.5, 0.6], [0.1, 0.1], "resource 0.1 appears twice"),
        ([0.5, 0.6, 0.7], [0.3, 0.2, 0.3], "resource 0.3 appears twice"),
        ([0.5, 60], [0.1, 0.2], "performance at position 1 is 60"),
        ([0.5, 0.6], [0.1, 2], "resource at position 1 is 2"),
        ([0.5, float("nan")], [0.1, 0.2], "performance at position 1 is nan"),
    ],
)
def test_refuses(performance, resource, message):
    with pytest.raises(ScoreInputError, match=message):
        smooth_curve(performance, resource)


def test_unknown_method():
    with pytest.raises(UnknownNameError, match=r"unknown smoothing 'spline'.*isotonic, pchip"):
        smooth_curve([0.5, 0.6], [0.1, 0.2], method="spline")
