"""Any folder of images: ``train/ val/ test/`` with a folder per class in each, or only the latter.

Where there is only a folder per class the images are split here: a fixed draw, 70 % for training,
10 % for validation, 20 % for the test, class by class, and copies of one image stay together.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets import image_file
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_labels,
)

#: Shares of the split that is made here; part of the content hash through its version.
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
_SPLIT_VERSION = "split-1"
_SPLIT_SEED = 0
#: Stands for the order of images whose splits are given; it changes with that order.
_GIVEN_VERSION = "given-2"
_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
          "test": "test"}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One image file with its class."""

    path: Path
    label: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds: images by split, names of classes, what was passed over."""

    items: dict[str, tuple[Item, ...]]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    content_hash: str


class ImageFiles(Sequence):
    """Images that are decoded when they are asked for."""

    def __init__(self, items: Sequence[Item], n_channels: int, deep_range: int) -> None:
        self.items, self.n_channels, self.deep_range = items, n_channels, deep_range

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> np.ndarray:
        return image_file.read(
            self.items[index].path, n_channels=self.n_channels, deep_range=self.deep_range
        )


def describe(folder: Path) -> Description:
    """Name (the folder's) and content (hash of all images, their classes and their splits)."""
    return Description(folder.resolve().name, _list(folder).content_hash)


def load(folder: Path) -> Source:
    """Read a folder's labels and image headers; the images are decoded when asked for.

    Raises
    ------
    DatasetError
        If the layout is not understood, a file with an image's name is none, or a class cannot be
        trained; the message names the file or folder.
    """
    listing = _list(folder)
    every = [item for split in SPLITS for item in listing.items[split]]
    seen = [image_file.look(item.path) for item in every]
    n_channels = 1 if all(image_file.is_grey(mode) for mode, _ in seen) else 3
    deep = [i.path for i, (mode, _) in zip(every, seen, strict=True) if image_file.is_deep(mode)]
    top = max((image_file.largest_value(path) for path in deep), default=0)
    deep_range = max(255, (1 << max(top, 1).bit_length()) - 1)
    labels = {
        split: np.array([item.label for item in listing.items[split]], dtype=np.int64)
        for split in SPLITS
    }
    check_labels(labels, len(listing.class_names), name=str(folder))
    return Source(
        folder.resolve().name,
        listing.content_hash,
        listing.class_names,
        {s: ImageFiles(listing.items[s], n_channels, deep_range) for s in SPLITS},
        labels,
        n_channels,
        notes=(*listing.notes, *_notes(seen, n_channels, len(deep), deep_range)),
    )


def _notes(
    seen: list[tuple[str, tuple[int, int]]], n_channels: int, n_deep: int, deep_range: int
) -> list[str]:
    """What was done to bring the images to one form."""
    notes = []
    sizes, modes = {size for _, size in seen}, Counter(mode for mode, _ in seen)
    if len(sizes) > 1:
        narrow, wide = min(w for w, _ in sizes), max(w for w, _ in sizes)
        notes.append(
            f"images have {len(sizes)} sizes ({narrow} to {wide} px wide): all are resized"
        )
    if any(width != height for width, height in sizes):
        n = sum(width != height for _, (width, height) in seen)
        notes.append(f"{n} of {len(seen)} images are not square: they are stretched to a square")
    if n_channels == 3 and any(image_file.is_grey(mode) for mode in modes):
        n = sum(k for mode, k in modes.items() if image_file.is_grey(mode))
        notes.append(f"{n} of {len(seen)} images are grey among coloured ones: made RGB")
    if n := sum(k for mode, k in modes.items() if mode in ("RGBA", "LA", "PA")):
        notes.append(f"{n} of {len(seen)} images have transparency: it is dropped")
    if n_deep:
        notes.append(
            f"{n_deep} of {len(seen)} images have 16 bits: 0 to {deep_range} becomes 0 to 255"
        )
    return notes


def _list(folder: Path) -> Listing:
    try:
        newest = max((_changed(p) for p in folder.rglob("*")), default=0)
        return _list_cached(folder, newest, sum(1 for _ in folder.rglob("*")))
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: cannot be read ({error.strerror})"
        ) from None


def _changed(path: Path) -> int:
    """Time of change of a file, or of a link that leads nowhere."""
    return (path.stat() if path.exists() else path.lstat()).st_mtime_ns


@cache
def _list_cached(folder: Path, _newest: int, _count: int) -> Listing:
    tops = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    by_split = {_NAMES[p.name.lower()]: p for p in tops if p.name.lower() in _NAMES}
    if by_split and len(by_split) < 3:
        missing = [s for s in SPLITS if s not in by_split]
        raise DatasetError(
            f"{folder}: has {', '.join(p.name for p in by_split.values())} but no {missing[0]}; "
            "allowed: train, val and test with a folder per class in each, or one folder per class"
        )
    splits = by_split or {"all": folder}
    class_folders = {s: _class_folders(p, folder) for s, p in splits.items()}
    names = sorted({name for found in class_folders.values() for name in found})
    files, notes = _files(class_folders, names, folder)
    kept = [n for n in names if any(files[s][n] for s in splits)]
    notes += [f"class {name!r} has no image: it is left out" for name in names if name not in kept]
    if len(kept) < 2:
        raise DatasetError(
            f"{folder}: {len(kept)} class{'es' * (len(kept) != 1)} with images "
            f"({', '.join(kept) or 'none'}); at least two folders with images are needed "
            f"({', '.join(image_file.SUFFIXES)})"
        )
    # In the order of their content: a renamed file changes neither the hash nor the training.
    items = {
        split: tuple(
            sorted(
                (
                    Item(path, kept.index(name), _digest(path))
                    for name in kept
                    for path in files[split][name]
                ),
                key=lambda item: (item.label, item.digest),
            )
        )
        for split in splits
    }
    if not by_split:
        items = _split(items["all"], len(kept), folder)
        notes.append("split here: 70 % training, 10 % validation, 20 % test")
    for split in SPLITS:
        if not items[split]:
            raise DatasetError(f"{folder}: no image in {split}; each split needs some")
    lines = [f"{split}\0{kept[i.label]}\0{i.digest}" for split in SPLITS for i in items[split]]
    content = "\n".join([_SPLIT_VERSION if not by_split else _GIVEN_VERSION, *sorted(lines)])
    digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
    return Listing(items, tuple(kept), tuple(notes), digest)


def _class_folders(parent: Path, folder: Path) -> dict[str, Path]:
    found = {p.name: p for p in sorted(parent.iterdir()) if p.is_dir() and p.name[0] != "."}
    if not found:
        raise DatasetError(
            f"{parent}: no folders in it; allowed: one folder of images per class, or train, val "
            f"and test with these in {folder.name}"
        )
    return found


def _files(
    class_folders: dict[str, dict[str, Path]], names: list[str], folder: Path
) -> tuple[dict[str, dict[str, list[Path]]], list[str]]:
    """Images by split and class, and a note on files that have no image's name."""
    files: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    skipped, links = [], []
    for split, found in class_folders.items():
        for name in names:
            every = sorted(found[name].rglob("*")) if name in found else []
            below = [p for p in every if p.is_file()]
            links += [p for p in every if p.is_symlink() and not p.is_file()]
            images = [p for p in below if p.suffix.lower() in image_file.SUFFIXES]
            images = [p for p in images if not p.name.startswith(".")]
            skipped += [p for p in below if p not in set(images) and not p.name.startswith(".")]
            files[split][name] = images
    notes = []
    for why, paths in (
        ("not named like an image", skipped),
        ("a link that leads nowhere or to a folder", links),
    ):
        shown = ", ".join(str(p.relative_to(folder)) for p in paths[:3])
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        notes += [f"passed over, since {why}: {shown}{more}"] if paths else []
    return files, notes


def _split(items: tuple[Item, ...], n_classes: int, folder: Path) -> dict[str, tuple[Item, ...]]:
    """Split class by class; images with the same bytes go to the same split."""
    labels_of = defaultdict(set)
    for item in items:
        labels_of[item.digest].add(item.label)
    for item in items:
        if len(labels_of[item.digest]) > 1:
            raise DatasetError(
                f"{item.path}: the same image lies in another class too; remove one of them"
            )
    split: dict[str, list[Item]] = {s: [] for s in SPLITS}
    for label in range(n_classes):
        groups = defaultdict(list)
        for item in items:
            if item.label == label:
                groups[item.digest].append(item)
        if len(groups) < 3:
            raise DatasetError(
                f"{folder}: a class has {len(groups)} different images; at least 3 are needed to "
                "split it into training, validation and test"
            )
        # By content and not by name or order: a renamed file stays where it was.
        order = np.random.default_rng([_SPLIT_SEED, label]).permutation(len(groups))
        ordered = [groups[d] for d in np.array(sorted(groups))[order]]
        n_test = max(1, round(SHARES["test"] * len(groups)))
        n_val = max(1, round(SHARES["val"] * len(groups)))
        for name, part in (
            ("test", ordered[:n_test]),
            ("val", ordered[n_test : n_test + n_val]),
            ("train", ordered[n_test + n_val :]),
        ):
            split[name] += [item for group in part for item in group]
    return {s: tuple(found) for s, found in split.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
