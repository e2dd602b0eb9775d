"""The two-dimensional sets of MedMNIST and MedMNIST+, by the index of the `medmnist` package.

The index gives addresses and MD5 sums; a file enters the cache only after its sum is right. Only
the index of the package is imported: its own download needs torchvision and keeps partial files.
"""

from __future__ import annotations

import importlib.util
import runpy
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from pepr_utils.errors import TrainingUnavailableError
from pepr_utils.measurement.datasets import npz
from pepr_utils.measurement.datasets.cache import cache_folder, downloaded
from pepr_utils.measurement.datasets.source import DatasetError, Description, Source
from pepr_utils.results.download import cache_root

#: Sizes (px) in which MedMNIST+ offers each set.
SIZES = (28, 64, 128, 224)
_LARGEST = 224


@cache
def index() -> dict[str, dict[str, Any]]:
    """The package's index of two-dimensional sets, by flag such as ``"dermamnist"``."""
    spec = importlib.util.find_spec("medmnist")
    if spec is None or not spec.submodule_search_locations:
        absent = ImportError("its index", name="medmnist")
        raise TrainingUnavailableError.of(absent, "a set of MedMNIST", "train")
    # Its module of facts, without the package: that would import torchvision.
    path = Path(spec.submodule_search_locations[0]) / "info.py"
    with warnings.catch_warnings(action="ignore"):  # it makes a folder in a home that may be closed
        found = runpy.run_path(str(path))["INFO"]
    return {flag: entry for flag, entry in found.items() if not flag.endswith("3d")}


def split_size(name: str) -> tuple[str, int]:
    """Split a name such as ``"dermamnist_64"`` into flag and size (px); without one, the largest.

    Examples
    --------
    >>> split_size("dermamnist_64"), split_size("dermamnist")
    (('dermamnist', 64), ('dermamnist', 224))
    """
    flag, _, size = name.rpartition("_")
    if flag and size.isdigit() and int(size) in SIZES:
        return flag, int(size)
    return name, _LARGEST


def describe(name: str, record_name: str | None = None) -> Description:
    """Name and content; nothing is downloaded, the content goes by the index's MD5."""
    flag, size = split_size(name)
    return Description(record_name or name, f"md5-{_entry(flag, size)[1]}")


def load(name: str, record_name: str | None = None, *, progress: bool = False) -> Source:
    """Read a set, downloading it on first use.

    Raises
    ------
    DataUnavailableError
        If it could not be downloaded, with each address tried and how to bring the file by hand,
        or if the file that is there is not the published one.
    DatasetError
        If its splits do not have the sizes that the index says.
    """
    flag, size = split_size(name)
    url, md5 = _entry(flag, size)
    file = _file(flag, size)
    path = downloaded(url, cache_folder("medmnist") / file, md5, progress=progress)
    entry = index()[flag]
    source = npz.load(
        path,
        name=record_name or name,
        class_names=tuple(entry["label"].values()),
        content_hash=f"md5-{md5}",
        licence=entry["license"],
    )
    if source.sizes() != entry["n_samples"]:
        raise DatasetError(
            f"{file}: images by split are {source.sizes()}; MedMNIST's index says "
            f"{entry['n_samples']}; remove {path}, and it is downloaded again"
        )
    return source


def is_fetched(name: str) -> bool:
    """Whether a set is in the cache; nothing is downloaded, and its content is not checked."""
    return (cache_root() / "medmnist" / _file(*split_size(name))).is_file()


def _file(flag: str, size: int) -> str:
    return f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"


def _entry(flag: str, size: int) -> tuple[str, str]:
    suffix = "" if size == 28 else f"_{size}"
    entry = index()[flag]
    return entry[f"url{suffix}"], entry[f"MD5{suffix}"]
