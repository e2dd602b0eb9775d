"""The Pareto front against its definition, the knee by hand, and what they refuse."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import pareto, pareto_front, pareto_knee

DIRECTIONS = list(product(("high", "low"), repeat=2))
#: Few values, so that ties and duplicates abound; NaN among them.
COARSE = st.sampled_from([-2.0, -1.0, 0.0, -0.0, 0.5, 1.0, 3.0])
MODELS = st.lists(st.tuples(COARSE, COARSE, st.integers(0, 3)), min_size=1, max_size=25)
WITH_GAPS = st.lists(
    st.tuples(COARSE | st.just(np.nan), COARSE | st.just(np.nan), st.integers(0, 3)),
    min_size=1,
    max_size=25,
)


def _by_definition(p, c, better, groups):
    """No other model of the group is as good in both and better in one; NaN compares as false."""
    s, t = (1 if direction == "high" else -1 for direction in better)
    front = []
    for i in range(len(p)):
        beaten = any(
            groups[i] == groups[j]
            and s * p[j] >= s * p[i]
            and t * c[j] >= t * c[i]
            and (s * p[j] > s * p[i] or t * c[j] > t * c[i])
            for j in range(len(p))
        )
        front.append(not beaten and not np.isnan(p[i]) and not np.isnan(c[i]))
    return front


@given(WITH_GAPS, st.sampled_from(DIRECTIONS), st.booleans())
def test_front_is_that_of_the_definition(models, better, grouped):
    p, c, groups = map(list, zip(*models, strict=True))
    by = groups if grouped else None
    found = pareto_front(p, c, better=better, by=by, missing="drop")
    assert found.tolist() == _by_definition(p, c, better, groups if grouped else [0] * len(p))


@given(MODELS, st.sampled_from(DIRECTIONS))
def test_front_is_that_of_the_definition_without_gaps(models, better):
    p, c, groups = map(list, zip(*models, strict=True))
    for by in (None, groups, np.array(groups), list(map(str, groups))):
        labels = [0] * len(p) if by is None else groups
        assert pareto_front(p, c, better=better, by=by).tolist() == _by_definition(
            p, c, better, labels
        )


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e9)), min_size=1, max_size=40), st.randoms()
)
def test_order_of_models_changes_nothing(models, random):
    order = list(range(len(models)))
    random.shuffle(order)
    p, c = np.array(models).T
    np.testing.assert_array_equal(pareto_front(p[order], c[order]), pareto_front(p, c)[order])


JOINT = st.integers(2, 4).flatmap(
    lambda n: st.lists(st.tuples(st.integers(0, 2), *[COARSE] * n), min_size=1, max_size=90)
)


@given(JOINT, st.booleans())
def test_joint_front_beats_what_is_off_it_and_nothing_on_it(models, grouped):
    """Of several costs; ties and duplicates abound, and enough models for every path."""
    table = np.array(models, dtype=float)
    groups, p, costs = table[:, 0] * grouped, table[:, 1], table[:, 2:]
    front = pareto_front(p, costs, by=groups if grouped else None)
    values = np.column_stack([-p, costs])
    for i, row in enumerate(values):
        rivals = values[front & (groups == groups[i])]
        beaten = ((rivals <= row).all(axis=1) & (rivals < row).any(axis=1)).any()
        assert beaten != front[i]


def _all_beaten_or_not(values):
    at_most = (values[:, None] <= values[None]).all(axis=2)
    return ~(at_most & (values[:, None] < values[None]).any(axis=2)).any(axis=0)


@pytest.mark.parametrize("n_costs", [2, 3, 4])
def test_joint_front_of_many(n_costs):
    """More than are compared each with each: few on the front, all on it, and many ties."""
    rng = np.random.default_rng(n_costs)
    uniform = rng.random((700, n_costs + 1))
    shares = uniform / uniform.sum(axis=1, keepdims=True)
    for values in (uniform, shares, np.floor(uniform * 6), np.floor(shares * 20)):
        front = pareto_front(-values[:, 0], values[:, 1:])
        np.testing.assert_array_equal(front, _all_beaten_or_not(values))
    assert pareto_front(-shares[:, 0], shares[:, 1:]).all()


def test_joint_front_by_hand():
    """By energy alone b beats c and d; with memory too, d only."""
    p, kwh, gb = [0.9, 0.8, 0.8, 0.7], [3.0, 1.0, 2.0, 1.0], [5.0, 5.0, 4.0, 6.0]
    costs = pd.DataFrame({"kwh": kwh, "gb": gb}, index=list("abcd"))
    assert pareto_front(p, kwh).tolist() == [True, True, False, False]
    found = pareto_front(p, costs)
    assert found.to_dict() == {"a": True, "b": True, "c": True, "d": False}
    assert pareto_front(p, costs[["kwh"]]).tolist() == [True, True, False, False]
    # With much memory better, d joins and c, which costs more than b and has less memory, leaves.
    turned = pareto_front(p, costs, better=("high", "low", "high"))
    assert turned.tolist() == [True, True, False, True]
    assert pareto_front(p, costs, better=("low", "high")).tolist() == [True, False, True, True]
    gap = costs.assign(gb=[5.0, np.nan, 4.0, 6.0])
    assert pareto_front(p, gap, missing="drop").tolist() == [True, False, True, True]


def test_many_models_in_many_groups():
    """Against a front found group by group; enough models for every path of the sort."""
    rng = np.random.default_rng(1)
    n = 20_000
    p, c = rng.integers(0, 50, n) / 50, rng.integers(0, 60, n).astype(float)
    for n_groups in (1, 7, 3000):
        by = rng.integers(0, n_groups, n)
        expected = np.zeros(n, dtype=bool)
        for group in range(n_groups):
            at = np.flatnonzero(by == group)
            order = at[np.lexsort((-p[at], c[at]))]
            best, cost = -np.inf, None
            for i in order:
                if p[i] > best:
                    best, cost = p[i], c[i]
                expected[i] = p[i] == best and c[i] == cost
        np.testing.assert_array_equal(pareto_front(p, c, by=by), expected)
        assert 0 < expected.sum() < n / 2


def test_by_hand():
    assert pareto_front([0.9, 0.8, 0.8, 0.7], [3, 1, 2, 1]).tolist() == [True, True, False, False]
    assert pareto_front([0.5], [1.0]).tolist() == [True]
    assert pareto_front([0.5, 0.5], [1.0, 1.0]).tolist() == [True, True]
    assert pareto_front([-5.0, -7.0], [1.0, 0.0]).tolist() == [True, True]
    assert pareto_front([0.9, 0.1], [2.0, 1.0], better=("low", "low")).tolist() == [False, True]
    assert pareto_front([0.9, 0.1], [2.0, 1.0], better=("low", "high")).tolist() == [True, True]
    column = pareto_front(pd.Series([0.9, 0.5], index=["a", "b"]), [1.0, 2.0])
    assert (column.to_dict(), column.name) == ({"a": True, "b": False}, "pareto")


def test_all_missing_is_an_empty_front():
    found = pareto_front([np.nan, 0.5], [1.0, np.nan], missing="drop", by=["a", "b"])
    assert found.tolist() == [False, False]
    assert pareto_knee([np.nan], [1.0], missing="drop") is None


def test_nullable_columns_with_missing_values():
    found = pareto_front(
        pd.Series([0.9, pd.NA, 0.8], dtype="Float64"),
        pd.Series([3, 1, 2], dtype="Int64"),
        missing="drop",
    )
    assert found.tolist() == [True, False, True]


def test_knee_by_hand():
    """Above the line from (1, 0.5) to (10, 0.9): 7/8 - 1/9 at 2, less at 4 and at the ends."""
    p, c = [0.5, 0.85, 0.88, 0.9, 0.6], [1.0, 2.0, 4.0, 10.0, 9.0]
    assert pareto_knee(p, c) == 1
    assert pareto_knee(p[::-1], c[::-1]) == 3
    assert pareto_knee([-x for x in p], c, better=("low", "low")) == 1
    assert pareto_knee(p, [-x for x in c], better=("high", "high")) == 1
    assert pareto_knee([*p, np.nan], [*c, 0.0], missing="drop") == 1


def test_knee_does_not_depend_on_the_units():
    p, c = np.array([0.5, 0.85, 0.88, 0.9]), np.array([1.0, 2.0, 4.0, 10.0])
    assert pareto_knee(100 * p - 7, 3600 * c + 4) == 1


def test_of_tied_knees_the_cheapest():
    """Heights above the line are 0, 1/4, 1/4, 0; then of duplicates the first."""
    p, c = [0.0, 0.5, 0.75, 1.0], [0.0, 1.0, 2.0, 4.0]
    assert pareto_knee(p, c) == 1
    assert pareto_knee(p[::-1], c[::-1]) == 2
    assert pareto_knee([*p, 0.5], [*c, 1.0]) == 1


@pytest.mark.parametrize(
    ("p", "c"),
    [
        ([0.5], [1.0]),
        ([0.5, 0.9], [1.0, 10.0]),
        ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0]),
        ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]),  # straight
        ([0.1, 0.15, 0.9], [1.0, 2.0, 3.0]),  # hollow
        ([0.9, 0.5, 0.4], [1.0, 2.0, 3.0]),  # one model beats all
    ],
)
def test_no_knee(p, c):
    assert pareto_knee(p, c) is None


@pytest.mark.parametrize("function", [pareto_front, pareto_knee])
@pytest.mark.parametrize(
    ("p", "c", "options", "message"),
    [
        ([0.5, np.nan], [1, 2], {}, "performance at position 1 is nan"),
        ([0.5, 0.6], [1, None], {}, "cost at position 1 is nan"),
        ([0.5, np.inf], [1, 2], {"missing": "drop"}, "performance at position 1 is inf"),
        ([0.5, 0.6], [1], {}, r"performance has shape \(2,\) and cost \(1,\)"),
        (0.5, 1.0, {}, "two lists of one length"),
        ([], [], {}, "performance is empty"),
        ([0.5], [1], {"better": "high"}, "better is 'high'; allowed: a pair"),
        ([0.5], [1], {"better": ("high",)}, "allowed: a pair"),
        ([0.5], [1], {"better": 1}, "allowed: a pair"),
        ([0.5], [1], {"better": ("high", "low", "low")}, r"such as \('high', 'low'\)$"),
        ([0.5], [[1, 2]], {"better": ("high",) * 4}, "or 3 of them for 2 costs"),
        ([0.5], [[[1]]], {}, "rows of several costs"),
        ([0.5, 0.6], [[1, 2]], {}, r"cost \(1, 2\)"),
        ([0.5, 0.6], [[1, 2], [np.nan, 2]], {}, "cost at position 1, 0 is nan"),
    ],
)
def test_refuses(function, p, c, options, message):
    with pytest.raises(ScoreInputError, match=message):
        function(p, c, **options)


def test_a_joint_front_has_no_knee():
    with pytest.raises(ScoreInputError, match=r"shape \(1, 2\); allowed: one cost"):
        pareto_knee([0.5], [[1, 2]])


def test_unknown_options():
    with pytest.raises(UnknownNameError, match="direction in better 'up'; allowed: high, low"):
        pareto_front([0.5], [1], better=("up", "low"))
    with pytest.raises(UnknownNameError, match="value of missing 'ignore'; allowed: error, drop"):
        pareto_front([0.5], [1], missing="ignore")


@pytest.mark.parametrize("kind", ["random", "rising", "ties"])
def test_leaving_out_what_a_sample_beats_changes_no_front(kind, monkeypatch):
    rng = np.random.default_rng(4)
    p, c = rng.random((2, 20_000))
    if kind == "rising":
        p, c = np.sort(p), np.sort(c)
    if kind == "ties":
        p, c = p.round(2), c.round(2)
    whole = pareto_front(p, c)
    monkeypatch.setattr(pareto, "_MANY", 1000)
    assert np.array_equal(pareto_front(p, c), whole)
