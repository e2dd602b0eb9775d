"""A download of a large file that goes on where it broke off, and is checked before it counts."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.datasets.cache import exclusive
from pepr_utils.measurement.datasets.stamps import is_stamped, stamp
from pepr_utils.results.download import MIRROR_VARIABLE, TIMEOUT_S

_BLOCK = 2**20
_ATTEMPTS = 5


class _SourceError(Exception):
    """Why one source did not give the file, in a few words."""


def fetch(file: str, url: str, md5: str | None, *, folder: Path, progress: bool = False) -> Path:
    """Return the local path of a file, downloading it on first use.

    The folder is looked at first, then the folder or URL in ``PEPR_DATA_MIRROR``, then `url`. What
    has arrived is kept under the name ``FILE.part`` until the rest has. A file that was put into
    the folder by hand is checked as well; its sum is reckoned again only if the file has changed.

    Parameters
    ----------
    file : str
        Its name.
    url : str
        Where it comes from.
    md5 : str or None
        Its MD5 sum, in hexadecimal digits; None where none was published, and what is in the file
        has to be checked by the caller.
    folder : pathlib.Path
        Where it goes.
    progress : bool, default False
        Show a progress bar on stderr.

    Raises
    ------
    DataUnavailableError
        If no source gave the file with the right sum, the file that is there has another, or the
        folder cannot be written.
    """
    target = folder / file
    if md5 is not None and is_stamped(target, md5):
        return target
    with exclusive(target):
        if target.is_file():
            return _verified(target, md5)
        _fetch(target, url, md5, progress=progress)
        if md5 is not None:
            stamp(target, md5)
        return target


def _verified(target: Path, md5: str | None) -> Path:
    if md5 is not None and not is_stamped(target, md5):
        found = _md5(target)
        if found != md5:
            raise DataUnavailableError(
                f"{target} is not the published file: its MD5 is {found}, expected {md5}; remove "
                "it, and it is fetched anew"
            )
        stamp(target, md5)
    return target


def _fetch(target: Path, url: str, md5: str | None, *, progress: bool) -> None:
    file, folder = target.name, target.parent
    mirror, failures = os.environ.get(MIRROR_VARIABLE, "").strip(), []
    sources = [f"{mirror.rstrip('/')}/{file}"] if mirror else []
    for source in [*sources, url]:
        try:
            part = _bring(source, folder / f"{file}.part", progress=progress)
            if md5 is not None:
                _check(part, md5)
            part.replace(target)
            return
        except _SourceError as error:
            failures.append(f"{source}: {error}")
    raise DataUnavailableError(
        f"{file} could not be had ({'; '.join(failures)}); connect and try again, or fetch it "
        f"elsewhere and put it into {folder}, or into a folder that {MIRROR_VARIABLE} names"
    )


def _check(part: Path, md5: str) -> None:
    found = _md5(part)
    if found != md5:
        part.unlink()
        raise _SourceError(f"wrong MD5 {found}, truncated or changed; expected {md5}")


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _bring(source: str, part: Path, *, progress: bool) -> Path:
    parts = urlsplit(source)
    if parts.scheme.lower() in ("http", "https"):
        return _download(source, part, progress=progress)
    path = Path(url2pathname(parts.path) if parts.scheme == "file" else source).expanduser()
    if not path.is_file():
        raise _SourceError("no such file" if path.parent.is_dir() else "no such folder")
    try:
        shutil.copyfile(path, part)
    except OSError as error:
        raise _SourceError(f"{error.strerror} ({error.filename})") from None
    return part


def _download(url: str, part: Path, *, progress: bool) -> Path:
    import requests

    last = ""
    for _ in range(_ATTEMPTS):
        try:
            _get(url, part, progress=progress)
            return part
        except requests.exceptions.HTTPError as error:
            raise _SourceError(f"HTTP status {error.response.status_code}") from None
        except requests.exceptions.Timeout:
            last = f"no answer within {TIMEOUT_S} s"
        except requests.exceptions.ConnectionError as error:
            last = f"connection failed ({type(error).__name__})"
            if not part.is_file():
                break
        except requests.exceptions.RequestException as error:
            last = f"broke off ({type(error).__name__})"
        except OSError as error:
            raise _SourceError(f"{error.strerror} ({error.filename or part})") from None
    raise _SourceError(last)


def _get(url: str, part: Path, *, progress: bool) -> None:
    """Get the rest of a file; a server that cannot resume sends it whole."""
    import requests
    from tqdm import tqdm

    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if have and answer.status_code == 416:  # nothing is missing
            return
        answer.raise_for_status()
        have = have if answer.status_code == 206 else 0
        total = have + int(answer.headers.get("content-length", 0))
        bar = tqdm(total=total or None, initial=have, unit="B", unit_scale=True, desc=part.stem,
                   disable=not progress)  # fmt: skip
        with part.open("ab" if have else "wb") as file, bar:
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if total and part.stat().st_size < total:
        raise requests.exceptions.ChunkedEncodingError("ended early")
