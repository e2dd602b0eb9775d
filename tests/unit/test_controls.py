"""Cost alone and the majority-class predictor, by hand, and what they refuse."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import beats_majority, cost_alone, pepr

UNIT = st.floats(0, 1)


def test_cost_alone_by_hand():
    assert cost_alone([0.0, 0.25, 1.0]).tolist() == [1.0, 0.8, 0.5]
    assert cost_alone(1.0, alpha=3.0) == 0.75
    assert cost_alone(pd.Series([1.0], index=["a"])).to_dict() == {"a": 0.5}


@given(UNIT, UNIT, st.floats(1, 1e6))
def test_the_score_is_performance_times_the_score_of_cost_alone(p, r, alpha):
    alone = cost_alone(r, alpha=alpha)
    assert pepr(p, r, alpha=alpha) == pytest.approx(p * alone)
    assert alpha / (alpha + 1) * (1 - 1e-15) <= alone <= 1


def test_beats_majority_by_hand():
    assert beats_majority([0.7, 0.6, 0.5], 0.6).tolist() == [True, False, False]
    assert beats_majority([0.7, 0.7], [0.6, 0.8]).tolist() == [True, False]
    assert beats_majority([0.7, 0.5], 1.0).tolist() == [False, False]
    assert beats_majority(0.7, 0.6) is True
    assert beats_majority(0.6, 0.6) is False
    column = beats_majority(pd.Series([0.7, 0.5], index=["a", "b"]), 0.6)
    assert (column.to_dict(), column.dtype, column.name) == (
        {"a": True, "b": False},
        bool,
        "beats_majority",
    )


@pytest.mark.parametrize(
    ("score", "share", "message"),
    [
        (70, 0.6, "score is 70; allowed: 0 to 1; pass scores made by"),
        ([0.5, 0.7], [0.6, 60], "majority_share at position 1 is 60; allowed: 0 to 1; divide"),
        ([0.5, 0.7], [0.6, 0], "majority_share at position 1 is 0; allowed: above 0"),
        (0.5, -0.1, "majority_share is -0.1"),
        (0.5, np.nan, "majority_share is nan"),
        ([0.5, 0.7], [0.6, 0.6, 0.6], r"shapes do not fit together: score \(2,\), majority_share"),
    ],
)
def test_refuses(score, share, message):
    with pytest.raises(ScoreInputError, match=message):
        beats_majority(score, share)


def test_cost_alone_refuses_as_the_score_does():
    with pytest.raises(ScoreInputError, match="resource at position 1 is 12"):
        cost_alone([0.5, 12])
    with pytest.raises(ScoreInputError, match="alpha is 0"):
        cost_alone(0.5, alpha=0)
