"""What training sees of any data set: three splits of images with labels, and their content.

Images are bytes, one array of height x width x channels each; they become floats in [0, 1] on the
device. A source may hold images of different sizes; `prepare` brings them to one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from pepr_utils.errors import PeprError

SPLITS = ("train", "val", "test")
T = TypeVar("T")


class DatasetError(PeprError, ValueError):
    """A data set cannot be used; the message names the file, the place and the fix."""


@dataclass(frozen=True)
class Description:
    """What a run needs to know of a data set before any image is read."""

    name: str  #: as records call it
    content_hash: str  #: of all images and labels; two data sets of one hash are the same


@dataclass(frozen=True)
class Source:
    """A data set, read from disk or computed; mappings are by ``train``, ``val`` and ``test``."""

    name: str  #: as in `Description`
    content_hash: str  #: as in `Description`
    class_names: tuple[str, ...]  #: or names of labels, where there are several to an image
    images: Mapping[str, Sequence[np.ndarray]]  #: each uint8, height x width x channels
    labels: Mapping[str, np.ndarray]  #: class of each image (int64, n), or 0 and 1 (n x labels)
    n_channels: Literal[1, 3]  #: of all images
    licence: str = ""  #: under which the images come, where known
    notes: tuple[str, ...] = ()  #: what was found while reading and whoever trains should know
    #: Names of the images' files by split, in the order of the images, where each is a file.
    files: Mapping[str, Sequence[str]] | None = None
    #: Whose each image is, as far as folders and names of files say so; "" where they do not.
    patients: Mapping[str, Sequence[str]] | None = None

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels at once."""
        return self.labels["train"].ndim == 2

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels."""
        return len(self.class_names)

    def image_name(self, split: str, index: int) -> str:
        """The file of an image, or its place in an array."""
        return self.files[split][index] if self.files else f"{split}_images[{index}]"

    def sizes(self) -> dict[str, int]:
        """Number of images in each split."""
        return {split: len(self.labels[split]) for split in SPLITS}


def check_name(name: str, what: str) -> None:
    """Raise a DatasetError unless a name from the file system is UTF-8, which a record needs.

    Examples
    --------
    >>> check_name("malad\\udce9e", "a class folder")
    Traceback (most recent call last):
    pepr_utils.measurement.datasets.source.DatasetError: a class folder: its name malad\\xe9e is ...
    """
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    if shown != name:
        raise DatasetError(f"{what}: its name {shown} is not UTF-8; rename it")


def read_all(read: Callable[[Any], T], images: Iterable[Any]) -> list[T]:
    """Call `read` on every image, and make one error of all that cannot be read.

    Parameters
    ----------
    read : callable
        Raises a DatasetError of the form ``file: reason; fix`` for an image that cannot be read.
    images : iterable
        Its arguments, one by one.

    Raises
    ------
    DatasetError
        What is wrong with the first, and which others there are.
    """
    found, faults = [], []
    for image in images:
        try:
            found.append(read(image))
        except DatasetError as error:
            faults.append(str(error))
    if not faults:
        return found
    others = [fault.partition(": ")[0] for fault in faults[1:]]
    more = f" (and {len(others)} more that cannot be read: {listed(others)})" if others else ""
    raise DatasetError(faults[0] + more)


def listed(names: Sequence[object]) -> str:
    """Name the first three, and count the rest.

    Examples
    --------
    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(str, names[:3])) + rest


def check_labels(
    labels: Mapping[str, np.ndarray], class_names: Sequence[str], *, name: str
) -> None:
    """Check that labels are classes of the data set and that training can see all that is tested.

    Raises
    ------
    DatasetError
        Naming the split and the index of the first label that is not allowed, or the class.
    """
    for split, values in labels.items():
        upper = 1 if values.ndim == 2 else len(class_names) - 1
        bad = ((values < 0) | (values > upper)).reshape(len(values), -1).any(axis=1)
        if bad.any():
            index = int(bad.argmax())
            raise DatasetError(
                f"{name}: {split} label {index} is {np.asarray(values[index]).tolist()}; "
                f"allowed: whole numbers from 0 to {upper}"
            )
    if labels["train"].ndim == 2:
        return
    seen = [class_names[label] for label in np.unique(labels["train"])]
    if len(seen) < 2:
        raise DatasetError(
            f"{name}: all training images are of one class ({seen[0]}); at least two are needed"
        )
    for split in ("val", "test"):
        for label in np.unique(labels[split]):
            if (unseen := class_names[label]) not in seen:
                raise DatasetError(
                    f"{name}: class {unseen!r} is among the {split} images but not among the "
                    f"training images, whose classes are {listed(list(map(repr, seen)))}; add "
                    "images of it to the training split, or remove it"
                )
