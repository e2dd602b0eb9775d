"""Any ``.npz`` file in MedMNIST's layout: six arrays, images and labels of three splits."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets.arrays import array_headers, unpack
from pepr_utils.measurement.datasets.cache import cache_folder
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_labels,
)

KEYS = tuple(f"{split}_{part}" for split in SPLITS for part in ("images", "labels"))
#: More classes than this are taken for numbers of something else, such as patients.
MAX_CLASSES = 10_000
_LAYOUT = "allowed: the six arrays of MedMNIST, " + ", ".join(KEYS)


def describe(path: Path) -> Description:
    """Name (the file's, without extension) and content (SHA-256) of a file."""
    return Description(path.stem, file_hash(path))


def load(
    path: Path,
    *,
    name: str | None = None,
    class_names: tuple[str, ...] | None = None,
    content_hash: str | None = None,
    licence: str = "",
) -> Source:
    """Read a file, checked throughout.

    Parameters
    ----------
    path : pathlib.Path
        Images are uint8, n x height x width or n x height x width x channels (1 or 3); labels
        are whole numbers, n, n x 1, or n x labels of 0 and 1 for several labels to an image.
    name, class_names, content_hash, licence
        Where they are known; by default from the file.

    Raises
    ------
    DatasetError
        If an array is missing or is not what it has to be; the message names file, array and
        index.
    """
    headers = array_headers(path)
    missing = [key for key in KEYS if key not in headers]
    if missing:
        raise DatasetError(
            f"{path.name}: no array {missing[0]!r}; it has "
            f"{', '.join(map(repr, headers)) or 'none'}; {_LAYOUT}"
        )
    for split in SPLITS:
        _check_split(path.name, split, headers)
    content_hash = content_hash or file_hash(path)
    found = unpack(path, KEYS, cache_folder("arrays", content_hash))
    labels = {split: _labels(path.name, split, found[f"{split}_labels"]) for split in SPLITS}
    n_classes = len(class_names) if class_names else _n_classes(path.name, labels)
    class_names = class_names or tuple(f"class {i}" for i in range(n_classes))
    check_labels(labels, class_names, name=path.name)
    notes = _one_hot_notes(path.name, labels)
    images = {split: found[f"{split}_images"] for split in SPLITS}
    images = {s: i[..., None] if i.ndim == 3 else i for s, i in images.items()}
    return Source(
        name or path.stem,
        content_hash,
        class_names,
        images,
        labels,
        images["train"].shape[3],
        licence=licence,
        notes=notes,
    )


def _check_split(
    file: str, split: str, headers: dict[str, tuple[tuple[int, ...], np.dtype]]
) -> None:
    (images, dtype), (labels, label_dtype) = (headers[f"{split}_{p}"] for p in ("images", "labels"))
    channels = images[3:] or (1,)
    if dtype != np.uint8 or len(images) not in (3, 4) or channels[0] not in (1, 3):
        raise DatasetError(
            f"{file}: {split}_images is {dtype} of shape {images}; allowed: uint8, "
            "n x height x width, with 1 or 3 channels as a fourth axis"
        )
    if images[3:] != headers["train_images"][0][3:]:
        raise DatasetError(
            f"{file}: {split}_images has {channels[0]} channels and train_images "
            f"{(headers['train_images'][0][3:] or (1,))[0]}; they have to agree"
        )
    if 0 in images:
        raise DatasetError(f"{file}: {split}_images is empty (shape {images}); it needs images")
    if label_dtype.kind not in "iu" or len(labels) not in (1, 2):
        raise DatasetError(
            f"{file}: {split}_labels is {label_dtype} of shape {labels}; allowed: whole numbers, "
            "one per image"
        )
    if labels[0] != images[0]:
        raise DatasetError(
            f"{file}: {images[0]} {split}_images but {labels[0]} {split}_labels; "
            "each image needs its label"
        )
    if labels[1:] != headers["train_labels"][0][1:]:
        raise DatasetError(f"{file}: {split}_labels and train_labels differ in their second axis")


def _labels(file: str, split: str, array: np.ndarray) -> np.ndarray:
    values = np.asarray(array)
    if values.dtype == np.uint64 and values.max() > np.iinfo(np.int64).max:
        index = int(values.reshape(len(values), -1).max(axis=1).argmax())
        raise DatasetError(
            f"{file}: {split} label {index} is {values[index].max()}; correct it, and number the "
            "classes from 0 without a gap"
        )
    values = values.astype(np.int64)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _one_hot_notes(file: str, labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Refuse classes that are written as labels, one column each; where it is in doubt, say it."""
    n = labels["train"].shape[1] if labels["train"].ndim == 2 else 0
    if n < 2 or not all((values.sum(axis=1) == 1).all() for values in labels.values()):
        return ()
    if n == 2:
        return (
            "each image has exactly one of the two labels: if they are classes, give class numbers "
            "instead, labels.argmax(axis=1)",
        )
    raise DatasetError(
        f"{file}: each row of its labels has a single 1 among {n} columns: these are classes, "
        f"one-hot, and would be trained as {n} labels by themselves; give class numbers instead, "
        "labels.argmax(axis=1)"
    )


def _n_classes(file: str, labels: dict[str, np.ndarray]) -> int:
    """Number of classes: all numbers from 0 to the largest that training images have."""
    train = labels["train"]
    classes = np.unique(train[train >= 0])
    n = train.shape[1] if train.ndim == 2 else int((classes == np.arange(len(classes))).sum())
    if n > MAX_CLASSES:
        raise DatasetError(
            f"{file}: {n:,} classes; allowed: at most {MAX_CLASSES:,}; are the labels numbers of "
            "something else?"
        )
    if train.ndim == 2 or len(classes) < 2 or (train < 0).any():
        return max(2, n)  # what is wrong with the labels, `check_labels` says
    for split, values in labels.items():
        if (values >= n).any():
            index = int((values >= n).argmax())
            lacking = int(values[index]) if split != "train" else n
            raise DatasetError(
                f"{file}: {split} label {index} is {values[index]}, but class {lacking} has no "
                "training image; correct the label, or number the classes from 0 without a gap"
            )
    return n


def file_hash(path: Path) -> str:
    """SHA-256 of a file; computed once per file, size and time of change.

    Raises
    ------
    DatasetError
        If the file cannot be read.
    """
    try:
        seen = path.stat()
        return _hash(path, seen.st_size, seen.st_mtime_ns)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


@cache
def _hash(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
