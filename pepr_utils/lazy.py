"""Packages whose names are loaded when they are first used: importing one costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names lie in its modules.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    places : mapping
        The module, relative to the package, of each name.

    Examples
    --------
    >>> find = lazy("pepr_utils", {"unknown_name": "errors"})
    >>> find("unknown_name").__module__
    'pepr_utils.errors'
    >>> find("another")
    Traceback (most recent call last):
    AttributeError: module 'pepr_utils' has no attribute 'another'
    """

    def find(name: str) -> Any:
        if name in places:
            return getattr(import_module(f"{package}.{places[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
