"""Pinned downloads from a folder and over HTTP, and the ways in which they can go wrong."""

import functools
import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from pepr_utils.errors import DataUnavailableError, UnknownNameError
from pepr_utils.results import download
from pepr_utils.results.release import RENAMED

CONTENT = b"model,energy\nresnet18d,0.017\n" * 200


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A release of one file, no mirror, and no way to the network."""
    group = download.Release(
        title="toy",
        repository="someone/toy",
        commit="0123456789abcdef",
        base_url="http://127.0.0.1:9/",
        license="MIT",
        sha256={"toy.csv": hashlib.sha256(CONTENT).hexdigest()},
        what={"toy.csv": "a toy"},
    )
    monkeypatch.setattr(download, "release", lambda: group)
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


def test_from_a_mirror_folder(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned))
    assert download.fetch("toy.csv") == CONTENT


def test_from_a_mirror_folder_given_as_a_file_address(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", pinned.as_uri())
    assert download.fetch("toy.csv") == CONTENT


def test_a_mirror_that_is_no_address(pinned, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", "http://[bad")
    with pytest.raises(DataUnavailableError, match=r"http://\[bad/toy.csv: not an address"):
        download.fetch("toy.csv")


def test_from_a_mirror_url_with_and_without_slash(pinned, monkeypatch, serve):
    for tail in ("", "/"):
        monkeypatch.setenv("PEPR_DATA_MIRROR", serve(pinned) + tail)
        assert download.fetch("toy.csv", progress=True) == CONTENT


def test_upstream_is_tried_after_the_mirror(pinned, monkeypatch, serve):
    elsewhere = replace(download.release(), base_url=serve(pinned) + "/")
    monkeypatch.setattr(download, "release", lambda: elsewhere)
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(pinned / "missing"))
    assert download.fetch("toy.csv") == CONTENT


def test_no_network_is_one_line_with_file_address_and_remedy(pinned):
    with pytest.raises(DataUnavailableError) as caught:
        download.fetch("toy.csv")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("toy.csv", "http://127.0.0.1:9/", "PEPR_DATA_MIRROR"):
        assert part in message


def test_every_failed_source_is_named(pinned, monkeypatch, serve):
    url = serve(pinned) + "/nothing-here"
    monkeypatch.setenv("PEPR_DATA_MIRROR", url)
    with pytest.raises(DataUnavailableError, match=r"HTTP status 404.*127\.0\.0\.1:9"):
        download.fetch("toy.csv")


def test_a_cache_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailableError, match="PEPR_DATA_CACHE"):
        download.made(tmp_path / "file" / "cache")


def test_unknown_names(pinned):
    with pytest.raises(UnknownNameError, match=r"did you mean 'toy\.csv'"):
        download.fetch("toys.csv")


def test_the_real_registry_is_pinned_to_a_commit():
    pinned = download.release()
    assert len(pinned.commit) == 40
    assert pinned.commit in pinned.base_url
    assert set(pinned.sha256) == set(RENAMED)
    assert all(len(digest) == 64 for digest in pinned.sha256.values())
