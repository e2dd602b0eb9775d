"""The paper's results under three readings, against the authors' table read by pandas alone."""

import pandas as pd
import pytest
from scipy import stats

from paper.chapters import audit as page
from paper.figures import copies
from pepr_utils.results import curve_experiment, load_result_set

TUNED = ["derma_pt", "lidc", "pneumonia"]


@pytest.fixture(scope="module")
def sets(published):
    return page.readings(published)


@pytest.fixture(scope="module")
def marked(raw):
    """The authors' table with its copies marked and with the replaced energies beside."""
    watts = raw["energy"] * 3.6e6 / (10 * raw["train_time"])
    over = watts > 790
    lidc = raw[raw["dataset"] == "lidc"].set_index("model")["energy"]
    whole = (raw["dataset"] == "derma_pt") & (raw["energy"] == raw["model"].map(lidc))
    shared = raw.duplicated(["model", "energy"], keep=False)
    # of a group, at most one run of derma from scratch or lidc is within the limit: the source
    alone = (~over).groupby([raw["model"], raw["energy"]]).transform("sum") == 1
    own = ~over & ~whole & (~shared | alone | (raw["dataset"] == "lidc"))
    mean = watts[own].groupby(raw["dataset"]).mean()
    energy = (raw["dataset"].map(mean) * 10 * raw["train_time"] / 3.6e6).where(over, raw["energy"])
    return raw.assign(copy=over | whole, whole=whole, repaired=energy)


def _medians(table, energy):
    """Median of the mean score of the three fine-tuned experiments, of complete models."""
    rows = table[table["dataset"].isin(TUNED)].assign(cost=energy)
    costs = rows.groupby("dataset")["cost"]
    low, high = costs.transform("min"), costs.transform("max")
    rows = rows.assign(score=rows["test_09"] / (1 + (rows["cost"] - low) / (high - low)))
    means = rows.groupby(["model", "size"])["score"].agg(["mean", "size"])
    return means.loc[means["size"] == 3, "mean"].groupby("size").median()


def test_the_score_by_size_under_each_reading(sets, marked):
    table = page.values(sets).set_index(["figure", "quantity"])
    kept, repaired = marked[~marked["copy"]], marked[~marked["whole"]]
    expected = {
        "as published": _medians(marked, marked["energy"]),
        "copies dropped": _medians(kept, kept["energy"]),
        "copied energies replaced": _medians(repaired, repaired["repaired"]),
    }
    for words, medians in expected.items():
        for size in ("small", "large"):
            shown = table.loc[("figure 3d", f"median PePR-E, {size}"), words]
            assert shown == f"{medians[size]:.3f}"
    assert [expected[w]["large"].round(3) for w in expected] == [0.608, 0.544, 0.635]


def test_significance_of_the_arms(sets, raw):
    wide = raw.pivot(index="model", columns="dataset", values="test_09")
    p = stats.ttest_rel(wide["derma_pt"], wide["derma"]).pvalue
    tested = page.differences(sets["as published"]).set_index("claim")
    row = tested.loc["accuracy: fine-tuned, from scratch (3a)"]
    assert row["p"] == pytest.approx(p)
    assert row["outcome"] == "first higher"
    table = page.significance(sets)
    assert table["stands"].eq("yes").all()
    assert len(table) == 8


def test_a_statement_that_does_not_stand_says_where_it_does(sets, monkeypatch):
    """With a level that nothing reaches, `first higher` stands nowhere, `no difference` does."""
    monkeypatch.setattr(page, "STRICT", 0.0)
    monkeypatch.setattr(page, "USUAL", 0.0)
    table = page.significance(sets).set_index("claim")["stands"]
    assert table["accuracy: all images, a tenth (3b)"] == "no"
    assert table["accuracy: CNN, Other (3c)"] == "yes"


def test_table_1_does_not_move(sets):
    for method in ("minmax", "max"):
        table = page.rankings(sets, method=method)
        assert table[["copies dropped", "copied energies replaced"]].eq("same").all(axis=None)
    scores = page.printed_scores(sets)
    counts = page.matched(scores).set_index(["reading", "normalisation"])["as printed"]
    assert set(counts.xs("by maximum", level=1)) == {24}
    assert set(counts.xs("min-max", level=1)) == {0}


def test_dropping_widens_the_gap(sets):
    table = page.energies_by_size(sets)
    gaps = table.pivot(index="experiment", columns="reading", values="gap")
    small = gaps["copied energies replaced"].round(3)
    assert (gaps["copies dropped"].round(3) > small).sum() == 5
    assert (gaps["copies dropped"].round(3) >= small).all()


def test_a_set_without_copies_has_no_gaps_and_its_numbers_say_so(published):
    again = page.readings(load_result_set("published-repaired"))
    gaps = page.energies_by_size(again)
    assert gaps.empty
    values = page.values(again)
    assert values["moves"].eq("").all()
    found = page.changes_of_data(again) | page.changes_of_gaps(again, gaps)
    assert (found["n-cells-changed"], found["n-gaps-replaced"]) == ("0", "0")


def test_the_front_under_each_reading(sets):
    """The rows of figure 4a are what its own data hold."""
    from paper.chapters.pareto import front_points

    table = page.values(sets).set_index(["figure", "quantity"])
    for words, one in sets.items():
        points = front_points(one, experiment=curve_experiment(sets["as published"]))
        assert (
            table.loc[("figure 4a", "models drawn, derma, pretrained, 100 %"), words]
            == f"{points.architecture.nunique()}"
        )
        knee = points[points["role"] == "knee"].iloc[0]
        shown = table.loc[("figure 4a", "knee (epoch)"), words]
        assert shown == f"{knee['architecture']} ({knee['epoch']})"
        listed = table.loc[("figure 4a", "points of the front (epoch)"), words]
        assert len(listed.split(", ")) == (points["role"] != "other").sum()


def test_the_score_by_type_under_each_reading(sets, means, names):
    table = page.values(sets).set_index(["figure", "quantity"])
    cnn = means("stated", 1.0)["score"].groupby("model").first()
    kinds = published_types(cnn.index)
    for kind in ("CNN", "Other"):
        expected = cnn[kinds == kind].median()
        assert table.loc[("figure 3d", f"median PePR-E, {kind}"), "as published"] == (
            f"{expected:.3f}"
        )


def published_types(names):
    from pepr_utils.results.architectures import load_architectures

    return load_architectures().set_index("architecture").loc[names, "type"].to_numpy()


def test_copies_among_small_and_large(published, marked):
    table = page.copies_by_size(published).set_index("experiment")
    mine = marked[(marked["dataset"] == "pneumonia") & marked["copy"]]
    row = table.loc["pneumonia, pretrained, 100 %"]
    assert row["small, copies"] == (mine["size"] == "small").sum() == 8
    assert row["large, copies"] == (mine["size"] == "large").sum() == 43


def test_any_allowance_between_marks_the_same_runs(published):
    """Just inside the range nothing changes, just outside something does."""
    from pepr_utils.results.repair import origins

    low, high = page.allowances(published)
    assert low < 150 < high
    expected = origins(published)["role"]
    for host in (low + 0.01, high - 0.01):
        assert origins(published, host_power_w=host)["role"].equals(expected)
    more = origins(published, host_power_w=high + 0.01)["role"]
    assert (more == "copy").sum() < (expected == "copy").sum()


def test_figures_hold_every_run_and_every_reading(published, sets):
    frame = copies.power_data(published)
    assert frame["role"].value_counts().to_dict() == {
        "in no other run": 606,
        "copy": 312,
        "source": 74,
        "undecided": 56,
    }
    assert "copy: 312 runs from 577 to 15,561 W" in copies.describe_power(frame)
    assert copies.power_chart(frame).to_dict()["params"]
    scores = copies.score_data(sets)
    assert scores["reading"].value_counts().tolist() == [131, 125, 74]
    assert "median 0.727 for small and 0.635 for large" in copies.describe_scores(scores)
    copies.score_chart(scores).to_dict()


def test_the_audit_of_a_set_without_faults_can_be_laid_out(clean_set):
    assert page.by_check([])["findings"].sum() == 0
    assert page.as_rows([]).empty
    assert page.shared_energies(clean_set).empty
    assert page.copies_by_size(clean_set).empty
    assert isinstance(page.roles(clean_set), pd.DataFrame)
