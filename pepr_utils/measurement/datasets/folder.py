"""Any folder of images: ``train/ val/ test/`` with a folder per class in each, or only the latter.

Where there is only a folder per class the images are split here: a fixed draw, 70 % for training,
10 % for validation, 20 % for the test, class by class, and copies of one image stay together.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets import image_file
from pepr_utils.measurement.datasets.image_file import Seen
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_labels,
    check_name,
    read_all,
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
    return Description(folder.resolve().name, list_folder(folder).content_hash)


def load(folder: Path) -> Source:
    """Read a folder's labels and image headers; the images are decoded when asked for.

    Raises
    ------
    DatasetError
        If the layout is not understood, a file with an image's name is none, or a class cannot be
        trained; the message names the file or folder.
    """
    listing = list_folder(folder)
    paths = [item.path for split in SPLITS for item in listing.items[split]]
    looked = read_all(_look, paths)
    seen, top = [found for found, _ in looked], max(largest for _, largest in looked)
    n_channels = 1 if all(image_file.is_grey(found.mode) for found in seen) else 3
    deep_range = max(255, (1 << max(top, 1).bit_length()) - 1)
    labels = {
        split: np.array([item.label for item in listing.items[split]], dtype=np.int64)
        for split in SPLITS
    }
    check_labels(labels, listing.class_names, name=str(folder))
    return Source(
        folder.resolve().name,
        listing.content_hash,
        listing.class_names,
        {s: ImageFiles(listing.items[s], n_channels, deep_range) for s in SPLITS},
        labels,
        n_channels,
        notes=(*listing.notes, *_notes_on_images(seen, n_channels, deep_range)),
    )


def _look(path: Path) -> tuple[Seen, int]:
    """What an image's header says and, of one of more than 8 bits, its largest value."""
    seen = image_file.look(path)
    return seen, image_file.largest_value(path) if image_file.is_deep(seen.mode) else 0


def _notes_on_images(seen: list[Seen], n_channels: int, deep_range: int) -> list[str]:
    """What was done to bring the images to one form."""
    widths, n_sizes = [s.size[0] for s in seen], len({s.size for s in seen})
    counted = {
        "files have more than one page: only the first is read": sum(
            s.has_more_pages for s in seen
        ),
        "images are turned as their EXIF orientation says": sum(s.is_turned for s in seen),
        "images are not square: they are stretched to a square": sum(
            s.size[0] != s.size[1] for s in seen
        ),
        "images are grey among coloured ones: made RGB": sum(
            image_file.is_grey(s.mode) and n_channels == 3 for s in seen
        ),
        "images have transparency: it is dropped": sum(
            s.mode.split(";")[0] in ("RGBA", "LA", "PA") for s in seen
        ),
        f"images have 16 bits: 0 to {deep_range} becomes 0 to 255": sum(
            image_file.is_deep(s.mode) for s in seen
        ),
        "images have 0 as white (TIFF, 16 bits): inverted": sum(s.is_inverted for s in seen),
    }
    notes = [f"{n} of {len(seen)} {what}" for what, n in counted.items() if n]
    if n_sizes > 1:
        notes.append(
            f"images have {n_sizes} sizes ({min(widths)} to {max(widths)} px wide): all are resized"
        )
    return notes


def list_folder(folder: Path) -> Listing:
    """List a folder; the last answer counts until a file in it changes.

    Raises
    ------
    DatasetError
        If the layout is not understood, or an image lies in two classes.
    """
    try:
        times = [_changed(p) for p in (folder, *folder.rglob("*"))]
        return _list(folder, max(times), len(times))
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: cannot be read ({error.strerror})"
        ) from None


def _changed(path: Path) -> int:
    """Time of change of a file, or of a link that leads nowhere."""
    return (path.stat() if path.exists() else path.lstat()).st_mtime_ns


@cache
def _list(folder: Path, _newest: int, _count: int) -> Listing:
    given = _split_folders(folder)
    splits = given or {"all": folder}
    files, notes = _files(splits, folder)
    if given:
        others = [p for p in _folders(folder) if p not in given.values()]
        notes += _passed_over(folder, "a folder beside train, val and test", others)
    loose = [
        p for parent in (folder, *given.values()) for p in sorted(parent.iterdir())
        if p.is_file() and _is_image(p) and not p.name.startswith(".")
    ]  # fmt: skip
    notes += _passed_over(folder, "in no folder of a class", loose)
    class_names, notes_on_classes = _class_names(files, folder)
    items = {split: _items(files, split, class_names) for split in splits}
    _check_one_class_each([item for found in items.values() for item in found])
    if not given:
        items = _split(items["all"], len(class_names), folder)
        notes_on_classes.append("split here: 70 % training, 10 % validation, 20 % test")
    for split in SPLITS:
        if not items[split]:
            raise DatasetError(f"{folder}: no image in {split}; each split needs some")
    digest = _content_hash(items, class_names, _GIVEN_VERSION if given else _SPLIT_VERSION)
    return Listing(items, class_names, (*notes, *notes_on_classes), digest)


def _folders(parent: Path) -> list[Path]:
    return [p for p in sorted(parent.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in image_file.SUFFIXES


def _split_folders(folder: Path) -> dict[str, Path]:
    """Folders of the three splits, or none where there is none of them."""
    found: dict[str, Path] = {}
    for top in _folders(folder):
        if (split := _NAMES.get(top.name.lower())) is None:
            continue
        if split in found:
            raise DatasetError(
                f"{folder}: has {found[split].name} and {top.name}, which mean the same split; "
                "join them, or move one elsewhere"
            )
        found[split] = top
    if found and (missing := [s for s in SPLITS if s not in found]):
        raise DatasetError(
            f"{folder}: has {', '.join(p.name for p in found.values())} but no {missing[0]}; "
            "allowed: train, val and test with a folder per class in each, or one folder per class"
        )
    return found


def _files(
    splits: dict[str, Path], folder: Path
) -> tuple[dict[tuple[str, str], list[Path]], list[str]]:
    """Images by split and class, and notes on what is passed over among them."""
    class_folders = {split: _class_folders(parent, folder) for split, parent in splits.items()}
    names: dict[str, str] = {}  # what Unicode holds equal (NFC, NFD) is one class
    for name in sorted({p.name for found in class_folders.values() for p in found}):
        names.setdefault(unicodedata.normalize("NFC", name), name)
    files, others, links = defaultdict(list), [], []
    for split, found in class_folders.items():
        for parent in found:
            images = files[split, names[unicodedata.normalize("NFC", parent.name)]]
            for path in sorted(parent.rglob("*")):
                if any(part.startswith(".") for part in path.relative_to(parent).parts):
                    continue
                if path.is_file():
                    (images if _is_image(path) else others).append(path)
                elif path.is_symlink():
                    links.append(path)
    return files, [
        *_passed_over(folder, "not named like an image", others),
        *_passed_over(folder, "a link that leads nowhere or to a folder", links),
    ]


def _class_folders(parent: Path, folder: Path) -> list[Path]:
    found = _folders(parent)
    for path in found:
        check_name(path.name, f"a class folder in {parent}")
    if not found:
        raise DatasetError(
            f"{parent}: no folders in it; allowed: one folder of images per class, or train, val "
            f"and test with these in {folder.name}"
        )
    return found


def _passed_over(folder: Path, why: str, paths: Sequence[Path]) -> list[str]:
    shown = ", ".join(str(p.relative_to(folder)) for p in paths[:3])
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return [f"passed over, since {why}: {shown}{more}"] if paths else []


def _class_names(
    files: dict[tuple[str, str], list[Path]], folder: Path
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the classes that have images, and notes on those that look like mistakes."""
    names = tuple(sorted({name for (_, name), paths in files.items() if paths}))
    if len(names) < 2:
        raise DatasetError(
            f"{folder}: {len(names)} class{'es' * (len(names) != 1)} with images "
            f"({', '.join(names) or 'none'}); at least two folders with images are needed "
            f"({', '.join(image_file.SUFFIXES)})"
        )
    empty = sorted({name for _, name in files} - set(names))
    alike = defaultdict(list)
    for name in names:
        alike[name.casefold()].append(repr(name))
    return names, [
        *(f"class {name!r} has no image: it is left out" for name in empty),
        *(
            f"classes {' and '.join(several)} differ in case alone: they are {len(several)} classes"
            for several in alike.values()
            if len(several) > 1
        ),
    ]


def _items(
    files: dict[tuple[str, str], list[Path]], split: str, class_names: Sequence[str]
) -> tuple[Item, ...]:
    """Order images by their content: a renamed file changes neither the hash nor the training."""
    found = [
        Item(path, label, _digest(path))
        for label, name in enumerate(class_names)
        for path in files.get((split, name), ())
    ]
    return tuple(sorted(found, key=lambda item: (item.label, item.digest)))


def _check_one_class_each(items: Sequence[Item]) -> None:
    """Refuse the same bytes in two classes, in any splits; an empty file is no image."""
    first: dict[str, Item] = {}
    twice = [
        (item, other)
        for item in items
        if (other := first.setdefault(item.digest, item)).label != item.label
        and item.path.stat().st_size
    ]
    if twice:
        item, other = twice[0]
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        raise DatasetError(
            f"{item.path}: the same image lies in another class too, as {other.path}{more}; keep "
            "it in its right class alone"
        )


def _split(items: tuple[Item, ...], n_classes: int, folder: Path) -> dict[str, tuple[Item, ...]]:
    """Split class by class; images with the same bytes go to the same split."""
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


def _content_hash(
    items: dict[str, tuple[Item, ...]], class_names: Sequence[str], version: str
) -> str:
    every = [(split, item) for split in SPLITS for item in items[split]]
    versions = [version, image_file.VERSION]
    if any(image_file.is_deep_or_inverted(item.path) for _, item in every):
        versions.append(image_file.DEEP_VERSION)
    lines = sorted(f"{split}\0{class_names[item.label]}\0{item.digest}" for split, item in every)
    content = "\n".join([*versions, *lines])
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
