"""The executed notebook of a task: beside the records from its first cell on, and always whole.

Papermill hands it over before and after each cell. It is kept under a hidden name until its task
ends; whoever finds it after its worker was killed gives it its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from papermill.iorw import papermill_io

from pepr_utils.measurement.sweep.upkeep import hidden_notebook
from pepr_utils.results.atomic import write_whole

#: How papermill is told of a notebook that is kept here.
SCHEME = "pepr-executed:"


class _Keeper:
    """Papermill's way to the notebooks: a folder that takes no file ends no run."""

    def __init__(self) -> None:
        self.targets: dict[str, Path] = {}
        self.last: dict[str, bytes] = {}

    def write(self, text: str, path: str) -> None:
        told = json.dumps(path), json.dumps(str(self.targets[path]))
        self.last[path] = text.replace(*told).encode()  # in papermill's own words on it
        self.save(path)

    def save(self, path: str) -> None:
        with suppress(OSError):
            write_whole(hidden_notebook(self.targets[path]), self.last[path])

    def read(self, path: str) -> str:
        return self.last[path].decode()

    def listdir(self, path: str) -> list[str]:
        return [path]

    def pretty_path(self, path: str) -> str:
        return path


_keeper = _Keeper()
papermill_io.register(SCHEME, _keeper)


@contextmanager
def kept(target: Path) -> Iterator[str]:
    """Give papermill's path for an executed notebook; with the block's end it has its place.

    Parameters
    ----------
    target : pathlib.Path
        Where it goes.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "notebooks" / "t-1.ipynb"
    >>> with kept(target) as path:
    ...     papermill_io.write('{"cells": []}', path)
    ...     print([found.name for found in target.parent.iterdir()])
    ['.t-1.ipynb.tmp']
    >>> print([found.name for found in target.parent.iterdir()])
    ['t-1.ipynb']
    """
    path = f"{SCHEME}{target.name}"
    _keeper.targets[path] = target
    try:
        yield path
    finally:
        if path in _keeper.last:
            if not _is_kept(hidden_notebook(target), _keeper.last[path]):
                _keeper.save(path)  # there may be room by now
            with suppress(OSError):  # else what counts are the records
                hidden_notebook(target).replace(target)
        _keeper.last.pop(path, None)
        del _keeper.targets[path]


def _is_kept(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
