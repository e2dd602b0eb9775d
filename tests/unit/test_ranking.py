"""What is compared in a table, and the ranking with its intervals, against hand-computed values."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pepr_utils as pu
from pepr_utils.errors import InvalidTableError, PeprError, ScoreInputError
from pepr_utils.results.models import Question, Scale, find_models
from pepr_utils.results.ranking import Rule, rank
from pepr_utils.results.user_table import UserTable

SEEDS = pd.DataFrame(
    {
        "model": ["a", "a", "b", "b"],
        "seed": [1, 2, 1, 2],
        "acc": [0.8, 0.9, 0.6, 0.6],
        "kwh": [3.0, 5.0, 1.0, 1.0],
        "gb": [2, 4, 1, 1],
        "note": ["x", "y", "x", "x"],
    }
)


def score(frame, performance="acc", cost="kwh", **options):
    return pu.score(frame, performance=performance, cost=cost, **options)


def test_repeated_rows_of_a_model_are_one_row_with_mean_spread_and_interval():
    ranked = score(SEEDS).set_index("model")
    assert ranked.loc["a", ["acc", "kwh", "resource", "pepr"]].tolist() == pytest.approx(
        [0.85, 4.0, 1.0, 0.425]
    )
    assert ranked["n_runs"].tolist() == [2, 2]
    assert ranked.loc["a", "performance_sd"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert ranked["rank"].to_dict() == {"b": 1, "a": 2}
    # Runs of a: R = (3 - 1) / (4 - 1) and, beyond the bound, 1; Student's t of one degree.
    runs = [0.8 / (1 + 2 / 3), 0.9 / 2]
    half = stats.t.ppf(0.975, 1) * np.std(runs, ddof=1) / np.sqrt(2)
    assert ranked.loc["a", "pepr_low"] == pytest.approx(max(0.425 - half, 0))
    assert ranked.loc["b", ["pepr_low", "pepr_high"]].tolist() == [0.6, 0.6]


def test_other_columns_keep_what_all_runs_agree_in_and_means_of_numbers():
    ranked = score(SEEDS).set_index("model")
    assert ranked["gb"].to_dict() == {"a": 3.0, "b": 1.0}
    assert ranked["note"].isna().to_dict() == {"a": True, "b": False}
    assert ranked["seed"].isna().all()


def test_each_row_keeps_repeats_apart():
    assert len(score(SEEDS, each_row=True)) == 4


def test_a_run_without_a_value_does_not_count_for_the_mean():
    frame = SEEDS.assign(acc=[0.8, np.nan, 0.6, 0.6])
    ranked = score(frame).set_index("model")
    assert ranked.loc["a", ["acc", "kwh"]].tolist() == [0.8, 3.0]
    assert ranked["n_runs"].to_dict() == {"a": 1, "b": 2}
    assert np.isnan(ranked.loc["a", "pepr_low"])


@pytest.mark.parametrize(
    ("frame", "n"),
    [
        # No seeds: rows of one name that differ in a text are different models.
        ({"model": ["a", "a", "b", "b"], "optimizer": ["sgd", "adam", "sgd", "adam"]}, 4),
        ({"model": ["a", "a", "b", "b"], "optimizer": ["sgd", "sgd", "sgd", "adam"]}, 3),
        # A text that no two rows share, such as a time, tells nothing.
        ({"model": ["a", "a", "b", "b"], "when": ["1:00", "2:00", "3:00", "4:00"]}, 2),
        # Seeds that appear twice of a name need another text to tell the models apart.
        ({"model": ["a"] * 4, "seed": [1, 2, 1, 2], "space": ["x", "x", "y", "y"]}, 2),
        ({"model": ["a", "a", "b", "b"], "image_size": [28, 224, 28, 224]}, 4),
        # A first text column names rows, but without seeds equal texts are no repeats.
        ({"family": ["a", "a", "b", "b"]}, 4),
        ({"family": ["a", "a", "b", "b"], "Seed": [1, 2, 1, 2]}, 2),
        ({"Model": ["a", "a", "b", "b"]}, 2),
    ],
)
def test_what_counts_as_repeats_of_one_model(frame, n):
    table = pd.DataFrame(frame | {"acc": [0.8, 0.9, 0.7, 0.6], "kwh": [1.0, 2.0, 3.0, 4.0]})
    assert len(score(table)) == n


def test_a_column_of_data_sets_makes_groups_unless_together():
    frame = pd.DataFrame(
        {"model": list("abab"), "dataset": list("xxyy"), "acc": [0.9, 0.8, 0.7, 0.6],
         "kwh": [1.0, 2.0, 10.0, 30.0]}
    )  # fmt: skip
    apart, pooled = score(frame), score(frame, together=True)
    assert apart["resource"].sort_index().tolist() == [0, 1, 0, 1]
    assert pooled["resource"].sort_index().tolist() == pytest.approx([0, 1 / 29, 9 / 29, 1])
    assert "compared within each of 2 data sets (dataset)" in apart.ranking.models.remarks[0]
    (remark,) = pooled.ranking.models.remarks
    assert remark == "2 names are those of several models, which differ in dataset"
    assert len(pooled) == 4  # a model of two data sets is not a repeat


def test_errors_and_ranges_become_fractions_and_the_own_numbers_stay():
    frame = pd.DataFrame({"model": ["a", "b"], "acc": [10.0, 40.0], "kwh": [2.0, 1.0]})
    ranked = score(frame, better="low", performance_range=(0, 100))
    assert ranked.set_index("model")["pepr"].to_dict() == pytest.approx({"a": 0.45, "b": 0.6})
    assert sorted(ranked["acc"]) == [10.0, 40.0]
    mapped = score(frame, performance_range=(-50, 50)).set_index("model")
    assert mapped["pepr"].to_dict() == pytest.approx({"a": 0.3, "b": 0.9})
    with pytest.raises(PeprError, match="row 2, column 'acc'"):
        score(frame, performance_range=(0, 30))
    with pytest.raises(ScoreInputError, match="smaller first"):
        Scale(lower=1, upper=0)


def test_the_interval_of_test_images_is_wilsons_times_the_share_that_the_cost_leaves():
    frame = pd.DataFrame({"model": ["a", "b"], "acc": [0.9, 0.8], "kwh": [2.0, 1.0]})
    ranked = score(frame, n_test=100).set_index("model")
    for name, hits, share in (("a", 90, 0.5), ("b", 80, 1.0)):
        low, high = stats.binomtest(hits, 100).proportion_ci(method="wilson")
        found = ranked.loc[name, ["pepr_low", "pepr_high"]].tolist()
        assert found == pytest.approx([low * share, high * share], abs=1e-6)
    with pytest.raises(PeprError, match="no share of test images"):
        score(frame, n_test=100, performance_range=(0, 5))


def test_weights_are_divided_by_their_sum():
    frame = SEEDS.drop(columns="seed")
    seven = score(frame, cost={"kwh": 7, "gb": 3})
    assert seven["pepr"].tolist() == score(frame, cost={"kwh": 0.7, "gb": 0.3})["pepr"].tolist()
    assert seven.ranking.rule.weights == {"kwh": 0.7, "gb": 0.3}
    with pytest.raises(ScoreInputError, match="0 or more"):
        score(frame, cost={"kwh": 1, "gb": -1})


def test_the_notes_survive_use_as_a_frame():
    ranked = score(SEEDS)
    kinds = [note.kind for note in ranked.notes]
    assert "two-models" in kinds
    stored = pickle.loads(pickle.dumps(ranked))
    for used in (ranked.head(1), ranked[ranked["acc"] > 0], ranked.sort_values("acc"), stored):
        assert [note.kind for note in used.notes] == kinds
    assert isinstance(ranked["acc"], pd.Series)
    assert pd.DataFrame(ranked).shape == ranked.shape


def test_a_result_sets_experiments_are_kept_apart(published):
    models = find_models(UserTable("published", published.runs), Question())
    assert models.grouped_by == "experiment"
    assert models.runs is None
    assert len(models.numbers) == 1048


TABLES = st.integers(3, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(40, 99), min_size=n, max_size=n, unique=True),
        st.lists(st.integers(1, 10_000), min_size=n, max_size=n, unique=True),
        st.permutations(range(n)),
    )
)


@settings(max_examples=60, deadline=None)
@given(drawn=TABLES, power=st.integers(-6, 6))
def test_order_names_and_units_change_neither_ranking_nor_notes(drawn, power):
    accuracies, costs, order = drawn
    frame = pd.DataFrame(
        {"model": [f"m{i}" for i in range(len(costs))],
         "acc": np.array(accuracies) / 100, "kwh": np.array(costs) / 8}
    )  # fmt: skip
    plain = score(frame)
    shuffled = score(frame.iloc[list(order)])
    renamed = score(frame.rename(columns={"acc": "p", "kwh": "c"}), "p", "c")
    scaled = score(frame.assign(kwh=frame["kwh"] * 2.0**power))
    for other in (shuffled, renamed, scaled):
        assert other["model"].tolist() == plain["model"].tolist()
        assert other["rank"].tolist() == plain["rank"].tolist()
        assert [n.kind for n in other.notes] == [n.kind for n in plain.notes]
    assert [str(n) for n in shuffled.notes] == [str(n) for n in plain.notes]


#: Few values, so that scores are equal or missing.
TIES = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, None]), st.sampled_from([1, 2]), st.sampled_from("xy")),
    min_size=1, max_size=12,
).filter(lambda rows: any(acc for acc, _, _ in rows))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(drawn=TIES, head=st.integers(1, 8), by=st.sampled_from([[], ["set"]]))
def test_the_head_of_a_ranking_is_that_of_the_whole(drawn, head, by):
    table = pd.DataFrame(drawn, columns=["acc", "kwh", "set"]).astype({"acc": "float64"})
    models = find_models(UserTable("t", table), Question("acc", ["kwh"], by))
    whole, first = (rank(models, Rule({"kwh": 1.0}), head=n) for n in (None, head))
    by_hand = whole.table.assign(kwh=table["kwh"], row=table.index)
    keys = ["pepr", "resource", "kwh", "row"]
    by_hand = by_hand.sort_values(keys, ascending=[False, True, True, True])
    assert whole.order.tolist() == by_hand.index.tolist()
    groups = table["set"] if by else [0] * len(table)
    expected = whole.table["pepr"].groupby(groups).rank(method="min", ascending=False)
    assert whole.table["rank"].astype("float64").equals(expected.rename("rank"))
    rows = whole.order[:head]
    assert first.order[:head].equals(rows)
    assert first.table["rank"][rows].equals(whole.table["rank"][rows])


def test_a_search_takes_the_best_candidate_by_pepr():
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    class Metered(DecisionTreeClassifier):
        def fit(self, x, y):
            with pu.meter("cpu", simulated_w=50.0) as measured:
                super().fit(x, y)
            self.energy_kwh_ = measured.energy_kwh()
            # Deeper trees cost more, so that the test does not depend on the machine.
            self.cost_ = 10.0 ** (self.max_depth or 9)
            return self

    x, y = load_iris(return_X_y=True)
    scoring = {
        "accuracy": "accuracy",
        "cost": lambda fitted, x, y: fitted.cost_,
        "energy_kwh": lambda fitted, x, y: fitted.energy_kwh_,
    }
    refit = pu.best_by_pepr("mean_test_accuracy", "mean_test_cost")
    search = GridSearchCV(Metered(random_state=0), {"max_depth": [1, 2, 5]}, scoring=scoring,
                          refit=refit).fit(x, y)  # fmt: skip
    results = search.cv_results_
    cost = results["mean_test_cost"]
    by_hand = results["mean_test_accuracy"] / (1 + (cost - cost.min()) / np.ptp(cost))
    assert search.best_index_ == by_hand.argmax() == 1
    metered = pu.best_by_pepr("mean_test_accuracy", "mean_test_energy_kwh")(results)
    assert 0 <= metered < 3
    timed = GridSearchCV(Metered(random_state=0), {"max_depth": [1, 2]}, refit=pu.best_by_pepr())
    assert timed.fit(x, y).best_estimator_.max_depth in (1, 2)
    assert pickle.loads(pickle.dumps(refit))(results) == 1
    with pytest.raises(ScoreInputError, match=r"no 'mean_fit'.*mean_fit_time"):
        pu.best_by_pepr(cost="mean_fit")({"mean_test_score": [1], "mean_fit_time": [1]})


def test_a_candidate_whose_fit_failed_is_left_out():
    results = {"mean_test_score": [np.nan, 0.8, 0.9], "mean_fit_time": [1.0, 2.0, 3.0]}
    assert pu.best_by_pepr()(results) == 1


def test_a_meter_gives_a_row_of_a_table():
    rows = []
    for name, accuracy in (("a", 0.9), ("b", 0.8)):
        with pu.meter("cpu", simulated_w=100.0, carbon_intensity=50) as measured:
            sum(range(1000))
        rows.append({"model": name, "accuracy": accuracy, **measured.row()})
        assert measured.time_s > 0
        assert measured.co2eq_g() == pytest.approx(50 * measured.energy_kwh())
    assert len(score(pd.DataFrame(rows), "accuracy", "energy_kwh")) == 2


def test_frames_of_other_libraries_are_taken_as_their_pandas_form():
    """Those of Arrow, which have `to_pandas` as Polars' have, and nothing else of pandas."""
    pyarrow = pytest.importorskip("pyarrow")
    other = pyarrow.Table.from_pandas(SEEDS)
    assert score(other).equals(score(SEEDS))
    asked = {"performance": "acc", "cost": "kwh", "maximum": {"kwh": 2.0}}
    assert pu.select(other, **asked).ranking.equals(pu.select(SEEDS, **asked).ranking)
    for arguments in (["acc", "kwh"], ["acc", ["kwh", "seed"]]):
        of = [[frame[name] if isinstance(name, str) else frame.select(name) for name in arguments]
              for frame in (other,)] + [[SEEDS[name] for name in arguments]]  # fmt: skip
        front, same = (pu.pareto_front(*columns) for columns in of)
        assert front.equals(same)
    by = pu.normalize(other["kwh"], by=other["model"])
    assert by.equals(pu.normalize(SEEDS["kwh"], by=SEEDS["model"]))
    with pytest.raises(InvalidTableError, match="table is a list; allowed: a DataFrame"):
        score([1])
