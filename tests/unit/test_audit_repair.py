"""The three readings of a set with copies, on a set small enough to compute by hand."""

import pandas as pd
import pytest

from pepr_utils.errors import UnknownNameError
from pepr_utils.results.repair import origins, read_as, repair


@pytest.fixture
def with_a_copy(make_set, clean_tables):
    """The energy of one run on a tenth of the ward is the one on all of it."""
    runs, epochs = clean_tables
    value = runs.loc[runs["run_id"] == "ward-1-3", "energy_kwh"].iloc[0]
    runs.loc[runs["run_id"] == "ward-0.1-3", "energy_kwh"] = value
    return make_set(runs, epochs)


def test_as_published_is_the_set_itself(with_a_copy):
    assert read_as(with_a_copy, "published") is with_a_copy


def test_dropped_has_no_copy_and_no_epoch_of_one(with_a_copy):
    left = read_as(with_a_copy, "dropped")
    assert len(left.runs) == len(with_a_copy.runs) - 1
    assert "ward-0.1-3" not in set(left.runs["run_id"]) | set(left.epochs["run_id"])
    assert origins(left).empty


def test_replaced_has_power_times_time(with_a_copy):
    runs = with_a_copy.runs.set_index("run_id")
    own = runs.loc[[f"ward-0.1-{i}" for i in range(14) if i != 3]]
    watt = (own["energy_kwh"] * 3.6e6 / own["train_time_s"]).mean()
    expected = watt * runs.loc["ward-0.1-3", "train_time_s"] / 3.6e6
    repaired = read_as(with_a_copy, "replaced")
    after = repaired.runs.set_index("run_id")
    assert after.loc["ward-0.1-3", "energy_kwh"] == pytest.approx(expected, rel=1e-12)
    assert pd.isna(after.loc["ward-0.1-3", "co2eq_g"])
    assert repaired.changes[["run_id", "column"]].values.tolist() == [
        ["ward-0.1-3", "energy_kwh"],
        ["ward-0.1-3", "co2eq_g"],
    ]
    assert f"{watt:.1f} W, the mean of 13 runs" in repaired.changes["reason"].iloc[0]
    pd.testing.assert_frame_equal(
        after.drop("ward-0.1-3"), with_a_copy.runs.set_index("run_id").drop("ward-0.1-3")
    )


def test_nothing_to_repair_changes_nothing(clean_set):
    repaired = repair(clean_set)
    assert repaired.changes.empty
    pd.testing.assert_frame_equal(repaired.runs, clean_set.runs)


def test_an_experiment_of_copies_alone_cannot_be_repaired(make_set, clean_tables):
    """Where no run gives a power, the energy becomes empty and the reason says so."""
    runs, epochs = clean_tables
    for number in range(14):
        value = runs.loc[runs["run_id"] == f"ward-1-{number}", "energy_kwh"].iloc[0]
        runs.loc[runs["run_id"] == f"ward-0.1-{number}", "energy_kwh"] = value
    repaired = repair(make_set(runs, epochs))
    tenth = repaired.runs[repaired.runs["train_fraction"] == 0.1]
    assert tenth["energy_kwh"].isna().all()
    reasons = repaired.changes.loc[repaired.changes["column"] == "energy_kwh", "reason"]
    assert reasons.str.contains("no run of its experiment gives a power").all()


def test_an_unknown_reading_is_refused(clean_set):
    with pytest.raises(UnknownNameError, match="allowed: published, dropped, replaced"):
        read_as(clean_set, "repaired")
