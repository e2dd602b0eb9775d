"""How many images a data set has, without downloading or drawing any where that can be known."""

from __future__ import annotations

from dataclasses import dataclass

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets import lidc, medmnist_sets, phantom, resolve
from pepr_utils.measurement.datasets.source import SPLITS


@dataclass(frozen=True)
class Sizes:
    """Images in the three splits."""

    train: int
    val: int
    test: int


def split_sizes(name_or_path: str) -> Sizes:
    """Return the sizes of the splits of a data set, by name or path.

    MedMNIST's index states them, LIDC has one split and `phantom` is drawn from a table of counts;
    only a folder or file of one's own is looked into.

    Raises
    ------
    PeprError
        If there is no such data set, or it cannot be read.

    Examples
    --------
    >>> split_sizes("pneumonia")
    Sizes(train=4708, val=524, test=624)
    >>> split_sizes("lidc"), split_sizes("phantom")
    (Sizes(train=9057, val=3019, test=3020), Sizes(train=160, val=32, test=96))
    """
    from pepr_utils.measurement.datasets import load_dataset

    kind, value = resolve(name_or_path)
    if kind == "phantom":
        return Sizes(*(sum(phantom.COUNTS[split]) for split in SPLITS))
    if kind == "lidc":
        return Sizes(*lidc.split_sizes(lidc.N_PATCHES))
    if kind == "medmnist":
        counts = medmnist_sets.index()[medmnist_sets.split_size(value)[0]]["n_samples"]
        return Sizes(*(counts[split] for split in SPLITS))
    return Sizes(**load_dataset(name_or_path).sizes())


def known_sizes(name: str) -> Sizes | None:
    """Sizes of a data set that goes by a name; None for one of somebody's own.

    Examples
    --------
    >>> known_sizes("derma").train, known_sizes("our clinic")
    (7007, None)
    """
    try:
        kind, _ = resolve(name)
        return None if kind in ("folder", "npz") else split_sizes(name)
    except PeprError:
        return None
