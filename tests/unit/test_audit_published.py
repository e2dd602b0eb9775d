"""What the audit finds in the published data, against the authors' table read by pandas alone."""

import pandas as pd
import pytest

from pepr_utils.audit import audit
from pepr_utils.audit.checks_bounds import bounds
from pepr_utils.audit.replicates import same_network, spread
from pepr_utils.results import content_hash, load_result_set
from pepr_utils.results.accuracies import fits_other_test_set, off_lattice, training_images
from pepr_utils.results.power import time_contents
from pepr_utils.results.repair import origins

LIDC_ROWS = {
    "dla46_c",
    "hardcorenas_a",
    "mobilevitv2_050",
    "resnet18d",
    "semnasnet_075",
    "spnasnet_100",
}


@pytest.fixture(scope="module")
def findings(published):
    return audit(published)


@pytest.fixture(scope="module")
def repaired(published):
    return load_result_set("published-repaired")


def test_shared_energies_and_their_roles(published, raw):
    """Over ten times its own time, no run may draw more than (350 + 150) W x 1.58."""
    shared = raw[raw.duplicated(["model", "energy"], keep=False)]
    watts = shared["energy"] * 3.6e6 / (10 * shared["train_time"])
    table = origins(published)
    assert len(table) == len(shared) == 442
    counts = table["role"].value_counts()
    assert counts["copy"] == (watts > 790).sum() + len(LIDC_ROWS) == 312
    assert (counts["source"], counts["undecided"]) == (74, 56)
    # a group has one source at most, and one with a source has no undecided run
    roles = table.groupby("energy_kwh")["role"]
    assert roles.agg(lambda r: (r == "source").sum()).max() == 1
    assert not roles.agg(lambda r: {"source", "undecided"} <= set(r)).any()


def test_the_rows_of_derma_that_are_lidcs(published):
    table = fits_other_test_set(published)
    names = published.runs.set_index("run_id").loc[table["run_id"]]
    assert set(names["architecture"]) == LIDC_ROWS
    assert set(names["dataset"]) == {"derma"}
    assert set(zip(table["other"], table["n"], strict=True)) == {("lidc", 3008)}
    copies = origins(published).query("whole_row and role == 'copy'")
    assert set(copies["architecture"]) == LIDC_ROWS


def test_stray_accuracies(published, findings):
    """76 accuracies are off: all of the six rows but one, and twelve of two other models."""
    assert len(off_lattice(published)) == 72
    stray = {
        (row.architecture, row.experiment.split("/")[0])
        for finding in findings
        if finding.check == "off-lattice"
        for row in finding.rows
    }
    assert stray == {
        ("dm_nfnet_f0", "derma"),
        ("dm_nfnet_f0", "pneumonia"),
        ("dla102", "pneumonia"),
    }


def test_how_many_images_were_trained_on(published):
    table = training_images(published)
    assert table["n"].tolist() == [7007, 7007, 700, 70, 9057, 905, 4708, 470]
    assert set(table["rule"]) == {"mean of batches"}
    assert (table["values"] - table["fit"]).tolist() == [0, 5, 0, 0, 0, 0, 0, 0]


def test_the_time_contains_an_evaluation(published):
    table = time_contents(published)
    assert (table["time ratio"] / table["with one evaluation"] - 1).abs().max() < 0.02
    assert (table["time ratio"] / table["training alone"] - 1).min() > 0.3


def test_one_network_under_two_names(published, raw):
    table = same_network(published)
    assert table.values.tolist() == [["adv_inception_v3", "gluon_inception_v3", 8, 1, 0]]
    rows = raw[raw["dataset"] == "derma"].set_index("model").loc[list(table.loc[0, :"second"])]
    one, two = rows["energy"]
    assert spread(published)["energy"].tolist() == [pytest.approx(2 * (two - one) / (one + two))]
    assert spread(published)["epochs"].tolist() == [0]


def test_who_sets_the_bounds(published, raw):
    table = bounds(published).set_index("bound")["architecture"]
    highest = raw.loc[raw.groupby("dataset", sort=False)["energy"].idxmax(), "model"]
    assert table["highest"].tolist() == highest.tolist()
    assert (table["highest"] == "convmixer_768_32").sum() == 7


def test_every_family_of_checks_finds_something(findings):
    """The set has all these faults; those that are not named, it does not have."""
    found = {finding.check for finding in findings}
    assert found == {
        "shared-values",
        "copied-energy",
        "repeated-rows",
        "impossible-power",
        "time-meaning",
        "time-contents",
        "other-test-set",
        "off-lattice",
        "test-images",
        "training-images",
        "carbon-intensity",
        "fallback-intensity",
        "never-learnt",
        "training-accuracy",
        "same-network",
        "labels",
        "single-bound",
    }


def test_the_repaired_set_lists_every_cell_that_it_changes(published, repaired):
    before = published.runs.set_index("run_id")
    after = repaired.runs.set_index("run_id")
    changes = repaired.changes
    withdrawn = before.index.difference(after.index)
    assert set(before.loc[withdrawn, "architecture"]) == LIDC_ROWS
    assert set(changes["reason"].str.len() > 10) == {True}
    for column in before.columns:
        old, new = before.loc[after.index, column], after[column]
        differ = (old != new).fillna(old.isna() != new.isna()) & ~(old.isna() & new.isna())
        listed = changes.loc[changes["column"] == column, "run_id"]
        assert set(differ.index[differ]) == set(listed) - set(withdrawn), column
    assert set(repaired.epochs["run_id"]) == set(after.index)


def test_a_replaced_energy_worked_out_from_the_authors_table(repaired, raw):
    """Pneumonia's own runs draw 571 W on average; a copy gets that times ten of its times."""
    rows = raw[raw["dataset"] == "pneumonia"].set_index("model")
    shared = raw[raw.duplicated(["model", "energy"], keep=False)]
    copies = shared.loc[shared["dataset"] == "pneumonia", "model"]
    watts = rows["energy"] * 3.6e6 / (10 * rows["train_time"])
    own = watts.drop(copies).mean()
    assert own == pytest.approx(571.2, abs=0.05)
    new = repaired.runs[
        (repaired.runs["dataset"] == "pneumonia") & (repaired.runs["train_fraction"] == 1)
    ].set_index("architecture")
    for name in copies:
        expected = own * 10 * rows.loc[name, "train_time"] / 3.6e6
        assert new.loc[name, "energy_kwh"] == pytest.approx(expected, rel=1e-12)
        assert pd.isna(new.loc[name, "co2eq_g"])


def test_what_was_repaired_is_not_found_again(repaired):
    found = {(finding.check, finding.severity) for finding in audit(repaired)}
    gone = {"copied-energy", "repeated-rows", "impossible-power", "other-test-set"}
    assert not {(check, "error") for check in gone} & found
    from pepr_utils.results.repair import repair

    assert repair(repaired).changes.empty


def test_the_repaired_set_is_a_set_like_any_other(repaired):
    assert repaired.name == "published-repaired"
    assert repaired.content_hash == content_hash("published-repaired") != content_hash("published")
    assert len(repaired.full_data()) == 4 * 131 - 6
