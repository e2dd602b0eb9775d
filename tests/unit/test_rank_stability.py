"""The chapter on how firm a ranking is: its tables against loops and hand-made cases."""

import numpy as np
import pandas as pd
import pytest

from paper.chapters import stability as stability_numbers
from paper.figures import ranking
from pepr_utils.errors import InvalidTableError
from pepr_utils.results import correct_images, load_result_set
from pepr_utils.scoring import normalize, pepr
from pepr_utils.statistics import rank_stability as stability


@pytest.fixture(scope="module")
def scored(published):
    return stability.scored_experiments(published)


def _set(tmp_path, rows):
    path = tmp_path / "mine.csv"
    path.write_text("architecture,dataset,test_accuracy,energy_kwh,n_parameters,n_test\n" + rows)
    return load_result_set(path)


def test_experiments_are_those_on_all_data(scored, raw):
    assert list(scored) == [
        "derma, from scratch",
        "derma, pretrained",
        "lidc, pretrained",
        "pneumonia, pretrained",
    ]
    theirs = raw[raw["dataset"] == "lidc"].set_index("model")
    mine = scored["lidc, pretrained"]
    np.testing.assert_allclose(mine["resource"], theirs["R"].reindex(mine.index), atol=1e-12)
    np.testing.assert_allclose(mine["pepr"], mine["test_accuracy"] / (1 + mine["resource"]))


def test_repeated_runs_of_a_model_are_averaged(tmp_path):
    results = _set(tmp_path, "a,w,0.8,1,9,100\na,w,0.6,3,9,100\nb,w,0.5,4,9,100\nc,v,0.5,4,9,100\n")
    [table] = stability.scored_experiments(results).values()  # v has one model only
    assert table.loc["a", "test_accuracy"] == pytest.approx(0.7)
    assert table.loc["a", "cost"] == pytest.approx(2.0)


def test_nothing_to_rank_is_an_error(tmp_path):
    with pytest.raises(InvalidTableError, match="no experiment on all training data has two"):
        stability.scored_experiments(_set(tmp_path, "a,w,0.8,1,9,100\n"))


def test_detail_is_shown_of_the_learning_curves_experiment(published, scored, tmp_path):
    assert stability.main_experiment(published, scored) == "derma, pretrained"
    totals = _set(tmp_path, "a,w,0.8,1,9,100\nb,w,0.5,4,9,100\n")
    assert stability.main_experiment(totals, stability.scored_experiments(totals)) == "w"


def test_bound_setters_by_recomputing_without_them(scored):
    table = stability.bound_setters(scored).set_index(["experiment", "sets"])
    for label, frame in scored.items():
        for sets, name in (("R_max", frame["cost"].idxmax()), ("R_min", frame["cost"].idxmin())):
            row, rest = table.loc[(label, sets)], frame.drop(index=name)
            new = pepr(rest["test_accuracy"], normalize(rest["cost"]))
            assert row["without"] == name
            assert row["largest change of a score"] == pytest.approx(
                (new - rest["pepr"]).abs().max()
            )
            old_rank, new_rank = rest["pepr"].rank(ascending=False), new.rank(ascending=False)
            assert row["Kendall's tau"] == pytest.approx(old_rank.corr(new_rank, method="kendall"))
            assert row["leader"] == new.idxmax()
            top = set(rest["pepr"].nlargest(5).index) & set(new.nlargest(5).index)
            assert row["of 5 leaders kept"] == len(top)


def test_without_the_most_expensive_the_scores_are_those_of_the_equivalent_alpha(scored):
    """The equivalence that the chapter states, on the published data."""
    table = stability.bound_setters(scored)
    for _, row in table[table["sets"] == "R_max"].iterrows():
        rest = scored[row["experiment"]].drop(index=row["without"])
        alpha = row["equivalent alpha"]
        expected = alpha * rest["test_accuracy"] / (alpha + rest["resource"])
        found = pepr(rest["test_accuracy"], normalize(rest["cost"]))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_most_expensive_left_out_one_after_another(scored):
    frame = scored["lidc, pretrained"]
    table = stability.most_expensive_left_out(frame).set_index("left out")
    order = frame["cost"].sort_values(ascending=False)
    for n in (1, 10, 40):
        rest = frame.drop(index=order.index[:n])
        new = pepr(rest["test_accuracy"], normalize(rest["cost"]))
        assert table.loc[n, "leader"] == new.idxmax()
        share = order.iloc[n] / order.iloc[0]
        assert table.loc[n, "R_max as a share of the first"] == pytest.approx(share)
    assert list(stability.most_expensive_left_out(frame.iloc[:4])["left out"]) == [1, 2]


def test_normalisations_against_pandas(scored):
    table = stability.normalizations(scored).set_index(["experiment", "rule"])
    frame = scored["derma, pretrained"]
    by_max = frame["test_accuracy"] / (1 + frame["cost"] / frame["cost"].max())
    row = table.loc[("derma, pretrained", "max")]
    assert row["Kendall's tau"] == pytest.approx(by_max.corr(frame["pepr"], method="kendall"))
    assert row["leader"] == by_max.idxmax()
    shift = by_max.rank(ascending=False, method="min") - frame["pepr"].rank(
        ascending=False, method="min"
    )
    assert row["largest shift"] == shift.abs().max()


def test_intervals_are_sorted_and_hold_the_score(scored):
    found = stability.intervals(scored["derma, pretrained"])
    assert found["rank"].is_monotonic_increasing
    assert ((found["pepr_low"] <= found["pepr"]) & (found["pepr"] <= found["pepr_high"])).all()
    first = found.iloc[0]
    spread = np.sqrt(first["performance"] * (1 - first["performance"]) / 1984)
    half = 1.96 * spread / (1 + first["resource"])
    assert first["pepr_high"] - first["pepr"] == pytest.approx(half, rel=0.15)


def test_controls_by_hand(tmp_path):
    rows = "s,pneumonia,0.8,1,2000000,608\nt,pneumonia,0.6,2,3000000,608\n"
    rows += "l,pneumonia,0.9,5,30000000,608\n"
    [row] = stability.controls(stability.scored_experiments(_set(tmp_path, rows))).to_dict(
        "records"
    )
    # resources 0, 1/4, 1; scores 0.8, 0.48, 0.45; cost alone 1, 0.8, 0.5
    assert row["accuracy, difference"] == pytest.approx(0.7 - 0.9)
    assert row["PePR, difference"] == pytest.approx(0.64 - 0.45)
    assert row["P = 1, difference"] == pytest.approx(0.9 - 0.5)
    assert row["correlation with cost alone"] == pytest.approx(1.0)
    assert row["majority class"] == pytest.approx(381 / 608)
    assert (row["above it"], row["accuracy above it"], row["models"]) == (1, 2, 3)


def test_chapters_numbers(published, scored):
    bounds, controls = stability.bound_setters(scored), stability.controls(scored)
    intervals = stability.intervals(scored["derma, pretrained"])
    rules = stability.normalizations(scored)
    found = stability_numbers.numbers(
        scored, "derma, pretrained", bounds, controls, intervals, rules
    )
    assert found["most-expensive"] == "convmixer_768_32"
    assert (found["most-expensive-bounds"], found["n-experiments"]) == ("4", "4")
    assert (found["alpha-lowest"], found["alpha-highest"]) == ("0.71", "0.94")
    assert found["leaders-changed"] == "The leader stays the same in each."
    frame = scored["derma, pretrained"]
    assert found["n-below-majority"] == str((frame["pepr"] <= 1328 / 1984).sum())
    assert found["n-below-majority-accuracy"] == str((frame["test_accuracy"] <= 1328 / 1984).sum())
    assert found["hardest"] == "derma, from scratch"
    scratch = scored["derma, from scratch"]
    assert found["n-above-hardest"] == str((scratch["pepr"] > 1328 / 1984).sum())
    large = frame["n_parameters"] > 24_600_000
    gap = frame["pepr"][~large].median() - frame["pepr"][large].median()
    assert found["difference-pepr"] == f"{gap:.3f}"
    assert found["n-test"] == "1,984"
    assert found["how-resampled"].endswith("binomial counts over the 1,984 test images.")
    assert found["cost-spread"].startswith("The energy is taken as measured: no run was repeated")
    small, alone = frame["pepr"][~large].median(), 1 / (1 + frame["resource"])
    assert found["lead-pepr"] == f"{100 * gap / small:.1f} %"
    lead = 1 - alone[large].median() / alone[~large].median()
    assert found["lead-alone"] == f"{100 * lead:.1f} %"
    assert found["lead-verdict"] == "These are close: the lead in PePR-E is a lead in cost."
    assert found["shift-max"] == "6"


def test_what_is_not_known_is_not_available(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,0.8,1\nb,w,0.7,2\n")
    scored = stability.scored_experiments(load_result_set(path))
    intervals = stability.intervals(scored["w"])
    controls = stability.controls(scored)
    rules = stability.normalizations(scored)
    found = stability_numbers.numbers(
        scored, "w", stability.bound_setters(scored), controls, intervals, rules
    )
    for name in ("most-expensive", "first", "majority", "hardest", "n-test", "difference-pepr"):
        assert found[name] == "n/a"
    assert intervals.empty
    assert "n_test" in ranking.describe_intervals(intervals)
    assert ranking.interval_chart(intervals).to_dict(validate=True)["mark"]["type"] == "text"
    assert stability_numbers.controls_table(controls)["models above it"].tolist() == ["", "", ""]


def test_controls_table_has_a_row_for_each_measure(scored):
    table = stability_numbers.controls_table(stability.controls(scored))
    assert len(table) == 3 * len(scored)
    assert table["median of"].tolist()[:3] == ["accuracy", "PePR-E", "PePR-E, P = 1"]
    pd.testing.assert_series_equal(
        table["difference"], table["small"] - table["large"], check_names=False
    )


@pytest.mark.parametrize(
    "rows",
    [
        "a,w,0.8,1,9,100\nb,w,0.7,2,9,100\n",  # two models: nothing is left without one
        "a,w,0.8,2,9,100\nb,w,0.7,2,9,100\nc,w,0.6,2,9,100\n",  # equal costs
        "a,w,0.8,1,9,100\nb,w,0.7,2,9,100\nc,w,0.6,0,9,100\n",  # one is free
        "a,w,0,1,9,100\nb,w,0,2,9,100\nc,w,0,3,9,100\n",  # none is ever right
    ],
)
def test_every_table_is_made_for_odd_sets(tmp_path, rows):
    scored = stability.scored_experiments(_set(tmp_path, rows))
    bounds, rules = stability.bound_setters(scored), stability.normalizations(scored)
    intervals, controls = stability.intervals(scored["w"]), stability.controls(scored)
    leaders, paths = ranking.leaders_table(scored["w"]), ranking.data(scored["w"])
    ranking.chart(paths).to_dict(validate=True)
    ranking.describe(paths, leaders)
    stability_numbers.numbers(scored, "w", bounds, controls, intervals, rules)
    assert list(bounds.columns) == list(stability.BOUND_COLUMNS)
    free = (scored["w"]["cost"] == 0).any()
    assert ("(a cost is 0)" in set(rules["leader"])) == free
    assert stability.compare_with_majority(scored).empty


def test_repeated_runs_widen_the_interval_by_the_spread_of_their_cost(tmp_path):
    once = _set(tmp_path, "a,w,0.8,2,9,100\nb,w,0.5,8,9,100\nc,w,0.6,5,9,100\n")
    rows = "a,w,0.8,1,9,100\na,w,0.8,3,9,100\nb,w,0.5,8,9,100\nc,w,0.6,3,9,100\nc,w,0.6,7,9,100\n"
    scored = stability.scored_experiments(_set(tmp_path, rows))
    table = stability.intervals(scored["w"]).set_index("architecture")
    alone = stability.intervals(stability.scored_experiments(once)["w"]).set_index("architecture")
    width = table["pepr_high"] - table["pepr_low"]
    assert width["c"] > (alone["pepr_high"] - alone["pepr_low"])["c"] + 0.05
    assert width["b"] == pytest.approx((alone["pepr_high"] - alone["pepr_low"])["b"], abs=0.03)
    found = stability_numbers._cost_spread(scored["w"])
    assert found.startswith("The energy of the 2 models that ran more than once is resampled")


@pytest.fixture
def measured_set(tmp_path):
    """Two models with their predictions of four images, stored as `measure` stores them."""
    from pepr_utils.results import Record, write_record

    labels = np.array([0, 1, 1, 0])
    for name, predicted in (("a", [0, 1, 1, 1]), ("b", [0, 1, 0, 1])):
        correct = float((np.array(predicted) == labels).mean())
        fields = {"run_id": name, "architecture": name, "dataset": "w", "n_test": 4}
        energy = {"a": 1.0, "b": 2.0}[name]
        write_record(
            Record(status="done", test_accuracy=correct, energy_kwh=energy, **fields), tmp_path
        )
        (tmp_path / "predictions").mkdir(exist_ok=True)
        np.savez(
            tmp_path / "predictions" / f"{name}.npz",
            predicted=np.array(predicted),
            labels=labels,
            probabilities=np.zeros((4, 2)),
        )
    return tmp_path


def test_images_are_resampled_together_where_predictions_are_kept(measured_set):
    results = load_result_set(measured_set)
    assert correct_images(results, results.runs).tolist() == [
        [True, True, True, False],
        [True, True, False, False],
    ]
    [table] = stability.scored_experiments(results).values()
    found = stability.intervals(table, result_set=results)
    assert found["by_image"].all()
    # a is right on all images of b, and cheaper: in no resample of the images does b lead alone
    assert found.set_index("architecture")["leads"]["a"] == 1.0
    binomial = stability.intervals(table).set_index("architecture")
    assert binomial["leads"]["a"] < 1.0


def test_without_all_predictions_accuracies_are_resampled(measured_set):
    (measured_set / "predictions" / "b.npz").unlink()
    results = load_result_set(measured_set)
    assert correct_images(results, results.runs) is None
    [table] = stability.scored_experiments(results).values()
    assert not stability.intervals(table, result_set=results)["by_image"].any()
    (measured_set / "predictions" / "b.npz").write_bytes(b"PK broken")
    with pytest.raises(InvalidTableError, match="no readable predictions"):
        correct_images(results, results.runs)


def test_models_not_above_the_majority_are_named(scored):
    standing = stability.compare_with_majority(scored)
    below = stability_numbers.not_above(standing, "derma, pretrained")
    assert len(below) == 54
    assert (below["PePR-E"] <= 1328 / 1984).all()
    assert below["PePR-E"].is_monotonic_increasing
    assert set(standing["experiment"]) == set(scored)
