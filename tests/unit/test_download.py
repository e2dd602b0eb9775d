"""Pinned downloads from a folder and over HTTP, and the ways in which they can go wrong."""

import functools
import hashlib
import http.server
import threading

import pytest

from pepr_utils.errors import DataUnavailableError, UnknownNameError
from pepr_utils.results import download

CONTENT = b"model,energy\nresnet18d,0.017\n" * 200


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A registry with one file, an empty cache, no mirror, and no way to the network."""
    group = download.Download(
        title="toy",
        repository="someone/toy",
        commit="0123456789abcdef",
        base_url="http://127.0.0.1:9/",
        license="MIT",
        sha256={"toy.csv": hashlib.sha256(CONTENT).hexdigest()},
        what={"toy.csv": "a toy"},
    )
    monkeypatch.setattr(download, "registry", lambda: {"published": group})
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PEPR_DATA_MIRROR", raising=False)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "toy.csv").write_bytes(CONTENT)
    return mirror


@pytest.fixture
def serve():
    """Serve a folder on a local port; yields a function folder -> URL."""
    servers = []

    def start(folder):
        handler = functools.partial(_Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def _cached_files():
    folder = download.cache_folder()
    return sorted(p.name for p in folder.rglob("*")) if folder.exists() else []


def test_from_a_mirror_folder(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned))
    path = download.fetch("toy.csv")
    assert path.read_bytes() == CONTENT
    assert _cached_files() == ["toy.csv"]


def test_from_a_mirror_folder_given_as_a_file_address(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", pinned.as_uri())
    assert download.fetch("toy.csv").read_bytes() == CONTENT


def test_a_mirror_that_is_no_address(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", "http://[bad")
    with pytest.raises(DataUnavailableError, match=r"http://\[bad: not an address"):
        download.fetch("toy.csv")


def test_from_a_mirror_url_with_and_without_slash(pinned, monkeypatch, serve):
    for tail in ("", "/"):
        monkeypatch.setenv("PEPR_DATA_MIRROR", serve(pinned) + tail)
        path = download.fetch("toy.csv", progress=True)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_a_cached_file_needs_neither_mirror_nor_network(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned))
    path = download.fetch("toy.csv")
    monkeypatch.setenv("PEPR_DATA_MIRROR", "/nowhere")
    assert download.fetch("toy.csv") == path


def test_upstream_is_tried_after_the_mirror(pinned, monkeypatch, serve):
    group = download.registry()["published"]
    elsewhere = download.Download(**{**vars(group), "base_url": serve(pinned) + "/"})
    monkeypatch.setattr(download, "registry", lambda: {"published": elsewhere})
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned / "missing"))
    assert download.fetch("toy.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:100], CONTENT + b"x", b""])
def test_truncated_or_changed_content_never_enters_the_cache(pinned, monkeypatch, content, serve):
    (pinned / "toy.csv").write_bytes(content)
    for mirror in (str(pinned), serve(pinned)):
        monkeypatch.setenv("PEPR_DATA_MIRROR", mirror)
        with pytest.raises(DataUnavailableError, match="wrong SHA-256") as caught:
            download.fetch("toy.csv")
        assert mirror in str(caught.value)
        assert _cached_files() == []


def test_a_corrupt_cache_is_replaced(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned))
    download.fetch("toy.csv").write_bytes(b"rotten")
    assert not download.is_cached("toy.csv")
    assert download.fetch("toy.csv").read_bytes() == CONTENT


def test_no_network_is_one_line_with_file_address_and_remedy(pinned):
    with pytest.raises(DataUnavailableError) as caught:
        download.fetch("toy.csv")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("toy.csv", "http://127.0.0.1:9/", "PEPR_DATA_MIRROR"):
        assert part in message
    assert _cached_files() == []


def test_every_failed_source_is_named(pinned, monkeypatch, serve):
    url = serve(pinned) + "/nothing-here"
    monkeypatch.setenv("PEPR_DATA_MIRROR", url)
    with pytest.raises(DataUnavailableError, match=r"HTTP status 404.*127\.0\.0\.1:9"):
        download.fetch("toy.csv")


def test_a_cache_that_cannot_be_made(pinned, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned))
    with pytest.raises(DataUnavailableError, match="PEPR_DATA_CACHE"):
        download.fetch("toy.csv")


def test_unknown_names(pinned):
    with pytest.raises(UnknownNameError, match=r"did you mean 'toy\.csv'"):
        download.fetch("toys.csv")
    with pytest.raises(UnknownNameError, match="unknown download"):
        download.fetch("toy.csv", group="other")


def test_the_real_registry_is_pinned_to_a_commit():
    for group in download.registry().values():
        assert len(group.commit) == 40
        assert group.commit in group.base_url
        assert all(len(digest) == 64 for digest in group.sha256.values())
