"""The authors' files at their pinned commit, from a mirror or from GitHub; and the user's cache."""

from __future__ import annotations

import os
import tempfile
import tomllib
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

import platformdirs

from pepr_utils.errors import DataUnavailableError, unknown_name
from pepr_utils.paths import data_file

MIRROR_VARIABLE = "PEPR_DATA_MIRROR"
CACHE_VARIABLE = "PEPR_DATA_CACHE"
TIMEOUT_S = 30


@dataclass(frozen=True)
class Release:
    """The pinned files of ``data/registry.toml``."""

    title: str
    repository: str
    commit: str
    base_url: str
    license: str
    sha256: dict[str, str]
    what: dict[str, str]


@cache
def release() -> Release:
    """Return what is pinned of the authors' release, from ``data/registry.toml``.

    Examples
    --------
    >>> release().license
    'MIT'
    """
    pinned = tomllib.loads(data_file("registry.toml").read_text("utf-8"))["published"]
    files = pinned.pop("files")
    return Release(
        **pinned,
        sha256={file: entry["sha256"] for file, entry in files.items()},
        what={file: entry["what"] for file, entry in files.items()},
    )


def cache_root() -> Path:
    """Folder that keeps all that is derived or downloaded: ``PEPR_DATA_CACHE``, or the user's."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("pepr")).expanduser()


def made(folder: Path) -> Path:
    """Make a folder of the cache, where it is missing, and return it.

    Raises
    ------
    DataUnavailableError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataUnavailableError(
            f"the cache folder {folder} cannot be made ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from None
    return folder


def fetch(file: str, *, progress: bool = False) -> bytes:
    """Return the content of one of the authors' files.

    The folder or URL in ``PEPR_DATA_MIRROR`` is tried first, then the pinned upstream address.
    Whether the content has the pinned SHA-256 is for the caller to check.

    Parameters
    ----------
    file : str
        Name in the registry, such as ``"all_results.csv"``.
    progress : bool, default False
        Show a progress bar on stderr.

    Raises
    ------
    UnknownNameError
        If the file is not in the registry.
    DataUnavailableError
        If no source has the file; the message is one line with the file, each address tried with
        what went wrong, and what to set.

    Examples
    --------
    >>> fetch("all_results.csv")[:7]  # doctest: +SKIP
    b'"model"'
    """
    pinned = release()
    if file not in pinned.sha256:
        raise unknown_name("file", file, pinned.sha256)
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    failures = []
    for source in [mirror, pinned.base_url] if mirror else [pinned.base_url]:
        try:
            return _read(file, source, progress)
        except _SourceError as error:
            failures.append(f"{source}: {error}")
    raise DataUnavailableError(
        f"{file} could not be downloaded ({'; '.join(failures)}); "
        f"set {MIRROR_VARIABLE} to a folder or URL that holds it, or connect and try again"
    )


class _SourceError(Exception):
    """Why one source did not give the file, in a few words."""


def _read(file: str, source: str, progress: bool) -> bytes:
    try:
        parts = urlsplit(source)
        if parts.scheme.lower() in ("http", "https"):
            return _download(f"{source.rstrip('/')}/{file}", progress)
        folder = Path(url2pathname(parts.path) if parts.scheme == "file" else source).expanduser()
        if not (folder / file).is_file():
            raise _SourceError("no such file" if folder.is_dir() else "no such folder")
        return (folder / file).read_bytes()
    except ValueError as error:
        raise _SourceError(f"not an address ({error})") from None
    except OSError as error:
        raise _SourceError(error.strerror or str(error)) from None


def _download(url: str, progress: bool) -> bytes:
    import requests

    pooch = _pooch()
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_S)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = pooch.retrieve(url, None, fname="file", path=folder, downloader=downloader)
        except requests.exceptions.HTTPError as error:
            raise _SourceError(f"HTTP status {error.response.status_code}") from None
        except requests.exceptions.Timeout:
            raise _SourceError(f"no answer within {TIMEOUT_S} s") from None
        except requests.exceptions.RequestException as error:
            raise _SourceError(f"connection failed ({type(error).__name__})") from None
        return Path(path).read_bytes()


def _pooch() -> ModuleType:
    """Import pooch quietly: its progress bar warns in a notebook without widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch
    pooch.get_logger().setLevel("ERROR")
    return pooch
