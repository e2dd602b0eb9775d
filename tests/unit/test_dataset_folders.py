"""Folders of images: what would be left out or altered is noted before training, or refused."""

import gzip
import os
import struct
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pepr_utils.measurement.datasets import dataset_kind, describe_dataset, image_file, load_dataset
from pepr_utils.measurement.datasets.folder import list_folder
from pepr_utils.measurement.datasets.prepare import prepare
from pepr_utils.measurement.datasets.report import report
from pepr_utils.measurement.datasets.source import DatasetError


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(seed, size=(12, 12), mode="RGB"):
    bands = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*size[::-1], bands), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


def fill(folder, first=0, n=5, classes=("benign", "malignant"), mode="RGB"):
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            picture(first + 100 * i + k, mode=mode).save(folder / name / f"{k}.png")
    return folder


def given(folder, **names):
    for i, split in enumerate(("train", "val", "test")):
        fill(folder / names.get(split, split), first=1000 * (i + 1))
    return folder


def notes(folder):
    return "; ".join(load_dataset(folder).notes)


PASSED_OVER = "passed over, since not an image file in the folder of a class: "


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
    for note in (
        "class 'empty' has no image: it is left out",
        f"{PASSED_OVER}malignant/notes.txt",
        "images have 3 sizes",
        "1 of 28 images are not square",
        "2 of 28 images are grey among coloured ones",
        "1 of 28 images have transparency",
        "1 of 28 images have 16 bits: 0 to 4095 becomes 0 to 255",
    ):
        assert note in notes(folder)
    assert prepare(source, 24).pixels["train"].shape[1:] == (24, 24, 3)
    found = image_file.read(folder / "malignant" / "deep.png", n_channels=1, deep_range=4095)
    assert found[5, 5, 0] == round(1000 / 4095 * 255)
    assert load_dataset(fill(tmp_path / "grey", mode="L")).n_channels == 1


def test_what_is_passed_over_is_noted(tmp_path):
    folder = given(tmp_path / "given")
    for k in range(5):
        picture(k).save(folder / "train" / f"loose{k}.png")
    picture(7).save(folder / "top.png")
    fill(folder / "extra")
    (folder / ".cache").mkdir()
    assert load_dataset(folder).sizes() == {"train": 10, "val": 10, "test": 10}
    assert f"{PASSED_OVER}extra, top.png, train/loose0.png and 4 more" in notes(folder)
    plain = fill(tmp_path / "plain")
    assert "passed over" not in notes(plain)
    (plain / "benign" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (plain / "benign" / "more").symlink_to(folder / "extra")
    assert f"{PASSED_OVER}benign/gone.png, benign/more" in notes(plain)
    assert sum(load_dataset(plain).sizes().values()) == 10


def test_folders_of_splits_and_classes_may_be_links(tmp_path):
    fill(tmp_path / "elsewhere", first=5000)
    folder = given(tmp_path / "x", test="away")
    (folder / "away").rename(tmp_path / "away")
    (folder / "test").symlink_to(tmp_path / "away")
    (folder / "train" / "malignant").rename(tmp_path / "m")
    (folder / "train" / "malignant").symlink_to(tmp_path / "m")
    assert load_dataset(folder).sizes() == {"train": 10, "val": 10, "test": 10}


def test_given_splits_are_kept(tmp_path):
    for split, n in (("train", 6), ("valid", 2), ("test", 3)):
        fill(tmp_path / "x" / split, n=n, first=1000 * n)
    assert load_dataset(tmp_path / "x").sizes() == {"train": 12, "val": 4, "test": 6}


def test_copies_stay_together_and_names_of_files_do_not_matter(tmp_path):
    folder = fill(tmp_path / "x", n=20)
    for k in range(10):
        picture(k).save(folder / "benign" / f"copy{k}.png")
    source = load_dataset(folder)
    digests = [{i.digest for i in source.images[s].items} for s in ("train", "val", "test")]
    assert sum(map(len, digests)) == len(set.union(*digests)) == 40
    (folder / "benign" / "3.png").rename(folder / "benign" / "renamed.png")
    assert describe_dataset(folder).content_hash == source.content_hash
    (folder / "benign" / "renamed.png").unlink()
    (folder / "benign" / "copy3.png").unlink()
    assert describe_dataset(folder).content_hash != source.content_hash


def test_names_of_files_do_not_change_the_order_of_given_splits(tmp_path):
    folder = given(tmp_path / "x")
    before = load_dataset(folder)
    pixels = np.stack(list(before.images["train"]))
    (folder / "train" / "benign" / "0.png").rename(folder / "train" / "benign" / "z.png")
    after = load_dataset(folder)
    assert after.content_hash == before.content_hash
    np.testing.assert_array_equal(np.stack(list(after.images["train"])), pixels)


@pytest.mark.parametrize("second", ["validation", "Validation"])
def test_folders_whose_layout_is_not_understood_are_refused(tmp_path, second):
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match=r"0 classes with images .*needed: at least two folders"):
        load_dataset(tmp_path / "none")
    fill(tmp_path / "one", classes=("a",))
    with pytest.raises(DatasetError, match="1 class with images"):
        load_dataset(tmp_path / "one")
    fill(tmp_path / "few", n=2)
    with pytest.raises(DatasetError, match="a class has 2 different images; at least 3"):
        load_dataset(tmp_path / "few")
    fill(tmp_path / "two" / "train")
    fill(tmp_path / "two" / "val")
    with pytest.raises(DatasetError, match="has train, val; allowed: one train, one val and one t"):
        load_dataset(tmp_path / "two")
    fill(given(tmp_path / "twice") / second, first=5000)
    with pytest.raises(DatasetError, match=rf"has .*{second}.*; allowed: one train, one val"):
        load_dataset(tmp_path / "twice")


def test_a_corrupt_image_is_named(tmp_path):
    folder = fill(tmp_path / "x")
    (folder / "benign" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(DatasetError, match=r"benign/3.png: not a readable image"):
        load_dataset(folder)


def test_an_image_bomb_is_refused(tmp_path, monkeypatch):
    folder = fill(tmp_path / "x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    message = (
        r"png: Image size \(144 pixels\) exceeds limit of 20 pixels, .*; shrink it \(and 9 more"
    )
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # where Pillow warns
    assert image_file.read_header(folder / "benign" / "1.png").size == (12, 12)


def test_hidden_folders_are_not_read(tmp_path):
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
    assert image_file.read_header(path).has_more_pages


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
    seen = image_file.read_header(tmp_path / name)
    assert (seen.size, seen.is_turned) == ((20, 40), True)
    found = image_file.read(tmp_path / name, n_channels=1, deep_range=255 * 9)[..., 0]
    assert found.shape == (40, 20)
    assert (found[:, 12:] > 240).all()
    assert (found[:, :8] < 15).all()


@pytest.mark.parametrize(
    ("tag", "kind", "n", "value"),
    [(0x128, 2, 4, b"2\0\0\0"), (0x8769, 4, 1, b"\x60\xea\0\0")],
)
def test_exif_that_cannot_be_written_again_is_no_obstacle(tmp_path, tag, kind, n, value):
    """A unit of resolution as text, a pointer beyond the end."""
    entries = sorted([(tag, kind, n, value), (0x112, 3, 1, b"\6\0\0\0")])
    packed = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, len(entries)) + packed + bytes(36)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert image_file.read_header(tmp_path / "a.jpg").size == (20, 30)
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
    message = r"the same image is in another class too, as .*[ab].png \(and 1 more\); keep"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)


def test_copies_of_one_class_in_two_given_splits_are_left_to_the_report(tmp_path):
    folder = given(tmp_path / "x")
    for split in ("train", "test"):
        picture(800).save(folder / split / "benign" / "copy.png")
    assert load_dataset(folder).sizes() == {"train": 11, "val": 10, "test": 11}


def test_a_class_that_is_only_tested_is_named(tmp_path):
    folder = given(tmp_path / "x")
    (folder / "test" / "malignant").rename(folder / "test" / "Malignant")
    message = (
        r"class 'Malignant' is among the test images but not among the training images, whose "
        r"classes are 'benign', 'malignant'; add"
    )
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)


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


def test_a_name_that_is_not_utf_8_is_refused_and_shown_by_its_bytes(tmp_path):
    folder, ill, data = fill(tmp_path / "x"), *map(os.fsdecode, (b"malad\xe9e", b"donn\xe9es"))
    try:
        (folder / "malignant").rename(folder / ill)
    except OSError:  # a file system that has no such names
        return
    message = r"a class folder in .*x: its name malad\\xe9e is not UTF-8; rename it"
    with pytest.raises(DatasetError, match=message):
        load_dataset(folder)
    (folder / ill).rename(folder / "malignant")
    folder.rename(tmp_path / data)
    with pytest.raises(DatasetError, match=r"its name donn\\xe9es is not UTF-8"):
        load_dataset(tmp_path / data)


def test_all_images_that_cannot_be_read_are_named_at_once(tmp_path):
    folder = given(tmp_path / "x")
    for k, split in enumerate(("train", "val", "train", "test", "val")):
        (folder / split / "benign" / f"bad{k}.png").touch()
    with pytest.raises(DatasetError) as caught:
        load_dataset(folder)
    assert " (and 4 more that cannot be read: " in str(caught.value)
    assert str(caught.value).count("bad") == 4
    assert str(caught.value).endswith(" and 1 more)")


def test_all_images_that_cannot_be_decoded_are_named_at_once(tmp_path):
    folder = fill(tmp_path / "x")
    cut = [folder / "benign" / "0.png", folder / "benign" / "1.png", folder / "malignant" / "2.png"]
    for k, path in enumerate(cut):
        path.write_bytes(path.read_bytes()[: -60 - k])
    with pytest.raises(DatasetError, match="and 2 more that cannot be read: ") as caught:
        prepare(load_dataset(folder), 16)
    assert all(str(path) in str(caught.value) for path in cut)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("{patient}/{k}.png", "a/0"),  # folders, three of several images in a class
        ("patient{n:02}/{k}.png", "patient00"),
        ("scan/P07-patient{n:02}_{k}.png", "patient00"),
        ("BACTERIA-{n}-{k:04}.png", "BACTERIA-0"),
    ],
)
def test_folders_and_names_that_look_like_patients_are_warned_of(tmp_path, name, first):
    for i, of in enumerate(("benign", "malignant")):
        for j in range(36):
            n, k = divmod(j, 6)
            path = tmp_path / of / name.format(n=n, k=k, patient=f"{'ab'[i]}/{n}")
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * i + j).save(path)
    found = report(prepare(load_dataset(tmp_path), 12))
    (warning,) = found.warnings
    assert warning.startswith("14 of 14 test images and 8 of 8 val images are, by the names of")
    assert f"have training images too ({first}, " in warning
    assert "make train, val and test folders by patient" in warning
    assert set(found.files["finding"]) == {"same patient"}
    row = found.files[found.files["split"] == "test"].iloc[0]
    assert (tmp_path / row["file"]).is_file()
    assert (tmp_path / row["other_file"]).is_file()


@pytest.mark.parametrize("name", ["{k}.png", "img_{k}.png", "more/{k}.png", "class{i}_{k}.png"])
def test_ordinary_names_are_not_taken_for_patients(tmp_path, name):
    for i, of in enumerate(("benign", "malignant", "other")):
        for k in range(10):
            path = tmp_path / of / name.format(i=i, k=k)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * i + k).save(path)
    assert report(prepare(load_dataset(tmp_path), 12)).warnings == ()


def test_patients_of_given_splits_are_compared_too(tmp_path):
    folder = given(tmp_path)
    for k, (split, name) in enumerate(
        [("train", 1), ("train", 2), ("val", 3), ("test", 1), ("test", 4)]
    ):
        picture(9000 + k).save(folder / split / "benign" / f"patient{name}.png")
    (warning,) = report(prepare(load_dataset(folder), 12)).warnings
    assert warning.startswith("1 of 12 test images are, by the names of folders or files,")
    assert "(patient1)" in warning


def _dicom():
    return b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0" + b"\0" * 300


def _nifti():
    return struct.pack("<i", 348) + b"\0" * 340 + b"n+1\0" + b"\0" * 64


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("{}.dcm", _dicom(), "DICOM"),
        ("IM{:06}", _dicom(), "DICOM"),
        ("{}.nii", _nifti(), "NIfTI"),
        ("{}.nii.gz", gzip.compress(_nifti(), mtime=0), "NIfTI"),
        ("{}.dcm", b"\x08\0\5\0CS\x0a\0" + b"\0" * 200, "DICOM"),  # of before there was a preamble
        ("{}.png", _dicom(), "DICOM"),
    ],
)
@pytest.mark.parametrize("place", ["ill", ""], ids=["in-classes", "flat"])
def test_medical_formats_are_recognised_and_refused_with_what_to_do(
    tmp_path, name, content, kind, place
):
    for k in range(50):
        for folder in {tmp_path / place, tmp_path / ("well" if place else "")}:
            folder.mkdir(exist_ok=True)
            (folder / name.format(k)).write_bytes(content)
    message = rf": a {kind} file, which is not read here; save its .* as PNG"
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_medical_files_beside_the_classes_do_no_harm(tmp_path):
    folder = fill(tmp_path)
    (folder / "original.dcm").write_bytes(_dicom())
    assert load_dataset(folder).n_classes == 2
    (folder / "benign" / "original.dcm").write_bytes(_dicom())
    with pytest.raises(DatasetError, match=r"original\.dcm: a DICOM file.*\(1 such file\); keep"):
        load_dataset(folder)


def test_a_home_folder_is_no_data_set(tmp_path, monkeypatch):
    home = tmp_path / "home" / "me"
    (home / "images").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("~", home, tmp_path):
        with pytest.raises(DatasetError, match="your home folder"):
            dataset_kind(name)
    assert dataset_kind("~/images") == ("folder", home / "images")


def test_a_folder_of_other_files_is_refused_before_any_is_read(tmp_path, monkeypatch):
    """Such as a folder of documents with some pictures: 20,000 files, none of them opened."""
    for i in range(200):
        (tmp_path / "documents" / str(i)).mkdir(parents=True)
        for j in range(100):
            (tmp_path / "documents" / str(i) / f"{j}.txt").touch()
    for name in ("a.png", "b.png"):
        (tmp_path / "documents" / name).touch()
    opened, looked_at = [], []
    monkeypatch.setattr("io.open", lambda *a, **_: opened.append(a))
    monkeypatch.setattr(Path, "open", lambda *a, **_: opened.append(a))
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda *a, **k: looked_at.append(a) or stat(*a, **k))
    with pytest.raises(DatasetError, match=r"more than 5,000 files in it are not images, and 2"):
        list_folder(tmp_path)
    assert opened == []
    assert len(looked_at) < 100
