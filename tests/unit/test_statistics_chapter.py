"""Figures A.1 and A.2 and the tables of the chapter on statistics, against the authors' table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paper.chapters import statistics as statistics_numbers
from paper.figures import costs, medians
from pepr_utils import statistics as significance
from pepr_utils.statistics import tables


@pytest.fixture(scope="module")
def tested(published):
    return significance.all_tests(published, n_resamples=400)


@pytest.fixture(scope="module")
def shown(tested):
    return tables.distinct(tested)


def test_medians_of_small_and_large(published, raw):
    frame = medians.data(published, n_resamples=500).set_index(["dataset", "size"])
    for ours, theirs in (("derma", "derma_pt"), ("lidc", "lidc"), ("pneumonia", "pneumonia")):
        rows = raw[raw["dataset"] == theirs]
        score = rows["test_09"] / (1 + rows["R"])
        expected = score.groupby(rows["size"]).median()
        for size in ("small", "large"):
            row = frame.loc[(ours, size)]
            assert row["median"] == pytest.approx(expected[size])
            assert row["low"] < row["median"] < row["high"]
        row = frame.loc[(ours, "small")]
        assert row["difference"] == pytest.approx(expected["small"] - expected["large"])
        assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
    assert (frame["p"] < 0.001).all()  # what the paper says of figure A.1


def test_the_chart_of_medians(published, small_set):
    frame = medians.data(published, n_resamples=200)
    chart = medians.chart(frame).to_dict(validate=True)
    heads = next(d for d in chart["datasets"].values() if "words" in d[0])
    assert [h["words"].split(":")[0] for h in heads] == ["derma", "lidc", "pneumonia"]
    assert "derma: small 0.751" in medians.describe(frame)
    nothing = medians.data(small_set)
    assert nothing.empty
    assert "Nothing is drawn" in medians.describe(nothing)
    assert medians.chart(nothing).to_dict()["mark"]["type"] == "text"


def _by_cost(result_set):
    return {cost: costs.data(result_set, cost) for cost in ("E", *costs.COSTS)}


def test_scores_by_other_costs(published, raw):
    rows = raw[raw["dataset"].isin(["derma_pt", "lidc", "pneumonia"])]
    for letter, column in (("C", "co2"), ("M", "memR"), ("T", "train_time")):
        each = rows.groupby("dataset")[column]
        low, high = each.transform("min"), each.transform("max")
        score = rows["test_09"] / (1 + (rows[column] - low) / (high - low))
        expected = score.groupby(rows["model"]).mean()
        frame = costs.data(published, letter).set_index("architecture")
        assert frame["pepr"].to_dict() == pytest.approx(expected.to_dict())
        assert costs.chart(frame.reset_index(), letter).to_dict(validate=True)["height"]
    table = costs.table(_by_cost(published)).set_index("score")
    assert table.index.tolist() == ["PePR-E", "PePR-C", "PePR-M", "PePR-T"]
    assert table.loc["PePR-E", "rank correlation with PePR-E"] == pytest.approx(1.0)


def test_one_carbon_intensity_is_said_and_not_drawn(published, small_set):
    assert not costs.one_intensity(published)
    runs = published.runs.assign(co2eq_g=published.runs["energy_kwh"] * 100.0)
    one = replace(published, runs=runs)
    assert costs.one_intensity(one)
    assert costs.data(one, "C").empty
    assert "PePR-C would be PePR-E" in costs.describe(pd.DataFrame(), "C")
    assert "PePR-C" not in set(costs.table(_by_cost(one))["score"])
    assert costs.data(small_set, "T").empty
    assert "has no time" in costs.describe(costs.data(small_set, "T"), "T")
    assert costs.table(_by_cost(small_set))["score"].tolist() == ["PePR-E", "PePR-M"]


def test_a_comparison_that_says_the_same_is_shown_once(tested, shown):
    """Of the published set only Derma has both arms of pretraining: the mean is Derma again."""
    assert "pretraining-accuracy-derma" in shown
    assert "pretraining-accuracy-average" not in shown
    assert "pretraining-accuracy-lidc" not in shown
    assert len(shown) == 40


def test_averaging_over_eight_experiments_changes_two_answers(tested):
    table = tables.averaging(tested).set_index(["factor", "performance"])
    changed = table.index[table["changes"] == "changes"].tolist()
    assert changed == [
        ("small against large", "test accuracy"),
        ("efficient against not efficient", "test accuracy"),
    ]
    row = table.loc[changed[0]]
    assert (row["higher, stated"], row["higher, all"]) == ("none", "small higher")
    assert row["medians, stated"] == "0.7949, 0.7922"


def test_a_choice_that_changes_an_answer_is_named(published, tested):
    table = tables.choices(published, tested, ["fraction-pepr_e-average"], n_resamples=100)
    assert table["changes under"].tolist() == ["Wilcoxon"]
    planted = replace(tested["size-accuracy-derma"], p_mann_whitney=0.01, difference_low=0.001)
    name = planted.comparison.name
    table = tables.choices(published, {name: planted}, [name, "absent"], n_resamples=100)
    assert table["changes under"].tolist() == ["Mann-Whitney, families"]


def test_a_set_with_nothing_to_compare_has_empty_tables(published):
    none = replace(published, runs=published.runs.iloc[:2])
    tested = significance.all_tests(none)
    assert set(tested.values()) == {None}
    for table in (
        tables.choices(none, tested, tested), tables.averaging(tested),
        tables.equivalence_table(tested, tested), tables.control_table(tested, tested),
    ):  # fmt: skip
        assert table.empty
        assert table.columns[0] == "factor"
    assert tables.family_table(none, tested)["higher"].eq("not available").all()


def test_verdicts(tested):
    one = tested["size-accuracy-average"]
    assert tables.verdict(one) == "equal within 0.02"
    assert tables.verdict(replace(one, p_equivalence=0.2)) == "not decided"
    assert tables.verdict(replace(one, p_welch=0.01)) == "large higher, by less than 0.02"
    assert tables.verdict(replace(one, p_welch=0.01, p_equivalence=0.2)) == "large higher"
    assert not replace(one, equivalence_high=0.03).equivalent_by_families


def test_the_family_under_two_readings(published):
    runs = published.runs
    other = replace(
        published, runs=runs.assign(test_accuracy=runs["test_accuracy"].iloc[::-1].values)
    )
    table = tables.by_reading({"as published": published, "turned": other}, n_resamples=100)
    assert len(table) == 20
    assert (table["changes"] == "changes").any()
    same = table[table["changes"] == ""]
    assert (same["as published"].str.split(" (", regex=False).str[1]).equals(
        same["turned"].str.split(" (", regex=False).str[1]
    )


def test_the_numbers_of_the_chapter(published, tested, shown):
    found = (
        statistics_numbers.primary_family_in_words(published, tested)
        | statistics_numbers.efficient(published, tested)
        | statistics_numbers.equal_or_undecided(tables.equivalence_table(tested, shown))
    )
    assert (found["n-primary"], found["n-primary-tested"]) == ("20", "20")
    assert found["efficient-significant"] == "3 of 3"
    assert "(0.017, adjusted 0.207)" in found["lost"]
    assert (tables.averaging(tested)["changes"] != "").sum() == 2
    assert statistics_numbers.largest_family(published) == "31"
    family = tables.family_table(published, tested)
    assert len(family) == 20
    assert (family["higher"] != "none").sum() == int(found["n-primary-significant"]) == 8
    of_pepr = (
        family.set_index(["factor", "performance", "on"])
        .sort_index()
        .loc[("small against large", "PePR-E")]
    )
    assert of_pepr.loc["lidc", "above majority"] == "57 of 65, 35 of 66"
    control = tested["size-pepr_e-lidc"].control_difference
    assert of_pepr.loc["lidc", "P = 1"] == pytest.approx(control)
    assert family["P = 1"].isna().sum() == 11  # differences in accuracy have no cost in them
    assert "for CNN and Other models it is not decided" in found["equal-average"]
    controls = tables.control_table(tested, shown)
    row = controls[(controls["factor"] == "small against large") & (controls["on"] == "lidc")].iloc[
        0
    ]
    assert row["above it"] == "57 of 65, 35 of 66"
    undecided = controls[controls["on"] == "pneumonia"].set_index("factor").loc["CNN against Other"]
    assert np.isnan(undecided["share of cost"])
