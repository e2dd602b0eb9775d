"""Any folder of images: ``train/ val/ test/`` with a folder per class in each, or only the latter.

Where there is only a folder per class the images are split here: a fixed draw, 70 % for training,
10 % for validation, 20 % for the test, class by class, and copies of one image stay together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets import image_file
from pepr_utils.measurement.datasets.folder_listing import Item, list_folder
from pepr_utils.measurement.datasets.image_file import Seen
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_labels,
    unreadable,
)


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
    every = [item for split in SPLITS for item in listing.items[split]]
    seen, faults, top = [], [], 0
    for item in every:
        try:
            seen.append(image_file.look(item.path))
            if image_file.is_deep(seen[-1].mode):
                top = max(top, image_file.largest_value(item.path))
        except DatasetError as error:
            faults.append(str(error))
    if faults:
        raise unreadable(faults)
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
        notes=(*listing.notes, *_notes(seen, n_channels, deep_range)),
    )


def _notes(seen: list[Seen], n_channels: int, deep_range: int) -> list[str]:
    """What was done to bring the images to one form."""
    notes = []
    sizes, modes = {s.size for s in seen}, Counter(s.mode for s in seen)
    if n := sum(s.has_more_pages for s in seen):
        notes.append(f"{n} of {len(seen)} files have more than one page: only the first is read")
    if n := sum(s.is_turned for s in seen):
        notes.append(f"{n} of {len(seen)} images are turned as their EXIF orientation says")
    if len(sizes) > 1:
        narrow, wide = min(w for w, _ in sizes), max(w for w, _ in sizes)
        notes.append(
            f"images have {len(sizes)} sizes ({narrow} to {wide} px wide): all are resized"
        )
    if n := sum(s.size[0] != s.size[1] for s in seen):
        notes.append(f"{n} of {len(seen)} images are not square: they are stretched to a square")
    if n_channels == 3 and any(image_file.is_grey(mode) for mode in modes):
        n = sum(k for mode, k in modes.items() if image_file.is_grey(mode))
        notes.append(f"{n} of {len(seen)} images are grey among coloured ones: made RGB")
    if n := sum(k for mode, k in modes.items() if mode.split(";")[0] in ("RGBA", "LA", "PA")):
        notes.append(f"{n} of {len(seen)} images have transparency: it is dropped")
    if n := sum(image_file.is_deep(s.mode) for s in seen):
        notes.append(f"{n} of {len(seen)} images have 16 bits: 0 to {deep_range} becomes 0 to 255")
    if n := sum(s.is_inverted for s in seen):
        notes.append(f"{n} of {len(seen)} images have 0 as white (TIFF, 16 bits): inverted")
    return notes
