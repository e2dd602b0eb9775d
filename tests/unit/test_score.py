"""The score against hand-computed values, its properties, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pepr_utils.errors import PeprError, ScoreInputError
from pepr_utils.scoring import normalize, pepr, pepr_weighted

UNIT = st.floats(0, 1)


@pytest.mark.parametrize(
    ("performance", "resource", "alpha", "expected"),
    [
        (1.0, 1.0, 1.0, 0.5),  # paper, section 2
        (1.0, 1.0, 100.0, 100 / 101),  # the paper prints 0.99
        (0.9, 0.5, 1.0, 0.6),
        (0.9, 0.0, 1.0, 0.9),
        (0.8, 0.25, 2.0, 1.6 / 2.25),
        (0.0, 0.7, 1.0, 0.0),
    ],
)
def test_hand_computed_values(performance, resource, alpha, expected):
    assert pepr(performance, resource, alpha=alpha) == pytest.approx(expected, rel=1e-15)


def test_broadcasts_and_returns_the_kind_it_got():
    assert isinstance(pepr(0.5, 0.5), float)
    assert pepr([[0.2], [0.4]], [0.0, 1.0]).tolist() == [[0.2, 0.1], [0.4, 0.2]]
    series = pepr(pd.Series([0.8, 0.6], index=["a", "b"]), [0.0, 1.0])
    assert series.to_dict() == {"a": 0.8, "b": 0.3}


def test_alpha_may_be_an_array_for_a_sweep():
    assert pepr(1.0, 1.0, alpha=[1.0, 3.0]).tolist() == [0.5, 0.75]


def test_series_with_different_indexes_are_not_paired_by_position():
    with pytest.raises(ScoreInputError, match="different indexes"):
        pepr(pd.Series([0.8], index=["a"]), pd.Series([0.1], index=["b"]))


@given(UNIT, UNIT, st.floats(1, 1e6))
def test_bounds(performance, resource, alpha):
    assert 0 <= pepr(performance, resource, alpha=alpha) <= performance


@given(UNIT, UNIT, UNIT)
def test_monotone_in_both_arguments(performance, low, high):
    low, high = sorted((low, high))
    assert pepr(performance, high) <= pepr(performance, low)
    assert pepr(low, performance) <= pepr(high, performance)


@given(UNIT, UNIT)
def test_large_alpha_gives_performance(performance, resource):
    assert pepr(performance, resource, alpha=1e9) == pytest.approx(performance, abs=1e-8)


@pytest.mark.parametrize(
    ("performance", "resource", "message"),
    [
        (91.2, 0.5, "performance is 91.2; allowed: 0 to 1; divide percentages by 100"),
        ([0.5, 0.6, -0.1], 0.5, "performance at position 2 is -0.1"),
        (0.5, [0.1, 1.5], "resource at position 1 is 1.5; allowed: 0 to 1; pass the cost through"),
        (0.5, float("nan"), "resource is nan; it must be a finite number"),
        (0.5, [0.1, float("inf")], "resource at position 1 is inf"),
        (["0.5", "high"], 0.5, "performance at position 1 is 'high'"),
        ([0.5, None], 0.5, "performance at position 1 is nan"),
        (True, 0.5, "performance must be numbers, got booleans"),
        (
            [0.1, 0.2],
            [0.1, 0.2, 0.3],
            r"shapes do not fit together: performance \(2,\), resource \(3,\)",
        ),
    ],
)
def test_refuses_with_value_and_place(performance, resource, message):
    with pytest.raises(ScoreInputError, match=message):
        pepr(performance, resource)


def test_names_the_row_of_a_series():
    with pytest.raises(ScoreInputError, match="performance at row 'resnet18' is 2"):
        pepr(pd.Series([0.5, 2.0], index=["vgg13", "resnet18"]), 0.1)


@pytest.mark.parametrize("alpha", [0.99, -1, float("nan")])
def test_refuses_alpha_below_one(alpha):
    with pytest.raises(ScoreInputError, match="alpha"):
        pepr(0.5, 0.5, alpha=alpha)


def test_errors_are_of_one_tree_and_also_value_errors():
    assert issubclass(ScoreInputError, PeprError)
    assert issubclass(ScoreInputError, ValueError)


def test_large_input_keeps_precision():
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(pepr(values, values), values / (1 + values), rtol=0, atol=0)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=12), st.randoms())
def test_permutation_of_models_permutes_the_scores(models, random):
    order = list(range(len(models)))
    random.shuffle(order)
    p, r = np.array(models).T
    np.testing.assert_array_equal(pepr(p[order], r[order]), pepr(p, r)[order])


@given(
    st.lists(st.floats(0, 1e6), min_size=2, max_size=10), st.floats(0.01, 100), st.floats(0, 1e4)
)
def test_score_is_invariant_to_positive_affine_rescaling_of_the_cost(cost, scale, shift):
    cost = np.array(cost)
    assume(np.ptp(cost) > 1e-3 * (cost.max() + shift / scale))
    p = np.linspace(0, 1, cost.size)
    np.testing.assert_allclose(
        pepr(p, normalize(cost * scale + shift)), pepr(p, normalize(cost)), atol=1e-9
    )


@given(UNIT, UNIT, st.floats(1, 1e6), st.floats(1, 1e6))
def test_score_grows_with_alpha(performance, resource, low, high):
    low, high = sorted((low, high))
    assert pepr(performance, resource, alpha=low) <= pepr(performance, resource, alpha=high)


@given(UNIT, UNIT, st.floats(1, 1e6))
def test_weighted_score_of_one_resource_is_the_score(performance, resource, alpha):
    expected = pepr(performance, resource, alpha=alpha)
    assert pepr_weighted(performance, [resource], [1.0], alpha=alpha) == expected
    # all weight on one of several, and equal resources however weighted
    assert pepr_weighted(performance, [0.3, resource], [0.0, 1.0], alpha=alpha) == expected
    assert pepr_weighted(
        performance, [resource] * 3, [0.2, 0.5, 0.3], alpha=alpha
    ) == pytest.approx(expected)


@given(UNIT, st.lists(st.tuples(UNIT, st.floats(0.01, 1)), min_size=1, max_size=5), st.randoms())
def test_weighted_score_lies_between_those_of_its_resources(performance, parts, random):
    r, w = np.array(parts).T
    w /= w.sum()
    score = pepr_weighted(performance, r, w)
    scores = pepr(performance, r)
    assert scores.min() * (1 - 1e-12) <= score <= scores.max() * (1 + 1e-12)
    assert 0 <= score <= performance
    order = list(range(len(parts)))
    random.shuffle(order)
    assert pepr_weighted(performance, r[order], w[order]) == pytest.approx(score)


def test_weighted_by_hand():
    """0.9 / (1 + 0.5 + 0.0), 0.6 / (1 + 0.05 + 0.45) and, with alpha = 3, 2.7 / 3.5."""
    assert pepr_weighted(0.9, [1.0, 0.0], [0.5, 0.5]) == pytest.approx(0.6)
    resources = pd.DataFrame({"E": [1.0, 0.1], "M": [0.0, 0.9]}, index=["a", "b"])
    score = pepr_weighted([0.9, 0.6], resources, [0.5, 0.5])
    assert score.to_dict() == {"a": pytest.approx(0.6), "b": pytest.approx(0.4)}
    assert pepr_weighted(0.9, [1.0, 0.0], [0.5, 0.5], alpha=3.0) == pytest.approx(2.7 / 3.5)
    unequal = pepr_weighted(0.9, resources, pd.Series([0.8, 0.2], index=["E", "M"]))
    assert unequal.tolist() == pytest.approx([0.5, 0.9 / 1.26])
    assert pepr_weighted([[0.5], [1.0]], np.zeros((1, 3, 2)), [0.5, 0.5]).shape == (2, 3)
    assert isinstance(pepr_weighted(0.9, [1.0], [1.0]), float)


def test_weights_that_sum_to_one_but_for_rounding_cost_nothing_beyond_one():
    assert pepr_weighted(1.0, [1.0] * 10, [0.1] * 10) == 0.5
    assert pepr_weighted(1.0, [1.0] * 2, [0.5, 0.5 + 5e-10]) == 0.5


@pytest.mark.parametrize(
    ("resources", "weights", "message"),
    [
        ([0.1, 0.2], [0.5, 0.4], "weights sum to 0.9; they must sum to 1; divide each by the sum"),
        ([0.1, 0.2], [0.5, 0.5 + 2e-9], "weights sum to 1.000000002"),
        ([0.1, 0.2], [1.5, -0.5], "weight at position 1 is -0.5; allowed: 0 to 1"),
        ([0.1, 0.2], [1.0], r"weights have shape \(1,\) and resources \(2,\)"),
        ([0.1, 0.2], [[0.5, 0.5]], "one weight for each position"),
        (0.1, 1.0, "one weight for each position"),
        (0.1, [1.0], "one weight for each position"),
        ([], [], "weight is empty"),
        ([0.1, 0.2], [0.5, float("nan")], "weight at position 1 is nan"),
        ([[0.1, 0.2], [0.3, 7.0]], [0.5, 0.5], "resource at position 1, 1 is 7"),
        (
            pd.DataFrame({"E": [0.1, 0.2], "M": [0.1, 9.0]}, index=["a", "b"]),
            [0.5, 0.5],
            "resource at row 'b', column 'M' is 9",
        ),
        (
            pd.DataFrame({"E": [0.1], "M": [0.2]}),
            pd.Series([0.2, 0.8], index=["M", "E"]),
            r"labelled \['M', 'E'\] and the resources' columns \['E', 'M'\]",
        ),
    ],
)
def test_weighted_refuses(resources, weights, message):
    with pytest.raises(ScoreInputError, match=message):
        pepr_weighted(0.5, resources, weights)


def test_weighted_refuses_what_the_score_refuses():
    with pytest.raises(ScoreInputError, match=r"alpha is 0\.5"):
        pepr_weighted(0.5, [0.1], [1.0], alpha=0.5)
    with pytest.raises(ScoreInputError, match="performance at position 1 is 50"):
        pepr_weighted([0.5, 50], [[0.1], [0.1]], [1.0])
    with pytest.raises(ScoreInputError, match="different indexes"):
        pepr_weighted(pd.Series([0.5], index=["a"]), pd.DataFrame({"E": [0.1]}, index=["b"]), [1.0])


def test_single_precision_stays_and_no_score_is_above_the_performance():
    p, cost = np.random.default_rng(1).random((2, 1000), dtype=np.float32)
    resource = normalize(cost)
    score = pepr(p, resource, alpha=2.5)
    assert (resource.dtype, score.dtype) == (np.float32, np.float32)
    assert (score <= p).all()
    exact = pepr(p.astype(float), normalize(cost.astype(float)), alpha=2.5)
    np.testing.assert_allclose(score, exact, rtol=1e-5)
    assert pepr(p, resource.astype(float)).dtype == float
