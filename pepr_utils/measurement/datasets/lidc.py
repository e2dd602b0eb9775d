"""LIDC: the lung patches that the paper's group published with its earlier work on LoTeNet.

`lidc.zip` is in the repository `raghavian/lotenet_pytorch` on Bitbucket. No checksum of it has
been published, so its content is checked instead: 15,096 grey patches of bytes, each with the
votes of four radiologists. The paper's split is by index, 60/20/20, and a patch is positive if
three of the four say so.
"""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.datasets.cache import (
    cache_folder,
    downloaded,
    made_once,
    written_whole,
)
from pepr_utils.measurement.datasets.npz import file_hash, opened_archive
from pepr_utils.measurement.datasets.source import SPLITS, DatasetError, Description, Source
from pepr_utils.results.download import MIRROR_VARIABLE

FILE = "lidc.zip"
URL = "https://bitbucket.org/raghavian/lotenet_pytorch/raw/master/data/lidc.zip"
N_PATCHES = 15_096
N_RATERS = 4
CLASS_NAMES = ("benign or unclear", "malignant: three of four raters")
#: Order in which the files of the archive are joined, where it has several.
_PARTS = ("train", "valid", "test")


def find() -> Path:
    """Where the archive is: in ``PEPR_DATA_MIRROR``, if that is a folder, or in the cache.

    Raises
    ------
    DataUnavailableError
        If it is in neither; the message says how to get it.
    """
    kept = cache_folder("lidc")
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    for folder in [Path(mirror).expanduser(), kept] if mirror else [kept]:
        if (folder / FILE).is_file():
            return folder / FILE
    raise DataUnavailableError(
        f"{FILE} is not there; a run on it by `pepr run --data lidc` downloads it (with --check, "
        f"nothing else), or download {URL} elsewhere and put it into {kept}, or into the folder "
        f"that {MIRROR_VARIABLE} names"
    )


def obtain(*, progress: bool = False) -> Path:
    """Return the path of the archive, downloading it on first use.

    Parameters
    ----------
    progress : bool, default False
        Show a progress bar on stderr.

    Raises
    ------
    DataUnavailableError
        If it could not be downloaded.
    """
    with suppress(DataUnavailableError):
        return find()
    path = downloaded(URL, cache_folder("lidc") / FILE, progress=progress)
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise DataUnavailableError(
            f"what {URL} gave is no archive; download {FILE} from the repository "
            f"raghavian/lotenet_pytorch on Bitbucket and put it into {path.parent}"
        )
    return path


def describe(path: Path | None = None) -> Description:
    """Name and content (SHA-256 of the archive)."""
    return Description("lidc", file_hash(path or find()))


def load(path: Path | None = None, *, progress: bool = False) -> Source:
    """Read the archive, downloading it on first use; checked throughout.

    Raises
    ------
    DatasetError
        If patches or votes do not have the number, shape or range that they should have.
    DataUnavailableError
        If the archive could not be downloaded.
    """
    path = path or obtain(progress=progress)
    content_hash = file_hash(path)
    folder = cache_folder("arrays", content_hash)
    read = cache(partial(_read, path))

    def save(name: str, target: Path) -> None:
        array = read()[name]
        with written_whole(target) as file:
            np.save(file, array)

    for name in ("patches", "votes"):
        target = folder / f"{name}.npy"
        made_once(target, content_hash, partial(save, name, target))
    patches = np.load(folder / "patches.npy", mmap_mode="r", allow_pickle=False)
    votes = np.load(folder / "votes.npy", allow_pickle=False)
    positive = (votes.sum(axis=1) > 2).astype(np.int64)
    ends = np.cumsum([0, *split_sizes(len(patches))])
    parts = {s: slice(*ends[i : i + 2]) for i, s in enumerate(SPLITS)}
    return Source(
        "lidc",
        content_hash,
        CLASS_NAMES,
        {s: patches[part] for s, part in parts.items()},
        {s: positive[part] for s, part in parts.items()},
        1,
        licence="CC BY 3.0 (LIDC-IDRI)",
        notes=("split by index, as in the paper; patches of one patient may be in two splits",),
    )


def split_sizes(n: int) -> tuple[int, int, int]:
    """Training, validation and test patches among `n`: 60/20/20 by index, as in the paper.

    Examples
    --------
    >>> split_sizes(N_PATCHES)
    (9057, 3019, 3020)
    """
    return int(0.6 * n), int(0.8 * n) - int(0.6 * n), n - int(0.8 * n)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read patches and votes from the archive's one file of tensors, or from all three."""
    import torch

    parts = []
    with opened_archive(path) as archive:
        members = {Path(n).stem.lower(): n for n in archive.namelist() if n.lower()[-3:] == ".pt"}
        if len(members) != 1 and set(members) != set(_PARTS):
            raise DatasetError(
                f"{path.name}: holds {', '.join(sorted(members)) or 'no .pt file'}; expected one "
                "file of tensors, or Train.pt, Valid.pt and Test.pt"
            )
        for stem in members if len(members) == 1 else _PARTS:
            place, content = f"{path.name}: {members[stem]}", archive.read(members[stem])
            try:
                loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            except Exception as error:  # noqa: BLE001 - an untrusted file can raise anything
                raise DatasetError(
                    f"{place} cannot be read as tensors alone ({type(error).__name__}); download "
                    "the archive again"
                ) from None
            parts.append(_checked(place, loaded))
    patches, votes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if len(patches) != N_PATCHES:
        raise DatasetError(
            f"{path.name}: {len(patches):,} patches; the paper's data have {N_PATCHES:,}"
        )
    return {"patches": patches, "votes": votes}


def _checked(place: str, loaded: object) -> tuple[np.ndarray, np.ndarray]:
    """Patches (n x height x width x 1, uint8) and votes (n x 4, 0 or 1) of one file."""
    if not (isinstance(loaded, (tuple, list)) and len(loaded) == 2):
        raise DatasetError(f"{place}: holds {type(loaded).__name__}; expected patches and votes")
    patches, votes = (np.asarray(tensor) for tensor in loaded)
    if patches.ndim == 4 and patches.shape[1] == 1:
        patches = patches[:, 0]
    if patches.ndim != 3 or patches.shape[1] != patches.shape[2] or patches.shape[1] < 32:
        raise DatasetError(f"{place}: patches of shape {patches.shape}; expected n x size x size")
    if votes.shape != (len(patches), N_RATERS) or not np.isin(votes, (0, 1)).all():
        raise DatasetError(
            f"{place}: votes of shape {votes.shape}; expected {len(patches)} x {N_RATERS}, 0 or 1"
        )
    low, high = float(patches.min()), float(patches.max())
    if not (low >= 0 and 1 < high <= 255):
        raise DatasetError(f"{place}: patches from {low:g} to {high:g}; expected 0 to 255")
    return np.round(patches).astype(np.uint8)[..., None], votes.astype(np.int64)
