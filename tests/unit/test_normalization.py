"""The normalisation rules against hand-computed values, their properties, and what they refuse."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import NORMALIZATIONS, normalize
from pepr_utils.scoring.normalization import between, bounds

COSTS = st.lists(st.floats(0.001, 1e6), min_size=2, max_size=30)


@pytest.mark.parametrize(
    ("method", "bounds", "expected"),
    [
        ("minmax", {}, [0.0, 0.25, 1.0]),
        ("max", {}, [1 / 3, 0.5, 1.0]),
        ("fixed", {"lower": 0.0, "upper": 8.0}, [0.25, 0.375, 0.75]),
        ("quantile", {"lower": 0.0, "upper": 1.0}, [0.0, 0.25, 1.0]),
        ("quantile", {"lower": 0.0, "upper": 0.5}, [0.0, 1.0, 1.0]),
        ("log", {}, [0.0, np.log10(3 / 2) / np.log10(3), 1.0]),
    ],
)
def test_hand_computed_values(method, bounds, expected):
    np.testing.assert_allclose(normalize([2.0, 3.0, 6.0], method=method, **bounds), expected)


def test_one_model_costs_nothing():
    assert normalize(5.0) == 0.0
    assert normalize([5.0, 5.0]).tolist() == [0.0, 0.0]


def test_two_models_are_zero_and_one():
    assert normalize([3.0, 7.5]).tolist() == [0.0, 1.0]


def test_each_group_has_its_own_bounds_whatever_the_order_of_rows():
    cost = pd.Series([1.0, 10.0, 3.0, 30.0], index=list("wxyz"))
    resource = normalize(cost, by=["a", "b", "a", "b"])
    assert resource.to_dict() == {"w": 0.0, "x": 0.0, "y": 1.0, "z": 1.0}


def test_quantiles_by_group():
    resource = normalize(
        [0.0, 1.0, 2.0, 0.0, 10.0], method="quantile", lower=0, upper=0.5, by=list("aaabb")
    )
    assert resource.tolist() == [0.0, 1.0, 1.0, 0.0, 1.0]


@given(COSTS, st.floats(0.01, 100), st.floats(0, 1000))
def test_minmax_is_invariant_to_positive_affine_rescaling(cost, scale, shift):
    cost = np.array(cost)
    assume(np.ptp(cost) > 1e-3 * cost.max())
    np.testing.assert_allclose(normalize(cost * scale + shift), normalize(cost), atol=1e-7)


@given(COSTS, st.sampled_from(["minmax", "max", "quantile", "log"]))
def test_result_lies_in_the_unit_interval_and_keeps_the_order(cost, method):
    resource = normalize(cost, method=method)
    assert resource.min() >= 0
    assert resource.max() <= 1
    assert (np.diff(resource[np.argsort(cost)]) >= 0).all()


@given(COSTS, st.randoms())
def test_permutation_of_rows_permutes_the_result(cost, random):
    order = list(range(len(cost)))
    random.shuffle(order)
    np.testing.assert_array_equal(normalize(np.array(cost)[order]), normalize(cost)[order])


@pytest.mark.parametrize(
    ("cost", "options", "message"),
    [
        ([1.0, -2.0], {}, "cost at position 1 is -2; allowed: 0 or more"),
        ([1.0, 0.0], {"method": "log"}, "cost at position 1 is 0; allowed: above 0"),
        ([1.0, float("nan")], {}, "cost at position 1 is nan"),
        ([], {}, "cost is empty"),
        ([1.0], {"method": "fixed", "upper": 2.0}, "needs both"),
        ([1.0], {"method": "fixed", "lower": 3.0, "upper": 2.0}, "0 <= lower < upper"),
        (
            [1.0, 9.0],
            {"method": "fixed", "lower": 0.0, "upper": 2.0},
            "cost at position 1 is 9; allowed: 0 to 2",
        ),
        ([1.0], {"method": "quantile", "lower": 0.9, "upper": 0.1}, "quantile levels"),
        ([1.0], {"lower": 0.0}, "finds its own bounds"),
        ([1.0, 2.0], {"by": ["a"]}, "one label for each cost"),
        ([1.0, 2.0], {"by": ["a", None]}, "by at position 1 is missing"),
    ],
)
def test_refuses(cost, options, message):
    with pytest.raises(ScoreInputError, match=message):
        normalize(cost, **options)


def test_unknown_rule_names_the_rules():
    with pytest.raises(
        UnknownNameError, match="allowed: minmax, max, fixed, quantile, log; did you mean 'minmax'"
    ):
        normalize([1.0], method="min-max")
    assert list(NORMALIZATIONS) == ["minmax", "max", "fixed", "quantile", "log"]


GROUPED = st.lists(
    st.tuples(st.floats(0.001, 1e6), st.integers(0, 3).map(lambda i: "abcd"[i])),
    min_size=1,
    max_size=40,
)


@given(GROUPED, st.floats(0, 1), st.floats(0, 1))
def test_quantile_bounds_are_those_of_numpy_in_each_group(rows, lower, upper):
    lower, upper = sorted((lower, upper))
    assume(upper - lower > 1e-6)
    cost = np.array([c for c, _ in rows])
    labels = np.array([g for _, g in rows])
    found = normalize(cost, method="quantile", lower=lower, upper=upper, by=labels)
    for group in set(labels):
        own = cost[labels == group]
        low, high = np.quantile(own, [lower, upper])
        assume(high == low or high - low > 1e-6 * high)
        expected = np.clip((own - low) / (high - low), 0, 1) if high > low else 0 * own
        np.testing.assert_allclose(found[labels == group], expected, atol=1e-8)


@given(GROUPED, st.sampled_from(["minmax", "max", "quantile", "log"]))
def test_a_group_is_normalised_as_if_it_were_alone(rows, method):
    cost = np.array([c for c, _ in rows])
    labels = np.array([g for _, g in rows])
    found = normalize(cost, method=method, by=labels)
    integers = normalize(cost, method=method, by=np.array([ord(g) for g in labels]))
    np.testing.assert_array_equal(found, integers)
    for group in set(labels):
        alone = normalize(cost[labels == group], method=method)
        np.testing.assert_allclose(found[labels == group], alone, atol=1e-12)


def test_default_quantiles_are_the_fifth_and_the_ninety_fifth():
    cost = np.arange(101.0)
    expected = np.clip((cost - 5) / 90, 0, 1)
    np.testing.assert_allclose(normalize(cost, method="quantile"), expected)
    only_upper = np.clip((cost - 5) / 45, 0, 1)
    np.testing.assert_allclose(normalize(cost, method="quantile", upper=0.5), only_upper)
    only_lower = np.clip((cost - 50) / 45, 0, 1)
    np.testing.assert_allclose(normalize(cost, method="quantile", lower=0.5), only_lower)


def test_costs_beyond_fixed_bounds():
    bounds = {"method": "fixed", "lower": 2.0, "upper": 4.0}
    assert normalize([1.0, 3.0, 9.0], outside="clip", **bounds).tolist() == [0.0, 0.5, 1.0]
    assert normalize([2.0, 3.0, 4.0], outside="error", **bounds).tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(ScoreInputError, match="cost at position 1 is 1; allowed: 2 to 4; widen"):
        normalize([3.0, 1.0], **bounds)
    with pytest.raises(ScoreInputError, match="cost at row 'b' is 5"):
        normalize(pd.Series([3.0, 5.0], index=["a", "b"]), by=["x", "y"], **bounds)
    assert normalize([3.0, 4.0], by=["x", "y"], **bounds).tolist() == [0.5, 1.0]
    assert normalize(3.0, **bounds) == 0.5


def test_small_costs_are_costs():
    np.testing.assert_allclose(normalize([1e-9, 2e-9, 5e-9]), [0.0, 0.25, 1.0])


def test_zero_cost():
    assert normalize([0.0, 0.0], method="max").tolist() == [0.0, 0.0]
    assert normalize([0.0, 4.0], method="max").tolist() == [0.0, 1.0]


def test_arrays_of_more_dimensions_are_one_experiment():
    assert normalize([[2.0, 3.0], [6.0, 4.0]]).tolist() == [[0.0, 0.25], [1.0, 0.5]]
    assert normalize([[1.0, 10.0], [100.0, 10.0]], method="log").tolist() == [
        [0.0, 0.5],
        [1.0, 0.5],
    ]


def test_more_rows_than_one_block():
    """Against pandas, with groups across several blocks and an incomplete last block."""
    rng = np.random.default_rng(0)
    cost, by = rng.random(100_001), rng.integers(0, 5, 100_001)
    by_group = pd.Series(cost).groupby(by)
    low, high = by_group.transform("min"), by_group.transform("max")
    np.testing.assert_allclose(normalize(cost, by=by), (cost - low) / (high - low))
    np.testing.assert_allclose(normalize(cost), (cost - cost.min()) / np.ptp(cost))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outside": "clip"}, "outside='clip' was given with method 'minmax'"),
        ({"method": "fixed", "lower": -1.0, "upper": 2.0}, "0 <= lower < upper"),
        ({"method": "fixed", "lower": 2.0, "upper": 2.0}, "0 <= lower < upper"),
        ({"method": "fixed", "lower": 0.0, "upper": np.inf}, "upper is inf"),
        ({"method": "fixed", "lower": "a", "upper": 2}, "lower is 'a'"),
        ({"method": "fixed", "lower": [0.0], "upper": 2}, "lower is .*; allowed: one number"),
        ({"method": "fixed", "lower": 0.0}, "needs both"),
        ({"method": "quantile", "lower": 0.5, "upper": 0.5}, "quantile levels"),
        ({"method": "quantile", "lower": -0.1}, "quantile levels"),
        ({"method": "quantile", "upper": 95}, "quantile levels lower=0.05, upper=95"),
        ({"method": "log", "upper": 1.0}, "finds its own bounds"),
        ({"method": "max", "upper": 1.0}, "finds its own bounds"),
    ],
)
def test_refuses_bounds(options, message):
    with pytest.raises(ScoreInputError, match=message):
        normalize([1.0, 2.0], **options)


def test_unknown_value_of_outside():
    with pytest.raises(UnknownNameError, match="value of outside 'drop'; allowed: error, clip"):
        normalize([1.0], method="fixed", lower=0, upper=2, outside="drop")
    with pytest.raises(UnknownNameError, match="normalisation"):
        normalize([1.0], method=None)


def test_bounds_of_one_group():
    assert bounds([2.0, 3.0, 6.0]) == (2.0, 6.0)
    assert bounds([2.0, 3.0, 6.0], "max") == (0.0, 6.0)
    assert bounds([0.0, 100.0], "quantile") == pytest.approx((5.0, 95.0))
    with pytest.raises(ScoreInputError, match="allowed: minmax, max, quantile, log"):
        bounds([1.0], "fixed")


def test_between_given_bounds():
    assert between(np.array([1.0, 3.0, 9.0]), 2.0, 4.0).tolist() == [0.0, 0.5, 1.0]
    assert between(np.array([1.0, 10.0]), 1.0, 100.0, log=True).tolist() == [0.0, 0.5]
    assert between(np.array([5.0]), 5.0, 5.0).tolist() == [0.0]


def test_categories_are_groups_and_one_that_is_missing_is_an_error():
    cost, names = [1.0, 3.0, 2.0, 9.0], ["b", "b", "a", "a"]
    groups = pd.Categorical(names, categories=["a", "unused", "b"])
    for by in (groups, pd.Series(groups)):
        assert np.array_equal(normalize(cost, by=by), normalize(cost, by=names))
    with pytest.raises(ScoreInputError, match="missing"):
        normalize(cost, by=pd.Categorical(["b", None, "a", "a"]))
