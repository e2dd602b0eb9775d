"""What a folder of images holds: which files, of which class, in which split, and what is left out.

Names and bytes are looked at here; of images, no more than what the header says of 16 bits.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets import image_file
from pepr_utils.measurement.datasets.source import SPLITS, DatasetError, check_name

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


def list_folder(folder: Path) -> Listing:
    """List a folder; the last answer counts until a file in it changes.

    Raises
    ------
    DatasetError
        If the layout is not understood, or an image lies in two classes.
    """
    try:
        times = [_changed(p) for p in (folder, *folder.rglob("*"))]
        return _list_cached(folder, max(times), len(times))
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: cannot be read ({error.strerror})"
        ) from None


def _changed(path: Path) -> int:
    """Time of change of a file, or of a link that leads nowhere."""
    return (path.stat() if path.exists() else path.lstat()).st_mtime_ns


@cache
def _list_cached(folder: Path, _newest: int, _count: int) -> Listing:
    tops = _folders(folder)
    by_split = _split_folders(folder, tops)
    splits = by_split or {"all": folder}
    class_folders = _joined({s: _class_folders(p, folder) for s, p in splits.items()})
    names = sorted({name for found in class_folders.values() for name in found})
    files, notes = _files(class_folders, names, folder)
    notes += _beside(folder, tops, by_split)
    kept = [n for n in names if any(files[s][n] for s in splits)]
    notes += [f"class {name!r} has no image: it is left out" for name in names if name not in kept]
    alike = defaultdict(list)
    for name in kept:
        alike[name.casefold()].append(repr(name))
    notes += [
        f"classes {' and '.join(several)} differ in case alone: they are {len(several)} classes"
        for several in alike.values()
        if len(several) > 1
    ]
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
    _check_one_class_each([item for found in items.values() for item in found])
    if not by_split:
        items = _split(items["all"], len(kept), folder)
        notes.append("split here: 70 % training, 10 % validation, 20 % test")
    for split in SPLITS:
        if not items[split]:
            raise DatasetError(f"{folder}: no image in {split}; each split needs some")
    lines = [f"{split}\0{kept[i.label]}\0{i.digest}" for split in SPLITS for i in items[split]]
    versions = [_SPLIT_VERSION if not by_split else _GIVEN_VERSION, image_file.VERSION]
    if any(image_file.is_deep_or_inverted(i.path) for split in SPLITS for i in items[split]):
        versions.append(image_file.DEEP_VERSION)
    content = "\n".join([*versions, *sorted(lines)])
    digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
    return Listing(items, tuple(kept), tuple(notes), digest)


def _folders(parent: Path) -> list[Path]:
    return [p for p in sorted(parent.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _split_folders(folder: Path, tops: list[Path]) -> dict[str, Path]:
    """Folders of the three splits, or none where there is none of them."""
    found = defaultdict(list)
    for top in tops:
        if top.name.lower() in _NAMES:
            found[_NAMES[top.name.lower()]].append(top)
    for several in found.values():
        if len(several) > 1:
            raise DatasetError(
                f"{folder}: has {' and '.join(p.name for p in several)}, which mean the same "
                "split; join them, or move one elsewhere"
            )
    if found and len(found) < 3:
        missing = [s for s in SPLITS if s not in found]
        raise DatasetError(
            f"{folder}: has {', '.join(p.name for (p,) in found.values())} but no {missing[0]}; "
            "allowed: train, val and test with a folder per class in each, or one folder per class"
        )
    return {split: path for split, (path,) in found.items()}


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


def _joined(class_folders: Mapping[str, list[Path]]) -> dict[str, dict[str, list[Path]]]:
    """Folders by split and class; names that Unicode holds equal (NFC, NFD) are one class."""
    names: dict[str, str] = {}
    for name in sorted({p.name for found in class_folders.values() for p in found}):
        names.setdefault(unicodedata.normalize("NFC", name), name)
    joined: dict[str, dict[str, list[Path]]] = {}
    for split, found in class_folders.items():
        joined[split] = defaultdict(list)
        for path in found:
            joined[split][names[unicodedata.normalize("NFC", path.name)]].append(path)
    return joined


def _beside(folder: Path, tops: list[Path], by_split: Mapping[str, Path]) -> list[str]:
    """Notes on images outside the folders of the classes, and on folders beside the splits."""
    loose = [p for parent in (folder, *by_split.values()) for p in sorted(parent.iterdir())
             if p.is_file() and _is_image(p, parent)]  # fmt: skip
    others = [p for p in tops if by_split and p not in by_split.values()]
    return _passed_over(
        folder,
        {
            "in no folder of a class": loose,
            "a folder beside train, val and test": others,
        },
    )


def _is_image(path: Path, parent: Path) -> bool:
    """Whether it has an image's name, and nothing on the way to it is hidden."""
    return path.suffix.lower() in image_file.SUFFIXES and not _is_hidden(path, parent)


def _is_hidden(path: Path, parent: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(parent).parts)


def _passed_over(folder: Path, reasons: Mapping[str, Sequence[Path]]) -> list[str]:
    notes = []
    for why, paths in reasons.items():
        shown = ", ".join(str(p.relative_to(folder)) for p in paths[:3])
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        notes += [f"passed over, since {why}: {shown}{more}"] if paths else []
    return notes


def _files(
    class_folders: dict[str, dict[str, list[Path]]], names: list[str], folder: Path
) -> tuple[dict[str, dict[str, list[Path]]], list[str]]:
    """Images by split and class, and a note on files that have no image's name."""
    files: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    skipped, links = [], []
    for split, found in class_folders.items():
        for name in names:
            files[split][name] = []
            for parent in found.get(name, ()):
                every = [p for p in sorted(parent.rglob("*")) if not _is_hidden(p, parent)]
                below = [p for p in every if p.is_file()]
                links += [p for p in every if p.is_symlink() and not p.is_file()]
                files[split][name] += [p for p in below if _is_image(p, parent)]
                skipped += [p for p in below if not _is_image(p, parent)]
    return files, _passed_over(
        folder,
        {
            "not named like an image": skipped,
            "a link that leads nowhere or to a folder": links,
        },
    )


def _check_one_class_each(items: Sequence[Item]) -> None:
    """Refuse the same bytes in two classes, in whichever splits; an empty file is no image."""
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
