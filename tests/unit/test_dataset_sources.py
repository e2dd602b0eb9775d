"""MedMNIST by its index, downloads, LIDC from its archive, phantom, shares."""

import hashlib
import http.server
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.datasets import cache as cache_module
from pepr_utils.measurement.datasets import (
    describe_dataset,
    lidc,
    load_dataset,
    medmnist_sets,
    obtain_dataset,
    phantom,
)
from pepr_utils.measurement.datasets.cache import downloaded
from pepr_utils.measurement.datasets.prepare import prepare, resize, subset
from pepr_utils.measurement.datasets.report import report
from pepr_utils.measurement.datasets.source import DatasetError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PEPR_DATA_CACHE", str(folder))
    monkeypatch.delenv("PEPR_DATA_MIRROR", raising=False)
    return folder


class _Server(http.server.ThreadingHTTPServer):
    content = bytes(range(256)) * 20_000
    asked = 0
    cut = None  # bytes after which the first answer breaks off


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        body = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        cut, self.server.cut = self.server.cut, None
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _fetch(server, folder, md5=None):
    right = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    url = f"http://127.0.0.1:{server.server_port}/x"
    return downloaded(url, folder / "x.npz", md5 or right)


def test_a_download_that_breaks_off_is_tried_again_and_is_done_once(server, tmp_path):
    server.cut = 3_000_000
    assert _fetch(server, tmp_path).read_bytes() == server.content
    assert server.asked == 2
    assert _fetch(server, tmp_path).is_file()
    assert server.asked == 2


def test_a_wrong_sum_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_RETRIES", 0)  # each with a pause
    with pytest.raises(DataUnavailableError, match="wrong MD5"):
        _fetch(server, tmp_path, md5="0" * 32)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []


def _npz(path, n_classes):
    rng = np.random.default_rng(1)
    content = {}
    for split in ("train", "val", "test"):
        content[f"{split}_images"] = rng.integers(0, 256, (21, 28, 28, 3), dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(21) % n_classes)[:, None].astype(np.uint8)
    np.savez(path, **content)
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_a_medmnist_set_comes_from_a_mirror_once(tmp_path, monkeypatch):
    md5 = _npz(tmp_path / "dermamnist_64.npz", 7)
    entry = medmnist_sets.index()["dermamnist"] | {
        "MD5_64": md5,
        "n_samples": {"train": 21, "val": 21, "test": 21},
    }
    monkeypatch.setitem(medmnist_sets.index(), "dermamnist", entry)
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(tmp_path))
    source = load_dataset("dermamnist_64")
    assert source.name == "dermamnist_64"
    assert source.content_hash == f"md5-{md5}"
    assert "melanoma" in source.class_names
    assert source.licence == "CC BY-NC 4.0"
    (tmp_path / "dermamnist_64.npz").unlink()
    assert load_dataset("dermamnist_64").sizes()["train"] == 21
    monkeypatch.setitem(entry, "n_samples", {"train": 7007, "val": 1003, "test": 2005})
    with pytest.raises(DatasetError, match=r"are \{'train': 21, .*index says \{'train': 7007"):
        load_dataset("dermamnist_64")


def test_a_file_put_by_hand_has_to_be_the_published_one(cache):
    (cache / "medmnist").mkdir()
    path = cache / "medmnist" / "dermamnist_64.npz"
    _npz(path, 7)
    with pytest.raises(DataUnavailableError, match=r"is not the published file: its MD5 is"):
        load_dataset("dermamnist_64")
    assert path.is_file()


def test_the_md5_of_a_file_is_computed_once_per_change(server, tmp_path, monkeypatch):
    (tmp_path / "x.npz").write_bytes(server.content)
    _fetch(server, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(cache_module, "_md5", lambda _path: pytest.fail("computed again"))
        _fetch(server, tmp_path)
    (tmp_path / "x.npz").write_bytes(server.content[:-1])
    with pytest.raises(DataUnavailableError, match="remove it, and it is downloaded again"):
        _fetch(server, tmp_path)
    assert server.asked == 0


def test_the_papers_sets_have_the_papers_sizes():
    index = medmnist_sets.index()
    assert index["dermamnist"]["n_samples"] == {"train": 7007, "val": 1003, "test": 2005}
    assert index["pneumoniamnist"]["n_samples"] == {"train": 4708, "val": 524, "test": 624}
    assert len(index) == 12
    for flag in index:  # nothing is downloaded for it
        for size in medmnist_sets.SIZES:
            assert medmnist_sets.describe(f"{flag}_{size}").content_hash.startswith("md5-")
    assert medmnist_sets.describe("dermamnist_224", "derma").name == "derma"


def _lidc(path, n, split=False, votes=None, high=255):
    import torch

    rng = torch.Generator().manual_seed(0)
    patches = torch.randint(0, high + 1, (n, 1, 32, 32), generator=rng, dtype=torch.uint8)
    votes = torch.randint(0, 2, (n, 4), generator=rng) if votes is None else votes
    parts = {"Train": slice(0, n // 2), "Valid": slice(n // 2, n - 2), "Test": slice(n - 2, n)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items() if split else [("lidc", slice(None))]:
            file = path.with_name(f"{name}.pt")
            torch.save((patches[part], votes[part].float()), file)
            archive.write(file, f"data/{name}.pt")
    return patches, votes


@pytest.mark.parametrize("split", [False, True])
def test_lidc_is_split_by_index_and_positive_from_three_votes(tmp_path, monkeypatch, split):
    monkeypatch.setattr(lidc, "N_PATCHES", 151)
    patches, votes = _lidc(tmp_path / "lidc.zip", 151, split)
    source = load_dataset(str(tmp_path / "lidc.zip"))
    assert source.sizes() == {"train": 90, "val": 30, "test": 31}
    joined = np.concatenate([source.labels[s] for s in ("train", "val", "test")])
    assert joined.tolist() == (votes.sum(1) >= 3).long().tolist()
    np.testing.assert_array_equal(source.images["train"][0][..., 0], patches[0, 0])


def test_lidc_is_downloaded_on_first_use_and_only_then(tmp_path, monkeypatch):
    monkeypatch.setattr(lidc, "N_PATCHES", 50)
    monkeypatch.delenv("PEPR_DATA_MIRROR", raising=False)
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lidc, "URL", (tmp_path / "lidc.zip").as_uri())
    with pytest.raises(
        DataUnavailableError, match=r"not be downloaded .*: No such file .* put it into"
    ):
        load_dataset("lidc")
    (tmp_path / "lidc.zip").write_text("<html>log in</html>")
    with pytest.raises(DataUnavailableError, match="gave is no archive"):
        load_dataset("lidc")
    with pytest.raises(DataUnavailableError, match="--data lidc` downloads it"):
        describe_dataset("lidc")  # which downloads nothing
    _lidc(tmp_path / "lidc.zip", 50)
    obtain_dataset("phantom")
    obtain_dataset("lidc")
    assert load_dataset("lidc").content_hash == describe_dataset("lidc").content_hash
    (tmp_path / "lidc.zip").unlink()
    assert load_dataset("lidc").sizes() == {"train": 30, "val": 10, "test": 10}


def test_a_wrong_lidc_archive_is_refused(tmp_path):
    import torch

    path = tmp_path / "lidc.zip"
    _lidc(path, 40)
    with pytest.raises(DatasetError, match="40 patches; the paper's data have 15,096"):
        load_dataset(str(path))
    _lidc(path, 41, votes=torch.full((41, 4), 5))
    with pytest.raises(DatasetError, match="expected 41 x 4, 0 or 1"):
        load_dataset(str(path))
    _lidc(path, 42, high=1)
    with pytest.raises(DatasetError, match="expected 0 to 255"):
        load_dataset(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil.pt", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DatasetError, match="cannot be read as tensors alone"):
        load_dataset(str(path))


def test_phantom_is_the_same_every_time_and_its_classes_differ():
    source = phantom.load()
    phantom.load.cache_clear()
    again = phantom.load()
    assert source.sizes() == {s: sum(c) for s, c in phantom.COUNTS.items()}
    for split in source.images:
        np.testing.assert_array_equal(source.images[split], again.images[split])
    train, labels = np.asarray(source.images["train"])[..., 0], source.labels["train"]
    brightest = np.array([np.percentile(image, 99) for image in train])
    means = [brightest[labels == c].mean() for c in range(3)]
    assert means[0] + 20 < min(means[1:])
    found = report(prepare(source, 32))
    assert found.majority_accuracy == pytest.approx(46 / 96)
    assert set(found.duplicates.values()) == {0}


def test_duplicates_across_splits_are_counted():
    source = phantom.load()
    images = {s: np.array(source.images[s]) for s in source.images}
    images["test"][:3] = images["train"][5:8]
    images["val"][0] = images["train"][9]
    changed = type(source)(**{**vars(source), "images": images})
    found = report(prepare(changed, 64))
    assert found.duplicates == {"val in train": 1, "test in train": 3, "test in val": 0}
    assert "warning: 3 of 96 test images are copies of train images" in found.lines()


labels_and_seeds = (
    st.lists(st.integers(0, 3), min_size=8, max_size=300), st.integers(0, 2**31 - 1),
    st.floats(0.01, 1), st.floats(0.01, 1), st.booleans(),
)  # fmt: skip


@given(*labels_and_seeds)
def test_shares_are_nested_and_seeded(labels, seed, one, two, stratified):
    labels = np.array(labels)
    small, large = (subset(labels, f, seed=seed, stratified=stratified) for f in sorted((one, two)))
    assert set(small) <= set(large)
    assert len(set(large)) == len(large)
    again = subset(labels, max(one, two), seed=seed, stratified=stratified)
    np.testing.assert_array_equal(large, again)


def test_a_stratified_share_keeps_the_balance_and_every_class():
    labels = np.repeat([0, 1, 2], [700, 290, 10])
    chosen = subset(labels, 0.1, seed=3, stratified=True)
    assert np.bincount(labels[chosen]).tolist() == [70, 29, 1]
    assert np.bincount(labels[subset(labels, 0.01, seed=3, stratified=True)]).tolist() == [7, 3, 1]
    assert len(subset(np.zeros(7007), 0.1, seed=1, stratified=False)) == 700
    other = subset(labels, 0.1, seed=4, stratified=True)
    assert set(chosen) != set(other)


def test_a_share_that_leaves_a_class_almost_empty_is_warned_of():
    from pepr_utils.measurement import Run
    from pepr_utils.measurement.datasets.report import share_lines

    images = prepare(phantom.load(), 32)  # 77, 48 and 35 training images
    run = Run("test_resnet", "phantom", "demo", pretrained=False, train_fraction=0.04)
    assert share_lines(images, run) == [
        "the share 0.04 is 6 of 160 training images; by class, in the order above: 3, 2, 1",
        "warning: the share 0.04 leaves 1 of 3 classes with at most one training image",
    ]
    assert share_lines(images, Run("test_resnet", "phantom", "demo", train_fraction=0.1)) == [
        "the share 0.1 is 17 of 160 training images; by class, in the order above: 8, 5, 4"
    ]
    assert share_lines(images, Run("test_resnet", "phantom", "demo")) == []


def test_large_sets_are_resized_on_disk_once(monkeypatch, cache):
    from pepr_utils.measurement.datasets import prepare as module

    monkeypatch.setattr(module, "_IN_MEMORY", 5_000)
    first = prepare(phantom.load(), 16).pixels
    assert isinstance(first["train"], np.memmap)
    assert len(list(cache.rglob("train-16-*.npy"))) == 1
    assert list(cache.rglob("*.tmp")) == []
    monkeypatch.setattr(module, "_write", pytest.fail)
    np.testing.assert_array_equal(prepare(phantom.load(), 16).pixels["test"], first["test"])


def test_resizing_keeps_a_flat_image_flat():
    flat = np.full((40, 60, 3), 77, np.uint8)
    assert (resize(flat, 32) == 77).all()
    assert resize(flat, 32).shape == (32, 32, 3)
