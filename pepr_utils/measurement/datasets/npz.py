"""Any ``.npz`` file in MedMNIST's layout: six arrays, images and labels of three splits.

The file is untrusted: nothing is ever unpickled, and every array is checked. Each is unpacked once
into the cache and mapped into memory from there: no split has to fit in it.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets.cache import cache_folder, made_once, written_whole
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
        If the file is damaged, or an array is missing or not in the expected form; the message
        names file, array and index.
    """
    file = path.name
    content_hash = content_hash or file_hash(path)
    arrays = _arrays(path, content_hash)
    for split in SPLITS:
        _check_split(file, split, arrays)
    labels = {split: _labels(file, split, arrays[f"{split}_labels"]) for split in SPLITS}
    notes = _check_not_one_hot(file, labels)
    n_classes = len(class_names) if class_names else _n_classes(file, labels)
    class_names = class_names or tuple(f"class {i}" for i in range(n_classes))
    check_labels(labels, class_names, name=file)
    images = {split: arrays[f"{split}_images"] for split in SPLITS}
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


def _arrays(path: Path, content_hash: str) -> dict[str, np.ndarray]:
    """Unpack the six arrays, once, and map them into memory."""
    folder, found = cache_folder("arrays", content_hash), {}
    with opened_archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if missing := [key for key in KEYS if key not in names]:
            raise DatasetError(
                f"{path.name}: no array {missing[0]!r}; it has "
                f"{', '.join(map(repr, names)) or 'none'}; allowed: the six arrays of MedMNIST, "
                f"{', '.join(KEYS)}"
            )
        for key in KEYS:
            target = folder / f"{key}.npy"
            made_once(target, folder.name, partial(_unpack, archive, target))
    for key in KEYS:
        try:
            found[key] = np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        except Exception as error:  # noqa: BLE001 - a damaged header can raise anything
            raise DatasetError(
                f"{path.name}: {key} is no array of numbers ({error}); save it as one, with "
                "numpy.savez_compressed"
            ) from None
    return found


def _unpack(archive: zipfile.ZipFile, target: Path) -> None:
    with archive.open(target.name) as stream, written_whole(target) as file:
        shutil.copyfileobj(stream, file, 2**22)


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive, with one error for all that can be wrong with it.

    An OSError of the system, with a number, passes through.

    Raises
    ------
    DatasetError
        If it is damaged, encrypted, or packed by a method that is not known here.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except PeprError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DatasetError(
            f"{path.name}: not a readable archive, perhaps truncated ({error}); download it again, "
            "or pack it again with deflate and without a password, as numpy.savez_compressed does"
        ) from None


def _check_split(file: str, split: str, arrays: dict[str, np.ndarray]) -> None:
    """Raise unless images and labels of a split have the form of MedMNIST's."""
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    channels, expected = (a.shape[3:] or (1,) for a in (images, arrays["train_images"]))
    right = images.dtype == np.uint8 and images.ndim in (3, 4) and channels[0] in (1, 3)
    if not right or 0 in images.shape or channels != expected:
        raise DatasetError(
            f"{file}: {split}_images is {images.dtype} of shape {images.shape}; allowed: uint8, "
            "n x height x width, with 1 or 3 channels as a fourth axis, as many in each split, "
            "and at least one image"
        )
    if labels.dtype.kind not in "iu" or labels.ndim not in (1, 2) or len(labels) != len(images):
        raise DatasetError(
            f"{file}: {split}_labels is {labels.dtype} of shape {labels.shape}; allowed: whole "
            f"numbers, one for each of the {len(images)} images"
        )
    if labels.shape[1:] != arrays["train_labels"].shape[1:]:
        raise DatasetError(f"{file}: {split}_labels and train_labels differ in their second axis")


def _labels(file: str, split: str, array: np.ndarray) -> np.ndarray:
    values = np.asarray(array)
    if values.max() > np.iinfo(np.int64).max:  # of uint64: it would become a negative number
        raise DatasetError(f"{file}: {split}_labels has {values.max()}; number the classes from 0")
    values = values.astype(np.int64)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _check_not_one_hot(file: str, labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Refuse classes that are written as labels, one column each; return a note where unsure."""
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
    """Number of classes: those of the training images, numbered from 0 without a gap."""
    train = labels["train"]
    classes = np.unique(train[train >= 0])
    n = train.shape[1] if train.ndim == 2 else int((classes == np.arange(len(classes))).sum())
    if n > MAX_CLASSES:
        raise DatasetError(
            f"{file}: {n:,} classes; allowed: at most {MAX_CLASSES:,}; are the labels numbers of "
            "something else?"
        )
    if train.ndim == 2 or len(classes) < 2 or (train < 0).any():
        return max(2, n)  # `check_labels` reports what is wrong with the labels
    for split, values in labels.items():
        if (values >= n).any():
            index = int((values >= n).argmax())
            missing = n if split == "train" else values[index]
            raise DatasetError(
                f"{file}: {split} label {index} is {values[index]}, but class {missing} has no "
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
