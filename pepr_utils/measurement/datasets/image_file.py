"""One untrusted image file, as an array of bytes.

PNG, JPEG, TIFF, BMP and WebP; palettes, transparency, one bit and 16 bits are brought to bytes by
stated rules, and photographs are turned upright. What cannot be decoded, or has far too many
pixels, is refused by name.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from pepr_utils.measurement.datasets.source import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
#: Modes of more than 8 bits: Pillow's, which have one channel, and those that it cuts to 8 bits.
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L")
_CUT = ("LA;16", "RGB;16", "RGBA;16")
_GREY = ("1", "L", "LA", "LA;16", *_DEEP_GREY)
#: Part of the content hash of a folder: it changes with anything that changes a pixel.
VERSION = "upright-1"
#: The same, of a folder with an image that `is_cut` or `is_inverted`.
DEEP_VERSION = "deep-1"
#: What undoes Pillow's choice of the high byte of two; N is the order of this machine.
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# Grey of 16 bits with 0 as white: Pillow knows it in the little-endian order alone.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


@dataclass(frozen=True)
class Header:
    """What an image's header says."""

    mode: str  #: Pillow's name of a pixel's form; or LA;16, RGB;16, RGBA;16, which it does not have
    size: tuple[int, int]  #: width and height (px), upright
    is_turned: bool  #: whether its EXIF orientation says to turn or mirror it
    has_more_pages: bool  #: than the first, which is read
    is_inverted: bool  #: whether 0 is white in over 8 bits (Pillow inverts those of 8 bits)

    @property
    def is_grey(self) -> bool:
        """Whether it has one channel."""
        return self.mode in _GREY

    @property
    def is_cut(self) -> bool:
        """Whether Pillow would cut its pixels to 8 bits."""
        return self.mode in _CUT

    @property
    def is_deep(self) -> bool:
        """Whether its pixels have more than 8 bits."""
        return self.mode in (*_DEEP_GREY, *_CUT)

    @property
    def has_transparency(self) -> bool:
        """Whether it has a channel of transparency."""
        return self.mode.split(";")[0] in ("RGBA", "LA", "PA")


def read_header(path: Path) -> Header:
    """Return what an image's header says.

    Raises
    ------
    DatasetError
        If it is no image, has too many pixels, or a mode that cannot be brought to bytes.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        # The size of a TIFF is upright already.
        on_its_side = orientation in (5, 6, 7, 8) and image.format != "TIFF"
        return Header(
            mode=_mode(path, image),
            size=image.size[::-1] if on_its_side else image.size,
            is_turned=orientation in range(2, 9),
            is_inverted=_is_inverted(image),
            has_more_pages=_has_more_pages(image),  # last: it may stop at a damaged page
        )


def medical_format(path: Path) -> str:
    """``DICOM`` or ``NIfTI`` by a file's first bytes, else by its name; "" if it is neither."""
    if not path.is_file():  # a pipe would be waited for
        return ""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(31).decompress(head, 512)
    except (OSError, zlib.error):
        return ""
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return "NIfTI"
    name = path.name.lower()
    if head and name.endswith((".dcm", ".nii", ".nii.gz")):
        return "DICOM" if name.endswith(".dcm") else "NIfTI"
    return ""


def not_an_image(kind: str) -> str:
    """What to do with a file of a medical format.

    Examples
    --------
    >>> not_an_image("NIfTI")
    'a NIfTI file, which is not read here; save its slices as PNG of 8 or 16 bits, ...'
    """
    return (
        f"a {kind} file, which is not read here; save its {'slices' * (kind == 'NIfTI') or 'image'}"
        " as PNG of 8 or 16 bits, for CT with a window such as -1000 to 400 HU for lung or -160 to "
        "240 HU for soft tissue, and all of one patient in one split"
    )


def _is_inverted(image: Image.Image) -> bool:
    if image.format != "TIFF" or image.mode not in _DEEP_GREY:
        return False
    return image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0


def _mode(path: Path, image: Image.Image) -> str:
    """Pillow's mode, or that of `_CUT` where Pillow would keep the high bytes alone."""
    if image.mode == "F":
        raise _unclear(path, "its pixels are floats, whose range is not known")
    if image.format not in ("PNG", "TIFF"):
        return image.mode
    kind, is_deep, _ = _raw_mode(image).partition(";16")
    if image.format == "TIFF":
        tags = image.tag_v2
        if image.mode == "L" and 2 in tags.get(ExifTags.Base.SampleFormat, ()):
            raise _unclear(path, "its 8 bits are signed")
        is_deep = is_deep or max(tags.get(ExifTags.Base.BitsPerSample, (1,))) > 8
    if not is_deep or image.mode in _DEEP_GREY:
        return image.mode
    mode = {"RGBX": "RGB"}.get(kind, kind) + ";16"
    if mode not in _CUT:  # CMYK, colours times transparency, or planes one after the other
        raise _unclear(path, f"its pixels of 16 bits are laid out in an uncommon way ({kind})")
    return mode


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of the layout of pixels in the file."""
    arguments = image.tile[0].args if image.tile else image.mode
    return arguments if isinstance(arguments, str) else arguments[0]


def _orientation(image: Image.Image) -> int:
    """Orientation from the header alone: asked for it, Pillow would decode a PNG that has none."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF data, which Pillow passes over
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - an untrusted file can raise anything
        return 1


def _has_more_pages(image: Image.Image) -> bool:
    try:
        return getattr(image, "n_frames", 1) > 1
    except Exception:  # noqa: BLE001 - there is another page, and it is damaged
        return True


def largest_value(path: Path) -> int:
    """Largest pixel value of an image of more than 8 bits.

    Raises
    ------
    DatasetError
        If it has negative values, or cannot be decoded.
    """
    with _opened(path) as image:
        pixels = _deep_pixels(path, image)
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
        What counts as white in images of 16 bits, or as black where 0 is white.

    Raises
    ------
    DatasetError
        If the file cannot be decoded.
    """
    with _opened(path) as image:
        if _mode(path, image) in (*_DEEP_GREY, *_CUT):
            pixels = _deep_pixels(path, image).astype(np.float64).clip(0, deep_range)
            pixels = deep_range - pixels if _is_inverted(image) else pixels
            upright = Image.fromarray(np.round(pixels * (255 / deep_range)).astype(np.uint8))
        else:
            upright = _upright(path, image)
        try:
            if upright.mode == "P":
                upright = upright.convert("RGBA")  # the palette may be transparent
            array = np.asarray(upright.convert("L" if n_channels == 1 else "RGB"))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise _damaged(path, error) from None
    return array[..., None] if n_channels == 1 else array


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(path)
    except Image.DecompressionBombError as error:
        raise DatasetError(f"{path}: {str(error).rstrip('.')}; shrink it") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path, error) from None


def _deep_pixels(path: Path, image: Image.Image) -> np.ndarray:
    """Pixels of more than 8 bits, height x width, x 3 where there is colour; no transparency.

    Of two bytes Pillow keeps the high one; decoded again as if they were in the other order, it
    keeps the low one.
    """
    mode, raw = _mode(path, image), _raw_mode(image)
    if mode in _DEEP_GREY:
        return np.asarray(_upright(path, image))
    if mode == "LA;16":
        _decode_as(image, "RGBA")  # as many bytes: two of the grey, two of the transparency
        high, low = np.moveaxis(np.asarray(_upright(path, image)), 2, 0)[:2].astype(np.uint16)
    else:
        with _opened(path) as again:
            _decode_as(again, raw[:-1] + _OTHER_BYTE[raw[-1]])
            high, low = (
                np.asarray(_upright(path, part))[..., :3].astype(np.uint16)
                for part in (image, again)
            )
    return high * 256 + low


def _decode_as(image: Image.Image, raw: str) -> None:
    """Make Pillow take the pixels of an image to be laid out in another way."""
    image.tile = [
        part._replace(args=raw if isinstance(part.args, str) else (raw, *part.args[1:]))
        for part in image.tile
    ]


def _upright(path: Path, image: Image.Image) -> Image.Image:
    """Decode an image and apply its EXIF orientation, as every viewer of photographs does."""
    if image.format == "TIFF":
        # Pillow maps some TIFF files into memory by their name, with the sides of the turned
        # image, and turns the result again; without a name it reads them, which is right.
        image.filename = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            # Pillow would write the rest of the EXIF data again, and much of what cameras and
            # scanners write there it cannot; the orientation, once read, it remembers.
            _orientation(image)
            image.info.pop("exif", None)
            return ImageOps.exif_transpose(image)
    except Exception as error:  # noqa: BLE001 - an untrusted file can raise anything
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    if kind := medical_format(path):
        return DatasetError(f"{path}: {not_an_image(kind)}")
    why = "of no known kind" if isinstance(error, UnidentifiedImageError) else error
    return DatasetError(
        f"{path}: not a readable image ({why}); repair it, save it as PNG, or remove it"
    )


def _unclear(path: Path, what: str) -> DatasetError:
    return DatasetError(f"{path}: {what}; save it as PNG of 8 or 16 bits")
