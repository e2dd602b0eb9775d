"""Declared comparisons: samples by hand, tests against published examples, missing runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pepr_utils import statistics as significance
from pepr_utils.errors import NotAvailableError, UnknownNameError
from pepr_utils.statistics import Comparison, compare_samples, equivalence, holm
from pepr_utils.statistics.resampling import (
    family_weights,
    percentiles,
    weighted_mean,
    weighted_median,
    weighted_variance,
)
from pepr_utils.statistics.samples import divided_families, families

#: Student's sleep data, as R's `sleep`: hours gained by ten patients under two drugs.
DRUG_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
DRUG_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])

PAIRED = Comparison("pretraining", "accuracy", "average")
UNPAIRED = Comparison("size", "accuracy", "average")


def _samples(first, second, comparison, families=None):
    """Two samples as `groups` returns them."""
    a, b = comparison.groups
    n = len(first) + len(second)
    names = [f"m{i:02d}" for i in range(len(first))]
    other = names if comparison.paired else [f"x{i:02d}" for i in range(len(second))]
    blank = dict.fromkeys(["cost_alone", "log_value", "log_cost_alone", "majority"], np.nan)
    return pd.DataFrame(
        {
            "architecture": [*names, *other],
            "family": [str(i) for i in range(n)] if families is None else families,
            "group": [a] * len(first) + [b] * len(second),
            "value": [*first, *second],
        }
    ).assign(**blank)


def _compare(first, second, comparison, families=None, **options):
    samples = _samples(first, second, comparison, families)
    return significance.Tested(
        comparison=comparison, **compare_samples(samples, comparison, **options)
    )


def test_what_is_declared():
    assert len(significance.PRIMARY) == len(set(significance.PRIMARY)) == 20
    assert set(significance.PRIMARY) < set(significance.COMPARISONS)
    by_scope = pd.Series([significance.COMPARISONS[n].scope for n in significance.PRIMARY])
    assert by_scope.value_counts().to_dict() == {
        "derma": 6, "lidc": 6, "pneumonia": 6, "average": 2
    }  # fmt: skip
    assert all(name == one.name for name, one in significance.COMPARISONS.items())
    assert "size-pepr_e-average_released" in significance.COMPARISONS
    assert "fraction-accuracy-average_released" not in significance.COMPARISONS


def test_unpaired_tests_are_those_that_r_gives():
    """R: t.test(extra ~ group, sleep), var.equal, wilcox.test(exact = FALSE)."""
    tested = _compare(DRUG_1, DRUG_2, UNPAIRED)
    assert tested.p_welch == pytest.approx(0.07939, abs=5e-6)
    assert tested.p_student == pytest.approx(0.07919, abs=5e-6)
    assert tested.p_mann_whitney == pytest.approx(0.06933, abs=5e-6)
    assert (tested.t_low, tested.t_high) == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)
    assert (tested.mean_a, tested.mean_b) == pytest.approx((0.75, 2.33))
    assert tested.p_paired is None
    assert tested.p == tested.p_welch


def test_the_paired_test_is_the_one_that_r_gives():
    """R: t.test(extra ~ group, sleep, paired = TRUE)."""
    tested = _compare(DRUG_1, DRUG_2, PAIRED)
    assert tested.p == tested.p_paired == pytest.approx(0.002833, abs=5e-7)
    assert (tested.t_low, tested.t_high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert list(tested.tests) == ["paired t", "Wilcoxon", "Welch", "Student", "Mann-Whitney"]


def test_equivalence_as_toster_gives_it():
    """R: TOSTER::t_TOST(extra ~ group, sleep, eqb = 0.5): p 0.89 and 0.012, the larger counts."""
    assert equivalence(DRUG_1, DRUG_2, 0.5, paired=False) == pytest.approx(0.89, abs=0.005)
    assert equivalence(DRUG_2, DRUG_1, 0.5, paired=False) == pytest.approx(0.89, abs=0.005)


@given(st.floats(0.01, 5.0), st.booleans())
def test_equivalent_is_a_90_percent_interval_within_the_margins(margin, paired):
    kind = stats.ttest_rel if paired else stats.ttest_ind
    options = {} if paired else {"equal_var": False}
    interval = kind(DRUG_1, DRUG_2, **options).confidence_interval(0.9)
    within = bool(-margin < interval.low and interval.high < margin)
    assert (equivalence(DRUG_1, DRUG_2, margin, paired=paired) < 0.05) == within


def test_hedges_g_by_hand():
    """Means 3 and 1, both variances 1; the correction is J(4) = 0.7979 (Hedges 1981, table)."""
    tested = _compare([2.0, 3.0, 4.0], [0.0, 1.0, 2.0], UNPAIRED)
    assert tested.effect == pytest.approx(2 * 0.7978846, abs=1e-6)
    paired = _compare([2.0, 3.0, 4.0], [0.0, 1.0, 2.1], PAIRED)
    assert paired.effect > 0


def test_of_two_pairs_no_effect_size_is_defined():
    """The correction at one degree of freedom is 0; at two it is 1 / sqrt(pi).

    Of the pairs the differences are 0.2 and 0.3: t is 5, and p of one degree of freedom is
    1 - 2 atan(5) / pi. Of three pairs the standard deviations are 0.05 and 0.1.
    """
    two = _compare([0.9, 0.8], [0.7, 0.5], PAIRED)
    assert np.isnan([two.effect, two.effect_low, two.effect_high]).all()
    assert two.p == pytest.approx(1 - 2 * np.arctan(5) / np.pi)
    three = _compare([0.9, 0.8, 0.85], [0.7, 0.5, 0.6], PAIRED)
    assert three.effect == pytest.approx(0.25 / np.sqrt(0.00625) / np.sqrt(np.pi))
    unpaired = _compare([0.9, 0.8], [0.7, 0.5], UNPAIRED)
    # J(2) again; variances 0.005 and 0.02
    assert unpaired.effect == pytest.approx(0.25 / np.sqrt(0.0125) / np.sqrt(np.pi))


def test_equal_differences_give_no_t_test_and_no_interval():
    """Of 0.1 in each pair, but for rounding, nothing is known of the spread."""
    tested = _compare([0.9, 0.8, 0.6], [0.8, 0.7, 0.5], PAIRED, families=["x", "y", "z"] * 2)
    assert np.isnan([tested.p_paired, tested.t_low, tested.t_high, tested.p_equivalence]).all()
    assert np.isnan([tested.difference_low, tested.difference_high]).all()
    assert tested.conclusion() == "no difference"
    assert (tested.p_wilcoxon, tested.p_student < 1) == (0.25, True)  # 2 of the 8 signs
    assert tested.effect > 0


def test_a_rank_test_of_few_values_with_ties_counts_arrangements():
    """Two and two of six arrangements are the extreme ones; three and three, two of twenty."""
    tested = _compare([0.9, 0.9], [0.5, 0.5], UNPAIRED)
    assert tested.p_mann_whitney == pytest.approx(1 / 3)
    assert np.isnan([tested.p_welch, tested.p_student, tested.t_low, tested.p_equivalence]).all()
    three = _compare([0.9, 0.9, 0.8], [0.5, 0.5, 0.4], UNPAIRED)
    assert three.p_mann_whitney == pytest.approx(0.1)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04, times 4, 3, 2, 1, made monotone
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    with_gap = holm([0.02, np.nan, 0.6])
    assert with_gap[[0, 2]] == pytest.approx([0.04, 0.6])
    assert np.isnan(with_gap[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_monotone_and_between_p_and_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= np.asarray(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p) * np.asarray(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_weighted_statistics_are_those_of_the_repeated_values():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=9), rng.integers(0, 4, size=(50, 9)).astype(float)
    weights[0] = 0
    weights[1] = [3, *[0] * 8]
    for function, plain in (
        (weighted_mean, np.mean),
        (weighted_median, np.median),
        (weighted_variance, lambda x: np.var(x, ddof=1)),
    ):
        found = function(values, weights)
        assert np.isnan(found[0])
        for row, value in zip(weights[1:], found[1:], strict=True):
            assert value == pytest.approx(plain(np.repeat(values, row.astype(int))), abs=1e-12)


def test_resamples_draw_families_whole():
    names = ["a", "b", "a", "c"]
    weights = family_weights(names, 500, seed=3)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    shuffled = family_weights(["c", "a", "b", "a"], 500, seed=3)
    assert (shuffled[:, [1, 2, 3, 0]] == weights).all()
    assert (family_weights(names, 500, seed=4) != weights).any()


def test_there_is_no_interval_of_one_family_and_one_of_many_is_scipys():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.8, 0.02, 40), rng.normal(0.7, 0.02, 40)
    one = _compare(a, b, UNPAIRED, families=["x"] * 80)
    assert np.isnan([one.difference_low, one.median_difference_high, one.effect_low]).all()
    assert one.effect > 0
    each = _compare(a, b, UNPAIRED, families=["x"] * 40 + ["y"] * 40)
    assert np.isnan([each.difference_low, each.equivalence_high]).all()
    assert not each.equivalent_by_families
    many = _compare(a, b, UNPAIRED)
    expected = stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), method="percentile", rng=1
    ).confidence_interval
    assert many.difference_low == pytest.approx(expected.low, abs=1e-3)
    assert many.difference_high == pytest.approx(expected.high, abs=1e-3)
    clustered = _compare(a, b, UNPAIRED, families=[str(i // 10) for i in range(80)])
    assert clustered.n_families == 8
    assert many == _compare(a, b, UNPAIRED)


def test_values_without_spread_give_no_p_and_no_crash():
    tested = _compare([0.5, 0.5], [0.5, 0.5], UNPAIRED)
    assert np.isnan(tested.p)
    assert np.isnan(tested.effect)
    assert tested.conclusion() == "no difference"
    assert percentiles(np.array([np.nan, np.nan, 1.0]), 0.95) != (1.0, 1.0)


def test_samples_by_hand(small_set):
    """Ward, fine-tuned: R is 0, 0.5, 1 for small, large, tiny; from scratch 0, 0.5, 1 too."""
    frame = significance.groups(small_set, "pretraining-accuracy-ward")
    wide = frame.pivot(index="architecture", columns="group", values="value")
    assert wide.loc["small"].to_dict() == {"fine-tuned": 0.8, "from scratch": 0.4}
    assert wide.loc["tiny"].to_dict() == {"fine-tuned": 0.6, "from scratch": 0.2}
    scores = significance.groups(small_set, "pretraining-pepr_e-average")
    wide = scores.pivot(index="architecture", columns="group", values="value")
    assert wide.loc["large", "fine-tuned"] == pytest.approx(0.9 / 1.5)
    assert wide.loc["tiny", "from scratch"] == pytest.approx(0.2 / 2)
    row = scores[(scores["architecture"] == "large") & (scores["group"] == "fine-tuned")].iloc[0]
    assert row["cost_alone"] == pytest.approx(1 / 1.5)
    assert row["log_value"] - row["log_cost_alone"] == pytest.approx(np.log(0.9))
    tenth = significance.groups(small_set, "fraction-accuracy-average")
    assert set(tenth["architecture"]) == {"small", "large", "tiny"}
    assert tenth.loc[tenth["group"] == "10 %", "value"].sum() == pytest.approx(0.85 + 0.5 + 0.4)


def test_missing_runs_are_named(small_set, published):
    with pytest.raises(NotAvailableError, match="models with a run in each: 2 small, 1 large"):
        significance.test(small_set, "size-accuracy-average")
    with pytest.raises(NotAvailableError, match="on data set 'lidc'"):
        significance.test(published, "pretraining-accuracy-lidc")
    with pytest.raises(UnknownNameError, match="did you mean 'size-pepr_e-lidc'"):
        significance.test(published, "size-pepr-e-lidc")
    without = replace(published, runs=published.runs[published.runs["dataset"] != "lidc"])
    table = significance.primary_family(without, n_resamples=100).set_index("name")
    assert (table["conclusion"] == "not available").sum() == 6
    assert table.loc["size-pepr_e-lidc", ["p", "p_holm"]].isna().all()
    smallest = table["p"].min()
    assert table["p_holm"].min() == pytest.approx(14 * smallest)


def test_a_set_without_energies_has_accuracies_to_compare(clean_tables, make_set):
    runs, epochs = clean_tables
    runs["n_parameters"] = np.where(runs.index % 2, 30_000_000, 2_000_000)
    bare = make_set(runs.assign(energy_kwh=np.nan), epochs)
    assert significance.test(bare, "size-accuracy-ward", n_resamples=100).n_a > 1
    with pytest.raises(NotAvailableError, match="needs energy_kwh"):
        significance.test(bare, "size-pepr_e-ward")


def test_the_published_numbers_from_the_table_itself(published, raw, names):
    wide = raw.pivot(index="model", columns="dataset", values="test_09")
    three_a = significance.test(published, "pretraining-accuracy-derma")
    assert three_a.p_student == pytest.approx(
        stats.ttest_ind(wide["derma_pt"], wide["derma"]).pvalue
    )
    assert (three_a.median_a, three_a.median_b) == pytest.approx((0.8201, 0.7253), abs=5e-5)
    full = wide[["derma_pt", "lidc", "pneumonia"]].mean(axis=1)
    tenth = wide[["derma_small", "lidc_small", "pneumonia_small"]].mean(axis=1)
    three_b = significance.test(published, "fraction-accuracy-average")
    assert three_b.p_paired == pytest.approx(stats.ttest_rel(full, tenth).pvalue)
    assert three_b.p_wilcoxon == pytest.approx(stats.wilcoxon(full - tenth).pvalue)

    lidc = raw[raw["dataset"] == "lidc"].set_index("model")
    score = lidc["test_09"] / (1 + lidc["R"])
    efficient = lidc.index.map(names["efficient"]) == 1
    tested = significance.test(published, "efficient-pepr_e-lidc")
    assert (tested.n_a, tested.n_b) == (31, 100)
    assert tested.p_welch == pytest.approx(
        stats.ttest_ind(score[efficient], score[~efficient], equal_var=False).pvalue
    )
    alone = 1 / (1 + lidc["R"])
    assert tested.control_difference == pytest.approx(
        alone[efficient].mean() - alone[~efficient].mean()
    )
    assert tested.majority == pytest.approx(1573 / 3008)
    assert tested.above_a == (score[efficient] > 1573 / 3008).sum()

    every = raw.assign(cnn=raw["model"].map(names["type"]) == "CNN")
    every = every.groupby(["model", "cnn"])["test_09"].mean().reset_index("cnn")
    released = significance.test(published, "type-accuracy-average_released")
    assert released.p_mann_whitney == pytest.approx(
        stats.mannwhitneyu(every.loc[every.cnn, "test_09"], every.loc[~every.cnn, "test_09"]).pvalue
    )


@pytest.mark.parametrize(
    ("accuracies", "energies", "share"),
    [
        ([0.8] * 4, [1.0, 2.0, 4.0, 5.0], 1.0),  # equally accurate: all of it is cost
        ([0.9, 0.8, 0.7, 0.6], [1.0, 2.0, 1.0, 2.0], 0.0),  # equal costs: no share of it is
    ],
)
def test_the_share_of_cost(tmp_path, accuracies, energies, share):
    from pepr_utils.results import load_result_set

    path = tmp_path / "mine.csv"
    pd.DataFrame(
        {
            "architecture": ["a", "b", "c", "d"],
            "dataset": "pneumonia",
            "test_accuracy": accuracies,
            "energy_kwh": energies,
            "n_parameters": [1_000_000, 2_000_000, 30_000_000, 40_000_000],
            "n_test": 624,
        }
    ).to_csv(path, index=False)
    tested = significance.test(load_result_set(path), "size-pepr_e-pneumonia")
    assert tested.cost_share == pytest.approx(share, abs=1e-12)
    assert tested.majority == pytest.approx(0.625)
    assert tested.above_a in (1, 2)


def test_families_of_unknown_names():
    assert families(["resnet18d", "my_net_3", "my_net_9"]) == ["resnet", "my_net", "my_net"]


def test_alternative_labels(published):
    """Families that a label divides are left out; the median model counts as small."""
    divided = divided_families(published, "type")
    assert {"gluon_seresnext50_32x4d", "seresnext26ts"} <= divided
    assert "dla34" not in divided
    frame = significance.groups(published, "type-accuracy-derma", labels="alternative")
    assert len(frame) == 131 - len(divided)
    size = significance.groups(published, "size-accuracy-derma", labels="alternative")
    assert size["group"].value_counts().to_dict() == {"small": 66, "large": 65}
    with pytest.raises(UnknownNameError, match="unknown labels 'mine'"):
        significance.groups(published, "size-accuracy-derma", labels="mine")
