"""What the scoring functions take for input: kinds of array, indexes, missing values."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pepr_utils.errors import PeprError, ScoreInputError
from pepr_utils.scoring import (
    beats_majority,
    cost_alone,
    leaders_by_alpha,
    leave_one_out,
    normalize,
    pareto_front,
    pepr,
    pepr_curve,
    pepr_optimum,
    pepr_weighted,
    ranks,
    score_intervals,
    smooth_curve,
)
from pepr_utils.scoring.arrays import group_codes, sorted_by_group, to_floats, to_number

VALUES = [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        tuple(VALUES),
        np.array(VALUES, dtype=np.float32),
        np.array(VALUES, dtype=object),
        ["0.25", "0.5", "1"],
        [Decimal("0.25"), Decimal("0.5"), 1],
        pd.Series(VALUES),
        pd.Series(VALUES, dtype="Float64"),
        pd.Series(VALUES, dtype="category"),
        pd.array(VALUES, dtype="Float32"),
        np.ma.masked_array(VALUES, mask=False),
    ],
)
def test_one_result_from_any_kind_of_list(values):
    np.testing.assert_array_equal(to_floats(values, "value"), VALUES)
    np.testing.assert_array_equal(pepr(1.0, values), [0.8, 2 / 3, 0.5])
    np.testing.assert_allclose(normalize(values), [0.0, 1 / 3, 1.0], rtol=1e-7)  # single precision
    np.testing.assert_array_equal(pareto_front(values, values), [True] * 3)


def test_whole_numbers_and_scalars():
    assert normalize(pd.Series([2, 3, 6], dtype="Int64")).tolist() == [0.0, 0.25, 1.0]
    assert normalize(np.array([2, 3, 6], dtype=np.uint8)).tolist() == [0.0, 0.25, 1.0]
    assert pepr(np.array(0.5), np.float32(1)) == 0.25
    assert isinstance(pepr(np.array(0.5), 1), float)
    assert to_number(np.int64(3), "value") == 3.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Series([0.5, pd.NA], dtype="Float64"), "value at row 1 is nan"),
        (pd.Series([0.5, None], dtype=object, index=["a", "b"]), "value at row 'b' is nan"),
        (pd.Series([5, pd.NA], dtype="Int64"), "value at row 1 is nan"),
        (np.array([0.5, pd.NA], dtype=object), "value at position 1 is nan"),
        (np.ma.masked_array([0.5, 99.0], mask=[False, True]), "value at position 1 is nan"),
        (pd.Series([0.5, np.inf], index=[7, 7]), "value at row 7 is inf"),
        ([[0.5, 0.1], [0.2, np.nan]], "value at position 1, 1 is nan"),
        (pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, np.nan]}), "value at row 1, column 'y' is nan"),
        ([[1.0], [1.0, 2.0]], "value is ragged"),
        ([1 + 2j], "value must be real"),
        ([True, False], "value must be numbers, got booleans"),
        (np.array([0.5, True], dtype=object), "value at position 1 is 'True'"),
        (pd.Series([True, pd.NA], dtype="boolean"), "value at row 0 is 'True'"),
        (["0.5", "0,5"], "value at position 1 is '0,5'"),
        ([0.5, 10**400], "value at position 1 is '1000"),
        ({0.5: 1}, "value is '{0.5: 1}'"),
        (pd.to_datetime(["2024-01-01"]), "value at position 0 is"),
        ([], "value is empty"),
    ],
)
def test_what_is_no_finite_number_is_named_with_its_place(values, message):
    with pytest.raises(ScoreInputError, match=message):
        to_floats(values, "value")


def test_missing_values_may_be_let_through_but_infinity_may_not():
    for values in (
        [0.5, None],
        pd.Series([0.5, pd.NA], dtype="Float64"),
        np.ma.masked_array([0.5, 0.7], mask=[False, True]),
    ):
        np.testing.assert_array_equal(to_floats(values, "value", allow_nan=True), [0.5, np.nan])
    with pytest.raises(ScoreInputError, match="position 1 is -inf"):
        to_floats([np.nan, -np.inf], "value", allow_nan=True)


@pytest.mark.parametrize("value", [[0.5], [1, 2], np.zeros((1, 1))])
def test_a_number_is_not_a_list(value):
    with pytest.raises(ScoreInputError, match=r"value is .*; allowed: one number"):
        to_number(value, "value")


CALLS = [
    lambda x: pepr(x, 0.5),
    lambda x: pepr(0.5, x),
    lambda x: pepr_weighted(x, np.ones((len(x), 1)), [1.0]),
    lambda x: pepr_curve(lambda r: r, x),
    lambda x: pepr_curve(x, x),
    normalize,
    lambda x: pareto_front(x, x),
    ranks,
    cost_alone,
    lambda x: beats_majority(x, 0.5),
]


@pytest.mark.parametrize("call", CALLS)
def test_the_index_is_kept_also_where_labels_repeat(call):
    index = pd.Index(["b", "a", "b"], name="model")
    result = call(pd.Series([0.2, 0.4, 0.9], index=index))
    pd.testing.assert_index_equal(result.index, index)
    np.testing.assert_array_equal(result, call(np.array([0.2, 0.4, 0.9])))


@pytest.mark.parametrize("call", CALLS)
def test_the_input_is_not_changed_and_may_be_read_only(call):
    values = np.array([0.2, 0.4, 0.9])
    values.flags.writeable = False
    call(values)
    assert values.tolist() == [0.2, 0.4, 0.9]


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_scored_from_an_empty_list(call):
    with pytest.raises(ScoreInputError, match="empty"):
        call([])


@pytest.mark.parametrize(
    "call",
    [
        pepr,
        pepr_curve,
        pepr_optimum,
        pareto_front,
        smooth_curve,
        leaders_by_alpha,
        leave_one_out,
        beats_majority,
        lambda p, c: score_intervals(p, c, n_test=10),
    ],
)
def test_two_columns_of_different_models_are_not_paired(call):
    first = pd.Series([0.5, 0.6], index=["a", "b"])
    with pytest.raises(ScoreInputError, match="different indexes"):
        call(first, first.iloc[::-1])
    with pytest.raises(PeprError, match="shape"):
        call([0.5, 0.6], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    "labels",
    [
        ["x", "y", "x"],
        np.array(["x", "y", "x"]),
        pd.Series(["x", "y", "x"]),
        pd.Series(["x", "y", "x"], dtype="category"),
        pd.Categorical(["x", "y", "x"], categories=["z", "y", "x"]),
        [7, 10**12, 7],
        [1, "1", 1],
        [1.5, 2.5, 1.5],
        np.array([-3, -2, -3], dtype=np.int8),
        np.array([-128, 127, -128], dtype=np.int8),
        np.array([2**63, 2**63 + 1, 2**63], dtype=np.uint64),
        pd.Series([4, 9, 4], dtype="Int64"),
        np.array([True, False, True]),
    ],
)
def test_labels_of_any_kind_group(labels):
    codes, n = group_codes(labels, np.zeros(3), what="cost")
    assert codes[0] == codes[2] != codes[1]
    assert 0 <= codes.min() <= codes.max() < n
    assert normalize([1.0, 9.0, 2.0], by=labels).tolist() == [0.0, 0.0, 1.0]
    assert normalize([1.0, 9.0, 2.0], by=labels, method="max").tolist() == [0.5, 1.0, 1.0]


def test_integer_labels_are_their_own_codes_only_within_a_narrow_range():
    codes, n = group_codes(np.array([5, 7, 5]), np.zeros(3), what="cost")
    assert (codes.tolist(), n) == ([0, 2, 0], 3)
    codes, n = group_codes(np.array([5, 8, 5]), np.zeros(3), what="cost")
    assert (codes.tolist(), n) == ([0, 1, 0], 2)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", None, "b"], "by at position 1 is missing"),
        (["a", float("nan"), "b"], "by at position 1 is missing"),
        ([1.0, 2.0, float("nan")], "by at position 2 is missing"),
        (pd.Series(["a", None, "b"], index=list("xyz")), "by at row 'y' is missing"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), "by at row 1 is missing"),
        (pd.Series([1, pd.NA, 2], dtype="Int64"), "by at row 1 is missing"),
        (pd.Categorical(["a", None, "b"]), "by at position 1 is missing"),
        (np.ma.masked_array([1.5, 2, 3], mask=[0, 1, 0]), "by at position 1 is missing"),
        (np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]), "by at position 1 is missing"),
        (["a", "b"], r"by has shape \(2,\) and cost \(3,\)"),
        ("dataset", r"by has shape \(\) and cost \(3,\)"),
        (pd.DataFrame({"a": [1, 2, 3]}), "a DataFrame was given"),
    ],
)
def test_a_label_that_is_missing_or_does_not_pair(labels, message):
    with pytest.raises(ScoreInputError, match=message):
        normalize([1.0, 2.0, 3.0], by=labels)


def test_labels_need_a_flat_list_of_values():
    with pytest.raises(ScoreInputError, match="one label for each cost"):
        normalize([[1.0, 2.0]], by=[["a", "b"]])


@pytest.mark.parametrize("n_groups", [3, 300, 70_000])
def test_order_by_group_then_value(n_groups):
    rng = np.random.default_rng(0)
    values, codes = rng.random(5000), rng.integers(0, n_groups, 5000)
    np.testing.assert_array_equal(
        sorted_by_group(values, codes, n_groups), np.lexsort((values, codes))
    )
    np.testing.assert_array_equal(sorted_by_group(values, None, 1), np.argsort(values))
