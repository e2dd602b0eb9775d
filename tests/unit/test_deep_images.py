"""Images of 16 bits: colour, transparency and 0 as white come to the bytes of their 8-bit form."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pepr_utils.measurement.datasets import describe_dataset, image_file, load_dataset
from pepr_utils.measurement.datasets.source import DatasetError

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6
CHANNELS = {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGBA: 4}


def png(pixels, kind):
    """A PNG of 16 bits, written by hand: Pillow writes none of these kinds."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(pixels, photometric, order="<", *, planes=False, signed=False, deflated=False, extra=()):
    """A TIFF of one strip, or of one for each plane."""
    height, width = pixels.shape[:2]
    n = pixels.shape[2] if pixels.ndim == 3 else 1
    stored = np.moveaxis(pixels, 2, 0) if planes else pixels
    content = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    n_strips, size = (n, len(content) // n) if planes else (1, len(content))
    content = zlib.compress(content) if deflated else content
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * n,
            259: [8 if deflated else 1], 262: [photometric],
            273: [8 + i * size for i in range(n_strips)], 277: [n], 278: [height],
            279: [size if planes else len(content)] * n_strips, 284: [2 if planes else 1],
            **({339: [2] * n} if signed else {}),
            **({338: list(extra)} if extra else {})}  # fmt: skip
    content += bytes(len(content) % 2)
    entries, beyond = b"", b""
    first = 8 + len(content) + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, beyond = struct.pack(order + "I", first + len(beyond)), beyond + packed
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(content))
    return start + content + struct.pack(order + "H", len(tags)) + entries + bytes(4) + beyond


def values(n_channels, top=65535):
    shape = (9, 7) if n_channels == 1 else (9, 7, n_channels)
    found = np.random.default_rng(n_channels).integers(0, top + 1, shape).astype(np.uint16)
    found[0, 0] = top
    return found


def test_the_files_made_here_are_what_they_should_be():
    deep = values(1)
    for content in (png(deep, GREY), tiff(deep, 1), tiff(deep, 1, ">"), tiff(deep, 1, deflated=1)):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), deep)
    bytes_ = (values(3) >> 8).astype(np.uint8)
    for content in (tiff(bytes_, 2), tiff(bytes_, 2, planes=True)):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), bytes_)


@pytest.mark.parametrize("top", [4095, 65535])
@pytest.mark.parametrize("kind", [GREY, RGB, GREY_ALPHA, RGBA])
def test_a_png_of_16_bits_is_scaled_by_its_range_whatever_its_channels(tmp_path, kind, top):
    path, pixels = tmp_path / "a.png", values(CHANNELS[kind], top)
    path.write_bytes(png(pixels, kind))
    shown = pixels[..., :3] if kind in (RGB, RGBA) else pixels.reshape(9, 7, -1)[..., :1]
    expected = np.round(shown * (255 / top))
    assert image_file.largest_value(path) == top
    found = image_file.read(path, n_channels=3, deep_range=top)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, (9, 7, 3)))
    header = image_file.read_header(path)
    assert header.is_deep
    assert header.is_grey == (kind in (GREY, GREY_ALPHA))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"deflated": True}, {"extra": (0,)}, {"extra": (2,)}])
def test_a_coloured_tiff_of_16_bits_keeps_them(tmp_path, order, options):
    path, pixels = tmp_path / "a.tif", values(4 if "extra" in options else 3)
    path.write_bytes(tiff(pixels, 2, order, **options))
    found = image_file.read(path, n_channels=3)
    np.testing.assert_array_equal(found, np.round(pixels[..., :3] / 257.0))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_0_is_white_is_read_as_its_8_bit_form(tmp_path, order):
    paths, pixels = {}, values(1) // 257 * 257
    for name, kept in (("deep", pixels), ("bytes", (pixels // 257).astype(np.uint8))):
        paths[name] = tmp_path / f"{name}.tif"
        paths[name].write_bytes(tiff(kept, 0, order))
    found = {name: image_file.read(path, n_channels=1) for name, path in paths.items()}
    np.testing.assert_array_equal(found["deep"], found["bytes"])
    np.testing.assert_array_equal(found["deep"][..., 0], 255 - pixels // 257)
    # of 12 bits in 16, the largest is black
    paths["deep"].write_bytes(tiff(np.array([[0, 4095]], np.uint16), 0, order))
    found = image_file.read(paths["deep"], n_channels=1, deep_range=4095)
    assert found.ravel().tolist() == [255, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(values(1).astype(np.int8), 1, signed=True), "8 bits are signed"),
        (tiff(values(3), 2, planes=True), r"16 bits are laid out in an uncommon way \(R\)"),
        (tiff(values(4), 5), r"16 bits are laid out in an uncommon way \(CMYK\)"),
        (tiff(values(4), 2, extra=(1,)), r"16 bits are laid out in an uncommon way \(RGBa\)"),
    ],
)
def test_what_pillow_misreads_is_refused(tmp_path, content, message):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"a.tif: its .*{message}; save it as PNG of 8 or 16"):
        image_file.read_header(tmp_path / "a.tif")


@pytest.fixture
def folder(tmp_path):
    """A folder of grey PNGs of 16 bits."""
    for name, first in (("healthy", 0), ("ill", 5)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for k in range(first, first + 5):
            deep = values(1) + np.uint16(1 + k)
            (tmp_path / "x" / name / f"{k}.png").write_bytes(png(deep, GREY))
    return tmp_path / "x"


@pytest.mark.parametrize(
    ("content", "new"),
    [(png(values(1), GREY), False), (tiff(values(1), 1), False), (tiff(values(1), 0), True),
     (png(values(2), GREY_ALPHA), True), (png(values(3), RGB), True), (tiff(values(3), 2), True)],
)  # fmt: skip
def test_only_folders_with_pixels_that_are_read_differently_have_a_new_hash(
    folder, monkeypatch, content, new
):
    (folder / "ill" / "a.tif").write_bytes(content)
    before = describe_dataset(folder).content_hash
    monkeypatch.setattr(image_file, "DEEP_VERSION", "as it was")
    (folder / "ill" / "a.tif").rename(folder / "ill" / "b.tif")  # so that it is listed again
    assert (describe_dataset(folder).content_hash != before) == new


def test_what_was_done_is_noted(folder):
    (folder / "ill" / "alpha.png").write_bytes(png(values(2), GREY_ALPHA))
    (folder / "ill" / "white.tif").write_bytes(tiff(values(1), 0))
    source = load_dataset(folder)
    assert source.n_channels == 1
    notes = "; ".join(source.notes)
    assert "12 of 12 images have 16 bits: 0 to 65535 becomes 0 to 255" in notes
    assert "1 of 12 images have transparency: it is dropped" in notes
    assert "1 of 12 images have 0 as white (TIFF, 16 bits): inverted" in notes
