"""Every reader of a file: cut anywhere, or with a bit flipped, one error or the right content."""

import gzip
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from pepr_utils.audit import audit
from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.measurement import Run, store
from pepr_utils.measurement.datasets import lidc, load_dataset
from pepr_utils.measurement.datasets.image_file import medical_format
from pepr_utils.measurement.predictions import Predictions, write_predictions
from pepr_utils.measurement.sweep.plan import (
    Plan,
    Planned,
    read_plan,
    read_requested,
    write_plan,
    write_requested,
)
from pepr_utils.paths import data_dir
from pepr_utils.results import (
    Epoch,
    Record,
    correct_images,
    load_result_set,
    read_predictions,
    read_record,
    write_record,
)
from pepr_utils.results.user_table import load_user_table

RECORD = Record(
    run_id="r", status="done", architecture="resnet18d", dataset="phantom", test_accuracy=0.75,
    energy_kwh=0.0012345678, n_classes=2, n_test=4,
    epochs=(Epoch(epoch=1, test_accuracy=0.5), Epoch(epoch=2, test_accuracy=0.75)),
)  # fmt: skip
LABELS = np.array([0, 1, 1, 0], np.uint16)
LOGITS = np.array([[-2.0], [3.0], [-1.0], [-4.0]], np.float32)
TABLE = pd.DataFrame({"model": ["a", "b"], "accuracy": [0.9, 0.8], "energy_kwh": [1.5, 2.25]})


def record(folder):
    path = write_record(RECORD, folder)
    return path, lambda: read_record(path)


def _predictions(folder, *, with_hash):
    digest = write_predictions(folder, "r", Predictions(LOGITS, LABELS))
    write_record(
        RECORD.model_copy(update={"predictions_sha256": digest * with_hash or None}), folder
    )
    path = folder / "predictions" / "r.npz"
    return path, lambda: {k: v.tolist() for k, v in read_predictions(folder, "r").items()}


def predictions(folder):
    return _predictions(folder, with_hash=True)


def predictions_without_a_hash(folder):
    return _predictions(folder, with_hash=False)


def checkpoint(folder):
    import torch

    from pepr_utils.measurement.training.checkpoint import read_checkpoint, write_checkpoint

    model = torch.nn.Linear(1, 1)
    paused = Record(run_id="r", status="paused", architecture="a", dataset="d", device="cpu",
                    epochs=(Epoch(epoch=1),))  # fmt: skip
    path = folder / "r.safetensors"
    write_checkpoint(path, paused, model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    return path, lambda: read_checkpoint(path, "r", "cpu").record


def _arrays():
    images = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    return {f"{s}_{p}": v for s in ("train", "val", "test") for p, v in
            (("images", images), ("labels", np.array([0, 1, 0, 1], np.uint8)))}  # fmt: skip


def _loaded(path):
    source = load_dataset(str(path))
    return source.sizes(), [np.asarray(source.images[s]).tolist() for s in source.images]


def images_npz(folder):
    path = folder / "images.npz"
    np.savez_compressed(path, **_arrays())
    return path, lambda: _loaded(path)


def lidc_zip(folder):
    import torch

    path = folder / lidc.FILE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(
        "lidc.pt", "w"
    ) as file:  # fmt: skip
        patches = torch.full((lidc.N_PATCHES, 1, 32, 32), 2, dtype=torch.uint8)  # a few, below
        torch.save((patches, torch.zeros(lidc.N_PATCHES, lidc.N_RATERS, dtype=torch.uint8)), file)
    return path, lambda: _loaded(path)


def weights(folder):
    from safetensors.torch import save_file

    from pepr_utils.measurement.architectures import find_architecture, timm
    from pepr_utils.measurement.training.model import make_model

    found = find_architecture("test_resnet")
    tag, path = found.pinned_weights(), folder / "weights.safetensors"
    save_file(timm().create_model(tag).state_dict(), path)
    options = {"image_size": 32, "n_channels": 3, "n_outputs": 2, "weights": tag}
    return path, lambda: type(make_model(found, **options, weights_file=path))


def table(suffix, write):
    def make(folder):
        path = folder / f"models.{suffix}"
        write(path)
        return path, lambda: load_user_table(path).rows.astype(str).to_dict()

    make.__name__ = f"table_{suffix}"
    return make


def plan(folder):
    path = write_plan(Plan("mine", (Planned(Run("resnet18d", "phantom"), "a", "r"),)), folder)
    return path, lambda: read_plan(folder)


def requested(folder):
    path = write_requested(folder, {"r": Run("resnet18d", "phantom")})
    return path, lambda: read_requested(folder)


def manifest(folder):
    write_record(RECORD, folder)
    (folder / store.MANIFEST).write_text(json.dumps({"device": "NVIDIA H100"}))
    return folder / store.MANIFEST, lambda: store.measured_on(folder)


def note(folder):
    path = store.note_path(folder, "r")
    path.parent.mkdir()
    path.write_text(
        json.dumps({"pid": 1, "host": "h", "started": "now", "record": {"run_id": "r"}})
    )
    return path, lambda: store.read_note(folder, "r")


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("models.csv", TABLE.to_csv(index=False))


READERS = [
    # Reader, bytes from one damage to the next, and whether a flipped bit is always noticed.
    (record, 1, True),
    (predictions, 1, True),
    (predictions_without_a_hash, 1, True),
    (checkpoint, 97, True),
    (images_npz, 7, True),
    (lidc_zip, 7, True),
    (weights, 40009, False),
    (plan, 1, False),
    (requested, 1, False),
    (manifest, 1, False),
    (note, 1, False),
    (
        table("csv.gz", lambda p: p.write_bytes(gzip.compress(TABLE.to_csv().encode(), mtime=0))),
        1,
        True,
    ),
    (table("zip", _zip), 1, True),
    (table("xlsx", lambda p: TABLE.to_excel(p, index=False, engine="xlsxwriter")), 11, False),
    (table("parquet", lambda p: TABLE.to_parquet(p, index=False)), 11, False),
    (table("json", TABLE.to_json), 1, False),
]


@pytest.mark.parametrize(
    ("make", "step", "has_checksum"), READERS, ids=[make.__name__ for make, *_ in READERS]
)
def test_a_damaged_file_is_one_error_or_its_content(
    make, step, has_checksum, tmp_path, monkeypatch
):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lidc, "N_PATCHES", 10)
    path, read = make(tmp_path)
    whole, content = read(), path.read_bytes()

    def error_or(expected):
        try:
            found = read()
        except PeprError:
            return
        assert expected is None or found == expected

    for at in range(0, len(content), step):
        path.write_bytes(content[:at])
        error_or(whole if make is record else None)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        error_or(whole if has_checksum else None)


def _changed(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_record_holds_the_checksum_of_its_content_not_of_its_layout(tmp_path):
    path, read = record(tmp_path)
    content = json.loads(path.read_text())
    assert content["schema_version"] == 2
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read() == RECORD
    _changed(path, energy_kwh=0.001)
    with pytest.raises(
        InvalidTableError, match=r"changed after it was written: .* remove its field"
    ):
        read()
    _changed(path, sha256=None)
    assert read().energy_kwh == 0.001


def test_records_of_earlier_versions_are_read(tmp_path):
    assert read_record(next(data_dir().glob("results/race-xray/runs/*"))).schema_version == 1
    path, read = record(tmp_path)
    old = json.loads(path.read_text())
    for name in ("sha256", "schema_version", "predictions_sha256", "data_warnings"):
        del old[name]
    path.write_text(json.dumps(old))
    assert read() == RECORD.model_copy(update={"schema_version": 1})


def _newer(folder, **more):
    path, _ = record(folder)
    epochs = [{"epoch": 1, "test_accuracy": 0.75, "lr": 0.1}]
    _changed(path, sha256=None, schema_version=3, epochs=epochs, mood="good", **more)
    return path


def test_fields_of_a_newer_version_are_kept_and_said(tmp_path, pepr):
    found = read_record(_newer(tmp_path))
    assert found.unknown_fields == ("lr", "mood")
    again = read_record(write_record(found, tmp_path))
    assert again == found
    assert (again.model_extra, again.epochs[0].model_extra) == ({"mood": "good"}, {"lr": 0.1})
    assert load_result_set(tmp_path).runs["energy_kwh"].tolist() == [RECORD.energy_kwh]
    for command in ("audit", "score"):
        assert "without their fields lr, mood, which are not known here" in pepr(
            command, tmp_path
        ).err.replace("\n", " ").replace("  ", " ")


def test_a_newer_version_that_cannot_be_read_says_what_to_do(tmp_path):
    with pytest.raises(InvalidTableError, match=r"'status' is 'asleep'.*version 3.*update this"):
        read_record(_newer(tmp_path, status="asleep"))


def test_an_unknown_field_of_this_version_is_an_error(tmp_path):
    path, read = record(tmp_path)
    for changes in ({"mood": "good"}, {"epochs": [{"epoch": 1, "lr": 0.1}]}):
        _changed(path, sha256=None, **changes)
        with pytest.raises(InvalidTableError, match=r"unknown field '(mood|lr)'"):
            read()


def test_a_key_that_appears_twice_is_an_error(tmp_path):
    path, read = record(tmp_path)
    path.write_text(path.read_text().replace('"epoch": 1,', '"epoch": 1, "epoch": 1,'))
    with pytest.raises(InvalidTableError, match=r"r\.json: key 'epoch' appears twice"):
        read()


def test_a_whole_number_beyond_all_floats_is_refused_with_its_column(tmp_path):
    found = json.loads(RECORD.model_dump_json()) | {"seed": 10**400}
    path = tmp_path / "runs" / "r.json"
    path.parent.mkdir()
    path.write_text(json.dumps(found))
    with pytest.raises(InvalidTableError, match=r"column 'seed' is '1000.*allowed: a whole number"):
        load_result_set(tmp_path)


def test_a_pipe_or_device_among_the_records_is_not_waited_for(tmp_path):
    record(tmp_path)
    place = tmp_path / "runs" / "pipe.json"
    os.mkfifo(place)
    for _ in ("a pipe", "a device"):
        with pytest.raises(InvalidTableError, match=r"pipe\.json: .*not a regular file"):
            load_result_set(tmp_path)
        place.unlink()
        place.symlink_to("/dev/zero")


@pytest.mark.parametrize("place", ["running/p.json", "study.json", "asked/p.json"])
def test_a_pipe_in_a_folder_of_runs_is_not_waited_for(tmp_path, place, pepr):
    record(tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / place)
    done = pepr("status", tmp_path)
    assert done.code == (0 if "running" in place else 2), done.err
    assert ("p.json" in done.err or "study.json" in done.err) == (done.code == 2)


@pytest.fixture(params=[True, False], ids=["with-hash", "without"])
def two_runs(request, tmp_path):
    """Two records of different accuracies with their predictions."""
    for name, predicted in (("a", [0, 1, 1, 1]), ("b", [0, 1, 0, 1])):
        given = Predictions(np.where(predicted, 1.0, -1.0)[:, None].astype(np.float32), LABELS)
        changes = {"run_id": name, "architecture": name, "test_accuracy": given.accuracy()}
        changes["epochs"] = ()
        digest = write_predictions(tmp_path, name, given)
        changes["predictions_sha256"] = digest if request.param else None
        write_record(RECORD.model_copy(update=changes), tmp_path)
    return tmp_path


def test_predictions_of_another_run_are_an_error_and_a_finding(two_runs, pepr):
    results = load_result_set(two_runs)
    assert correct_images(results, results.runs).sum(axis=1).tolist() == [3, 2]
    assert audit(results, ["predictions"]) == []
    a, b = (two_runs / "predictions" / f"{name}.npz" for name in "ab")
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    with pytest.raises(InvalidTableError, match=r"a\.npz: .*; restore it, or remove it"):
        correct_images(results, results.runs)
    found = audit(results, ["predictions"])
    assert [(f.severity, [r.run_id for r in f.rows]) for f in found] == [
        ("error", ["a"]), ("error", ["b"])
    ]  # fmt: skip
    assert "predictions" in pepr("audit", two_runs).out


@pytest.mark.parametrize("two_runs", [True], indirect=True)
def test_predictions_that_are_gone_are_a_finding(two_runs):
    gone = sorted((two_runs / "predictions").iterdir())[0]
    gone.unlink()
    (finding,) = audit(load_result_set(two_runs), ["predictions"])
    assert (finding.severity, len(finding.rows)) == ("warning", 1)
    assert f"{gone}: missing" in finding.evidence


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:3]}, r"labels of shape \(3,\), outputs of shape \(4, 1\)"),
        ({"predicted": [0]}, r"predictions of \(1,\)"),
        ({"labels": LABELS + 1}, "a label that is not from 0 to 1"),
        ({"predicted": np.array([0, 1, 0, 7])}, "a prediction that is not from 0 to 1"),
        ({"predicted": np.array([0, 1, 1, 0])}, "not the largest output"),
        ({"logits": LOGITS * np.nan}, "outputs that are not finite"),
        ({"logits": LOGITS[:, 0]}, "outputs of shape"),
        ({"labels": LABELS * 1.0}, "not whole numbers"),
        ({"labels": 1 - LABELS}, "their accuracy is 0.25, and the record's 0.75"),
        ({"logits": np.hstack([LOGITS] * 3), "predicted": LABELS * 0}, "3 classes; the record"),
    ],
)
def test_predictions_that_contradict_themselves_or_the_record_are_refused(
    tmp_path, changes, message
):
    write_record(RECORD, tmp_path)
    (tmp_path / "predictions").mkdir()
    good = {"labels": LABELS, "predicted": np.array([0, 1, 0, 0]), "logits": LOGITS}
    np.savez(tmp_path / "predictions" / "r.npz", **good)
    assert read_predictions(tmp_path, "r")["predicted"].tolist() == [0, 1, 0, 0]
    np.savez(tmp_path / "predictions" / "r.npz", **(good | changes))
    with pytest.raises(InvalidTableError, match=message):
        read_predictions(tmp_path, "r")


def test_a_pipe_or_a_link_to_one_among_the_images_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe.dcm", "link.nii"):
        os.mkfifo(tmp_path / name) if "pipe" in name else (tmp_path / name).symlink_to("pipe")
        assert medical_format(tmp_path / name) == ""
