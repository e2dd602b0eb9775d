"""One image file that nobody vouches for, as an array of bytes.

PNG, JPEG, TIFF, BMP and WebP; palettes, transparency, one bit, 16 bits and floats are brought to
bytes by stated rules. What cannot be decoded, or is out of all proportion, is refused by name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pepr_utils.measurement.datasets.source import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
#: More pixels than this are taken for a decompression bomb; a full chest X-ray has a tenth.
MAX_PIXELS = 100_000_000
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
_DEEP = ("I", "I;16", "I;16B", "I;16L")


def look(path: Path) -> tuple[str, tuple[int, int]]:
    """Return an image's mode and size (width, height) from its header.

    Raises
    ------
    DatasetError
        If it is no image, has too many pixels, or a mode that cannot be brought to bytes.
    """
    with _opened(path) as image:
        mode, size = image.mode, image.size
    if mode == "F":
        raise DatasetError(
            f"{path}: its pixels are floats, whose range is not known; save it with 8 or 16 bits"
        )
    return mode, size


def is_grey(mode: str) -> bool:
    """Whether an image of this mode has one channel."""
    return mode in _GREY


def is_deep(mode: str) -> bool:
    """Whether its pixels have more than 8 bits."""
    return mode in _DEEP


def largest_value(path: Path) -> int:
    """Largest pixel value of an image of more than 8 bits."""
    with _opened(path) as image:
        return int(_pixels(path, image).max())


def read(path: Path, *, n_channels: int, deep_range: int = 65535) -> np.ndarray:
    """Decode an image to uint8, height x width x channels.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    n_channels : {1, 3}
        Grey or colour; transparency is dropped, palettes are resolved.
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
    try:
        return np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path}: not a readable image ({error}); repair or remove it")
