"""Runs that pause and go on: they equal those trained straight through, and cost their parts."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pepr_utils.errors import RunError
from pepr_utils.measurement import Run, measure, protocols, record_killed, run_id
from pepr_utils.measurement.metering import meter
from pepr_utils.measurement.store import checkpoint_path, read_note, run_lock
from pepr_utils.measurement.sweep.state import named_state
from pepr_utils.measurement.training import perform
from pepr_utils.measurement.training.record import joined
from pepr_utils.results import Record, load_result_set, read_record, score_runs, write_record
from pepr_utils.results.predictions import read_predictions
from pepr_utils.results.schema import EnergyComponent, Epoch

TINY = protocols.Protocol("tiny", image_size=32, epochs=4, batch_size=16, cpu_threads=1)
RUN = Run("test_resnet", "phantom", protocol="tiny", pretrained=False)
#: What two trainings of one run may differ in.
MEASURED = {"energy_kwh", "it_energy_kwh", "eval_energy_kwh", "co2eq_g", "train_time_s",
            "eval_time_s", "n_power_samples", "peak_memory_gb", "reserved_memory_gb",
            "resident_memory_gb", "energy_components", "meter_notes"}  # fmt: skip
POWER_W = 50.0


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    """The protocol ``tiny``, and a meter that counts a declared power."""
    monkeypatch.setattr(protocols, "PROTOCOLS", dict(protocols.PROTOCOLS) | {"tiny": TINY})
    monkeypatch.setattr(perform, "meter", _declared)


def _declared(device, *, carbon_intensity=None):
    return meter(device, carbon_intensity=carbon_intensity, pue=1.5, simulated_w=POWER_W)


def _content(record):
    epochs = [
        e.model_dump(exclude={"energy_kwh", "eval_energy_kwh", "train_time_s", "eval_time_s"})
        for e in record.epochs
    ]
    return record.model_dump(exclude={*MEASURED, "epochs"}) | {"epochs": epochs}


def _few_images(path):
    """Images of 8 px and two classes, in MedMNIST's layout, with a last batch of three."""
    rng, content = np.random.default_rng(0), {}
    for split, n in (("train", 35), ("val", 8), ("test", 9)):
        labels = np.arange(n) % 2
        images = rng.integers(0, 150, (n, 8, 8)) + 100 * labels[:, None, None]
        content |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels[:, None]}
    np.savez(path, **content)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "fast", "demo"])
def test_a_run_that_paused_equals_one_that_did_not(tmp_path, monkeypatch, name):
    """With each protocol's own number of epochs and recipe, at a size that a test can train."""
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    small = replace(protocols.protocol(name), image_size=32, cpu_threads=1)
    monkeypatch.setattr(protocols, "PROTOCOLS", {name: small})
    # A model with dropout and batch normalisation, so that random states and buffers matter.
    run = Run("test_efficientnet", _few_images(tmp_path / "few.npz"), name, pretrained=False)
    straight = measure(run, tmp_path / "straight")
    parts = tmp_path / "parts"
    first = measure(run, parts, until_epoch=4 if small.epochs > 4 else 2)
    assert (first.status, first.test_accuracy, first.epochs_done < small.epochs) == (
        "paused", None, True,
    )  # fmt: skip
    torch.manual_seed(999)  # whatever the process did meanwhile
    np.random.seed(999)  # noqa: NPY002
    done = measure(run, parts)
    assert done.status == "done"
    assert _content(done) == _content(straight)
    folders = tmp_path / "straight", parts
    assert np.array_equal(*(read_predictions(f, done.run_id)["logits"] for f in folders))
    assert not list(parts.glob("checkpoints/*"))


@pytest.mark.slow
def test_the_costs_of_a_run_are_the_sums_of_its_parts(tmp_path):
    """By a meter that declares 50 W: the energy is 50 W times the time of all epochs."""
    first = measure(RUN, tmp_path, until_epoch=1)
    second = measure(RUN, tmp_path, until_epoch=3)
    assert [r.epochs_done for r in (first, second)] == [1, 3]
    assert second.epochs[0] == first.epochs[0]
    done = measure(RUN, tmp_path)
    assert done.epochs[:3] == second.epochs
    assert done.train_time_s == pytest.approx(sum(e.train_time_s for e in done.epochs))
    assert done.energy_kwh == pytest.approx(sum(e.energy_kwh for e in done.epochs))
    assert done.energy_kwh == pytest.approx(1.5 * done.it_energy_kwh)
    joule = POWER_W * done.train_time_s
    assert done.it_energy_kwh * 3.6e6 == pytest.approx(joule, rel=0.05)
    assert done.co2eq_g == pytest.approx(done.energy_kwh * done.carbon_intensity_g_per_kwh)
    (train,) = [part for part in done.energy_components if part.window == "train"]
    assert train.energy_j == pytest.approx(done.it_energy_kwh * 3.6e6)
    assert done.energy_method == first.energy_method
    assert "metered apart from epoch 2; metered apart from epoch 4" in done.meter_notes
    assert done.attempt == 1
    assert done.stop_reason is None


def test_parts_are_joined_by_the_kind_of_their_columns():
    run = {"run_id": "r", "architecture": "a", "dataset": "d", "status": "paused"}
    part = EnergyComponent(window="train", kind="cpu", device="X", energy_j=2.0, method="rapl")
    before = Record(
        **run, energy_kwh=1.0, peak_memory_gb=3.0, n_power_samples=7, power_limit_w=300.0, pue=1.2,
        meter_notes="a; b", energy_method="powercap: cpu rapl", carbon_intensity_g_per_kwh=100.0,
        epochs=(Epoch(epoch=1),), energy_components=(part,),
    )  # fmt: skip
    now = {
        "energy_kwh": 2.0, "peak_memory_gb": 2.0, "n_power_samples": None, "power_limit_w": 300.0,
        "pue": 1.3, "meter_notes": "b; c", "energy_method": "powercap: cpu rapl",
        "carbon_intensity_g_per_kwh": 100.0, "epochs": (Epoch(epoch=2),),
        "energy_components": (part, part.model_copy(update={"window": "eval"})),
    }  # fmt: skip
    found = joined(before, now)
    assert (found["energy_kwh"], found["peak_memory_gb"]) == (3.0, 3.0)
    assert found["n_power_samples"] is None  # the second part's are not known
    assert (found["power_limit_w"], found["pue"]) == (300.0, None)
    assert found["carbon_intensity_g_per_kwh"] == 100.0
    assert found["meter_notes"] == "a; b; c"
    assert found["energy_method"] == "powercap: cpu rapl"
    assert [epoch.epoch for epoch in found["epochs"]] == [1, 2]
    assert [(c.window, c.energy_j) for c in found["energy_components"]] == [
        ("train", 4.0), ("eval", 2.0),
    ]  # fmt: skip
    # Energy by two methods is comparable with that of neither.
    other = joined(before, now | {"energy_method": "carbontracker: cpu tdp-estimate"})
    assert other["energy_method"] not in (now["energy_method"], "carbontracker: cpu tdp-estimate")
    # A part that failed adds nothing, and takes nothing away.
    assert joined(before, {"meter_notes": "b"})["energy_kwh"] == 1.0


def test_a_paused_run_never_counts_as_finished(tmp_path):
    paused = measure(RUN, tmp_path, until_epoch=2)
    write_record(
        Record(**paused.model_dump(include={"architecture", "dataset", "protocol", "device"}),
               run_id="other", status="done", test_accuracy=0.5, energy_kwh=1.0),
        tmp_path,
    )  # fmt: skip
    results = load_result_set(tmp_path)
    assert results.finished["run_id"].tolist() == ["other"]
    assert results.runs.set_index("run_id").loc[paused.run_id, "status"] == "paused"
    every = score_runs(results.runs.assign(test_accuracy=0.9), by=None).set_index("run_id")
    assert np.isnan(every.loc[paused.run_id, "pepr"])
    assert every.loc["other", "resource"] == 0.0  # the paused run's energy is no bound
    now = named_state(tmp_path, {paused.run_id: RUN})
    assert (now.done, [r.run_id for r in now.paused]) == ((), [paused.run_id])
    assert [
        r.run_id for r in named_state(tmp_path, {paused.run_id: RUN}, {paused.run_id: 2}).done
    ] == [paused.run_id]
    assert named_state(tmp_path, {paused.run_id: RUN}, {paused.run_id: 3}).done == ()


def test_status_and_score_say_what_a_paused_run_is(tmp_path, pepr):
    arguments = ("run", "--data", "phantom", "--architectures", "test_resnet", "--protocol", "tiny",
                 "--scratch", "--output", tmp_path)  # fmt: skip
    first = pepr(*arguments, "--until-epoch", "1")
    assert first.code == 0, first.err
    assert "paused after epoch 1 of 4" in first.err
    shown = pepr("status", tmp_path)
    assert shown.code == 1
    assert "0 of 1 runs done, 0 running, 0 failed, 0 waiting, 1 paused" in shown.out
    assert "paused: test_resnet: paused after epoch 1 of 4" in shown.out
    scored = pepr("score", tmp_path)
    assert scored.code == 2
    assert "Traceback" not in scored.err
    done = pepr(*arguments, "--json")
    assert json.loads(done.out)[0]["status"] == "done"
    assert pepr("status", tmp_path).code == 0


def test_older_records_read_as_before(tmp_path):
    record = measure(RUN, tmp_path, until_epoch=1)
    old = record.model_dump(mode="json", exclude={"stop_reason"})
    old |= {"status": "failed", "failure_reason": "the loss is nan"}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    assert read_record(path).failure_reason == "the loss is nan"


def _changed(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1  # one bit of the weights
    path.write_bytes(content)


def _a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def _of_another_run(path):
    other = Run("test_resnet", "phantom", protocol="tiny", pretrained=False, seed=2)
    folder = path.parents[1] / "other"
    measure(other, folder, until_epoch=1)
    checkpoint_path(folder, run_id(other)).replace(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_changed, "is damaged: its SHA-256 differs"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "is damaged"),
        (lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n"), "is damaged"),
        (lambda path: save_file({"a": torch.zeros(1)}, path), "is damaged"),
        (_a_pipe, "is not a regular file"),
        (_of_another_run, "is of another run, test_resnet-"),
    ],
)
def test_a_checkpoint_that_is_damaged_or_foreign_is_refused(tmp_path, damage, message):
    first = measure(RUN, tmp_path, until_epoch=1)
    path = checkpoint_path(tmp_path, first.run_id)
    damage(path)
    with pytest.raises(RunError, match=f"{message}.*remove it"):
        measure(RUN, tmp_path)
    assert read_record(tmp_path / "runs" / f"{first.run_id}.json") == first
    path.unlink()
    done = measure(RUN, tmp_path)  # as the message says
    assert (done.status, len(done.epochs)) == ("done", 4)


def test_a_pause_needs_a_folder_and_an_epoch():
    with pytest.raises(RunError, match="needs a folder"):
        measure(RUN, until_epoch=2)
    with pytest.raises(RunError, match="until_epoch is 0; allowed"):
        measure(RUN, until_epoch=0)


def test_what_has_the_epoch_already_is_not_trained_again(tmp_path, monkeypatch):
    paused = measure(RUN, tmp_path, until_epoch=2)
    monkeypatch.setattr(perform, "train", lambda *a, **k: pytest.fail("trained"))
    assert measure(RUN, tmp_path, until_epoch=1) == paused
    # Killed between checkpoint and record: the checkpoint has what the record needs.
    (tmp_path / "runs" / f"{paused.run_id}.json").unlink()
    again = measure(RUN, tmp_path, until_epoch=2)
    assert (_content(again), again.epochs) == (_content(paused), paused.epochs)


def test_a_training_that_fails_after_a_pause_keeps_its_epochs_and_goes_on(tmp_path, monkeypatch):
    paused = measure(RUN, tmp_path, until_epoch=2)
    with monkeypatch.context() as broken:

        def full(*_arguments, **_options):
            raise torch.OutOfMemoryError("CUDA out of memory")

        broken.setattr(perform, "train", full)
        failed = measure(RUN, tmp_path)
    assert (failed.status, failed.attempt) == ("failed", 1)
    assert (failed.epochs, failed.energy_kwh) == (paused.epochs, paused.energy_kwh)
    done = measure(RUN, tmp_path)
    assert (done.status, done.attempt, done.epochs[:2]) == ("done", 2, paused.epochs)


def test_a_pause_that_was_recorded_is_not_turned_into_a_failure(tmp_path):
    """Its process was killed after its record was written, before its note was removed."""
    paused = measure(RUN, tmp_path, until_epoch=2)
    with run_lock(tmp_path, paused.run_id, {"attempt": 1}):
        note = read_note(tmp_path, paused.run_id)
    path = tmp_path / "running" / f"{paused.run_id}.json"
    path.write_text(json.dumps(note))
    assert record_killed(tmp_path) == []
    assert read_record(tmp_path / "runs" / f"{paused.run_id}.json") == paused
    # A later process that was killed had these epochs behind it.
    known = paused.model_dump(mode="json", exclude={"status", "stop_reason"})
    path.write_text(json.dumps(note | {"record": known}))
    (failed,) = record_killed(tmp_path)
    assert (failed.status, failed.epochs) == ("failed", paused.epochs)


def _killed_in_epoch_3(folder):
    """Measure with checkpoints, in another process that is killed in its third epoch."""
    protocols.PROTOCOLS = dict(protocols.PROTOCOLS) | {"tiny": TINY}
    perform.meter = _declared

    def watch(step):
        if step.epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    measure(RUN, folder, keep_checkpoints=True, watch=watch)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_epoch(tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_in_epoch_3, args=(tmp_path / "killed",)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (failed,) = record_killed(tmp_path / "killed")
    assert failed.status == "failed"
    trained = []
    done = measure(RUN, tmp_path / "killed", watch=lambda step: trained.append(step.epoch))
    assert {epoch for epoch in trained if epoch} == {3, 4}
    straight = measure(RUN, tmp_path / "straight")
    assert _content(done) | {"attempt": 1} == _content(straight)
    assert not list(tmp_path.glob("killed/checkpoints/*"))
