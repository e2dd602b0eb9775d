"""Pinned downloads: mirror first, then upstream, by SHA-256; nothing half-written is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
import warnings
from collections.abc import Callable
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
class Download:
    """One group of pinned files in ``data/registry.toml``."""

    title: str
    repository: str
    commit: str
    base_url: str
    license: str
    sha256: dict[str, str]
    what: dict[str, str]


@cache
def registry() -> dict[str, Download]:
    """Return the pinned downloads by name, from ``data/registry.toml``.

    Examples
    --------
    >>> registry()["published"].license
    'MIT'
    """
    groups = tomllib.loads(data_file("registry.toml").read_text("utf-8"))
    return {name: _download(group) for name, group in groups.items()}


def _download(group: dict) -> Download:
    files = group.pop("files")
    return Download(
        **group,
        sha256={file: entry["sha256"] for file, entry in files.items()},
        what={file: entry["what"] for file, entry in files.items()},
    )


def cache_root() -> Path:
    """Folder that keeps all that is derived or downloaded: ``PEPR_DATA_CACHE``, or the user's."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("pepr")).expanduser()


def cache_folder(group: str = "published") -> Path:
    """Folder that keeps a group's files, under the root of the cache."""
    return cache_root() / f"{group}-{registry()[group].commit[:12]}"


def is_cached(file: str, *, group: str = "published") -> bool:
    """Tell whether an intact copy of `file` is in the cache; nothing is downloaded."""
    path = cache_folder(group) / file
    if not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == registry()[group].sha256[file]


def fetch(file: str, *, group: str = "published", progress: bool = False) -> Path:
    """Return the local path of a pinned file, downloading it on first use.

    The cache is looked at first, then the folder or URL in ``PEPR_DATA_MIRROR``, then the pinned
    upstream address. A file enters the cache only after its SHA-256 is right.

    Parameters
    ----------
    file : str
        Name in the registry, such as ``"all_results.csv"``.
    group : str, default "published"
        Group in ``data/registry.toml``.
    progress : bool, default False
        Show a progress bar on stderr.

    Raises
    ------
    UnknownNameError
        If the group or file is not in the registry.
    DataUnavailableError
        If no source gave the file with the right hash; the message is one line with the file,
        each address tried with what went wrong, and what to set.

    Examples
    --------
    >>> fetch("all_results.csv").name  # doctest: +SKIP
    'all_results.csv'
    """
    if group not in registry():
        raise unknown_name("download", group, registry())
    pinned = registry()[group]
    if file not in pinned.sha256:
        raise unknown_name("file", file, pinned.sha256)
    path = cache_folder(group) / file
    if is_cached(file, group=group):
        return path
    failures = []
    for source in _sources(pinned):
        try:
            return _retrieve(file, source, pinned.sha256[file], path.parent, progress)
        except _SourceError as error:
            failures.append(f"{source}: {error}")
    raise DataUnavailableError(
        f"{file} could not be had ({'; '.join(failures)}); "
        f"set {MIRROR_VARIABLE} to a folder or URL that holds it, or connect and try again"
    )


class _SourceError(Exception):
    """Why one source did not give the file, in a few words."""


def _sources(pinned: Download) -> list[str]:
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    return ([mirror] if mirror else []) + [pinned.base_url]


def _address(file: str, source: str, progress: bool) -> tuple[str, Callable[..., None]]:
    """Return where a source has the file, and what gets it from there."""
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise _SourceError(f"not an address ({error})") from None
    if parts.scheme.lower() in ("http", "https"):
        downloader = _pooch().HTTPDownloader(progressbar=progress, timeout=TIMEOUT_S)
        return f"{source.rstrip('/')}/{file}", downloader
    folder = Path(url2pathname(parts.path) if parts.scheme == "file" else source).expanduser()
    if not (folder / file).is_file():
        raise _SourceError("no such file" if folder.is_dir() else "no such folder")
    return str(folder / file), _copy


def _retrieve(file: str, source: str, sha256: str, folder: Path, progress: bool) -> Path:
    import requests

    pooch = _pooch()
    url, downloader = _address(file, source, progress)
    made(folder)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=file, path=folder, downloader=downloader)
    except requests.exceptions.HTTPError as error:
        raise _SourceError(f"HTTP status {error.response.status_code}") from None
    except requests.exceptions.Timeout:
        raise _SourceError(f"no answer within {TIMEOUT_S} s") from None
    except requests.exceptions.RequestException as error:
        raise _SourceError(f"connection failed ({type(error).__name__})") from None
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise _SourceError(str(error).splitlines()[0]) from None
        raise _SourceError(f"wrong SHA-256, truncated or changed; expected {sha256}") from None
    except OSError as error:
        raise _SourceError(f"{error.strerror or error} ({error.filename or folder})") from None
    return folder / file


def _pooch() -> ModuleType:
    """Import pooch quietly: its progress bar warns in a notebook without widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch
    pooch.get_logger().setLevel("ERROR")
    return pooch


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


def _copy(url: str, output_file: str, _pooch: object) -> None:
    shutil.copyfile(url, output_file)
