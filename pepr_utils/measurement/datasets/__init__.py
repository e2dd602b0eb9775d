"""Data sets by name or path: their names, their content, and their images.

Names are the paper's three (`derma`, `pneumonia`, `lidc`), `phantom`, and every two-dimensional
set of MedMNIST, with a size such as ``bloodmnist_64`` or without for the largest. Anything else is
a path: an ``.npz`` file in MedMNIST's layout, `lidc.zip`, or a folder of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pepr_utils.errors import PeprError, unknown_name
from pepr_utils.measurement.datasets import folder, lidc, medmnist_sets, npz, phantom
from pepr_utils.measurement.datasets.source import (
    SPLITS,
    DatasetError,
    Description,
    Source,
    check_name,
)
from pepr_utils.paths import user_path

__all__ = [
    "DatasetError",
    "Description",
    "Sizes",
    "Source",
    "dataset_kind",
    "describe_dataset",
    "known_sizes",
    "load_dataset",
    "obtain_dataset",
    "split_sizes",
]

#: The paper's data sets that are MedMNIST's, each one definition: the largest size there is.
ALIASES = {"derma": "dermamnist_224", "pneumonia": "pneumoniamnist_224"}


@dataclass(frozen=True)
class Sizes:
    """Images in the three splits."""

    train: int
    val: int
    test: int


def describe_dataset(name_or_path: str) -> Description:
    """Return name and content of a data set, without reading images where that can be avoided.

    Examples
    --------
    >>> describe_dataset("phantom").name
    'phantom'
    """
    kind, value = dataset_kind(name_or_path)
    if kind == "phantom":
        return phantom.describe()
    if kind == "lidc":
        return lidc.describe(value)
    if kind == "medmnist":
        return medmnist_sets.describe(value, name_or_path)
    return npz.describe(value) if kind == "npz" else folder.describe(value)


def obtain_dataset(name_or_path: str, *, progress: bool = False) -> None:
    """Download a data set whose content is not known before that: `lidc`, on first use.

    Parameters
    ----------
    name_or_path : str
        See the module.
    progress : bool, default False
        Show the progress of a download on stderr.

    Raises
    ------
    DataUnavailableError
        If it could not be downloaded.
    """
    kind, value = dataset_kind(name_or_path)
    if kind == "lidc" and value is None:
        lidc.obtain(progress=progress)


def load_dataset(name_or_path: str, *, progress: bool = False) -> Source:
    """Return a data set by name or path; checked, but with its images not yet decoded.

    Parameters
    ----------
    name_or_path : str
        See the module.
    progress : bool, default False
        Show the progress of a download on stderr.

    Raises
    ------
    UnknownNameError
        If it is neither a name nor a path.
    DatasetError
        If the data are damaged or not in the expected form.
    DataUnavailableError
        If it could not be downloaded.

    Examples
    --------
    >>> load_dataset("phantom").sizes()
    {'train': 160, 'val': 32, 'test': 96}
    """
    kind, value = dataset_kind(name_or_path)
    if kind == "phantom":
        return phantom.load()
    if kind == "lidc":
        return lidc.load(value, progress=progress)
    if kind == "medmnist":
        return medmnist_sets.load(value, name_or_path, progress=progress)
    return npz.load(value) if kind == "npz" else folder.load(value)


def split_sizes(name_or_path: str) -> Sizes:
    """Return the sizes of the splits of a data set, by name or path.

    Only a folder or file of the user's own is read; of the others they are known.

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
    kind, value = dataset_kind(name_or_path)
    if kind == "phantom":
        return Sizes(*(sum(phantom.COUNTS[split]) for split in SPLITS))
    if kind == "lidc":
        return Sizes(*lidc.split_sizes(lidc.N_PATCHES))
    if kind == "medmnist":
        counts = medmnist_sets.index()[medmnist_sets.split_size(value)[0]]["n_samples"]
        return Sizes(*(counts[split] for split in SPLITS))
    return Sizes(**load_dataset(name_or_path).sizes())


def known_sizes(name: str) -> Sizes | None:
    """Sizes of a data set that has a name; None for a file or folder of the user's own.

    Examples
    --------
    >>> known_sizes("derma").train, known_sizes("our clinic")
    (7007, None)
    """
    try:
        kind, _ = dataset_kind(name)
        return None if kind in ("folder", "npz") else split_sizes(name)
    except PeprError:
        return None


def dataset_names() -> list[str]:
    """All names, sizes left out."""
    return ["phantom", "lidc", *ALIASES, *medmnist_sets.index()]


def dataset_kind(name_or_path: str) -> tuple[str, str | Path | None]:
    """Return the kind of data set that is meant, with its flag or path; nothing is read.

    Raises
    ------
    UnknownNameError
        If it is neither a name nor a path.
    DatasetError
        If it is a file that holds no data set.

    Examples
    --------
    >>> dataset_kind("derma"), dataset_kind("phantom")
    (('medmnist', 'dermamnist_224'), ('phantom', None))
    """
    name = str(name_or_path)
    if name == "phantom":
        return "phantom", None
    if name == "lidc":
        return "lidc", None
    flag = ALIASES.get(name, name)
    if "/" not in flag and medmnist_sets.split_size(flag)[0] in medmnist_sets.index():
        return "medmnist", flag
    path = user_path(name)
    check_name(path.resolve().name, "a data set")
    if path.is_dir():
        if user_path("~").is_relative_to(path.resolve()):
            raise DatasetError(
                f"{path} is your home folder, or holds it, and every file in it would be read; "
                "name the folder that holds the images"
            )
        return "folder", path
    if path.name == lidc.FILE and path.is_file():
        return "lidc", path
    if path.is_file() and path.suffix.lower() == ".npz":
        return "npz", path
    if path.is_file():
        raise DatasetError(
            f"{path}: a file that ends in {path.suffix or 'nothing'}; allowed: an .npz file in "
            "MedMNIST's layout, or a folder of images"
        )
    raise unknown_name("data set", name, dataset_names(), also="a folder of images or an .npz file")
