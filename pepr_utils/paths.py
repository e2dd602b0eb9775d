"""Paths of the project's data files, in a checkout and in an installed wheel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pepr_utils.errors import InvalidTableError, PeprError, unknown_name

_PACKAGE = Path(__file__).resolve().parent


def user_path(name: str | os.PathLike[str]) -> Path:
    """Path that a user has named; ``~`` is the home folder, where there is one of that name.

    Raises
    ------
    PeprError
        If the name has a NUL byte.

    Examples
    --------
    >>> user_path("~nobody-of-this-name/models.csv").as_posix()
    '~nobody-of-this-name/models.csv'
    """
    if "\0" in os.fspath(name):
        raise PeprError(f"{os.fspath(name)!r} is no file name: it has a NUL byte; take it out")
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises for ~nobody


def data_dir() -> Path:
    """Folder of the shipped ``data/`` files: inside the wheel, or the checkout's own.

    Examples
    --------
    >>> (data_dir() / "timm_models.csv").is_file()
    True
    """
    packaged = _PACKAGE / "_data"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "data"


def data_file(name: str) -> Path:
    """Path of one shipped data file.

    Parameters
    ----------
    name : str
        File name relative to ``data/``, such as ``"timm_models.csv"``.

    Raises
    ------
    UnknownNameError
        If no such file is shipped; the message lists the ones that are.

    Examples
    --------
    >>> data_file("table1.csv").name
    'table1.csv'
    """
    path = data_dir() / name
    if not path.is_file():
        shipped = sorted(p.name for p in data_dir().glob("*") if p.is_file())
        raise unknown_name("data file", name, shipped)
    return path


def read_shipped(name: str, read: Callable[[Path], Any]) -> Any:
    """Read one shipped data file; a damaged or missing one is an error that names it.

    Parameters
    ----------
    name : str
        File name relative to ``data/``.
    read : callable
        Reads a path, such as `pandas.read_csv`.

    Raises
    ------
    InvalidTableError
        If the file cannot be read, or `read` finds that it is not what it should be.
    """
    path = data_dir() / name
    try:
        return read(path)
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValueError as error:  # also what is not UTF-8, TOML or a table
        why = f"is damaged ({' '.join(str(error).split())})"
    raise InvalidTableError(
        f"the embedded file {path} {why}; restore it with `git checkout -- data`, or install "
        "pepr-utils again"
    )


def notebook_file(name: str) -> Path:
    """Path of one shipped notebook: inside the wheel, or the checkout's own.

    Examples
    --------
    >>> notebook_file("fine_tune.md").is_file()
    True
    """
    packaged = _PACKAGE / "_notebooks"
    return (packaged if packaged.is_dir() else _PACKAGE.parent / "notebooks") / name
