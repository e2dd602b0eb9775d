"""Arrays from files that nobody vouches for: headers are checked before a byte is believed.

Used for ``.npz`` files. Nothing is ever unpickled. Each array of an archive is written out once
as a ``.npy`` file, which is then mapped into memory: no split has to fit in it.
"""

from __future__ import annotations

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets.cache import made_once, written_whole
from pepr_utils.measurement.datasets.source import DatasetError

#: An array larger than this that was compressed more than so much is taken for a bomb: images of
#: anything do not compress like that.
BOMB_BYTES, BOMB_RATIO = 2**28, 300


def array_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return shape and dtype of each array of an ``.npz`` file, from its headers alone.

    Raises
    ------
    DatasetError
        If the file is no such archive, is truncated or encrypted, holds Python objects, claims
        more than it has, or would unpack to a size out of all proportion.
    """
    unreadable = f"{path.name}: not a readable .npz file, perhaps truncated"
    try:
        with archive_errors(path.name, unreadable), zipfile.ZipFile(path) as archive:
            return {
                Path(info.filename).stem: _header(path, archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy") and "/" not in info.filename
            }
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except OSError as error:
        raise DatasetError(f"{unreadable} ({error}); fetch it again") from None


@contextmanager
def archive_errors(file: str, unreadable: str) -> Iterator[None]:
    """Turn what reading an archive raises into an error in words.

    What the system says of a disk passes through, as an OSError with a number.

    Parameters
    ----------
    file : str
        Name of the archive.
    unreadable : str
        Beginning of the message where the archive is damaged.

    Raises
    ------
    DatasetError
        If it is damaged, encrypted, or packed by a method that is not known here.
    """
    try:
        yield
    except PeprError:
        raise
    except NotImplementedError as error:
        raise DatasetError(
            f"{file}: damaged, or packed in a way that is not read here ({error}); fetch it again, "
            "or pack it anew with deflate, as numpy.savez_compressed does"
        ) from None
    except RuntimeError as error:
        if "password" not in str(error):
            raise DatasetError(f"{unreadable} ({error}); fetch it again") from None
        raise DatasetError(
            f"{file}: encrypted, and no password is asked for here; unpack it and pack it anew "
            "without one"
        ) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise DatasetError(f"{unreadable} ({error}); fetch it again") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise DatasetError(f"{unreadable} ({error}); fetch it again") from None  # bzip2 says so


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
    DataUnavailableError
        If the folder cannot be written.
    """
    found = {}
    for key in keys:
        target = folder / f"{key}.npy"
        made_once(target, folder.name, partial(_unpack_one, path, key, target))
        found[key] = np.load(target, mmap_mode="r", allow_pickle=False)
    return found


def _unpack_one(path: Path, key: str, target: Path) -> None:
    with (
        archive_errors(path.name, f"{path.name}: {key} is damaged"),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{key}.npy") as stream,
        written_whole(
            target, archive.getinfo(f"{key}.npy").file_size, f"{path.name}: {key}"
        ) as file,
    ):
        shutil.copyfileobj(stream, file, 2**22)
