"""The images of a data set at the size of a protocol, and the share of them that a run uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pepr_utils.measurement.datasets.cache import cache_folder, made_once, written_whole
from pepr_utils.measurement.datasets.source import SPLITS, DatasetError, Source, read_all

#: Part of the name of the kept files: it changes with the way of resizing.
_VERSION = "bilinear-1"
#: Splits smaller than this (bytes) are kept in memory and not on disk.
_IN_MEMORY = 2**26
_STREAM = 11  # a stream of random numbers of its own for the draw of a share


@dataclass(frozen=True)
class Images:
    """A data set at one size, ready for training."""

    source: Source  #: the data set
    pixels: dict[str, np.ndarray]  #: of each split: uint8, n x size x size x channels
    labels: dict[str, np.ndarray]  #: as in `Source`


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
        If images cannot be decoded; the message names their files.
    DataUnavailableError
        If the cache cannot be written and does not hold the images.
    """
    total, before, pixels = sum(source.sizes().values()), 0, {}

    def tick(n: int) -> None:
        if progress is not None:
            progress(before + n, total)

    for split in SPLITS:
        try:
            pixels[split] = _resized(source, split, size, tick)
        except DatasetError:
            # Name all images that cannot be decoded, once one of them has failed.
            places = [(s, i) for s in SPLITS for i in range(len(source.images[s]))]
            read_all(lambda place: source.images[place[0]][place[1]].size, places)
            raise
        before += len(source.images[split])
        tick(0)
    return Images(source, pixels, {s: np.asarray(source.labels[s]) for s in SPLITS})


def _resized(source: Source, split: str, size: int, tick: Callable[[int], object]) -> np.ndarray:
    images = source.images[split]
    if isinstance(images, np.ndarray) and images.shape[1:3] == (size, size):
        return images

    def each() -> Iterator[np.ndarray]:
        for i in range(len(images)):
            yield resize(np.asarray(images[i]), size)
            if i % 64 == 0:
                tick(i)

    shape = (len(images), size, size, source.n_channels)
    if math.prod(shape) <= _IN_MEMORY:
        return np.stack(list(each()))
    target = cache_folder("images", source.content_hash) / f"{split}-{size}-{_VERSION}.npy"
    made_once(target, source.content_hash, lambda: _write(target, shape, each()))
    return np.load(target, mmap_mode="r", allow_pickle=False)


def _write(target: Path, shape: tuple[int, ...], images: Iterator[np.ndarray]) -> None:
    """Write images one after the other: a map of a file on a full disk would end the process."""
    with written_whole(target) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.tobytes())


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resize one image (uint8, height x width x channels) to a square of `size` px."""
    if image.shape[:2] == (size, size):
        return image
    grey = image.shape[2] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    resized = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return resized[..., None] if grey else resized


def subset(labels: np.ndarray, fraction: float, *, seed: int, stratified: bool) -> np.ndarray:
    """Return the indices of a share of the training images, in rising order.

    Parameters
    ----------
    labels : numpy.ndarray
        Class of each image (n), or labels of each (n x labels).
    fraction : float
        Above 0 and at most 1.
    seed : int
        Decides which; a smaller share is part of a larger one of the same seed.
    stratified : bool
        Keep the balance of classes, at least one image of each; else plain random. Images with
        several labels each are always drawn at random.

    Examples
    --------
    >>> labels = np.array([0] * 90 + [1] * 10)
    >>> chosen = subset(labels, 0.1, seed=1, stratified=True)
    >>> np.bincount(labels[chosen]).tolist()
    [9, 1]
    """
    if fraction == 1:
        return np.arange(len(labels))
    rng = np.random.default_rng([seed, _STREAM])
    if labels.ndim == 2 or not stratified:
        order = rng.permutation(len(labels))
        return np.sort(order[: max(1, int(fraction * len(labels)))])
    chosen = []
    for label in np.unique(labels):
        order = rng.permutation(np.flatnonzero(labels == label))
        chosen.append(order[: max(1, round(fraction * len(order)))])
    return np.sort(np.concatenate(chosen))
