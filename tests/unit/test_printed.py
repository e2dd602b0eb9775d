"""Comparison with printed numbers: rounding, cutting off, and what a number would match instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.ledger.compare import (
    DIFFERS,
    REPRODUCED,
    TRUNCATED,
    at_precision,
    compare_printed,
    near_misses,
)


@pytest.mark.parametrize(
    ("computed", "printed", "outcome"),
    [
        (0.84999, "0.8", REPRODUCED),
        (0.85, "0.8", REPRODUCED),  # exactly half a unit
        (0.85, "0.9", REPRODUCED),  # from either side
        (0.8501, "0.8", TRUNCATED),
        (17.475088, "17.4", TRUNCATED),
        (17.5, "17.4", DIFFERS),
        (17.349, "17.4", DIFFERS),
        (24, "24", REPRODUCED),
        (0.70705, "0.7070", REPRODUCED),
    ],
)
def test_outcome(computed, printed, outcome):
    assert compare_printed(computed, printed) == outcome


@given(st.floats(0, 1000), st.integers(0, 6))
def test_a_value_printed_by_rounding_is_reproduced(value, digits):
    assert compare_printed(value, at_precision(value, f"{0:.{digits}f}")) == REPRODUCED


def test_near_misses_name_the_other_epoch_and_the_digit():
    assert near_misses(0.76361, "0.7651", {"epoch 8": 0.76512}) == ["epoch 8: 0.7651"]
    assert near_misses(31.684, "21.7", {}) == ["one digit: 31.7"]
    assert near_misses(0.5, "0.9", {"epoch 1": 0.1}) == ["one digit: 0.5"]
    assert near_misses(12.34, "98.8", {"epoch 1": 0.1}) == []
