"""One image file that nobody vouches for, as an array of bytes.

PNG, JPEG, TIFF, BMP and WebP; palettes, transparency, one bit, 16 bits and floats are brought to
bytes by stated rules, and photographs are turned upright. What cannot be decoded, or is out of all
proportion, is refused by name.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from pepr_utils.measurement.datasets.source import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
#: More pixels than this are taken for a decompression bomb; a full chest X-ray has a tenth.
MAX_PIXELS = 100_000_000
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
_DEEP = ("I", "I;16", "I;16B", "I;16L")
#: Part of the content hash of a folder: it changes with anything that changes a pixel.
VERSION = "upright-1"
#: What turns an image upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: EXIF orientations that swap width and height.
_ON_ITS_SIDE = (5, 6, 7, 8)


class Seen(NamedTuple):
    """What an image's header says.

    Attributes
    ----------
    mode : str
        Pillow's name of what a pixel is.
    size : tuple of int
        Width and height (px), upright.
    is_turned : bool
        Whether its EXIF orientation says to turn or mirror it.
    has_more_pages : bool
        Whether there is more in the file than the first page, which is read.
    """

    mode: str
    size: tuple[int, int]
    is_turned: bool
    has_more_pages: bool


def look(path: Path) -> Seen:
    """Return what an image's header says.

    Raises
    ------
    DatasetError
        If it is no image, has too many pixels, or a mode that cannot be brought to bytes.
    """
    with _opened(path) as image:
        mode, size, orientation = image.mode, image.size, _orientation(image)
        if orientation in _ON_ITS_SIDE and image.format != "TIFF":  # whose size is upright already
            size = size[::-1]
        found = Seen(mode, size, orientation in range(2, 9), _has_more_pages(image))
    if mode == "F":
        raise DatasetError(
            f"{path}: its pixels are floats, whose range is not known; save it with 8 or 16 bits"
        )
    return found


def _orientation(image: Image.Image) -> int:
    """Orientation from the header alone: asked for it, Pillow would decode a PNG that has none."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF data, which Pillow passes over
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - foreign data fail in any way they like
        return 1


def _has_more_pages(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    except Exception:  # noqa: BLE001 - there is one, and it is damaged in whatever way
        return True
    return True


def is_grey(mode: str) -> bool:
    """Whether an image of this mode has one channel."""
    return mode in _GREY


def is_deep(mode: str) -> bool:
    """Whether its pixels have more than 8 bits."""
    return mode in _DEEP


def largest_value(path: Path) -> int:
    """Largest pixel value of an image of more than 8 bits.

    Raises
    ------
    DatasetError
        If it has negative values, or cannot be decoded.
    """
    with _opened(path) as image:
        pixels = _pixels(path, image)
        low, high = int(pixels.min()), int(pixels.max())
    if low < 0:
        raise DatasetError(
            f"{path}: has negative values ({low} to {high}), as CT has in Hounsfield units; choose "
            "a window, such as -1000 to 400 for lung or -160 to 240 for soft tissue, and save it "
            "as 0 to 255 in 8 bits"
        )
    return high


def read(path: Path, *, n_channels: int, deep_range: int = 65535) -> np.ndarray:
    """Decode an image to uint8, height x width x channels.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    n_channels : {1, 3}
        Grey or colour; transparency is dropped, palettes are resolved, and an EXIF orientation
        is applied.
    deep_range : int
        What counts as white in images of 16 bits.

    Raises
    ------
    DatasetError
        If the file cannot be decoded.
    """
    with _opened(path) as image:
        if is_deep(image.mode):
            pixels = _pixels(path, image).astype(np.float64).clip(0, deep_range)
            grey = np.round(pixels * (255 / deep_range)).astype(np.uint8)
            return np.repeat(grey[..., None], n_channels, axis=2)
        image = _upright(path, image)  # noqa: PLW2901 - the file is closed with the block
        try:
            if image.mode == "P":
                image = image.convert("RGBA")  # noqa: PLW2901 - the palette may be transparent
            array = np.asarray(image.convert("L" if n_channels == 1 else "RGB"))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise _damaged(path, error) from None
    return array[..., None] if n_channels == 1 else array


def _opened(path: Path) -> Image.Image:
    # Pillow's own limit is lower and does not say the size; ours is looked at before decoding.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path, error) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise DatasetError(
            f"{path}: {width} x {height} pixels; allowed: at most {MAX_PIXELS:,}; shrink it"
        )
    return image


def _pixels(path: Path, image: Image.Image) -> np.ndarray:
    return np.asarray(_upright(path, image))


def _upright(path: Path, image: Image.Image) -> Image.Image:
    """Decode an image and apply its EXIF orientation, as every viewer of photographs does.

    Nothing else of its EXIF data is looked at: much of what cameras and scanners write there
    cannot be written again, which Pillow's own way of doing this would try.
    """
    if image.format == "TIFF":
        # Pillow maps some TIFF files into memory by their name, with the sides of the turned
        # image, and turns the result again; without a name it reads them, which is right.
        image.filename = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            method = _UPRIGHT.get(_orientation(image))
            return image if method is None else image.transpose(method)
    except Exception as error:  # noqa: BLE001 - a foreign file fails in any way it likes
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path}: not a readable image ({error}); repair or remove it")
