"""A folder's images that would be left out or altered: noted before training, or refused."""

import os
import struct
import unicodedata

import numpy as np
import pytest
from PIL import ExifTags, Image

from pepr_utils.measurement.datasets import describe_dataset, image_file, load_dataset
from pepr_utils.measurement.datasets.folder import list_folder
from pepr_utils.measurement.datasets.prepare import prepare
from pepr_utils.measurement.datasets.source import DatasetError


def picture(seed, size=(12, 12)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def fill(folder, first=0, n=5):
    for i, name in enumerate(("benign", "malignant")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            picture(first + 100 * i + k).save(folder / name / f"{k}.png")
    return folder


def given(folder, **names):
    for i, split in enumerate(("train", "val", "test")):
        fill(folder / names.get(split, split), first=1000 * (i + 1))
    return folder


def notes(folder):
    return "; ".join(load_dataset(folder).notes)


def test_images_outside_the_folders_of_classes_are_noted(tmp_path):
    folder = given(tmp_path / "given")
    for k in range(5):
        picture(k).save(folder / "train" / f"loose{k}.png")
    picture(7).save(folder / "top.png")
    (folder / "train" / "readme.txt").write_text("no image")
    assert load_dataset(folder).sizes() == {"train": 10, "val": 10, "test": 10}
    assert (
        "passed over, since in no folder of a class: top.png, train/loose0.png, train/loose1.png "
        "and 3 more"
    ) in notes(folder)
    plain = fill(tmp_path / "plain")
    assert "passed over" not in notes(plain)
    picture(8).save(plain / "top.png")
    assert "passed over, since in no folder of a class: top.png" in notes(plain)


def test_folders_beside_the_splits_are_noted(tmp_path):
    folder = given(tmp_path / "x")
    fill(folder / "extra")
    (folder / ".cache").mkdir()
    assert "passed over, since a folder beside train, val and test: extra" in notes(folder)
    assert ".cache" not in notes(folder)


@pytest.mark.parametrize("second", ["validation", "valid", "Validation"])
def test_two_folders_for_one_split_are_refused(tmp_path, second):
    folder = given(tmp_path / "x")
    fill(folder / second, first=5000)
    with pytest.raises(DatasetError, match=rf"has .*{second}.*, which mean the same split; join"):
        load_dataset(folder)


def test_what_lies_in_a_hidden_folder_is_no_image_of_the_class(tmp_path):
    folder = fill(tmp_path / "x")
    (folder / "benign" / ".ipynb_checkpoints").mkdir()
    picture(1).save(folder / "benign" / ".ipynb_checkpoints" / "1-checkpoint.png")
    assert sum(load_dataset(folder).sizes().values()) == 10


def test_further_pages_are_noted(tmp_path):
    folder = fill(tmp_path / "x")
    pages = [picture(k) for k in range(50, 54)]
    pages[0].save(folder / "benign" / "stack.tif", save_all=True, append_images=pages[1:])
    pages[1].save(folder / "benign" / "single.tif")
    assert "1 of 12 files have more than one page: only the first is read" in notes(folder)
    found = image_file.read(folder / "benign" / "stack.tif", n_channels=3)
    np.testing.assert_array_equal(found, np.asarray(pages[0]))


def test_a_damaged_second_page_does_not_hide_the_first(tmp_path):
    path = tmp_path / "stack.tif"
    picture(0).save(path, save_all=True, append_images=[picture(1)])
    content = bytearray(path.read_bytes())
    with Image.open(path) as image:
        image.seek(1)
        at = content.index(int.to_bytes(ExifTags.Base.ImageWidth, 2, "little"), image.tell() + 200)
    content[at : at + 2] = b"\xff\xff"
    path.write_bytes(content)
    assert image_file.look(path).has_more_pages


def turned(path, pixels, orientation=6, **options):
    """Save as a phone does: the pixels as the sensor gave them, and how to hold them."""
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif, **options)


@pytest.mark.parametrize(
    ("name", "depth"),
    [("a.jpg", "grey"), ("a.jpg", "colour"), ("a.png", "grey"), ("a.png", "deep"),
     ("a.webp", "colour"), ("a.tif", "grey"), ("a.tif", "colour"), ("a.tif", "deep")],
)  # fmt: skip
def test_photographs_are_turned_upright(tmp_path, name, depth):
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:10] = 255  # bright above; to be held so that it is bright at the right
    kept = {"colour": np.repeat(pixels[..., None], 3, axis=2), "deep": pixels.astype(np.uint16) * 9}
    turned(tmp_path / name, kept.get(depth, pixels))
    seen = image_file.look(tmp_path / name)
    assert (seen.size, seen.is_turned) == ((20, 40), True)
    found = image_file.read(tmp_path / name, n_channels=1, deep_range=255 * 9)[..., 0]
    assert found.shape == (40, 20)
    assert (found[:, 12:] > 240).all()
    assert (found[:, :8] < 15).all()


@pytest.mark.parametrize(
    ("tag", "kind", "n", "value"),
    [(0x128, 2, 4, b"2\0\0\0"), (0x100, 5, 1, b"\x28\0\0\0"), (0x103, 7, 4, b"\0\0\0\6"),
     (0x8769, 4, 1, b"\x60\xea\0\0")],
)  # fmt: skip
def test_exif_that_cannot_be_written_again_is_no_obstacle(tmp_path, tag, kind, n, value):
    """A unit of resolution as text, a width as a fraction, a pointer beyond the end."""
    entries = sorted([(tag, kind, n, value), (0x112, 3, 1, b"\6\0\0\0")])
    packed = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, len(entries)) + packed + bytes(36)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert image_file.look(tmp_path / "a.jpg").size == (20, 30)
    assert image_file.read(tmp_path / "a.jpg", n_channels=3).shape == (30, 20, 3)


def test_a_png_whose_exif_is_garbage_is_read_as_it_is(tmp_path):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png", exif=b"garbage" * 9)
    assert image_file.read(tmp_path / "a.png", n_channels=1).shape == (20, 30, 1)


def test_turned_images_are_noted_and_an_upright_one_is_not(tmp_path):
    folder = fill(tmp_path / "x")
    turned(folder / "benign" / "phone.jpg", np.asarray(picture(70, (24, 12))))
    turned(folder / "benign" / "upright.jpg", np.asarray(picture(71)), orientation=1)
    found = notes(folder)
    assert "1 of 12 images are turned as their EXIF orientation says" in found
    assert "2 sizes (12 to 12 px wide)" in found


def test_what_is_read_of_a_file_is_part_of_the_content(tmp_path, monkeypatch):
    for folder in (fill(tmp_path / "x"), given(tmp_path / "y")):
        before = describe_dataset(str(folder)).content_hash
        monkeypatch.setattr(image_file, "VERSION", image_file.VERSION + " and more")
        picture(300).save(folder / "top.png")  # in no class: only so that it is listed again
        assert describe_dataset(str(folder)).content_hash != before
        monkeypatch.undo()
        (folder / "top.png").unlink()
        assert list_folder(folder).content_hash == before


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_hounsfield_units_are_refused_with_the_way_to_bytes(tmp_path, dtype):
    folder = fill(tmp_path / "x")
    units = np.linspace(-1024, 3000, 144).reshape(12, 12).astype(dtype)
    Image.fromarray(units).save(folder / "malignant" / "ct.tif")
    message = r"ct.tif: has negative values \(-1024 to 3000\), as CT .*window, such as -1000 to 400"
    if dtype == np.float32:
        message = r"ct.tif: its pixels are floats"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)


@pytest.mark.parametrize("splits", [("train", "train"), ("train", "test")])
def test_one_image_in_two_classes_is_refused_in_given_splits_too(tmp_path, splits):
    folder = given(tmp_path / "x")
    for number, name in ((800, "a.png"), (801, "b.png")):
        picture(number).save(folder / splits[0] / "benign" / name)
        picture(number).save(folder / splits[1] / "malignant" / name)
    message = r"the same image lies in another class too, as .*[ab].png \(and 1 more\); keep"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)


def test_copies_of_one_class_in_two_given_splits_are_left_to_the_report(tmp_path):
    folder = given(tmp_path / "x")
    for split in ("train", "test"):
        picture(800).save(folder / split / "benign" / "copy.png")
    assert load_dataset(folder).sizes() == {"train": 11, "val": 10, "test": 11}


def test_a_class_that_is_only_tested_is_named_and_a_difference_in_case_is_hinted_at(tmp_path):
    folder = given(tmp_path / "x")
    (folder / "test" / "malignant").rename(folder / "test" / "unsure")
    message = r"class 'unsure' is among the test images but not among the training images; add"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)
    (folder / "test" / "unsure").rename(folder / "test" / "Malignant")
    message = r"class 'Malignant' is among the test .*; if 'malignant' is the same class, give both"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)


def test_classes_that_differ_in_case_alone_are_noted(tmp_path):
    folder = fill(tmp_path / "x")
    (folder / "malignant").rename(folder / "Benign")
    note = "classes 'Benign' and 'benign' differ in case alone: they are 2 classes"
    assert note in notes(folder)


def test_one_name_in_two_forms_of_unicode_is_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "bénin") for form in ("NFC", "NFD"))
    folder = given(tmp_path / "x")
    for split in ("train", "val", "test"):
        name = decomposed if split == "test" else composed
        (folder / split / "benign").rename(folder / split / name)
    fill(folder / "val", first=9000, n=1)
    (folder / "val" / "benign").rename(folder / "val" / decomposed)
    source = load_dataset(folder)
    assert [unicodedata.normalize("NFC", name) for name in source.class_names] == [
        composed,
        "malignant",
    ]
    assert source.sizes() == {"train": 10, "val": 11, "test": 10}


def test_a_name_that_is_not_utf_8_is_refused_and_shown_escaped(tmp_path):
    folder, ill, data = fill(tmp_path / "x"), *map(os.fsdecode, (b"malad\xe9e", b"donn\xe9es"))
    try:
        (folder / "malignant").rename(folder / ill)
    except OSError:  # a file system that has no such names
        return
    message = r"a class folder in .*x: its name 'malad\\udce9e' is not UTF-8; rename it"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)
    (folder / ill).rename(folder / "malignant")
    folder.rename(tmp_path / data)
    with pytest.raises(DatasetError, match=r"its name 'donn\\udce9es' is not UTF-8"):
        load_dataset(tmp_path / data)


def test_all_images_that_cannot_be_read_are_named_at_once(tmp_path):
    folder = fill(tmp_path / "x", n=9)
    for k in range(5):  # empty files in two classes are no copies of one image
        (folder / ("benign" if k % 2 else "malignant") / f"bad{k}.png").touch()
    with pytest.raises(DatasetError) as caught:
        load_dataset(folder)
    assert "and 4 more images that cannot be read: " in str(caught.value)
    assert str(caught.value).count("bad") == 4
    assert str(caught.value).endswith(" and 1 more)")


def test_all_images_that_cannot_be_decoded_are_named_at_once(tmp_path):
    folder = fill(tmp_path / "x")
    cut = [folder / "benign" / "0.png", folder / "benign" / "1.png", folder / "malignant" / "2.png"]
    for k, path in enumerate(cut):
        path.write_bytes(path.read_bytes()[: -60 - k])
    with pytest.raises(DatasetError, match="and 2 more images that cannot be read: ") as caught:
        prepare(load_dataset(folder), 16)
    assert all(str(path) in str(caught.value) for path in cut)
