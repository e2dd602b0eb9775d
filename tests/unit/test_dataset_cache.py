"""Archives that cannot be read, a cache that is full or read-only: each is one plain error."""

import errno
import io
import resource
import zipfile

import numpy as np
import pytest

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.datasets import cache as cache_module
from pepr_utils.measurement.datasets import describe_dataset, load_dataset, phantom
from pepr_utils.measurement.datasets import prepare as prepare_module
from pepr_utils.measurement.datasets.prepare import prepare
from pepr_utils.measurement.datasets.source import DatasetError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PEPR_DATA_CACHE", str(folder))
    monkeypatch.delenv("PEPR_DATA_MIRROR", raising=False)
    return folder


def archive(path, method=zipfile.ZIP_STORED):
    """A file in MedMNIST's layout; return where in it the content of the first array begins."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", method) as file:
        for split in ("train", "val", "test"):
            images = rng.integers(0, 256, (12, 28, 28), dtype=np.uint8)
            for part, array in (("images", images), ("labels", np.arange(12) % 2)):
                content = io.BytesIO()
                np.save(content, array)
                file.writestr(f"{split}_{part}.npy", content.getvalue())
    return 30 + len("train_images.npy")


def changed(path, **fields):
    """Change 16-bit fields of the first member, where they stand twice: local and central."""
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    for name, value in fields.items():
        local, listed = {"flags": (6, 8), "method": (8, 10)}[name]
        for at in (local, central + listed):
            content[at : at + 2] = value.to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"flags": 1}, "is encrypted, .*without a password"),
     ({"method": 99}, "compression method is not sup.* deflate")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["clinic.npz", "lidc.zip"])
def test_an_archive_that_cannot_be_unpacked_is_named_with_the_fix(tmp_path, name, fields, message):
    path = tmp_path / name
    if name == "lidc.zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("Train.pt", bytes(99))
    else:
        archive(path)
    changed(path, **fields)
    with pytest.raises(DatasetError, match=rf"{name}: .*{message}"):
        load_dataset(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("where", ["its header", "its pixels"])
def test_damage_in_any_compression_is_an_error(tmp_path, method, where):
    start = archive(tmp_path / "bad.npz", method)
    load_dataset(tmp_path / "bad.npz")
    content = bytearray((tmp_path / "bad.npz").read_bytes())
    at = start + (20 if where == "its header" else 7000)
    content[at : at + 40] = bytes(b ^ 255 for b in content[at : at + 40])
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"bad.npz: .*download it again"):
        load_dataset(tmp_path / "bad.npz")


@pytest.fixture
def small_files_only():
    """Let the system refuse files above 20 kB, as it refuses blocks on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_map(*_args, **_kwargs):
    pytest.fail("a map of a file is written, which ends the process where the disk is full")


@pytest.mark.usefixtures("small_files_only")
def test_resizing_on_a_full_disk_is_an_error_and_leaves_nothing(monkeypatch, cache):
    monkeypatch.setattr(prepare_module, "_IN_MEMORY", 5_000)
    monkeypatch.setattr(np.lib.format, "open_memmap", no_map)
    message = r"images.phantom-3 cannot be written \(File too large\); make room, or set PEPR_DATA"
    with pytest.raises(DataUnavailableError, match=message):
        prepare(phantom.load(), 16)
    assert [p for p in cache.rglob("train-*") if not p.name.startswith(".")] == []
    assert list(cache.rglob("*.tmp")) == []


@pytest.mark.usefixtures("small_files_only")
def test_unpacking_on_a_full_disk_is_an_error(tmp_path, cache):
    path = tmp_path / "clinic.npz"
    images = np.zeros((30, 28, 28), np.uint8)
    labels = np.arange(30) % 2
    arrays = {f"{s}_images": images for s in ("train", "val", "test")}
    np.savez_compressed(path, **arrays, **{f"{s}_labels": labels for s in ("train", "val", "test")})
    message = r"the cache folder .*arrays.* cannot be written \(File too large\); make room"
    with pytest.raises(DataUnavailableError, match=message):
        load_dataset(path)
    assert list(cache.rglob("*.npy")) == []


def read_only(monkeypatch, cache):
    """No lock can be made in the cache; what is in it can be read."""

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system", "x.lock")

    monkeypatch.setattr(cache_module, "FileLock", refuse)
    for path in [cache, *cache.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)


@pytest.fixture(autouse=True)
def _writable_again(cache):
    yield
    for path in [cache, *(p for p in cache.rglob("*") if p.is_dir())]:
        path.chmod(0o700)


def test_a_complete_cache_is_read_without_a_lock(tmp_path, monkeypatch, cache):
    archive(tmp_path / "clinic.npz")
    monkeypatch.setattr(prepare_module, "_IN_MEMORY", 5_000)
    before = prepare(load_dataset(tmp_path / "clinic.npz"), 32).pixels
    read_only(monkeypatch, cache)
    after = prepare(load_dataset(tmp_path / "clinic.npz"), 32).pixels
    assert isinstance(after["train"], np.memmap)
    np.testing.assert_array_equal(after["train"], before["train"])


def test_a_cache_without_the_data_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, cache):
    path = tmp_path / "clinic.npz"
    archive(path)
    cache_module.cache_folder("arrays", describe_dataset(str(path)).content_hash)
    read_only(monkeypatch, cache)
    message = (
        r"the cache folder .*arrays.* cannot be written \(Read-only file system\); make room, or "
        "set PEPR_DATA_CACHE"
    )
    with pytest.raises(DataUnavailableError, match=message):
        load_dataset(tmp_path / "clinic.npz")
