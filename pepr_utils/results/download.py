"""The authors' files at their pinned commit, from a mirror or from GitHub; and the user's cache."""

from __future__ import annotations

import os
import shutil
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
from pepr_utils.paths import read_shipped

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
    """Return the pinned files of the authors' release, from ``data/registry.toml``.

    Examples
    --------
    >>> release().license
    'MIT'
    """
    pinned = read_shipped("registry.toml", lambda path: tomllib.loads(path.read_text("utf-8")))[
        "published"
    ]
    files = pinned.pop("files")
    return Release(
        **pinned,
        sha256={file: entry["sha256"] for file, entry in files.items()},
        what={file: entry["what"] for file, entry in files.items()},
    )


def cache_root() -> Path:
    """Folder for all derived and downloaded files: ``PEPR_DATA_CACHE``, or the user's."""
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
        If no source has the file; see `retrieve`.

    Examples
    --------
    >>> fetch("all_results.csv")[:7]  # doctest: +SKIP
    b'"model"'
    """
    pinned = release()
    if file not in pinned.sha256:
        raise unknown_name("file", file, pinned.sha256)
    with tempfile.TemporaryDirectory() as folder:
        url = f"{pinned.base_url.rstrip('/')}/{file}"
        return retrieve(url, Path(folder) / file, progress=progress).read_bytes()


def retrieve(
    url: str,
    target: Path,
    *,
    md5: str | None = None,
    retries: int = 0,
    progress: bool = False,
    also: str = "",
) -> Path:
    """Download a file, from the folder or URL in ``PEPR_DATA_MIRROR`` first, then from `url`.

    Parameters
    ----------
    url : str
        Its address.
    target : pathlib.Path
        Where it goes, under the name that it has in a mirror; on an error nothing is left there.
    md5 : str, optional
        The MD5 sum that it has to have, in hexadecimal digits.
    retries : int, default 0
        How often a failed download is tried again.
    progress : bool, default False
        Show a progress bar on stderr.
    also : str, optional
        A further remedy for the error message.

    Raises
    ------
    DataUnavailableError
        If no source has the file; the message is one line with each address tried, what went
        wrong, and what to set.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    failures = []
    for source in [f"{mirror.rstrip('/')}/{target.name}", url] if mirror else [url]:
        try:
            _retrieve_from(source, target, md5, retries, progress)
            return target
        except _SourceError as error:
            failures.append(f"{source}: {error}")
    raise DataUnavailableError(
        f"{target.name} could not be downloaded ({'; '.join(failures)}); "
        f"set {MIRROR_VARIABLE} to a folder or URL that holds it, {also}or connect and try again"
    )


class _SourceError(Exception):
    """Why one source did not provide the file."""


def _retrieve_from(
    source: str, target: Path, md5: str | None, retries: int, progress: bool
) -> None:
    import requests

    pooch = _pooch()
    try:
        is_web = urlsplit(source).scheme.lower() in ("http", "https")
    except ValueError as error:
        raise _SourceError(f"not an address ({error})") from None
    download = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_S) if is_web else _copy
    file = pooch.create(
        target.parent,
        base_url="",
        registry={target.name: f"md5:{md5}" if md5 else None},
        urls={target.name: source},
        retry_if_failed=retries if is_web else 0,
    )
    try:
        file.fetch(target.name, downloader=download)
    except requests.exceptions.HTTPError as error:
        raise _SourceError(
            f"HTTP status {getattr(error.response, 'status_code', 'unknown')}"
        ) from None
    except requests.exceptions.Timeout:
        raise _SourceError(f"no answer within {TIMEOUT_S} s") from None
    except requests.exceptions.RequestException as error:
        raise _SourceError(f"connection failed ({type(error).__name__})") from None
    except ValueError:  # of pooch, which has deleted the file
        raise _SourceError(f"wrong MD5, truncated or changed; expected {md5}") from None
    except OSError as error:
        raise _SourceError(error.strerror or str(error)) from None


def _copy(source: str, to: str, _pooch: object) -> None:
    parts = urlsplit(source)
    path = url2pathname(parts.path) if parts.scheme == "file" else source
    shutil.copyfile(Path(path).expanduser(), to)


def _pooch() -> ModuleType:
    """Import pooch quietly: its progress bar warns in a notebook without widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch
    pooch.get_logger().setLevel("ERROR")
    return pooch
