"""The functions behind the claims: each takes a result set and returns a value, under a name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from pepr_utils.results import ResultSet

Check = Callable[[ResultSet], Any]

_CHECKS: dict[str, Check] = {}

#: Modules that register checks, by what they are about.
_MODULES = (
    "definition",
    "models",
    "data",
    "totals",
    "table",
    "figures",
    "world",
    "differences",
    "no_difference",
)


def check(name: str, *arguments: Any) -> Callable[[Callable], Callable]:
    """Register a function under a name; `arguments` follow the result set when it is called.

    Examples
    --------
    A family of checks is one function under several names::

        for dataset in ("derma", "lidc"):
            check(f"accuracy/{dataset}", dataset)(accuracy)
    """

    def register(function: Callable) -> Callable:
        if name in _CHECKS:
            raise ValueError(f"two checks are called {name!r}")
        _CHECKS[name] = lambda result_set: function(result_set, *arguments)
        return function

    return register


@cache
def checks() -> dict[str, Check]:
    """Return every registered check by name."""
    for module in _MODULES:
        import_module(f"pepr_utils.reporting.claims.checks.{module}")
    return _CHECKS
