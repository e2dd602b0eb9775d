"""The score against hand-computed values, its properties, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import PeprError, ScoreInputError
from pepr_utils.scoring import pepr

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
