"""The report on a data set before training: several labels, contradictions, odd names."""

import numpy as np
import pytest

from pepr_utils.measurement import Run
from pepr_utils.measurement.datasets import load_dataset, phantom
from pepr_utils.measurement.datasets.prepare import prepare
from pepr_utils.measurement.datasets.report import report, share_lines
from pepr_utils.measurement.datasets.source import DatasetError


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path_factory.mktemp("cache")))


def save(path, labels):
    """A file in MedMNIST's layout whose three splits have the same labels."""
    rng = np.random.default_rng(0)
    content = {}
    for split in ("train", "val", "test"):
        content[f"{split}_images"] = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        content[f"{split}_labels"] = labels
    np.savez(path, **content)
    return path


SEVERAL = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]] * 5)


def test_several_labels_are_reported_with_what_accuracy_is(tmp_path):
    images = prepare(load_dataset(save(tmp_path / "chest.npz", SEVERAL)), 28)
    lines = report(images).lines()
    assert lines[0].split() == ["label", "train", "val", "test"]
    assert lines[1].split() == ["class", "0", "10", "10", "10"]
    assert lines[4].startswith("several labels to an image: accuracy is the share of labels")
    run = Run("test_resnet", "chest.npz", "demo", pretrained=False, train_fraction=0.5)
    start = "the share 0.5 is 10 of 20 training images; by label, in the order above: "
    (line,) = share_lines(images, run)
    assert line.startswith(start)
    counts = [int(n) for n in line.removeprefix(start).split(", ")]
    assert len(counts) == 3
    assert 0 < sum(counts) <= 20
    assert "several labels" not in " ".join(report(prepare(phantom.load(), 64)).lines())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_classes_written_one_hot_are_refused(tmp_path, dtype):
    one_hot = np.eye(3, dtype=dtype)[np.arange(12) % 3]
    path = save(tmp_path / "onehot.npz", one_hot)
    message = r"onehot.npz: .*single 1 among 3 columns: .*class numbers instead, labels.argmax"
    with pytest.raises(DatasetError, match=message):
        load_dataset(path)
    one_hot[4] = 0  # one image without any label: these may be labels
    assert load_dataset(save(path, one_hot)).multi_label


def test_two_columns_that_may_be_classes_are_noted(tmp_path):
    one_hot = np.eye(2, dtype=np.uint8)[np.arange(12) % 2]
    source = load_dataset(save(tmp_path / "two.npz", one_hot))
    assert source.multi_label
    assert "each image has exactly one of the two labels" in source.notes[0]
    one_hot[3] = 1
    assert load_dataset(save(tmp_path / "two.npz", one_hot)).notes == ()


def test_copies_with_another_label_are_counted():
    source = phantom.load()
    images = {s: np.array(source.images[s]) for s in source.images}
    labels = source.labels
    same, other = (
        next(i for i in range(160) if (labels["train"][i] == labels["test"][0]) == wanted)
        for wanted in (True, False)
    )
    images["test"][0] = images["train"][same]
    found = report(prepare(type(source)(**{**vars(source), "images": images}), 64))
    assert found.contradictions == 0
    images["test"][0] = images["train"][other]
    found = report(prepare(type(source)(**{**vars(source), "images": images}), 64))
    assert found.contradictions == 2
    assert "warning: 2 images have a copy with another label" in found.lines()


def test_names_of_classes_do_not_reach_the_terminal_raw():
    source = phantom.load()
    names = ("a\nb", "\x1b[31mred", "ordinary")
    changed = type(source)(**{**vars(source), "class_names": names, "notes": ("of \x1b[2Jx.png",)})
    lines = report(prepare(changed, 64)).lines()
    assert all(line.isprintable() for line in lines)
    assert lines[1].startswith("a\ufffdb  ")
    assert lines[-1] == "note: of \ufffd[2Jx.png"
