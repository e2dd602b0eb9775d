"""The functions behind the claims: each takes a result set and returns a value, under a name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet

Check = Callable[[ResultSet], Any]

#: Every registered check by name.
CHECKS: dict[str, Check] = {}


def check(name: str, *arguments: Any) -> Callable[[Callable], Callable]:
    """Register a function under a name; `arguments` follow the result set when it is called.

    Examples
    --------
    A family of checks is one function under several names::

        for dataset in ("derma", "lidc"):
            check(f"accuracy/{dataset}", dataset)(accuracy)
    """

    def register(function: Callable) -> Callable:
        if name in CHECKS:
            raise ValueError(f"two checks are called {name!r}")
        CHECKS[name] = lambda result_set: function(result_set, *arguments)
        return function

    return register


def load_checks(package: str) -> dict[str, Check]:
    """Return every registered check by name, those of a package among them.

    Parameters
    ----------
    package : str
        Registers its checks when it is imported, such as ``"paper.checks"``.

    Raises
    ------
    NotAvailableError
        If there is no such package: the paper's are in a clone of the project, not in the wheel.
    """
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if f"{package}.".startswith(f"{error.name}."):
            raise NotAvailableError(
                f"the claims are checked in a clone of the project: its folder {error.name}/ is "
                "not in the installed package; run `make env` in a clone, then `pepr claims` there"
            ) from None
        raise
    return CHECKS
