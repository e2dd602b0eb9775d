"""Records on disk: whole or not there, and a wrong field named with its file and value."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import InvalidTableError
from pepr_utils.results import Epoch, Record, load_result_set, read_record, write_record

GOOD = {
    "run_id": "r1",
    "status": "done",
    "architecture": "resnet18d",
    "dataset": "phantom",
    "pretrained": False,
    "train_fraction": 1.0,
    "test_accuracy": 0.75,
    "energy_kwh": 0.001,
    "n_parameters": 11,
}


def _record(**changes):
    return Record(**(GOOD | changes))


def test_round_trip(tmp_path):
    record = _record(epochs=(Epoch(epoch=1, test_accuracy=0.5), Epoch(epoch=2, test_accuracy=0.75)))
    path = write_record(record, tmp_path)
    assert path == tmp_path / "runs" / "r1.json"
    assert read_record(path) == record


@given(st.floats(0, 1), st.floats(0, 1e9), st.integers(1, 2**40))
def test_any_allowed_value_survives_json(accuracy, energy, size):
    record = _record(test_accuracy=accuracy, energy_kwh=energy, n_parameters=size)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_a_failed_write_leaves_the_old_record_and_no_temporary_file(tmp_path, monkeypatch):
    write_record(_record(), tmp_path)

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_record(_record(test_accuracy=0.1), tmp_path)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["r1.json"]
    assert read_record(tmp_path / "runs" / "r1.json").test_accuracy == 0.75


def test_a_run_id_cannot_leave_the_folder(tmp_path):
    for name in ("../../evil", "a/b", ".", "..", "", "a" * 300, "a\0"):
        with pytest.raises(ValueError, match="run_id"):
            write_record(_record(run_id=name), tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_epochs_have_to_rise_and_to_end_at_the_runs_accuracy(tmp_path):
    path = tmp_path / "r1.json"
    for epochs, message in (
        ([{"epoch": 1}, {"epoch": 1}], r"epochs are numbered \[1, 1\]"),
        ([{"epoch": 1, "test_accuracy": 0.1}], "0.75 but 0.1 after the last epoch"),
    ):
        path.write_text(json.dumps(GOOD | {"epochs": epochs}))
        with pytest.raises(InvalidTableError, match=message):
            read_record(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"test_accuracy": 75.0},
            r"r1.json: field 'test_accuracy' is 75.0; .*less than or equal to 1",
        ),
        ({"energy_kwh": -1.0}, "field 'energy_kwh' is -1.0; .*greater than or equal to 0"),
        ({"energy_kwh": "much"}, "field 'energy_kwh' is 'much'; .*valid number"),
        ({"energie_kwh": 1.0}, "unknown field 'energie_kwh'"),
        ({"status": "finished"}, "field 'status' is 'finished'; .*'done', 'failed' or 'paused'"),
        ({"test_accuracy": None}, "status is 'done' but test_accuracy is null"),
        ({"epochs": [{"epoch": 0}]}, r"field 'epochs\.0\.epoch' is 0"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_value(tmp_path, changes, message):
    path = tmp_path / "r1.json"
    path.write_text(json.dumps(GOOD | changes))
    with pytest.raises(InvalidTableError, match=message):
        read_record(path)


@pytest.mark.parametrize("token", ["Infinity", "-Infinity", "NaN"])
def test_non_finite_numbers_are_refused(tmp_path, token):
    path = tmp_path / "r1.json"
    path.write_text(json.dumps(GOOD).replace("0.001", token))
    with pytest.raises(InvalidTableError, match="energy_kwh"):
        read_record(path)


def test_missing_field_and_truncated_file(tmp_path):
    path = tmp_path / "r1.json"
    path.write_text(json.dumps({k: v for k, v in GOOD.items() if k != "dataset"}))
    with pytest.raises(InvalidTableError, match="no field 'dataset'"):
        read_record(path)
    path.write_text(json.dumps(GOOD)[:-20])
    with pytest.raises(InvalidTableError, match="not valid JSON, perhaps truncated"):
        read_record(path)


def test_a_folder_of_records_is_a_result_set(tmp_path):
    write_record(_record(epochs=(Epoch(epoch=1, test_accuracy=0.75),)), tmp_path)
    write_record(
        _record(run_id="r2", status="failed", test_accuracy=None, failure_reason="NaN"), tmp_path
    )
    loaded = load_result_set(tmp_path)
    assert loaded.runs["run_id"].tolist() == ["r1", "r2"]
    assert loaded.runs["test_accuracy"].isna().tolist() == [False, True]
    assert len(loaded.epochs) == 1
    assert len(loaded.experiments) == 1


def test_content_hash_follows_the_content(tmp_path):
    write_record(_record(), tmp_path)
    before = load_result_set(tmp_path).content_hash
    assert load_result_set(tmp_path).content_hash == before
    write_record(_record(test_accuracy=0.76), tmp_path)
    assert load_result_set(tmp_path).content_hash != before


def test_a_renamed_record_is_noticed(tmp_path):
    path = write_record(_record(), tmp_path)
    path.rename(path.with_name("other.json"))
    with pytest.raises(InvalidTableError, match=r"other\.json: run_id is 'r1'"):
        load_result_set(tmp_path)
