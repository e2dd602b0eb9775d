"""The audit on unusual sets without a fault, and the evidence of some faults."""

import pandas as pd
import pytest

from pepr_utils.audit import CHECKS, audit
from pepr_utils.audit.checks_emissions import rounding
from pepr_utils.audit.learning import answer_levels, constant_answers, learning
from pepr_utils.errors import InvalidTableError
from pepr_utils.results import load_result_set
from pepr_utils.results.accuracies import fitting


def _found(check, result_set):
    return [(f.severity, f.evidence) for f in CHECKS[check](result_set)]


@pytest.fixture
def totals(tmp_path):
    """Make a set of a table of totals."""

    def make(text):
        (tmp_path / "mine.csv").write_text(text)
        return load_result_set(tmp_path / "mine.csv")

    return make


def test_a_head_for_other_classes_is_no_other_network(totals):
    """ResNet-18 with 10 and with 37 classes; with 10 twice, the counts have to agree."""
    header = "architecture,dataset,n_classes,n_parameters,test_accuracy,energy_kwh\n"
    ours = "resnet18,cifar,10,11181642,0.9,0.1\nresnet18,pets,37,11195493,0.8,0.2\n"
    assert _found("parameters", totals(header + ours)) == []
    (found,) = _found("parameters", totals(header + ours + "resnet18,svhn,10,11181640,0.7,0.3\n"))
    assert found == ("error", "resnet18: 11,181,640, 11,181,642 parameters in different runs")
    bare = header.replace("n_classes,", "") + ours.replace(",10,", ",").replace(",37,", ",")
    assert _found("parameters", totals(bare)) == []


def _powered(totals, device, watts, **columns):
    names = ["architecture", "dataset", "test_accuracy", "energy_kwh", "train_time_s", "device"]
    values = ["a", "w", "0.9", str(watts * 1000 / 3.6e6), "1000", device]
    rows = [[*names, "pue", *columns], [*values, "1", *map(str, columns.values())]]
    return totals("\n".join(",".join(row) for row in rows) + "\n")


def test_power_limits_of_a_small_device_and_of_several_gpus(totals):
    card = "NVIDIA GeForce RTX 3090"
    assert _found("impossible-power", _powered(totals, "Jetson Nano", 6)) == []
    assert _found("impossible-power", _powered(totals, card, 1320, n_devices=4)) == []
    assert _found("impossible-power", _powered(totals, card, 1320, power_limit_w=1400)) == []
    ((severity, evidence),) = _found("impossible-power", _powered(totals, card, 1320))
    assert severity == "error"
    assert "1,320 W, more than 500 W" in evidence
    assert "record its power_limit_w" in evidence
    ((severity, evidence),) = _found("impossible-power", _powered(totals, card, 6))
    assert "6 W, less than 10 W" in evidence


def test_energies_that_are_rounded_imply_no_other_intensity(make_set, clean_tables):
    runs, epochs = clean_tables
    runs["energy_kwh"] /= 10
    runs["co2eq_g"] = runs["energy_kwh"] * 120
    runs["energy_kwh"] = runs["energy_kwh"].round(5)
    assert (runs["co2eq_g"] / runs["energy_kwh"] / 120 - 1).abs().max() > 0.01
    assert _found("carbon-intensity", make_set(runs, epochs)) == []
    undeclared = runs.assign(carbon_intensity_g_per_kwh=float("nan"))
    assert _found("carbon-intensity", make_set(undeclared, epochs)) == []
    # by hand: half of 0.00001 is 0.4 % of 0.00125, and 0.002 has as many decimals as that
    assert rounding(pd.Series([0.00125, 0.002])).tolist() == pytest.approx([0.004, 0.0025])


def test_the_number_of_images_that_accuracies_would_fit():
    thirds = pd.Series([1 / 3, 37 / 300, 101 / 300, 0.99]).to_numpy()
    assert fitting(thirds, 1000) == [300]
    assert fitting(pd.Series([0.71, 0.83]).to_numpy(), 1000) == []  # too coarse


def test_an_experiment_over_other_images_is_one_finding(make_set, clean_tables):
    runs, epochs = clean_tables
    at = epochs["run_id"].str.startswith("clinic")
    values = epochs.loc[at, "test_accuracy"]
    fine = epochs.assign(
        test_accuracy=epochs["test_accuracy"].mask(at, (values * 450).round() / 450)
    )
    last = fine[fine["epoch"] == 5].set_index("run_id")["test_accuracy"]
    runs["test_accuracy"] = runs["run_id"].map(last)
    ((severity, evidence),) = _found("off-lattice", make_set(runs, fine))
    assert severity == "warning"
    assert evidence.endswith("no multiple of 1/600; they would fit 450")
    curve = epochs.assign(test_accuracy=epochs["test_accuracy"].mask(at, values**0.7312345))
    ((_, evidence),) = _found("off-lattice", make_set(runs, curve))
    assert evidence.endswith("no number up to 2,400 fits, so perhaps they are no shares of images")


def test_models_near_chance_on_few_images_are_no_more_than_noted(totals):
    """Of 20 images 11 to 14 are right: above one half, but by less than two errors, 0.22."""
    rows = "".join(f"m{k},tiny,2,20,{k / 20},0.{k}1\n" for k in (11, 12, 13, 14, 16, 18))
    header = "architecture,dataset,n_classes,n_test,test_accuracy,energy_kwh\n"
    ((severity, evidence),) = _found("never-learnt", totals(header + rows))
    assert severity == "note"
    assert "4 runs at best above" in evidence
    assert "0.5000, one over the number of classes" in evidence
    found = _found("never-learnt", totals(header + rows + "m10,tiny,2,20,0.5,0.3\n"))
    assert [severity for severity, _ in found] == ["warning", "note"]


def test_constant_answers_may_vary_by_two_images(make_set, clean_tables):
    """Four runs on the ward's 1,100 images, at 575 to 577 right answers and not quite still."""
    runs, epochs = clean_tables
    for number in range(4):
        right = [575, 576, 576, 577, 576] if number % 2 else [576, 575, 576, 576, 575]
        at = epochs["run_id"] == f"ward-1-{number}"
        epochs.loc[at, "test_accuracy"] = [k / 1100 for k in right]
        runs.loc[runs["run_id"] == f"ward-1-{number}", "test_accuracy"] = right[-1] / 1100
    (level,) = constant_answers(make_set(runs, epochs)).itertuples(index=False)
    assert (level.dataset, level.runs) == ("ward", 4)
    assert level.level == pytest.approx(576 / 1100)


def test_the_largest_class_of_a_known_test_set_is_the_level(published):
    table = answer_levels(published).set_index("dataset")
    assert table.loc["lidc", "level"] == pytest.approx(1573 / 3008)
    assert set(table["basis"]) == {"the share of the largest class"}


def test_which_runs_are_compared_with_a_constant_answer(published, raw):
    """Against the authors' table, the six rows that are LIDC's left out."""
    names = [f"test_{i:02d}" for i in range(10)]
    state = learning(published)["state"].fillna("not judged").to_numpy()
    lidc = (raw["dataset"] == "lidc").to_numpy()
    level = 1573 / 3008
    error = (level * (1 - level) / 3008) ** 0.5
    best, final = raw[names].max(axis=1), raw["test_09"]
    near = (best > level) & (best <= level + 2 * error)
    assert (state[lidc] == "not told apart").sum() == near[lidc].sum() == 11
    assert (state[lidc] == "never learnt").sum() == (best[lidc] <= level).sum() == 0
    fell = (best > level + 2 * error) & (final <= level + 1e-9)
    assert (state[lidc] == "collapsed").sum() == fell[lidc].sum() == 2
    derma = (raw["dataset"] == "derma_pt").to_numpy()
    assert (state[derma] == "not judged").sum() == 6
    assert (state[derma] == "never learnt").sum() == 0


def test_test_images_that_the_paper_states_and_the_accuracies_are_not_over(published):
    found = _found("test-images", published)
    assert len(found) == 8
    assert "over 3,020 test images; the accuracies are multiples of 1/3,008" in found[4][1]


def test_the_authors_own_table_is_known_by_its_columns(tmp_path):
    (tmp_path / "all_results.csv").write_text("model,num_param,test_09\na,1,0.5\n")
    with pytest.raises(InvalidTableError, match="it is the result set 'published'"):
        load_result_set(tmp_path / "all_results.csv")


def test_each_caller_gets_a_copy_of_what_is_cached(clean_set):
    first = learning(clean_set)
    first["state"] = "changed"
    assert not learning(clean_set)["state"].eq("changed").any()
    assert audit(clean_set) == []


def test_a_gpu_whose_counter_and_samples_disagree(totals):
    header = "architecture,dataset,test_accuracy,energy_kwh,gpu_disagreement\n"
    clean = totals(header + "a,w,0.9,0.1,0.04\nb,w,0.9,0.2,\n")
    assert _found("meters-disagree", clean) == []
    ((severity, evidence),) = _found("meters-disagree", totals(header + "a,w,0.9,0.1,0.12\n"))
    assert severity == "warning"
    assert evidence.startswith("1 run with")
    assert "are 12 % apart" in evidence


def test_two_gpu_energies_are_compared_where_no_difference_is_recorded(totals):
    header = "architecture,dataset,test_accuracy,energy_kwh,gpu_counter_kwh,gpu_polled_kwh"
    rows = "a,w,0.9,0.1,0.050,0.049,60\nb,w,0.9,0.1,0.05,0,5\nc,w,0.9,0.1,0.05,,60\n"
    clean = totals(header + ",train_time_s\n" + rows)  # alike, too short to compare, and one alone
    assert _found("meters-disagree", clean) == []
    apart = "a,w,0.9,0.1,0.05,0.04\nb,w,0.9,0.1,0.05,0\nc,w,0.9,0.1,0,0.05\n"
    ((_, evidence),) = _found("meters-disagree", totals(header + "\n" + apart))
    assert evidence.startswith("3 runs with")
    assert "are 20 to 100 % apart" in evidence
