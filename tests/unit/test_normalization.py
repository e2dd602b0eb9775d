"""The normalisation rules against hand-computed values, their properties, and what they refuse."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import NORMALIZATIONS, normalize

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
