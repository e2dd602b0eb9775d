"""Bring the images of a data set to the size of a protocol, once: bytes, mapped into memory."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pepr_utils.measurement.datasets import describe_dataset, load_dataset, obtain_dataset
from pepr_utils.measurement.datasets.cache import cache_folder, made_once, written_whole
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    unreadable,
)

#: Part of the name of the kept files: it changes with the way of resizing.
_VERSION = "bilinear-1"
#: Splits smaller than this (bytes) are kept in memory and not on disk.
_IN_MEMORY = 2**26


@dataclass(frozen=True)
class Images:
    """A data set at one size, ready for training.

    Attributes
    ----------
    source : Source
        Where it comes from.
    pixels : dict of str to numpy.ndarray
        uint8, n x size x size x channels, for each split.
    labels : dict of str to numpy.ndarray
        As in `Source`.
    """

    source: Source
    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


_last: dict[tuple[str, Description, int], Images] = {}  # one data set at most


def prepare_dataset(
    name: str,
    size: int,
    *,
    progress: Callable[[int, int], None] | None = None,
    show_download: bool = False,
) -> Images:
    """Load a data set and bring it to a size; the last one is kept for the next run of a batch.

    Parameters
    ----------
    name : str
        Name or path, as in `load_dataset`.
    size, progress
        As in `prepare`.
    show_download : bool, default False
        Show the progress of a download on stderr.
    """
    obtain_dataset(name, progress=show_download)
    key = (name, describe_dataset(name), size)
    if key not in _last:
        images = prepare(load_dataset(name, progress=show_download), size, progress=progress)
        _last.clear()
        _last[key] = images
    return _last[key]


def prepare(
    source: Source, size: int, *, progress: Callable[[int, int], None] | None = None
) -> Images:
    """Resize all images of a data set to a square of `size` px, bilinearly and with antialiasing.

    Parameters
    ----------
    source : Source
        The data set.
    size : int
        Height and width (px).
    progress : callable, optional
        Called with the number of images done and of all.

    Raises
    ------
    DatasetError
        If images cannot be decoded; the message names their files. If the disk of the cache is
        full.
    DataUnavailableError
        If the cache cannot be written and does not hold the images.
    """
    total, done = sum(source.sizes().values()), 0
    pixels = {}
    for split in SPLITS:
        images = source.images[split]

        def tick(n: int, before: int = done) -> None:
            if progress is not None:
                progress(before + n, total)

        try:
            pixels[split] = _resized(source, split, images, size, tick)
        except DatasetError:
            if faults := _faults(source):
                raise unreadable(faults) from None
            raise
        done += len(images)
        tick(len(images), done - len(images))
    return Images(source, pixels, {s: np.asarray(source.labels[s]) for s in SPLITS})


def _faults(source: Source) -> list[str]:
    """What is wrong with each image that cannot be decoded: all are tried, once one has failed."""
    faults = []
    for split in SPLITS:
        for i in range(len(source.images[split])):
            try:
                source.images[split][i]
            except DatasetError as error:
                faults.append(str(error))
    return faults


def _resized(
    source: Source,
    split: str,
    images: Sequence[np.ndarray],
    size: int,
    tick: Callable[[int], None],
) -> np.ndarray:
    if isinstance(images, np.ndarray) and images.shape[1:3] == (size, size):
        return images
    shape = (len(images), size, size, source.n_channels)
    if math.prod(shape) <= _IN_MEMORY:
        array = np.empty(shape, np.uint8)
        for i, image in enumerate(_each(images, size, tick)):
            array[i] = image
        return array
    folder = cache_folder("images", source.content_hash)
    target = folder / f"{split}-{size}-{_VERSION}.npy"
    what = f"{source.name}: {split} at {size} px"
    made_once(
        target, source.content_hash, lambda: _write(target, what, shape, _each(images, size, tick))
    )
    return np.load(target, mmap_mode="r", allow_pickle=False)


def _write(target: Path, what: str, shape: tuple[int, ...], images: Iterator[np.ndarray]) -> None:
    """Write images one after the other: a map of a file on a full disk would end the process."""
    header = io.BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    n_bytes = header.tell() + math.prod(shape)
    with written_whole(target, n_bytes, what) as file:
        file.write(header.getvalue())
        for image in images:
            file.write(image.tobytes())


def _each(
    images: Sequence[np.ndarray], size: int, tick: Callable[[int], None]
) -> Iterator[np.ndarray]:
    for i in range(len(images)):
        yield resize(np.asarray(images[i]), size)
        if i % 64 == 0:
            tick(i)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resize one image (uint8, height x width x channels) to a square of `size` px."""
    if image.shape[:2] == (size, size):
        return image
    grey = image.shape[2] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    resized = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return resized[..., None] if grey else resized
