"""Arrays from files that nobody vouches for: headers are checked before a byte is believed.

Used for ``.npz`` files. Nothing is ever unpickled. Each array of an archive is written out once
as a ``.npy`` file, which is then mapped into memory: no split has to fit in it.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pepr_utils.measurement.datasets.cache import exclusive
from pepr_utils.measurement.datasets.source import DatasetError
from pepr_utils.measurement.datasets.stamps import is_stamped, stamp

#: An array larger than this that was compressed more than so much is taken for a bomb: images of
#: anything do not compress like that.
BOMB_BYTES, BOMB_RATIO = 2**28, 300


def array_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return shape and dtype of each array of an ``.npz`` file, from its headers alone.

    Raises
    ------
    DatasetError
        If the file is no such archive, is truncated, holds Python objects, claims more than it
        has, or would unpack to a size out of all proportion.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                Path(info.filename).stem: _header(path, archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy") and "/" not in info.filename
            }
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DatasetError(
            f"{path.name}: not a readable .npz file, perhaps truncated ({error}); fetch it again"
        ) from None


def _header(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype]:
    key = Path(info.filename).stem
    if info.file_size > BOMB_BYTES and info.file_size > BOMB_RATIO * max(1, info.compress_size):
        raise DatasetError(
            f"{path.name}: {key} would unpack from {info.compress_size:,} to {info.file_size:,} "
            "bytes; refused as a decompression bomb"
        )
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read(stream, max_header_size=10_000)
        except (ValueError, KeyError) as error:
            raise DatasetError(f"{path.name}: {key} is no array ({error})") from None
        start = stream.tell()
    if dtype.hasobject:
        raise DatasetError(
            f"{path.name}: {key} holds Python objects, which are not loaded from files; "
            "save it as an array of numbers"
        )
    size = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != info.file_size:
        raise DatasetError(
            f"{path.name}: {key} claims {size:,} bytes by its shape {shape} but has "
            f"{info.file_size:,}; the file is damaged"
        )
    return shape, dtype


def unpack(path: Path, keys: tuple[str, ...], folder: Path) -> dict[str, np.ndarray]:
    """Write arrays of an ``.npz`` file out as ``.npy``, once, and map them into memory.

    Parameters
    ----------
    path : pathlib.Path
        The archive; `array_headers` has to have accepted it.
    keys : tuple of str
        Arrays to unpack.
    folder : pathlib.Path
        Where they go; files that were unpacked there and have not changed since are used.

    Raises
    ------
    DatasetError
        If an array's bytes do not have the checksum that the archive states, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for key in keys:
        target = folder / f"{key}.npy"
        with exclusive(target):
            if not is_stamped(target, folder.name):
                _unpack_one(path, key, target)
                stamp(target, folder.name)
        found[key] = np.load(target, mmap_mode="r", allow_pickle=False)
    return found


def _unpack_one(path: Path, key: str, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            needed, free = archive.getinfo(f"{key}.npy").file_size, shutil.disk_usage(target.parent)
            if needed > free.free:
                raise DatasetError(
                    f"{path.name}: {key} needs {needed / 1e9:.1f} GB in {target.parent}, where "
                    f"{free.free / 1e9:.1f} GB are free; set PEPR_DATA_CACHE to a larger disk"
                )
            with temporary.open("wb") as file:
                shutil.copyfileobj(stream, file, 2**22)
        temporary.replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetError(
            f"{path.name}: {key} is damaged ({error}); fetch the file again"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
