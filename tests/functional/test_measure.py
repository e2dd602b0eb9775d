"""One run, from its definition to its record on disk, with failures and interruptions."""

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pepr_utils.errors import DataUnavailableError, RunError, RunningElsewhereError, StoppedError
from pepr_utils.measurement import Run, measure, protocols, record_killed, run_id, sweep_environment
from pepr_utils.measurement.architectures import timm
from pepr_utils.measurement.metering import IntensityError
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.session import fine_tune
from pepr_utils.measurement.store import noted_runs, run_lock
from pepr_utils.measurement.training import perform
from pepr_utils.results import Record, load_result_set, read_record
from pepr_utils.results.predictions import read_predictions

#: A recipe for models of timm that are made for tests.
TINY = protocols.Protocol("tiny", image_size=32, epochs=3, batch_size=16, learning_rate=2e-3)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(protocols, "PROTOCOLS", dict(protocols.PROTOCOLS) | {"tiny": TINY})


RUN = Run("test_resnet", "phantom", protocol="tiny", pretrained=False)
MEASURED = ("energy_kwh", "it_energy_kwh", "eval_energy_kwh", "co2eq_g", "train_time_s",
            "eval_time_s", "n_power_samples", "peak_memory_gb", "reserved_memory_gb",
            "resident_memory_gb", "energy_components", "meter_notes")  # fmt: skip


def _comparable(record):
    content = record.model_dump(exclude={*MEASURED, "epochs"})
    epochs = [e.model_dump(exclude={"energy_kwh", "eval_energy_kwh", "train_time_s", "eval_time_s"})
              for e in record.epochs]  # fmt: skip
    return content | {"epochs": epochs}


@pytest.mark.slow
def test_a_run_learns_and_leaves_a_complete_record(tmp_path, monkeypatch):
    long_enough = replace(TINY, epochs=12, cpu_threads=1)
    monkeypatch.setattr(protocols, "PROTOCOLS", {"tiny": long_enough})
    steps = []
    record = measure(RUN, tmp_path, watch=steps.append)
    assert record.status == "done"
    losses = [e.train_loss for e in record.epochs]
    assert losses[-1] < losses[0]
    assert record.test_accuracy > 46 / 96 + 0.2  # 46 of the 96 are of the commonest class
    assert record.test_auc > 0.9
    assert record.n_parameters == 415_107 or record.n_parameters > 100_000
    assert record.n_parameters_of == "trained model"
    assert (record.n_train, record.n_test, record.n_classes, record.image_size) == (160, 96, 3, 32)
    assert record.energy_kwh == pytest.approx(record.it_energy_kwh * record.pue)
    assert sum(e.energy_kwh for e in record.epochs) == pytest.approx(record.energy_kwh)
    assert record.co2eq_g == pytest.approx(record.energy_kwh * record.carbon_intensity_g_per_kwh)
    assert sum(e.eval_energy_kwh for e in record.epochs) == pytest.approx(record.eval_energy_kwh)
    assert ": cpu " in record.energy_method
    train = [part for part in record.energy_components if part.window == "train"]
    known = [part for part in train if part.kind != "memory"]  # which the processor may not count
    assert sum(part.energy_j for part in known) / 3.6e6 == pytest.approx(record.it_energy_kwh)
    assert {part.window for part in record.energy_components} == {"train", "eval"}
    assert record.resident_memory_gb is None or 0.05 < record.resident_memory_gb < 100
    assert {"torch", "timm", "carbontracker", "python"} <= record.versions.keys()
    assert steps[0].stage == "data"  # more of them, unless the images are still at hand
    assert steps[-1].epoch == steps[-1].epochs == 12

    assert read_record(tmp_path / "runs" / f"{run_id(RUN)}.json") == record
    assert load_result_set(tmp_path).runs["dataset_hash"].tolist() == ["phantom-3"]
    predicted = read_predictions(tmp_path, record.run_id)
    assert np.bincount(predicted["labels"]).max() == 46
    assert predicted["probabilities"].shape == (96, 3)
    kept = Predictions(predicted["logits"], predicted["labels"])
    assert (kept.accuracy(), kept.auc()) == (record.test_accuracy, record.test_auc)
    assert (predicted["predicted"] == predicted["labels"]).mean() == record.test_accuracy
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"device": record.device}
    assert noted_runs(tmp_path) == []
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.slow
def test_a_record_depends_on_the_seed_alone(tmp_path):
    first, again = measure(RUN, tmp_path / "a"), measure(RUN, tmp_path / "b")
    other = measure(replace(RUN, seed=2))
    assert _comparable(first) == _comparable(again)
    assert _comparable(first)["epochs"] != _comparable(other)["epochs"]


@pytest.mark.slow
def test_only_a_damaged_record_is_measured_again(tmp_path, monkeypatch):
    record = measure(RUN, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(perform, "perform", lambda *a: pytest.fail("measured again"))
        assert measure(RUN, tmp_path) == record
    path = tmp_path / "runs" / f"{record.run_id}.json"
    path.write_text(path.read_text()[:-50])
    assert _comparable(measure(RUN, tmp_path)) == _comparable(record)


@pytest.mark.slow
def test_a_run_on_half_of_an_image_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    content = {}
    for split, n in (("train", 120), ("val", 20), ("test", 31)):
        labels = np.arange(n) % 2
        images = rng.integers(0, 120, (n, 28, 28)) + 100 * labels[:, None, None]
        content |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels[:, None]}
    np.savez_compressed(tmp_path / "clinic.npz", **content)
    run = Run(
        "test_vit", str(tmp_path / "clinic.npz"), "tiny", pretrained=False, train_fraction=0.5
    )
    record = measure(run, tmp_path / "out")
    assert (record.dataset, record.n_train, record.n_test) == ("clinic", 60, 31)
    assert record.test_auc is not None
    assert (record.test_accuracy * 31) % 1 == pytest.approx(0, abs=1e-9)  # no image is left out


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper", "fast"])
def test_the_papers_recipes_run_at_their_image_size(tmp_path, monkeypatch, protocol):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    content = {}
    for split in ("train", "val", "test"):
        labels = np.arange(33 if split == "train" else 4) % 2  # 33: a last batch of one
        content[f"{split}_images"] = np.repeat(100 * labels, 64).reshape(-1, 8, 8).astype(np.uint8)
        content[f"{split}_labels"] = labels[:, None]
    np.savez(tmp_path / "few.npz", **content)
    short = replace(protocols.protocol(protocol), epochs=2)
    monkeypatch.setattr(protocols, "PROTOCOLS", {protocol: short})
    run = Run("test_resnet", str(tmp_path / "few.npz"), protocol, pretrained=False)
    record = measure(run)
    assert record.status == "done", record.failure_reason
    assert (record.image_size, len(record.epochs), record.n_train) == (256, 2, 33)
    assert record.epochs[-1].train_loss < record.epochs[0].train_loss


@pytest.mark.slow
def test_pretrained_weights_of_a_folder_have_to_fit(tmp_path):
    run = Run("test_resnet", "phantom", "tiny", pretrained=True)
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(DataUnavailableError, match=r"expected test_resnet.r160_in1k.safetensors"):
        measure(run, tmp_path / "out", weights_folder=folder)
    assert noted_runs(tmp_path / "out") == []

    torch.manual_seed(7)
    model = timm().create_model("test_resnet")
    torch.save(model.state_dict(), folder / "test_resnet.r160_in1k.pth")
    record = measure(run, tmp_path / "out", weights_folder=folder)
    assert record.status == "done"
    assert record.weights == "test_resnet.r160_in1k"
    file = folder / "test_resnet.r160_in1k.pth"
    assert record.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()

    # A file that holds another model's weights must not end in random ones.
    other = timm().create_model("test_resnet")
    state = {k: v for k, v in other.state_dict().items() if "layer3" not in k}
    torch.save(state, folder / "test_resnet.r160_in1k.pth")
    with pytest.raises(DataUnavailableError, match="could not be loaded"):
        measure(run, tmp_path / "again", weights_folder=folder)
    (folder / "test_resnet.r160_in1k.pth").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DataUnavailableError, match="could not be loaded"):
        measure(run, tmp_path / "again", weights_folder=folder)
    assert not (tmp_path / "again" / "runs").exists()


def test_training_starts_from_the_pretrained_weights(tmp_path):
    from pepr_utils.measurement.architectures import find_architecture
    from pepr_utils.measurement.training.model import make_model

    torch.manual_seed(7)
    model = timm().create_model("test_resnet")
    torch.save(model.state_dict(), tmp_path / "test_resnet.r160_in1k.pth")
    torch.manual_seed(8)
    made = make_model(
        find_architecture("test_resnet"), image_size=32, n_channels=1, n_outputs=1,
        weights="test_resnet.r160_in1k",
        weights_file=tmp_path / "test_resnet.r160_in1k.pth",
    )  # fmt: skip
    wanted = model.state_dict()
    for name, value in made.state_dict().items():
        if not name.startswith("fc.") and value.shape != wanted[name].shape:  # the first layer
            torch.testing.assert_close(value, wanted[name].sum(1, keepdim=True))
        elif not name.startswith("fc."):
            torch.testing.assert_close(value, wanted[name])
    assert made(torch.rand(2, 1, 32, 32)).shape == (2, 1)


@pytest.mark.slow
def test_a_failed_training_is_recorded_with_its_reason_and_tried_again(tmp_path, monkeypatch):
    broken = replace(TINY, learning_rate=float("inf"))
    monkeypatch.setattr(protocols, "PROTOCOLS", {"tiny": broken})
    record = measure(RUN, tmp_path)
    assert record.status == "failed"
    assert "the loss is nan" in record.failure_reason
    assert (record.attempt, measure(RUN, tmp_path).attempt) == (1, 2)

    def full(*_arguments, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(perform, "train", full)
    record = measure(RUN, tmp_path)
    assert record.failure_reason.startswith("out of memory on cpu: CUDA out of memory")
    assert record.attempt == 3
    assert load_result_set(tmp_path).runs["status"].tolist() == ["failed"]


def test_ctrl_c_leaves_no_record_and_no_note(tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(perform, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(RUN, tmp_path)
    assert noted_runs(tmp_path) == []
    assert not list((tmp_path).glob("runs/*"))
    assert record_killed(tmp_path) == []


def _hang(folder):
    """Measure a run that never ends, in another process."""
    protocols.PROTOCOLS = dict(protocols.PROTOCOLS) | {"tiny": TINY}
    perform.train = lambda *_a, **_k: time.sleep(600)
    measure(RUN, folder)


@pytest.mark.slow
def test_a_killed_process_is_found_by_its_lock(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(tmp_path,))
    process.start()
    try:
        end = time.monotonic() + 120
        while not noted_runs(tmp_path) and time.monotonic() < end:
            time.sleep(0.1)
        assert noted_runs(tmp_path) == [run_id(RUN)]
        assert record_killed(tmp_path) == []  # it lives
        with pytest.raises(RunningElsewhereError, match=f"process {process.pid} on"):
            measure(RUN, tmp_path)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    (record,) = record_killed(tmp_path)
    assert record.status == "failed"
    assert record.failure_reason.startswith(f"killed: process {process.pid} on")
    assert (record.architecture, record.dataset, record.attempt) == ("test_resnet", "phantom", 1)
    assert record_killed(tmp_path) == []
    done = measure(RUN, tmp_path)
    assert (done.status, done.attempt) == ("done", 2)


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_at_the_time_limit_of_its_sweep(tmp_path, monkeypatch):
    log = tmp_path / "kernel.log"
    monkeypatch.setenv(sweep_environment.LOG, str(log))
    monkeypatch.setenv(sweep_environment.TIME_LIMIT_S, "0.5")
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(tmp_path,))
    process.start()
    process.join(120)
    assert process.exitcode == 1
    assert sweep_environment.reached_time_limit(log)
    assert "in measure" in log.read_text()
    (record,) = record_killed(tmp_path, because="it took too long")
    assert record.status == "failed"
    assert record.failure_reason.endswith(", it took too long")


@pytest.mark.parametrize("where", ["train", "make_model"])
def test_an_unexpected_error_is_a_failed_record(tmp_path, monkeypatch, where):
    def broken(*_arguments, **_options):
        raise KeyError("head.weight")

    monkeypatch.setattr(perform, where, broken)
    record = measure(RUN, tmp_path)
    assert (record.status, record.failure_reason) == ("failed", "KeyError: 'head.weight'")
    assert read_record(tmp_path / "runs" / f"{run_id(RUN)}.json") == record


def test_the_record_notes_unshuffled_images(tmp_path, monkeypatch):
    from pepr_utils.measurement.training import batches, perform

    monkeypatch.setattr(perform, "train", _failing)
    assert measure(RUN).training_notes is None
    in_order = replace(TINY, unshuffled=("phantom",))
    monkeypatch.setattr(protocols, "PROTOCOLS", {"tiny": in_order})
    monkeypatch.setattr(batches, "_free_bytes", lambda _device: 0)  # of no interest on a CPU
    record = measure(RUN, tmp_path)
    assert record.training_notes == "training images are shown in the order of the file"


@pytest.mark.parametrize("intensity", [float("nan"), float("inf"), -1.0])
def test_an_impossible_carbon_intensity_is_refused(tmp_path, intensity):
    message = r"carbon intensity is .* g/kWh; allowed: a finite number"
    with pytest.raises(IntensityError, match=message):
        measure(RUN, tmp_path, carbon_intensity_g_per_kwh=intensity)


def _failing(*_arguments, **_options):
    raise OSError("no training in this test")


def test_a_session_leaves_out_a_run_of_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(perform, "train", _failing)
    lines = []

    def session():
        return fine_tune("phantom", "test_resnet,test_vit", result_set=tmp_path, say=lines.append,
                         protocol="tiny", pretrained=False)  # fmt: skip

    with run_lock(tmp_path, run_id(RUN), {}):
        found = session()
        assert [record.architecture for record in found.records] == ["test_vit"]
        assert len(found.not_measured) == 1
        assert "is being measured by another process" in lines[-1]
        majority = next(i for i, line in enumerate(lines) if "most common class: accuracy" in line)
        assert majority < next(i for i, line in enumerate(lines) if line.startswith("test_vit: "))
    assert len(session().records) == 2


def test_pepr_run_does_the_runs_that_no_other_process_has(tmp_path, monkeypatch):
    from pepr_utils.commands.run import run as command

    monkeypatch.setattr(perform, "train", _failing)
    arguments = ["--data", "phantom", "--architectures", "test_resnet,test_vit", "--protocol",
                 "tiny", "--scratch", "--output", str(tmp_path), "--json"]  # fmt: skip
    with run_lock(tmp_path, run_id(RUN), {}):
        done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 1
    assert [row["architecture"] for row in json.loads(done.stdout)] == ["test_vit"]
    assert "not measured here: test_resnet-" in done.stderr
    for value in ("nan", "inf"):
        done = CliRunner().invoke(command, [*arguments, "--carbon-intensity", value])
        assert done.exit_code == 2
        assert "allowed: a finite number" in done.stderr


def test_each_run_is_resolved_once_and_each_model_made_once(tmp_path, monkeypatch):
    from pepr_utils.measurement import checks, datasets
    from pepr_utils.measurement.training import model, perform

    made, plain, described = [], model.make_model, checks.describe_dataset

    def make_model(architecture, **options):
        made.append((architecture.name, torch.empty(0).device.type))
        return plain(architecture, **options)

    def once(name):
        monkeypatch.setattr(datasets, "describe_dataset", lambda _n: pytest.fail("read again"))
        monkeypatch.setattr(datasets, "load_dataset", lambda _n: pytest.fail("loaded again"))
        return described(name)

    for module in (model, perform):
        monkeypatch.setattr(module, "make_model", make_model)
    monkeypatch.setattr(checks, "describe_dataset", once)
    monkeypatch.setattr(perform, "train", _failing)
    fine_tune("phantom", "test_resnet,test_vit", result_set=tmp_path, say=str, protocol="tiny",
              pretrained=False)  # fmt: skip
    names = ["test_resnet", "test_vit"]
    assert made == [(name, device) for device in ("meta", "cpu") for name in names]


def test_a_model_that_needs_values_to_be_made_is_checked_with_them(tmp_path, monkeypatch):
    from pepr_utils.measurement import check_runs
    from pepr_utils.measurement.training import model

    plain = model.make_model

    def make_model(*arguments, **options):
        torch.empty(1).item()  # which the meta device does not have
        return plain(*arguments, **options)

    monkeypatch.setattr(model, "make_model", make_model)
    errors, ready = check_runs([RUN, RUN], tmp_path)
    assert errors == []
    assert [run.run_id for run, _ in ready] == [run_id(RUN)]


def test_data_that_changed_since_the_run_was_named_are_not_trained_on(tmp_path):
    from pepr_utils.measurement.run import resolve

    named = resolve(RUN)
    other = replace(named, dataset=replace(named.dataset, content_hash="another"))
    with pytest.raises(RunError, match="phantom has changed since"):
        measure(other, tmp_path)
    assert not list(tmp_path.glob("runs/*"))


def test_status_counts_the_runs_that_pepr_run_was_given(tmp_path, monkeypatch):
    from pepr_utils.commands.run import run as command
    from pepr_utils.commands.status import status

    def asked():
        return json.loads(CliRunner().invoke(status, [str(tmp_path), "--json"]).stdout)["runs"]

    def run(architectures, *more):
        arguments = ["--data", "phantom", "--architectures", architectures, "--protocol", "tiny",
                     "--scratch", "--output", str(tmp_path), *more]  # fmt: skip
        return CliRunner().invoke(command, arguments).exit_code

    monkeypatch.setattr(perform, "train", _failing)
    assert run("test_resnet,test_vit", "--check") == 0
    assert not (tmp_path / "asked").exists()
    with run_lock(tmp_path, run_id(RUN), {}):
        assert run("test_resnet,test_vit") == 1
    assert asked() == {"total": 2, "done": 0, "running": 0, "failed": 1, "waiting": 1, "paused": 0}
    assert run("test_vit,test_convnext") == 1
    assert asked() == {"total": 3, "done": 0, "running": 0, "failed": 2, "waiting": 1, "paused": 0}


def test_a_kernel_of_a_stopped_sweep_begins_nothing(tmp_path, monkeypatch):
    stop, lines = tmp_path / "stop", []

    def stopped(*_arguments, **_options):
        stop.touch()
        raise OSError("no training in this test")

    def session():
        return fine_tune("phantom", "test_resnet,test_vit", result_set=tmp_path, say=lines.append,
                         protocol="tiny", pretrained=False, carbon_intensity="300")  # fmt: skip

    monkeypatch.setattr(perform, "train", stopped)
    monkeypatch.setenv(sweep_environment.STOP, str(stop))
    left = tmp_path / "running" / "another.json"  # whose end the coordinator knows more of
    left.parent.mkdir()
    note = {"pid": 1, "host": "there", "started": "noon", "record": {"run_id": "another"}}
    left.write_text(json.dumps(note))
    found = session()
    assert left.exists()
    assert [record.architecture for record in found.records] == ["test_resnet"]
    assert "the sweep was stopped" in lines[-1]
    with pytest.raises(StoppedError, match="no run was measured"):
        session()
    stop.unlink()
    with run_lock(tmp_path, run_id(RUN), {}), pytest.raises(RunningElsewhereError):
        fine_tune("phantom", "test_resnet", result_set=tmp_path, protocol="tiny", pretrained=False)


def test_a_kernel_of_a_sweep_waits_for_room(tmp_path, monkeypatch):
    from pepr_utils.errors import FolderError
    from pepr_utils.measurement import measuring, session, sweep_environment

    tries = []

    def full_once(folder):
        tries.append(folder)
        if len(tries) == 1:
            raise FolderError("no room")

    monkeypatch.setattr(measuring, "check_writable", full_once)
    monkeypatch.setattr(measuring, "finished_record", lambda *_a: "the record")
    options = {"device": "cpu"}
    with pytest.raises(FolderError):
        session._measure(RUN, tmp_path, **options)
    tries.clear()
    monkeypatch.setenv(sweep_environment.STOP, str(tmp_path / "stop"))
    monkeypatch.setattr(sweep_environment.time, "sleep", lambda _s: None)
    assert session._measure(RUN, tmp_path, **options) == "the record"


def test_a_full_disk_at_the_start_of_a_session_is_a_folder_error(tmp_path, monkeypatch):
    from pepr_utils.errors import FolderError
    from pepr_utils.measurement import checks

    def full(folder):
        raise FolderError(f"{folder} has no room")

    monkeypatch.setattr(checks, "check_writable", full)
    wanted = {"protocol": "tiny", "pretrained": False, "device": "cpu", "result_set": tmp_path}
    with pytest.raises(FolderError, match=r"has no room\nnothing was trained"):
        fine_tune("phantom", "test_resnet", **wanted)
    with pytest.raises(RunError, match="unknown") as found:  # beside another error it is one
        fine_tune("phantom", "test_resnett", **wanted)
    assert not isinstance(found.value, FolderError)


def test_attempts_that_end_on_a_full_disk_are_counted(tmp_path, monkeypatch):
    from pepr_utils.errors import FolderError
    from pepr_utils.measurement import store
    from pepr_utils.results import write_record

    def full(_record, _folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(perform, "train", _failing)
    wanted = {"protocol": "tiny", "pretrained": False, "device": "cpu", "result_set": tmp_path}
    monkeypatch.setattr(store, "write_record", full)
    for _ in range(2):
        with pytest.raises(FolderError, match=r"cannot be written .*No space left on device"):
            measure(RUN, tmp_path)
    monkeypatch.setattr(store, "write_record", write_record)
    said = []
    (record,) = fine_tune("phantom", "test_resnet", say=said.append, **wanted).records
    assert record.attempt == 3
    assert any("failed: killed: process" in line and "a full disk" in line for line in said)
    assert noted_runs(tmp_path) == []


def test_one_folder_is_one_device_from_its_first_record_on(tmp_path, monkeypatch):
    from pepr_utils.measurement.training import device, perform

    monkeypatch.setattr(perform, "train", _failing)
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"device": "NVIDIA H100"}')  # and no record: nobody's
    record = measure(RUN, tmp_path)
    assert json.loads(manifest.read_text()) == {"device": record.device}
    monkeypatch.setattr(device, "device_name", lambda _device: "NVIDIA H100")
    other = replace(RUN, seed=2)
    with pytest.raises(RunError, match=r"was measured on .*, and this is NVIDIA H100"):
        measure(other, tmp_path)
    assert len(list(tmp_path.glob("runs/*"))) == 1
    assert measure(other, tmp_path, any_device=True).device == "NVIDIA H100"
    assert json.loads(manifest.read_text()) == {"device": record.device}
    manifest.write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json is damaged; remove it"):
        measure(other, tmp_path)


def test_a_folder_is_checked_again_after_waiting_for_the_device(tmp_path, monkeypatch):
    from pepr_utils.measurement import measuring, store

    monkeypatch.setattr(perform, "train", lambda *_a, **_k: pytest.fail("trained"))
    theirs = {"run_id": "r1", "architecture": "resnet18d", "dataset": "phantom", "status": "done",
              "test_accuracy": 0.5}  # fmt: skip

    @contextmanager
    def waits(*arguments):
        store.write_result(tmp_path, Record(**theirs, device="NVIDIA H100"), None)
        with run_lock(*arguments):
            yield

    monkeypatch.setattr(measuring, "run_lock", waits)
    with pytest.raises(RunError, match="was measured on NVIDIA H100"):
        measure(RUN, tmp_path)
    assert json.loads((tmp_path / store.MANIFEST).read_text()) == {"device": "NVIDIA H100"}


def test_a_check_on_another_device_writes_nothing(tmp_path, monkeypatch):
    from pepr_utils.measurement import check_runs
    from pepr_utils.measurement.training import device, perform

    monkeypatch.setattr(perform, "train", _failing)
    with monkeypatch.context() as patched:
        patched.setattr(device, "device_name", lambda _device: "the login node's")
        assert check_runs([RUN], tmp_path)[0] == []
    assert list(tmp_path.iterdir()) == []
    assert measure(RUN, tmp_path).device != "the login node's"


def test_a_run_in_progress_determines_the_device_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(perform, "train", _failing)
    with (
        run_lock(tmp_path, "another", {"device": "NVIDIA H100"}),
        pytest.raises(RunError, match="was measured on NVIDIA H100"),
    ):
        measure(RUN, tmp_path)
    note = {"pid": 1, "host": "there", "started": "noon", "record": {"device": "NVIDIA H100"}}
    (tmp_path / "running" / "killed.json").write_text(json.dumps(note))
    assert measure(replace(RUN, seed=2), tmp_path).device != "NVIDIA H100"


def test_nothing_is_downloaded_for_runs_that_cannot_begin(tmp_path, monkeypatch):
    from pepr_utils.measurement import check_runs
    from pepr_utils.measurement.training import model

    monkeypatch.setattr(model, "_pretrained", lambda *_a: pytest.fail("looked for weights"))
    monkeypatch.setattr(model, "is_online", lambda: True)
    (tmp_path / "file").write_text("")
    run = Run("test_resnet", "phantom", protocol="tiny", pretrained=True)
    (error,), _ = check_runs([run], tmp_path / "file" / "out")
    assert "cannot be written" in str(error)
