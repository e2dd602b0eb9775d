"""Each check of the audit: a fault planted in a clean set is found with its rows, and no other."""

from random import Random

import pandas as pd
import pytest

from pepr_utils.audit import CHECKS, audit
from pepr_utils.errors import InvalidTableError, UnknownNameError
from pepr_utils.results import load_result_set


def test_a_clean_set_has_no_finding(clean_set):
    assert audit(clean_set) == []


#: Check, columns of `runs` to change by run_id, and the rows that the check has to name.
WARD, TENTH, CLINIC = "ward-1-{}", "ward-0.1-{}", "clinic-1-{}"


def _set(runs, run_id, **values):
    for name, value in values.items():
        if name not in runs:
            runs[name] = pd.NA
        runs.loc[runs["run_id"] == run_id, name] = value


def _value(runs, run_id, name):
    return runs.loc[runs["run_id"] == run_id, name].iloc[0]


def _shared_energy(runs, epochs):
    _set(runs, TENTH.format(3), energy_kwh=_value(runs, WARD.format(3), "energy_kwh"))
    _set(runs, TENTH.format(3), co2eq_g=_value(runs, WARD.format(3), "co2eq_g"))


def _undecided(runs, epochs):
    _set(runs, WARD.format(5), energy_kwh=_value(runs, WARD.format(4), "energy_kwh"))
    _set(runs, WARD.format(5), co2eq_g=_value(runs, WARD.format(4), "co2eq_g"))


def _repeated_row(runs, epochs):
    """The clinic's row of one model is the ward's, accuracies of every epoch included."""
    names = ["test_accuracy", "energy_kwh", "co2eq_g", "train_time_s", "eval_time_s"]
    for name in names:
        _set(runs, CLINIC.format(2), **{name: _value(runs, WARD.format(2), name)})
    mine, theirs = (epochs["run_id"] == run.format(2) for run in (CLINIC, WARD))
    for name in ("train_accuracy", "test_accuracy"):
        epochs.loc[mine, name] = epochs.loc[theirs, name].to_numpy()


def _too_much_power(runs, epochs):
    energy = _value(runs, CLINIC.format(1), "energy_kwh") * 3.1
    _set(runs, CLINIC.format(1), energy_kwh=energy, co2eq_g=energy * 120)


def _too_little_power(runs, epochs):
    energy = _value(runs, CLINIC.format(1), "energy_kwh") / 1000
    _set(runs, CLINIC.format(1), energy_kwh=energy, co2eq_g=energy * 120)


def _time_of_one_epoch(runs, epochs):
    runs[["train_time_s", "eval_time_s"]] /= 5


def _evaluation_in_the_time(runs, epochs):
    runs["energy_kwh"] *= 1 + runs["eval_time_s"] / runs["train_time_s"]
    runs["co2eq_g"] = runs["energy_kwh"] * 120
    runs["train_time_s"] += runs["eval_time_s"]


def _evaluation_in_the_energy(runs, epochs):
    """One run's energy covers the evaluation that its window leaves out."""
    _set(runs, TENTH.format(6), energy_kwh=0.9 * 500 * 5.5e-6, co2eq_g=0.9 * 500 * 5.5e-6 * 120)
    _set(runs, TENTH.format(6), train_time_s=2.5, eval_time_s=17.5)


def _no_time(runs, epochs):
    _set(runs, WARD.format(7), train_time_s=float("nan"))


def _leakage(runs, epochs):
    _set(runs, WARD.format(2), data_warnings="61 of 240 test images are copies of train images")
    _set(runs, CLINIC.format(3), data_warnings="2 images have a copy with another label")


def _few_samples(runs, epochs):
    runs["energy_method"] = "carbontracker: gpu polled"  # a counter's energy is not from samples
    _set(runs, WARD.format(7), n_power_samples=2)


def _disagreeing(runs, epochs):
    runs["gpu_disagreement"] = 0.01
    _set(runs, WARD.format(7), gpu_disagreement=0.2)


def _estimated(runs, epochs):
    _set(runs, WARD.format(7), energy_method="TDP estimate")


def _zero_energy(runs, epochs):
    _set(runs, WARD.format(7), energy_kwh=0.0, co2eq_g=0.0)


def _other_test_set(runs, epochs):
    """One clinic run has accuracies over the ward's images."""
    values = [k / 1100 for k in (781, 817, 839, 877, 905)]
    epochs.loc[epochs["run_id"] == CLINIC.format(8), "test_accuracy"] = values
    _set(runs, CLINIC.format(8), test_accuracy=values[-1])


def _off_lattice(runs, epochs):
    """One digit of one epoch's accuracy changed: 0.7916666666666666 was 475/600."""
    at = (epochs["run_id"] == CLINIC.format(8)) & (epochs["epoch"] == 3)
    epochs.loc[at, "test_accuracy"] = 0.7926666666666666


def _dropped_batch(runs, epochs):
    """The clinic's accuracies are over 18 whole batches of 32 of its 600 images."""
    at = epochs["run_id"].str.startswith("clinic")
    epochs.loc[at, "test_accuracy"] = (epochs.loc[at, "test_accuracy"] * 576).round() / 576
    last = epochs[at & (epochs["epoch"] == 5)].set_index("run_id")["test_accuracy"]
    runs["test_accuracy"] = runs["run_id"].map(last).fillna(runs["test_accuracy"])


def _final_of_no_epoch(runs, epochs):
    _set(runs, CLINIC.format(8), test_accuracy=0.7774)


def _final_of_another_epoch(runs, epochs):
    at = (epochs["run_id"] == CLINIC.format(8)) & (epochs["epoch"] == 3)
    _set(runs, CLINIC.format(8), test_accuracy=epochs.loc[at, "test_accuracy"].iloc[0])


def _other_images_throughout(runs, epochs):
    """All the clinic's accuracies are over 450 images, and 600 are claimed."""
    at = epochs["run_id"].str.startswith("clinic")
    epochs.loc[at, "test_accuracy"] = ((epochs.loc[at, "test_accuracy"] * 450).round() + 0.0) / 450
    last = epochs[at & (epochs["epoch"] == 5)].set_index("run_id")["test_accuracy"]
    runs["test_accuracy"] = runs["run_id"].map(last).fillna(runs["test_accuracy"])


def _no_share_at_all(runs, epochs):
    """Areas under a curve in the column of accuracies."""
    at = epochs["run_id"].str.startswith("clinic")
    epochs.loc[at, "test_accuracy"] **= 0.7312345
    last = epochs[at & (epochs["epoch"] == 5)].set_index("run_id")["test_accuracy"]
    runs["test_accuracy"] = runs["run_id"].map(last).fillna(runs["test_accuracy"])


def _one_run_under_two_names(runs, epochs):
    """The same measurements under two names, with neither parameters nor memory to compare."""
    for name in ("test_accuracy", "energy_kwh", "co2eq_g", "train_time_s", "eval_time_s"):
        _set(runs, CLINIC.format(2), **{name: _value(runs, CLINIC.format(3), name)})
    for name in ("n_parameters", "peak_memory_gb", "reserved_memory_gb"):
        runs[name] = float("nan")
    mine, theirs = (epochs["run_id"] == CLINIC.format(i) for i in (2, 3))
    for name in ("train_accuracy", "test_accuracy"):
        epochs.loc[mine, name] = epochs.loc[theirs, name].to_numpy()


def _training_accuracy_of_others(runs, epochs):
    at = (epochs["run_id"] == CLINIC.format(3)) & (epochs["epoch"] == 5)
    epochs.loc[at, "train_accuracy"] = 0.89025


def _other_intensity(runs, epochs):
    _set(runs, WARD.format(1), co2eq_g=_value(runs, WARD.format(1), "energy_kwh") * 60)


def _undeclared_intensities(runs, epochs):
    runs["carbon_intensity_g_per_kwh"] = float("nan")
    _set(runs, WARD.format(1), co2eq_g=_value(runs, WARD.format(1), "energy_kwh") * 475)


def _never_learnt(runs, epochs):
    for number in (1, 4, 9):
        epochs.loc[epochs["run_id"] == TENTH.format(number), "test_accuracy"] = 0.612
        _set(runs, TENTH.format(number), test_accuracy=0.612)


def _collapsed(runs, epochs):
    _set(runs, WARD.format(2), test_accuracy=0.471)
    at = (epochs["run_id"] == WARD.format(2)) & (epochs["epoch"] == 5)
    epochs.loc[at, "test_accuracy"] = 0.471


def _low_training_accuracy(runs, epochs):
    at = (epochs["run_id"] == WARD.format(2)) & (epochs["epoch"] == 4)
    epochs.loc[at, "train_accuracy"] = 0.25


def _peak_over_reserved(runs, epochs):
    _set(runs, WARD.format(2), reserved_memory_gb=1.0)


def _memory_differs(runs, epochs):
    _set(runs, WARD.format(2), peak_memory_gb=1.7)
    _set(runs, WARD.format(2), reserved_memory_gb=1.9)


def _parameters_differ(runs, epochs):
    _set(runs, CLINIC.format(2), n_parameters=5)


def _two_names(runs, epochs):
    for arm in (WARD, TENTH, CLINIC):
        for name in ("n_parameters", "peak_memory_gb"):
            _set(runs, arm.format(6), **{name: _value(runs, arm.format(5), name)})


def _same_run_twice(runs, epochs):
    _set(runs, WARD.format(3), architecture="netc")


def _parted_family(runs, epochs):
    runs["type"] = "CNN"
    runs.loc[runs["architecture"] == "neta", "architecture"] = "twin18"
    runs.loc[runs["architecture"] == "netb", ["architecture", "type"]] = ["twin34", "Other"]


def _lone_bound(runs, epochs):
    for name in ("energy_kwh", "co2eq_g", "train_time_s", "eval_time_s"):
        _set(runs, CLINIC.format(13), **{name: _value(runs, CLINIC.format(13), name) * 3})


ALL_OF = {
    "clinic": [CLINIC.format(i) for i in range(14)],
    "tenth": [TENTH.format(i) for i in range(14)],
    "all": [arm.format(i) for arm in (WARD, TENTH, CLINIC) for i in range(14)],
}
PLANTED = [
    ("shared-values", _shared_energy, [WARD.format(3), TENTH.format(3)]),
    ("copied-energy", _shared_energy, [TENTH.format(3)]),
    ("copied-energy", _undecided, [WARD.format(4), WARD.format(5)]),
    ("repeated-rows", _repeated_row, [WARD.format(2), CLINIC.format(2)]),
    ("impossible-power", _too_much_power, [CLINIC.format(1)]),
    ("impossible-power", _too_little_power, [CLINIC.format(1)]),
    ("time-meaning", _time_of_one_epoch, ALL_OF["all"]),
    ("time-contents", _evaluation_in_the_time, ALL_OF["tenth"]),
    ("energy-window", _evaluation_in_the_energy, [TENTH.format(6)]),
    ("unexplained-energy", _no_time, [WARD.format(7)]),
    ("unexplained-energy", _few_samples, [WARD.format(7)]),
    ("meters-disagree", _disagreeing, [WARD.format(7)]),
    ("unexplained-energy", _estimated, [WARD.format(7)]),
    ("unexplained-energy", _zero_energy, [WARD.format(7)]),
    ("other-test-set", _other_test_set, [CLINIC.format(8)]),
    ("off-lattice", _off_lattice, [CLINIC.format(8)]),
    ("off-lattice", _other_images_throughout, ALL_OF["clinic"]),
    ("off-lattice", _no_share_at_all, ALL_OF["clinic"]),
    ("last-epoch", _final_of_no_epoch, [CLINIC.format(8)]),
    ("last-epoch", _final_of_another_epoch, [CLINIC.format(8)]),
    ("repeated-rows", _one_run_under_two_names, [CLINIC.format(2), CLINIC.format(3)]),
    ("test-images", _dropped_batch, ALL_OF["clinic"]),
    ("training-images", _training_accuracy_of_others, [CLINIC.format(3)]),
    ("carbon-intensity", _other_intensity, [WARD.format(1)]),
    ("carbon-intensity", _undeclared_intensities, [WARD.format(i) for i in range(14)]),
    ("fallback-intensity", _undeclared_intensities, [WARD.format(1)]),
    ("never-learnt", _never_learnt, [TENTH.format(i) for i in (1, 4, 9)]),
    ("never-learnt", _collapsed, [WARD.format(2)]),
    ("training-accuracy", _low_training_accuracy, [WARD.format(2)]),
    ("data-warnings", _leakage, [WARD.format(2), CLINIC.format(3)]),
    ("memory", _peak_over_reserved, [WARD.format(2)]),
    ("memory", _memory_differs, [arm.format(2) for arm in (WARD, TENTH, CLINIC)]),
    ("parameters", _parameters_differ, [arm.format(2) for arm in (WARD, TENTH, CLINIC)]),
    ("same-network", _two_names, [a.format(i) for a in (WARD, TENTH, CLINIC) for i in (5, 6)]),
    ("repeated-runs", _same_run_twice, [WARD.format(2), WARD.format(3)]),
    ("labels", _parted_family, [a.format(i) for a in (WARD, TENTH, CLINIC) for i in (0, 1)]),
    ("single-bound", _lone_bound, [CLINIC.format(13)]),
]


@pytest.mark.parametrize(
    ("check", "plant", "expected"), PLANTED, ids=[f"{c}{p.__name__}" for c, p, _ in PLANTED]
)
def test_a_planted_fault_is_found_with_its_rows(check, plant, expected, make_set, clean_tables):
    runs, epochs = clean_tables
    plant(runs, epochs)
    found = CHECKS[check](make_set(runs, epochs))
    assert {row.run_id for finding in found for row in finding.rows} == set(expected)


def test_every_check_has_a_planted_fault():
    # What is wrong with files of predictions is planted in test_damaged_files.
    assert {check for check, _, _ in PLANTED} | {"predictions"} == set(CHECKS)


@pytest.fixture
def faulty_tables(clean_tables):
    """A set with several faults of different families at once."""
    for plant in (_shared_energy, _repeated_row, _other_intensity, _collapsed, _two_names):
        plant(*clean_tables)
    return clean_tables


def _essence(findings, names=None, run_ids=None):
    names, run_ids = names or {}, run_ids or {}
    return {
        (
            finding.check,
            finding.severity,
            finding.columns,
            frozenset(
                (names.get(r.architecture, r.architecture), run_ids.get(r.run_id, r.run_id))
                for r in finding.rows
            ),
        )
        for finding in findings
    }


def test_order_and_names_of_rows_change_nothing(make_set, faulty_tables):
    order = Random(20240603)
    runs, epochs = (table.copy() for table in faulty_tables)
    expected = audit(make_set(runs, epochs))
    assert len(expected) > 5

    shuffled = list(runs.index), list(epochs.index)
    for index in shuffled:
        order.shuffle(index)
    again = audit(make_set(runs.loc[shuffled[0]], epochs.loc[shuffled[1]]))
    assert _essence(again) == _essence(expected)

    names = sorted(runs["architecture"].unique())
    renamed = dict(
        zip(names, order.sample([f"m{c}" for c in "abcdefghijklmnopqrst"], 14), strict=True)
    )
    run_ids = {
        run_id: f"r{i}" for i, run_id in enumerate(order.sample(list(runs["run_id"]), len(runs)))
    }
    relabelled = runs.assign(
        architecture=runs["architecture"].map(renamed), run_id=runs["run_id"].map(run_ids)
    )
    again = audit(make_set(relabelled, epochs.assign(run_id=epochs["run_id"].map(run_ids))))
    assert _essence(again) == _essence(expected, renamed, run_ids)


def test_a_source_is_not_decided_by_the_majority(make_set, clean_tables):
    """Thirteen of fourteen energies of the tenth are copies; power still decides which."""
    from pepr_utils.results.repair import origins

    runs, epochs = clean_tables
    for number in range(13):
        _set(runs, TENTH.format(number), energy_kwh=_value(runs, WARD.format(number), "energy_kwh"))
    roles = origins(make_set(runs, epochs)).set_index("run_id")["role"]
    assert roles[[TENTH.format(i) for i in range(13)]].eq("copy").all()
    assert roles[[WARD.format(i) for i in range(13)]].eq("source").all()


def test_what_is_not_a_result_set_is_an_error(tmp_path, make_set, clean_tables):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "foreign.csv").write_text("name,price\napple,1\n")
    (tmp_path / "cut.csv").write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,0.9\n")
    for name in ("empty", "foreign", "cut"):
        with pytest.raises(InvalidTableError):
            load_result_set(tmp_path / f"{name}.csv")
    runs, epochs = clean_tables
    with pytest.raises(InvalidTableError, match="no finished run"):
        audit(make_set(runs.assign(status="failed"), epochs))
    with pytest.raises(UnknownNameError, match="did you mean 'off-lattice'"):
        audit(make_set(runs, epochs), ["off-latice"])


def test_a_table_of_accuracies_and_energies_alone_can_be_audited(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "architecture,dataset,test_accuracy,energy_kwh\na,w,0.871,0.0170\nb,w,0.862,0.0170\n"
    )
    found = audit(load_result_set(path))
    assert found == []


def test_records_that_the_project_writes_can_be_audited(tmp_path, clean_tables):
    """The clean runs as records on disk, with per-run limits, are still clean."""
    from pepr_utils.results import Record, write_record

    runs, epochs = clean_tables
    runs["power_limit_w"] = 350.0
    for run in runs.to_dict("records"):
        mine = epochs[epochs["run_id"] == run["run_id"]].drop(columns="run_id")
        write_record(
            Record.model_validate(run | {"epochs": tuple(mine.to_dict("records"))}), tmp_path
        )
    assert audit(load_result_set(tmp_path)) == []
    record = Record.model_validate(run | {"data_warnings": "2 images have a copy"})
    write_record(record, tmp_path)
    (finding,) = audit(load_result_set(tmp_path))
    assert finding.evidence.endswith(": 2 images have a copy")
