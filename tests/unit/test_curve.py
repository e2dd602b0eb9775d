"""The PePR curve and its optimum: by hand, against brute force, and what they refuse."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import CurveOptimum, pepr, pepr_curve, pepr_optimum, smooth_curve

#: Coarse, so that there are ties.
STEPS = st.integers(0, 8).map(lambda i: i / 8)
SAMPLES = st.lists(st.tuples(STEPS, STEPS), min_size=1, max_size=12)
ALPHA = st.sampled_from([1.0, 1.5, 4.0, 100.0])


def test_hand_computed_curve():
    assert pepr_curve([0.5, 0.9, 0.96], [0.0, 0.2, 1.0]).tolist() == [0.5, 0.75, 0.48]
    assert pepr_curve(lambda r: r, 1.0) == 0.5
    assert pepr_curve(lambda r: 1.0, [0.0, 1.0], alpha=3.0).tolist() == [1.0, 0.75]
    column = pepr_curve(lambda r: 1 - r, pd.Series([0.0, 0.5], index=["x", "y"]))
    assert column.to_dict() == {"x": 1.0, "y": pytest.approx(1 / 3)}


def test_hand_computed_optimum():
    assert pepr_optimum([0.5, 0.9, 0.96], [0.0, 0.2, 1.0]) == CurveOptimum(
        resource=0.2, performance=0.9, pepr=pytest.approx(0.75), position=1, diminishing=(0.2, 1.0)
    )
    assert pepr_optimum([0.96, 0.5, 0.9], [1.0, 0.0, 0.2]).position == 2  # any order
    assert pepr_optimum([0.2, 0.9], [0.0, 1.0]).diminishing is None
    assert pepr_optimum([0.4, 0.9], [0.0, 1.0]).resource == 1.0  # 0.4 against 0.45
    assert pepr_optimum([0.5, 0.9], [0.0, 1.0]).resource == 0.0  # 0.5 against 0.45
    assert pepr_optimum([0.5, 0.9], [0.0, 1.0], alpha=2).resource == 1.0  # 0.5 against 0.6


def test_ties_go_to_the_smallest_resource_then_to_the_first_sample():
    """0.5, 0.75 / 1.5 and 1 / 2 are all 0.5."""
    best = pepr_optimum([1.0, 0.75, 0.5, 0.5], [1.0, 0.5, 0.0, 0.0])
    assert (best.position, best.resource, best.diminishing) == (2, 0.0, (0.0, 1.0))


@given(SAMPLES, ALPHA)
def test_optimum_of_samples_is_that_of_brute_force(samples, alpha):
    p, r = map(list, zip(*samples, strict=True))
    best = pepr_optimum(p, r, alpha=alpha)
    scores = [pepr(x, y, alpha=alpha) for x, y in samples]
    tied = [i for i, s in enumerate(scores) if s == max(scores)]
    first = min(tied, key=lambda i: (r[i], i))
    assert best.position == first
    assert (best.resource, best.performance, best.pepr) == (r[first], p[first], max(scores))
    assert best.diminishing == ((r[first], max(r)) if r[first] < max(r) else None)


@given(SAMPLES, ALPHA)
def test_no_point_of_the_straight_pieces_is_above_the_best_sample(samples, alpha):
    p, r = map(np.array, zip(*sorted(samples, key=lambda s: s[1]), strict=True))
    grid = np.linspace(r[0], r[-1], 200)
    assert pepr(np.interp(grid, r, p), grid, alpha=alpha).max() <= (
        pepr_optimum(p, r, alpha=alpha).pepr + 1e-12
    )


@pytest.mark.parametrize(
    ("function", "alpha", "resource", "score"),
    [
        (lambda r: 0.3, 1.0, 0.0, 0.3),
        (lambda r: r, 1.0, 1.0, 0.5),
        (lambda r: 1 - r, 1.0, 0.0, 1.0),
        # R (2 - R) / (1 + R): numerator of the derivative is 2 - 2 R - R^2, R = sqrt(3) - 1
        (lambda r: r * (2 - r), 1.0, 3**0.5 - 1, 4 - 2 * 3**0.5),
        # a jump to 0.8 at 0.2 among 0.1
        (lambda r: 0.8 if r >= 0.2 else 0.1, 1.0, 0.2, 0.8 / 1.2),
        # 2 R (2 - R) / (2 + R): 4 - 4 R - R^2 = 0, R = 2 sqrt(2) - 2
        (lambda r: r * (2 - r), 2.0, 8**0.5 - 2, 2 * (8**0.5 - 2) * (4 - 8**0.5) / 8**0.5),
        # two equal peaks, at 1/4 and 3/4: 0.5 (1 + R) minus the distance to the nearer one
        (
            lambda r: (1 + r) * (0.5 - min(abs(r - 0.25), abs(r - 0.75))),
            1.0,
            0.25,
            0.5,
        ),
    ],
)
def test_optimum_of_a_function(function, alpha, resource, score):
    best = pepr_optimum(function, alpha=alpha)
    assert best.resource == pytest.approx(resource, abs=1e-6)
    assert best.pepr == pytest.approx(score, abs=1e-12)
    assert best.performance == pytest.approx(function(best.resource))
    assert best.position is None
    assert best.diminishing == (None if resource == 1 else (best.resource, 1.0))


def test_a_plateau_of_the_score_goes_to_its_start():
    """(1 + R) / 2 scores 1/2 everywhere."""
    assert pepr_optimum(lambda r: (1 + r) / 2).resource == 0.0
    best = pepr_optimum(lambda r: min(2 * r, (1 + r) / 2))  # from R = 1/3 on
    assert best.resource == pytest.approx(1 / 3, abs=1e-3)
    assert best.pepr == pytest.approx(0.5, abs=1e-12)


def test_the_interval_of_a_function_is_respected():
    best = pepr_optimum(lambda r: r * (2 - r), (0.1, 0.5))
    assert (best.resource, best.diminishing) == (0.5, None)
    best = pepr_optimum(lambda r: r * (2 - r), (0.8, 0.9))
    assert (best.resource, best.diminishing) == (0.8, (0.8, 0.9))
    assert pepr_optimum(lambda r: r, (0.3, 0.3)).resource == 0.3


def test_a_fitted_curve_is_a_function():
    fitted = smooth_curve([0.2, 0.8, 0.85], [0.1, 0.3, 0.9], method="pchip")
    best = pepr_optimum(fitted, (0.1, 0.9))
    assert best.resource == pytest.approx(0.3, abs=0.05)
    assert best.pepr >= 0.8 / 1.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pepr_curve(lambda r: 2 * r, [0.1, 0.75]), "performance at resource 0.75 is 1.5"),
        (lambda: pepr_curve(lambda r: r, [0.1, 1.2]), "resource at position 1 is 1.2"),
        (lambda: pepr_curve(lambda r: float("nan"), 0.5), "performance at resource 0.5 is nan"),
        (lambda: pepr_curve(lambda r: "x", 0.5), "performance at resource 0.5 is 'x'"),
        (lambda: pepr_curve(lambda r: [r, r], 0.5), "performance at resource 0.5 is .*one number"),
        (lambda: pepr_optimum(lambda r: 1.2 * r), "performance at resource 0.834 is 1.0008"),
        (lambda: pepr_optimum([0.5]), "resource is missing"),
        (lambda: pepr_optimum([], []), "performance is empty"),
        (lambda: pepr_optimum(0.5, 0.5), r"performance has shape \(\)"),
        (lambda: pepr_optimum([0.5, 0.6], [0.5]), r"shape \(2,\) and resource \(1,\)"),
        (lambda: pepr_optimum([0.5, 60], [0.5, 0.6]), "performance at position 1 is 60"),
        (lambda: pepr_optimum([0.5, 0.6], [0.5, -1]), "resource at position 1 is -1"),
        (lambda: pepr_optimum([0.5], [0.5], alpha=0.5), "alpha is 0.5; allowed: 1 or more"),
        (lambda: pepr_optimum([0.5], [0.5], alpha=[1.0]), "alpha is .*one number"),
        (lambda: pepr_optimum(lambda r: r, alpha=[1.0]), "alpha is .*one number"),
        (lambda: pepr_optimum(lambda r: r, (0.5, 0.2)), "lower one first"),
        (lambda: pepr_optimum(lambda r: r, (0.0, 1.5)), r"within \[0, 1\]"),
        (lambda: pepr_optimum(lambda r: r, 0.5), "needs the ends of an interval"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ScoreInputError, match=message):
        call()
