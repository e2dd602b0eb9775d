"""Any folder of images: ``train/ val/ test/`` with a folder per class in each, or only the latter.

Where there is only a folder per class the images are split here: a fixed draw, 70 % for training,
10 % for validation, 20 % for the test, class by class, and copies of one image stay together.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np

from pepr_utils.measurement.datasets import image_file
from pepr_utils.measurement.datasets.image_file import Header
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_labels,
    check_name,
    listed,
    read_all,
)

#: Shares of the split that is made here; part of the content hash through its version.
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
_SPLIT_VERSION = "split-1"
_SPLIT_SEED = 0
#: Part of the content hash of given splits: it changes with the order of their images.
_GIVEN_VERSION = "given-2"
_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
          "test": "test"}  # fmt: skip


#: A folder with more other files than this, ten for each image, is none of images.
MOST_OTHERS = 5_000
#: What the name of a folder or file with a patient's images has in it.
_PATIENT = re.compile(
    r"(?<![a-z])(?:patient|pat|person|participant|subject|subj|sub|case|mrn|pid)[-_ ]?\d+", re.I
)
#: A name that may be a patient's with the number of an image behind it.
_NUMBERED = re.compile(r"(.*\d.*)[-_ ]\d{1,5}")


@dataclass(frozen=True)
class Item:
    """One image file: its class, the hash of its content, and its header."""

    path: Path
    label: int
    digest: str
    header: Header


@dataclass(frozen=True)
class Listing:
    """The content of a folder: images by split, names of classes, and what is to be noted."""

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
    items = [item for split in SPLITS for item in listing.items[split]]
    headers = [item.header for item in items]
    n_channels = 1 if all(header.is_grey for header in headers) else 3
    deep = [item.path for item in items if item.header.is_deep]
    top = max(read_all(image_file.largest_value, deep), default=1)
    deep_range = max(255, (1 << top.bit_length()) - 1)
    labels = {
        split: np.array([item.label for item in listing.items[split]], dtype=np.int64)
        for split in SPLITS
    }
    check_labels(labels, listing.class_names, name=str(folder))
    files = {
        s: [item.path.relative_to(folder).as_posix() for item in listing.items[s]] for s in SPLITS
    }
    return Source(
        folder.resolve().name,
        listing.content_hash,
        listing.class_names,
        {s: ImageFiles(listing.items[s], n_channels, deep_range) for s in SPLITS},
        labels,
        n_channels,
        notes=(*listing.notes, *_notes_on_images(headers, n_channels, deep_range)),
        files=files,
        patients=patients(files, depth=2 if _split_folders(folder) else 1),
    )


def patients(files: Mapping[str, Sequence[str]], *, depth: int) -> dict[str, list[str]]:
    """Whose each image may be: by a name such as ``patient07``, a folder, or a numbered name.

    A folder or numbered name counts only if a class has at least three of several images.

    Parameters
    ----------
    files : mapping of str to sequence of str
        Paths of images by split, below the data set's folder.
    depth : int
        How many folders of a path are not a patient's: those of split and class.

    Returns
    -------
    dict of str to list of str
        The same with a name for each image, or "".

    Examples
    --------
    >>> patients({"train": ["ill/patient07/1.png", "ill/a.png"], "test": ["ill/P-patient07.png"]},
    ...          depth=1)
    {'train': ['patient07', ''], 'test': ['patient07']}
    >>> patients({"all": [f"ill/{scan}_{i}.png" for scan in ("s1", "s2") for i in (1, 2)]}, depth=1)
    {'all': ['', '', '', '']}
    """
    named: dict[str, str] = {}
    guessed: dict[str, tuple[str, str]] = {}  # with the folder of the class
    for path in (PurePosixPath(name) for names in files.values() for name in names):
        folders, stem = path.parts[depth:-1], path.stem
        found = next(filter(None, map(_PATIENT.search, (*folders, stem))), None)
        numbered = _NUMBERED.fullmatch(stem)
        if found:
            named[str(path)] = found[0].lower()
        elif folders or numbered:
            name = "/".join(folders) or numbered[1]
            guessed[str(path)] = path.parts[depth - 1], name
    several = [pair for pair, n in Counter(guessed.values()).items() if n > 1]
    if max(Counter(name for name, _ in several).values(), default=0) > 2:
        named |= {path: name for path, (_, name) in guessed.items()}
    return {split: [named.get(name, "") for name in names] for split, names in files.items()}


def _notes_on_images(headers: list[Header], n_channels: int, deep_range: int) -> list[str]:
    """What was done to bring the images to one form."""
    counted = {
        "files have more than one page: only the first is read": [
            h.has_more_pages for h in headers
        ],
        "images are turned as their EXIF orientation says": [h.is_turned for h in headers],
        "images are not square: they are stretched to a square": [
            h.size[0] != h.size[1] for h in headers
        ],
        "images are grey among coloured ones: made RGB": [
            h.is_grey and n_channels == 3 for h in headers
        ],
        "images have transparency: it is dropped": [h.has_transparency for h in headers],
        f"images have 16 bits: 0 to {deep_range} becomes 0 to 255": [h.is_deep for h in headers],
        "images have 0 as white (TIFF, 16 bits): inverted": [h.is_inverted for h in headers],
    }
    notes = [
        f"{sum(those)} of {len(those)} {what}" for what, those in counted.items() if any(those)
    ]
    if (n_sizes := len({h.size for h in headers})) > 1:
        widths = [h.size[0] for h in headers]
        notes.append(
            f"images have {n_sizes} sizes ({min(widths)} to {max(widths)} px wide): all are resized"
        )
    return notes


def list_folder(folder: Path) -> Listing:
    """List a folder; the last answer counts until a file in it changes.

    Raises
    ------
    DatasetError
        If the layout is not understood, a file is no image, or an image is in two classes.
    """
    try:
        paths = (folder, *_walk(folder))
        times = [(p.stat() if p.exists() else p.lstat()).st_mtime_ns for p in paths]
        return _list(folder, max(times), len(times))
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: cannot be read ({error.strerror})"
        ) from None


def _walk(folder: Path) -> Iterator[Path]:
    """Everything in a folder but what is hidden; an error soon where hardly any of it is images."""
    n_images = n_others = 0
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images = sum(map(_is_image, map(Path, names)))
        n_images, n_others = n_images + images, n_others + len(names) - images
        if n_others > MOST_OTHERS and n_others > 10 * n_images:
            raise DatasetError(
                f"{folder}: more than {MOST_OTHERS:,} files in it are not images, and {n_images:,} "
                "are, as far as it was looked through; name the folder that holds the images, "
                "without other files"
            )
        yield from (Path(top, name) for name in (*folders, *names))


@cache
def _list(folder: Path, _newest: int, _count: int) -> Listing:
    given = _split_folders(folder)
    files, notes = _files(given or {"all": folder}, folder)
    class_names, notes_on_classes = _class_names(files, folder)
    items = _items(files, given or ("all",), class_names)
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


def _split_folders(folder: Path) -> dict[str, Path]:
    """Folders of the three splits, or none where there is none of them."""
    tops = [path for path in _folders(folder) if path.name.lower() in _NAMES]
    found = {_NAMES[path.name.lower()]: path for path in tops}
    if tops and sorted(_NAMES[path.name.lower()] for path in tops) != sorted(SPLITS):
        raise DatasetError(
            f"{folder}: has {', '.join(path.name for path in tops)}; allowed: one train, one val "
            "and one test, with a folder per class in each, or one folder per class"
        )
    return found


def _files(
    splits: dict[str, Path], folder: Path
) -> tuple[dict[tuple[str, str], list[Path]], list[str]]:
    """Images by split and class (there may be none), and a note on what is passed over."""
    found = [(split, path) for split, parent in splits.items() for path in _folders(parent)]
    names: dict[str, str] = {}  # what Unicode holds equal (NFC, NFD) is one class
    for name in sorted(path.name for _, path in found):
        check_name(name, f"a class folder in {folder}")
        names.setdefault(unicodedata.normalize("NFC", name), name)
    files, passed_over = defaultdict(list), []
    for split, parent in found:
        images = files[split, names[unicodedata.normalize("NFC", parent.name)]]
        for path in sorted(parent.rglob("*")):
            if any(part.startswith(".") for part in path.relative_to(parent).parts):
                continue
            if path.is_file() and _is_image(path):
                images.append(path)
            elif path.is_file() or path.is_symlink():  # a link to nowhere or to a folder
                passed_over.append(path)
    _refuse_medical(passed_over, folder, has_images=any(files.values()))
    for parent in {folder, *splits.values()}:
        passed_over += [p for p in parent.iterdir() if p.is_file() and _is_image(p)]
    if "all" not in splits:
        passed_over += [p for p in _folders(folder) if p not in splits.values()]
    shown = [p.relative_to(folder) for p in sorted(passed_over) if not p.name.startswith(".")]
    note = "passed over, since not an image file in the folder of a class: "
    return files, [note + listed(shown)] if shown else []


def _refuse_medical(passed_over: list[Path], folder: Path, *, has_images: bool) -> None:
    """Refuse DICOM and NIfTI files in the folder of a class; in the folder itself, if alone."""
    paths = passed_over if has_images else [*passed_over, *folder.iterdir()]
    found = [(path, kind) for path in sorted(paths) if (kind := image_file.medical_format(path))]
    if found:
        path, kind = found[0]
        raise DatasetError(
            f"{path}: {image_file.not_an_image(kind)} ({len(found)} such "
            f"file{'s' * (len(found) > 1)}); keep the originals outside of this folder"
        )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in image_file.SUFFIXES


def _class_names(
    files: dict[tuple[str, str], list[Path]], folder: Path
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the classes that have images, and notes on those that have none."""
    names = tuple(sorted({name for (_, name), paths in files.items() if paths}))
    if len(names) < 2:
        raise DatasetError(
            f"{folder}: {len(names)} class{'es' * (len(names) != 1)} with images "
            f"({', '.join(names) or 'none'}); needed: at least two folders with images "
            f"({', '.join(image_file.SUFFIXES)}), one per class, or train, val and test with these"
        )
    empty = sorted({name for _, name in files} - set(names))
    return names, [f"class {name!r} has no image: it is left out" for name in empty]


def _items(
    files: dict[tuple[str, str], list[Path]], splits: Iterable[str], class_names: Sequence[str]
) -> dict[str, tuple[Item, ...]]:
    """Order images by their content: a renamed file changes neither the hash nor the training."""
    places = [
        (split, path, label)
        for split in splits
        for label, name in enumerate(class_names)
        for path in files.get((split, name), ())
    ]
    headers = read_all(image_file.read_header, [path for _, path, _ in places])
    found: dict[str, list[Item]] = {split: [] for split in splits}
    for (split, path, label), header in zip(places, headers, strict=True):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[split].append(Item(path, label, digest, header))
    return {
        split: tuple(sorted(items, key=lambda item: (item.label, item.digest)))
        for split, items in found.items()
    }


def _check_one_class_each(items: Sequence[Item]) -> None:
    """Refuse the same bytes in two classes, in any splits."""
    first: dict[str, Item] = {}
    twice = [
        (item, other)
        for item in items
        if (other := first.setdefault(item.digest, item)).label != item.label
    ]
    if twice:
        item, other = twice[0]
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        raise DatasetError(
            f"{item.path}: the same image is in another class too, as {other.path}{more}; keep "
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
    if any(item.header.is_cut or item.header.is_inverted for _, item in every):
        versions.append(image_file.DEEP_VERSION)
    lines = sorted(f"{split}\0{class_names[item.label]}\0{item.digest}" for split, item in every)
    return hashlib.sha256("\n".join([*versions, *lines]).encode()).hexdigest()
