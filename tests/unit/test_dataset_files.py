"""Untrusted .npz files: every way in which one can be wrong is one plain error."""

import io
import zipfile

import numpy as np
import pytest

from pepr_utils.errors import UnknownNameError
from pepr_utils.measurement.datasets import describe_dataset, load_dataset
from pepr_utils.measurement.datasets.prepare import prepare
from pepr_utils.measurement.datasets.source import DatasetError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PEPR_DATA_CACHE", str(folder))
    return folder


def arrays(n=12, shape=(28, 28), n_classes=2, **changes):
    rng = np.random.default_rng(0)
    found = {}
    for split in ("train", "val", "test"):
        found[f"{split}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        found[f"{split}_labels"] = (np.arange(n) % n_classes)[:, None].astype(np.uint8)
    return found | changes


def save(path, content):
    np.savez_compressed(path, **{k: v for k, v in content.items() if v is not None})
    return path


@pytest.mark.parametrize(
    ("shape", "channels"), [((28, 28), 1), ((28, 28, 1), 1), ((28, 28, 3), 3), ((20, 30, 3), 3)]
)
def test_medmnist_layout_is_read(tmp_path, shape, channels):
    content = arrays(shape=shape)
    source = load_dataset(save(tmp_path / "clinic.npz", content))
    assert source.name == "clinic"
    assert source.n_channels == channels
    assert source.sizes() == {"train": 12, "val": 12, "test": 12}
    assert source.labels["train"].tolist() == [0, 1] * 6
    np.testing.assert_array_equal(
        np.asarray(source.images["test"]).reshape(content["test_images"].shape),
        content["test_images"],
    )
    assert prepare(source, 32).pixels["val"].shape == (12, 32, 32, channels)


def test_several_labels_to_an_image(tmp_path):
    labels = np.array([[0, 1, 1]] * 12, dtype=np.uint8)
    changed = {f"{split}_labels": labels for split in ("train", "val", "test")}
    source = load_dataset(save(tmp_path / "chest.npz", arrays(**changed)))
    assert source.multi_label
    assert source.n_classes == 3


def test_the_content_decides_the_hash_and_not_the_name(tmp_path):
    one = describe_dataset(save(tmp_path / "one.npz", arrays()))
    two = describe_dataset(save(tmp_path / "two.npz", arrays()))
    other = describe_dataset(save(tmp_path / "other.npz", arrays(n=13)))
    assert one.content_hash == two.content_hash != other.content_hash
    assert (one.name, two.name) == ("one", "two")


U8 = np.uint8
WRONG = [
    ({"val_labels": None}, "no array 'val_labels'; it has"),
    ({"test_images": np.zeros((12, 28, 28), np.float32)}, "test_images is float32.*allowed: uint8"),
    ({"train_images": np.zeros((12, 28), U8)}, r"train_images is uint8 of shape \(12, 28\)"),
    ({"train_images": np.zeros((12, 28, 28, 4), U8)}, "1 or 3 channels"),
    (
        {"val_images": np.zeros((12, 28, 28, 3), U8)},
        r"val_images is uint8 of shape \(12, 28, 28, 3\).*as many in each split",
    ),
    (
        {"test_images": np.zeros((0, 28, 28), U8), "test_labels": np.zeros((0, 1), U8)},
        "at least one image",
    ),
    (
        {"train_labels": np.zeros((11, 1), U8)},
        r"train_labels is uint8 of shape \(11, 1\).*each of the 12 images",
    ),
    ({"train_labels": np.zeros((12, 1))}, "train_labels is float64.*whole numbers"),
    ({"train_labels": np.array([[0], [-1]] * 6)}, "train label 1 is -1; allowed: whole numbers"),
    ({"train_labels": np.zeros((12, 1), U8)}, "all training images are of one class"),
    ({"test_labels": np.array([[0], [2]] * 6, U8)}, "test label 1 is 2, but class 2 has no train"),
    ({"train_labels": np.array([[0], [1]] * 5 + [[255], [1]])}, "train label 10 is 255, but class"),
    (
        {"train_labels": np.array([[1], [2]] * 6, U8)},
        "train label 0 is 1, but class 0 has no",
    ),
    ({"val_labels": np.array([[0], [10**12]] * 6)}, "val label 1 is 1000000000000, but class"),
    ({"val_labels": np.array([[0], [2**64 - 1]] * 6, np.uint64)}, "has 18446744073709551615"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_array_is_named(tmp_path, changes, message):
    with pytest.raises(DatasetError, match=f"bad.npz: .*{message}"):
        load_dataset(save(tmp_path / "bad.npz", arrays(**changes)))


def test_too_many_classes_are_refused(tmp_path, monkeypatch):
    from pepr_utils.measurement.datasets import npz

    monkeypatch.setattr(npz, "MAX_CLASSES", 5)
    with pytest.raises(DatasetError, match="6 classes; allowed: at most 5"):
        load_dataset(save(tmp_path / "ids.npz", arrays(n_classes=6)))


def test_a_changed_file_of_the_cache_is_written_again(tmp_path, cache):
    path = save(tmp_path / "clinic.npz", arrays())
    before = np.array(load_dataset(path).images["test"])
    (unpacked,) = cache.rglob("test_images.npy")
    np.save(unpacked, np.zeros((3, 28, 28), np.uint8))
    np.testing.assert_array_equal(load_dataset(path).images["test"], before)


def test_a_pickle_is_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / "bad.npz"
    np.savez(path, **arrays(train_labels=np.array([Bomb()] * 12, dtype=object)))
    with pytest.raises(DatasetError, match=r"train_labels is no array .*Python objects"):
        load_dataset(path)


def test_truncated_and_foreign_files(tmp_path):
    path = save(tmp_path / "cut.npz", arrays())
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DatasetError, match=r"cut.npz: not a readable archive, perhaps truncated"):
        load_dataset(path)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DatasetError, match=r"text.npz: not a readable archive"):
        load_dataset(tmp_path / "text.npz")
    (tmp_path / "x.csv").write_text("a")
    with pytest.raises(DatasetError, match=r"ends in .csv; allowed: an .npz file"):
        load_dataset(tmp_path / "x.csv")
    with pytest.raises(UnknownNameError, match="unknown data set"):
        load_dataset(tmp_path / "absent.npz")


def test_bytes_that_changed_since_the_file_was_written(tmp_path):
    path = tmp_path / "rot.npz"
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[400] ^= 255  # a pixel of the first array
    path.write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"Bad CRC-32 for file 'train_images.npy'.*; download it again"
    ):
        load_dataset(path)


def test_a_header_that_claims_more_than_there_is(tmp_path):
    path = save(tmp_path / "liar.npz", arrays(train_images=None))
    header, claimed = io.BytesIO(), (10**9, 28, 28)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": claimed}
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_images.npy", header.getvalue() + bytes(1000))
    with pytest.raises(
        DatasetError, match=r"train_images is no array .*length is greater than file"
    ):
        load_dataset(path)
