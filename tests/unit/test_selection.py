"""Selection under budgets: by hand, against brute force, and the reasons for an empty answer."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import InfeasibleBudgetError, ScoreInputError, UnknownNameError
from pepr_utils.scoring import normalize, pareto_front, pepr, select

#: R is 0, 0.5, 1 and the scores 0.6, 0.6, 0.45: of tied a and b the cheaper, a, is first.
TABLE = pd.DataFrame(
    {
        "architecture": ["a", "b", "c", "d", "e"],
        "test_accuracy": [0.6, 0.9, 0.9, np.nan, 0.8],
        "energy_kwh": [1.0, 3.0, 5.0, 2.0, np.nan],
        "memory_gb": [8.0, np.nan, 2.0, 1.0, 1.0],
    },
    index=[10, 20, 30, 40, 50],
)


def _names(selection):
    return selection.ranking["architecture"].tolist()


def test_ranking_by_hand():
    chosen = select(TABLE)
    assert _names(chosen) == ["a", "b", "c"]
    assert chosen.best["architecture"] == "a"
    assert (chosen.n_candidates, chosen.n_unknown) == (3, 0)
    ranking = chosen.ranking
    assert ranking["rank"].tolist() == [1, 2, 3]
    assert ranking["resource"].tolist() == [0.0, 0.5, 1.0]
    assert ranking["pepr"].tolist() == pytest.approx([0.6, 0.6, 0.45])
    assert ranking["pareto"].tolist() == [True, True, False]
    assert ranking.index.tolist() == [10, 20, 30]
    assert chosen.best.name == 10


def test_objective_and_its_ties():
    assert _names(select(TABLE, objective="performance")) == ["b", "c", "a"]
    assert _names(select(TABLE, alpha=3.0)) == ["b", "c", "a"]  # 0.771, 0.675, 0.6
    twins = pd.concat([TABLE.iloc[[2]].assign(architecture="z"), TABLE])
    assert _names(select(twins, objective="performance")) == ["b", "z", "c", "a"]


def test_budgets_decide_who_may_be_chosen_not_what_they_score():
    chosen = select(TABLE, maximum={"energy_kwh": 3.0}, minimum={"test_accuracy": 0.7})
    assert _names(chosen) == ["b"]
    assert chosen.best["pepr"] == pytest.approx(0.6)
    assert chosen.best["rank"] == 1
    assert chosen.n_candidates == 3


def test_a_limit_is_inclusive_and_a_missing_value_meets_none():
    assert _names(select(TABLE, maximum={"memory_gb": 8})) == ["a", "c"]
    assert select(TABLE, maximum={"memory_gb": 8}).n_unknown == 1
    assert _names(select(TABLE, maximum={"memory_gb": 7.9})) == ["c"]
    assert _names(select(TABLE, minimum={"memory_gb": 2})) == ["a", "c"]
    assert _names(select(TABLE, minimum={"memory_gb": 2.1})) == ["a"]


def test_the_rule_and_the_columns_are_used():
    by_max = select(TABLE, method="max")
    assert by_max.ranking["resource"].tolist() == pytest.approx([0.6, 0.2, 1.0])  # b, a, c
    by_memory = select(TABLE, cost="memory_gb")
    assert _names(by_memory) == ["e", "c", "a"]  # 0.8, 0.9 / (1 + 1/7), 0.3; by hand


def test_several_costs_by_hand():
    """Of a and c, which have all: R is 0.75 x 0 + 0.25 x 1 and 0.75 x 1 + 0.25 x 0."""
    chosen = select(TABLE, cost={"energy_kwh": 0.75, "memory_gb": 0.25})
    assert _names(chosen) == ["c", "a"]
    assert chosen.ranking["resource"].tolist() == [0.75, 0.25]
    assert chosen.ranking["pepr"].tolist() == pytest.approx([0.9 / 1.75, 0.6 / 1.25])
    assert chosen.ranking["pareto"].tolist() == [True, True]
    assert chosen.n_candidates == 2


def test_of_equal_scores_the_smaller_resource_is_first():
    table = pd.DataFrame({"p": [0.0, 0.0], "wh": [1.0, 2.0], "gb": [9.0, 1.0]})
    options = {"performance": "p", "cost": {"wh": 0.25, "gb": 0.75}}
    assert select(table, **options).ranking.index.tolist() == [1, 0]


def test_columns_of_other_types():
    table = pd.DataFrame(
        {
            "test_accuracy": pd.Series([0.6, 0.9, pd.NA, 0.9], dtype="Float64"),
            "energy_kwh": pd.Series(["9", "10", "1", "30"], dtype=object),
            "memory_gb": pd.Series([4, pd.NA, 1, 2], dtype="Int64"),
        }
    )
    assert select(table, objective="performance").ranking.index.tolist() == [1, 3, 0]
    assert select(table, maximum={"memory_gb": 3}).ranking.index.tolist() == [3]


def test_repeated_index_labels_and_the_table_itself_are_left_alone():
    table = TABLE.set_index(pd.Index([1, 1, 1, 2, 2]))
    before = table.copy()
    assert _names(select(table, maximum={"energy_kwh": 3})) == ["a", "b"]
    pd.testing.assert_frame_equal(table, before)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 5).map(lambda i: i / 5),
        st.integers(0, 5).map(float),
        st.integers(0, 5).map(float) | st.just(np.nan),
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS, st.integers(0, 5), st.integers(0, 5), st.sampled_from(["pepr", "performance"]))
def test_selection_is_that_of_brute_force(rows, most, least, objective):
    table = pd.DataFrame(rows, columns=["p", "wh", "gb"])
    score = pepr(table["p"], normalize(table["wh"]))
    aim = score if objective == "pepr" else table["p"]
    front = pareto_front(table["p"], table["wh"])
    allowed = [i for i, (p, wh, gb) in enumerate(rows) if wh <= most and gb >= least]
    ask = {"performance": "p", "cost": "wh", "objective": objective}
    limits = {"maximum": {"wh": most}, "minimum": {"gb": least}}
    if not allowed:
        with pytest.raises(InfeasibleBudgetError, match="no model meets"):
            select(table, **ask, **limits)
        return
    ranking = select(table, **ask, **limits).ranking
    expected = sorted(allowed, key=lambda i: (-aim[i], rows[i][1], i))
    assert ranking.index.tolist() == expected
    assert ranking["pepr"].tolist() == score[expected].tolist()
    assert ranking["pareto"].tolist() == front[expected].tolist()


def _fail(**options):
    with pytest.raises(InfeasibleBudgetError) as caught:
        select(TABLE, **options)
    return caught.value


def test_one_budget_that_none_meets_is_binding():
    error = _fail(maximum={"energy_kwh": 0.8, "memory_gb": 8})
    assert error.binding == ["energy_kwh <= 0.8"]
    assert error.nearest == {"model": "a", "energy_kwh": 1.0, "memory_gb": 8.0}
    assert str(error) == (
        "no model meets every budget: energy_kwh <= 0.8 is met by 0 of 3 (smallest is 1), "
        "memory_gb <= 8 is met by 2 of 3; binding: energy_kwh <= 0.8; "
        "nearest: a (energy_kwh 1, memory_gb 8); loosen the binding budgets"
    )


def test_two_budgets_that_no_model_meets_together_are_both_binding():
    error = _fail(maximum={"energy_kwh": 2}, minimum={"test_accuracy": 0.8})
    assert error.binding == ["energy_kwh <= 2", "test_accuracy >= 0.8"]
    # a is 0.2 below 0.8 (25 %), b is 1 above 2 (50 %)
    assert error.nearest == {"model": "a", "energy_kwh": 1.0, "test_accuracy": 0.6}


def test_the_nearest_misses_its_worst_budget_by_the_smallest_share():
    """A is 10 over 90 (11 %), b is 0.4 below 0.8 (50 %), though 0.4 is less than 10."""
    table = pd.DataFrame({"model": ["a", "b"], "p": [0.8, 0.4], "wh": [100.0, 80.0]})
    with pytest.raises(InfeasibleBudgetError) as caught:
        select(table, performance="p", cost="wh", maximum={"wh": 90}, minimum={"p": 0.8})
    assert caught.value.nearest == {"model": "a", "wh": 100.0, "p": 0.8}


def test_only_the_budgets_whose_removal_helps_are_binding():
    error = _fail(maximum={"energy_kwh": 2, "memory_gb": 9}, minimum={"test_accuracy": 0.8})
    assert error.binding == ["energy_kwh <= 2", "test_accuracy >= 0.8"]
    error = _fail(maximum={"energy_kwh": 1, "memory_gb": 2}, minimum={"test_accuracy": 0.9})
    assert error.binding == ["energy_kwh <= 1"]


def test_where_no_single_removal_helps_all_are_binding():
    table = pd.DataFrame({"p": [0.1, 0.2, 0.3], "wh": [1, 2, 3], "x": [3, 1, 3], "y": [3, 3, 1]})
    with pytest.raises(InfeasibleBudgetError) as caught:
        select(table, performance="p", cost="wh", maximum={"wh": 1, "x": 1, "y": 1})
    assert caught.value.binding == ["wh <= 1", "x <= 1", "y <= 1"]


def test_the_largest_is_named_for_a_lower_limit_and_missing_values_are_not_near():
    error = _fail(minimum={"memory_gb": 10})
    assert "memory_gb >= 10 is met by 0 of 3 (largest is 8)" in str(error)
    assert error.nearest["model"] == "a"


def test_a_budget_of_zero_is_missed_by_the_value_itself():
    error = _fail(maximum={"memory_gb": 0})
    assert error.nearest == {"model": "c", "memory_gb": 2.0}


def test_no_model_is_near_where_all_values_are_missing():
    table = TABLE.assign(memory_gb=np.nan)
    with pytest.raises(
        InfeasibleBudgetError, match=r"by 0 of 3 \(memory_gb is missing for all; fill"
    ) as caught:
        select(table, maximum={"memory_gb": 1})
    assert caught.value.nearest == {}
    assert "nearest" not in str(caught.value)


def test_what_names_a_model():
    limits = {"maximum": {"energy_kwh": 0.1}}
    assert _fail(**limits, label="memory_gb").nearest["model"] == 8.0
    for table, name in (
        (TABLE.rename(columns={"architecture": "model"}), "a"),
        (TABLE.drop(columns="architecture"), 10),
    ):
        with pytest.raises(InfeasibleBudgetError) as caught:
            select(table, **limits)
        assert caught.value.nearest["model"] == name


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"performance": "accuracy"}, UnknownNameError, "column 'accuracy'; allowed: architecture"),
        ({"cost": "energy_kw"}, UnknownNameError, "did you mean 'energy_kwh'"),
        ({"maximum": {"vram": 8}}, UnknownNameError, "column 'vram'"),
        ({"minimum": {"vram": 8}}, UnknownNameError, "column 'vram'"),
        ({"objective": "accuracy"}, UnknownNameError, "objective 'accuracy'; allowed: pepr"),
        ({"method": "rank"}, UnknownNameError, "normalisation 'rank'"),
        ({"maximum": {"memory_gb": "8 GB"}}, ScoreInputError, "'memory_gb' is '8 GB'"),
        ({"maximum": {"memory_gb": [8]}}, ScoreInputError, "one number"),
        ({"maximum": {"memory_gb": np.nan}}, ScoreInputError, "'memory_gb' is nan"),
        ({"maximum": {"architecture": 8}}, ScoreInputError, "architecture at row 10 is 'a'"),
        ({"alpha": 0.5}, ScoreInputError, "alpha is 0.5"),
        ({"cost": ["energy_kwh", "memory_gb"]}, ScoreInputError, "columns with their weights"),
        ({"cost": {}}, ScoreInputError, "allowed: a column"),
        ({"cost": {"energy_kwh": 0.5, "memory_gb": 0.6}}, ScoreInputError, "weights sum to 1.1"),
        ({"method": "fixed"}, ScoreInputError, "needs both"),
    ],
)
def test_refuses(options, kind, message):
    with pytest.raises(kind, match=message):
        select(TABLE, **options)


def test_refuses_values_out_of_range_by_their_row():
    with pytest.raises(ScoreInputError, match="performance at row 20 is 90"):
        select(TABLE.assign(test_accuracy=[0.6, 90, 0.9, 0.5, 0.5]))
    with pytest.raises(ScoreInputError, match="cost at row 30 is -5"):
        select(TABLE.assign(energy_kwh=[1.0, 2, -5, 1, 1]))
    with pytest.raises(ScoreInputError, match="no row has both 'test_accuracy' and 'energy_kwh'"):
        select(TABLE.iloc[3:])


@pytest.mark.parametrize("name", ["rank", "resource", "pepr", "pareto"])
def test_a_column_that_is_used_must_not_be_one_that_is_added(name):
    table = TABLE.rename(columns={"memory_gb": name})
    with pytest.raises(ScoreInputError, match=f"column '{name}' is one that the selection adds"):
        select(table, maximum={name: 1})
    with pytest.raises(ScoreInputError, match="rename it"):
        select(table, cost=name)
    assert _names(select(table)) == ["a", "b", "c"]  # replaced where it is not used


def test_an_unknown_label_column():
    with pytest.raises(UnknownNameError, match="column 'name'"):
        select(TABLE, maximum={"energy_kwh": 0.1}, label="name")


def test_a_selection_among_several_experiments_is_an_error():
    table = pd.DataFrame({"experiment": ["a", "b"], "accuracy": [0.9, 0.8], "wh": [2.0, 1.0]})
    with pytest.raises(ScoreInputError, match="2 experiments, which are not compared"):
        select(table, performance="accuracy", cost="wh", maximum={"wh": 3})
