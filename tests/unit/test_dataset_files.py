"""Files that nobody vouches for: every way in which an .npz file or a folder can be wrong."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from pepr_utils.errors import UnknownNameError
from pepr_utils.measurement.datasets import describe_dataset, image_file, load_dataset
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
    ({"val_images": np.zeros((12, 28, 28, 3), U8)}, "val_images has 3 channels and train_images 1"),
    ({"test_images": np.zeros((0, 28, 28), U8), "test_labels": np.zeros((0, 1), U8)}, "is empty"),
    ({"train_labels": np.zeros((11, 1), U8)}, "12 train_images but 11 train_labels"),
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
    (
        {"train_images": np.array([{"a": 1}] * 12, dtype=object)},
        "train_images is no array of numbers .*Python objects",
    ),
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


def _member(path, key, content, claimed):
    """Write an array under a header that claims another shape."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": claimed}
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{key}.npy", header.getvalue() + content)


def test_a_header_that_claims_more_than_there_is(tmp_path):
    path = save(tmp_path / "liar.npz", arrays(train_images=None))
    _member(path, "train_images", bytes(1000), (10**9, 28, 28))
    with pytest.raises(
        DatasetError, match=r"train_images is no array .*length is greater than file"
    ):
        load_dataset(path)


def test_a_decompression_bomb_is_refused_unopened(tmp_path, monkeypatch):
    from pepr_utils.measurement.datasets import npz

    monkeypatch.setattr(npz, "BOMB_BYTES", 10**6)
    path = save(tmp_path / "bomb.npz", arrays(train_images=None))
    _member(path, "train_images", bytes(4 * 10**6), (4, 1000, 1000))
    with pytest.raises(DatasetError, match="refused as a decompression bomb"):
        load_dataset(path)


def picture(seed, size=(40, 40), mode="RGB"):
    rng = np.random.default_rng(seed)
    bands = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2}[mode]
    pixels = rng.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels, mode=None)


def fill(folder, classes=("benign", "malignant"), n=10):
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            picture(100 * i + k).save(folder / name / f"{k}.png")
    return folder


def test_a_strangers_folder(tmp_path):
    folder = fill(tmp_path / "clinic", n=12)
    picture(900, (70, 50)).save(folder / "benign" / "wide.png")
    picture(901, mode="RGBA").save(folder / "benign" / "clear.png")
    picture(902, mode="L").save(folder / "benign" / "grey.jpg")
    deep = np.full((30, 30), 1000, np.uint16)
    deep[0, 0] = 4000  # 12 bits, as scanners write them
    Image.fromarray(deep).save(folder / "malignant" / "deep.png")
    (folder / "malignant" / "notes.txt").write_text("not an image")
    (folder / "empty").mkdir()
    source = load_dataset(folder)
    assert source.name == "clinic"
    assert source.class_names == ("benign", "malignant")
    assert sum(source.sizes().values()) == 28
    notes = "; ".join(source.notes)
    for note in (
        "class 'empty' has no image: it is left out",
        "passed over, since not named like an image: malignant/notes.txt",
        "images have 3 sizes",
        "1 of 28 images are not square",
        "2 of 28 images are grey among coloured ones",
        "1 of 28 images have transparency",
        "1 of 28 images have 16 bits: 0 to 4095 becomes 0 to 255",
    ):
        assert note in notes
    prepared = prepare(source, 24)
    assert prepared.pixels["train"].shape[1:] == (24, 24, 3)
    found = image_file.read(folder / "malignant" / "deep.png", n_channels=1, deep_range=4095)
    assert found[5, 5, 0] == round(1000 / 4095 * 255)


def test_grey_images_stay_grey(tmp_path):
    for i, name in enumerate("ab"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for k in range(5):
            picture(10 * i + k, mode="L").save(tmp_path / "x" / name / f"{k}.png")
    assert load_dataset(tmp_path / "x").n_channels == 1


def test_given_splits_are_kept(tmp_path):
    for split, n in (("train", 6), ("valid", 2), ("test", 3)):
        fill(tmp_path / "x" / split, n=n)
    assert load_dataset(tmp_path / "x").sizes() == {"train": 12, "val": 4, "test": 6}


def test_copies_stay_together_and_names_do_not_matter(tmp_path):
    folder = fill(tmp_path / "x", n=20)
    for k in range(10):
        picture(k).save(folder / "benign" / f"copy{k}.png")
    source = load_dataset(folder)
    digests = {s: {i.digest for i in source.images[s].items} for s in ("train", "val", "test")}
    assert not digests["train"] & digests["test"]
    assert not digests["train"] & digests["val"]
    assert not digests["val"] & digests["test"]
    before = describe_dataset(folder).content_hash
    (folder / "benign" / "3.png").rename(folder / "benign" / "renamed.png")
    assert describe_dataset(folder).content_hash == before
    (folder / "benign" / "renamed.png").unlink()
    assert describe_dataset(folder).content_hash != before


def test_names_of_files_do_not_change_the_order_of_given_splits(tmp_path):
    for split in ("train", "val", "test"):
        fill(tmp_path / "x" / split, n=5)
    before = load_dataset(tmp_path / "x")
    pixels = np.stack(list(before.images["train"]))
    folder = tmp_path / "x" / "train" / "benign"
    (folder / "0.png").rename(folder / "z.png")
    after = load_dataset(tmp_path / "x")
    assert after.content_hash == before.content_hash
    np.testing.assert_array_equal(np.stack(list(after.images["train"])), pixels)


def test_a_corrupt_image_is_named(tmp_path):
    folder = fill(tmp_path / "x")
    (folder / "benign" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(DatasetError, match=r"benign/3.png: not a readable image"):
        load_dataset(folder)
    whole = (folder / "benign" / "4.png").read_bytes()
    (folder / "benign" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"benign/3.png: not a readable image"):
        prepare(load_dataset(folder), 16)


def test_an_image_bomb_is_refused(tmp_path, monkeypatch):
    folder = fill(tmp_path / "x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    message = r"png: Image size \(1600 pixels\) exceeds limit of 200 pixels, .*; shrink it \(and 19"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # where Pillow warns
    assert image_file.look(folder / "benign" / "1.png").size == (40, 40)


def test_links_that_are_not_followed_are_noted(tmp_path):
    folder = fill(tmp_path / "x")
    (folder / "benign" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    fill(tmp_path, classes=("more",))
    (folder / "benign" / "more").symlink_to(tmp_path / "more")
    source = load_dataset(folder)
    assert sum(source.sizes().values()) == 20
    note = "passed over, since a link that leads nowhere or to a folder: benign/gone.png, benign/"
    assert note in "; ".join(source.notes)


def test_the_last_data_set_is_decoded_once_until_it_changes(tmp_path, monkeypatch):
    from pepr_utils.measurement.datasets import prepare as module

    folder = fill(tmp_path / "x")
    first = module.prepare_dataset(str(folder), 16)
    with monkeypatch.context() as patched:
        patched.setattr(module, "prepare", lambda *_a, **_k: pytest.fail("decoded again"))
        assert module.prepare_dataset(str(folder), 16) is first
    picture(999).save(folder / "benign" / "new.png")
    assert sum(module.prepare_dataset(str(folder), 16).source.sizes().values()) == 21


def test_folders_that_cannot_be_understood(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="no folders in it; allowed: one folder of images per"):
        load_dataset(tmp_path / "none")
    fill(tmp_path / "two" / "train")
    fill(tmp_path / "two" / "val")
    with pytest.raises(DatasetError, match="has train, val but no test"):
        load_dataset(tmp_path / "two")
    fill(tmp_path / "one", classes=("a",))
    with pytest.raises(DatasetError, match="1 class with images"):
        load_dataset(tmp_path / "one")
    fill(tmp_path / "few", n=2)
    with pytest.raises(DatasetError, match="a class has 2 different images; at least 3"):
        load_dataset(tmp_path / "few")
    both = fill(tmp_path / "both")
    picture(1).save(both / "malignant" / "again.png")
    with pytest.raises(DatasetError, match="the same image lies in another class too"):
        load_dataset(both)


def test_floats_are_refused(tmp_path):
    folder = fill(tmp_path / "x")
    Image.fromarray(np.ones((8, 8), np.float32)).save(folder / "benign" / "f.tif")
    with pytest.raises(DatasetError, match=r"f.tif: its pixels are floats"):
        load_dataset(folder)
