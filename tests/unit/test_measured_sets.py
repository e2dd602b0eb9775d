"""What the fine-tuning chapter shows of a measured set, from records written by hand."""

import pandas as pd
import pytest

from paper.chapters import fine_tune as scored_runs
from paper.figures import learning
from pepr_utils.errors import RunError
from pepr_utils.measurement import session
from pepr_utils.results import Epoch, Record, load_result_set, read_record, write_record

MODELS = [  # name, parameters, accuracies by epoch, energy (kWh)
    ("resnet18d", 11_000_000, (0.5, 0.8), 2e-6),
    ("mobilenetv2_050", 700_000, (0.4, 0.6), 1e-6),
    ("cspdarknet53", 26_600_000, (0.6, 0.9), 5e-6),
]


def _write(folder, energy=True, **changes):
    for name, parameters, accuracies, kwh in MODELS:
        epochs = tuple(
            Epoch(epoch=i + 1, train_loss=1.0 / (i + 1), test_accuracy=a)
            for i, a in enumerate(accuracies)
        )
        write_record(
            Record(
                run_id=name, status="done", architecture=name, dataset="phantom", protocol="demo",
                n_parameters=parameters, test_accuracy=accuracies[-1], epochs=epochs,
                energy_kwh=kwh if energy else None, **changes,
            ),
            folder,
        )  # fmt: skip
    failed = Record(run_id="bad", status="failed", architecture="vgg11", dataset="phantom",
                    protocol="demo", failure_reason="the loss is nan")  # fmt: skip
    write_record(failed, folder)
    return load_result_set(folder)


def test_runs_are_listed_by_score(tmp_path):
    table = scored_runs.scored_table(_write(tmp_path)).set_index("architecture")
    # R is 0.25, 0, 1.
    expected = {"resnet18d": 0.8 / 1.25, "mobilenetv2_050": 0.6, "cspdarknet53": 0.45}
    assert table["PePR-E"].to_dict() == pytest.approx(expected)
    assert table.index.tolist() == ["resnet18d", "mobilenetv2_050", "cspdarknet53"]
    assert table.loc["cspdarknet53", ["type", "efficiency"]].tolist() == ["Other", "efficient"]
    assert table.loc["resnet18d", "energy (Wh)"] == pytest.approx(0.002)


def test_without_energy_there_is_no_score_and_no_zero(tmp_path):
    results = _write(tmp_path, energy=False)
    assert scored_runs.scored_table(results)["PePR-E"].isna().all()
    best = scored_runs.best(scored_runs.scored_table(results))
    assert best == {"best-pepr-model": "n/a", "best-pepr": "n/a"}


def test_a_session_is_a_result_set_without_what_else_is_in_its_folder(tmp_path):
    _write(tmp_path)
    done, failed = (read_record(tmp_path / "runs" / f"{n}.json") for n in ("resnet18d", "bad"))
    whole = session.Session(tmp_path, None, (done, failed))
    found = whole.result_set()
    assert (found.name, found.runs["run_id"].tolist()) == (tmp_path.name, ["resnet18d", "bad"])
    with pytest.raises(RunError, match="no run is done:\nvgg11: failed: the loss is nan"):
        session.Session(tmp_path, None, (failed,)).result_set()


def test_a_result_set_without_a_name_is_not_the_folder_of_all():
    with pytest.raises(RunError, match="result_set is empty"):
        session.fine_tune("phantom", result_set=" ")


def test_what_the_chapter_says_of_the_runs(tmp_path):
    results = _write(tmp_path)
    best = scored_runs.best(scored_runs.scored_table(results))
    assert best == {"best-pepr-model": "resnet18d", "best-pepr": "0.640"}
    done = results.finished
    assert scored_runs.named(done["dataset"]) == done["dataset"].iloc[0]
    assert scored_runs.named(done["test_auc"]) == "n/a"


def test_learning_curves_are_the_epochs_of_finished_runs(tmp_path):
    frame = learning.data(_write(tmp_path))
    assert len(frame) == 6
    last = frame[frame["epoch"] == 2].set_index("architecture")["test_accuracy"]
    assert last["cspdarknet53"] == 0.9
    words = learning.describe(frame, quantity="test_accuracy")
    assert "3 runs over 2 epochs" in words
    assert "rises in 3 of them; at the end it lies between 0.600 and 0.900" in words
    spec = learning.chart(frame, quantity="train_loss").to_dict()
    assert spec["encoding"]["y"]["title"].startswith("Training loss")
    many = pd.concat([frame.assign(architecture=f"m{i}", run_id=f"r{i}") for i in range(9)])
    assert learning.chart(many, quantity="train_loss").to_dict()["encoding"]["color"] == {
        "value": "#777777"
    }


def test_a_set_without_epochs_has_a_note_for_a_chart(tmp_path):
    frame = learning.data(_write(tmp_path)).iloc[:0]
    assert "no epochs" in learning.chart(frame, quantity="train_loss").to_json()
    assert learning.describe(frame, quantity="train_loss").startswith("Nothing is drawn")


def test_records_of_another_demo_are_ignored(tmp_path):
    _write(tmp_path)
    session._remove_others(tmp_path, {"resnet18d", "bad"})
    assert sorted(p.stem for p in (tmp_path / "runs").iterdir()) == ["bad", "resnet18d"]
    assert sorted(p.stem for p in (tmp_path / "superseded").iterdir()) == [
        "cspdarknet53", "mobilenetv2_050",
    ]  # fmt: skip
