"""Content of files that may be damaged or foreign: one error for all that reading them can raise.

Parsers of archives raise what their authors did not foresee, from struct.error to MemoryError: a
list of their exceptions is never complete.
"""

from __future__ import annotations

import errno
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pepr_utils.errors import InvalidTableError, PeprError


def read_regular(path: Path) -> bytes:
    """Return the content of a file, and never wait for a pipe or a device.

    Raises
    ------
    InvalidTableError
        If it is no regular file, or cannot be read.
    """
    try:
        return regular_bytes(path)
    except OSError as error:
        raise InvalidTableError(
            f"{path}: cannot be read ({error.strerror}); remove it, or put the file in its place"
        ) from None


def regular_bytes(path: Path) -> bytes:
    """Return the content of a file; an OSError where it is none, instead of waiting for a pipe."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


@contextmanager
def one_error(name: object, fix: str = "", *, what: str = "cannot be read") -> Iterator[None]:
    """Raise `InvalidTableError` with the reason for any exception of the block but a `PeprError`.

    Parameters
    ----------
    name : object
        The file, as the message calls it.
    fix : str, optional
        What to do about it.
    what : str
        What is wrong.

    Examples
    --------
    >>> with one_error("a.npz", "copy it again"):
    ...     raise EOFError("no data left")
    Traceback (most recent call last):
    pepr_utils.errors.InvalidTableError: a.npz: cannot be read (no data left); copy it again
    """
    try:
        yield
    except PeprError:
        raise
    except Exception as error:  # noqa: BLE001 - see the module
        reason = getattr(error, "strerror", None) or str(error).strip() or "it ends early"
        line = reason.splitlines()[0].rstrip(".")
        raise InvalidTableError(f"{name}: {what} ({line})" + (fix and f"; {fix}")) from None


def parse_json(name: object, text: str) -> Any:
    """Parse JSON in which no object has a key twice: which of the two counts, nobody can know.

    Raises
    ------
    InvalidTableError
        If a key appears twice, or it is nested too deep.
    ValueError
        If it is no JSON.

    Examples
    --------
    >>> parse_json("r.json", '{"seed": 1, "seed": 2}')
    Traceback (most recent call last):
    pepr_utils.errors.InvalidTableError: r.json: key 'seed' appears twice in one object; keep one
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise InvalidTableError(f"{name}: key {twice!r} appears twice in one object; keep one")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise InvalidTableError(f"{name}: not readable JSON (nested too deep)") from None
