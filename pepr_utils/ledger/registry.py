"""The functions that compute the claims' values, registered by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet


@dataclass(frozen=True)
class Check:
    """One function of a ledger.

    Attributes
    ----------
    function : callable
        Takes a result set, then the arguments that the claim gives it.
    reads_runs : bool
        Whether its value depends on the runs; a property of the score does not.
    """

    function: Callable[..., Any]
    reads_runs: bool = True

    def __call__(self, result_set: ResultSet, **arguments: Any) -> Any:
        """Compute the value."""
        return self.function(result_set, **arguments)


@dataclass(frozen=True)
class LabelledValue:
    """A computed value with the text that shows it: 115 of 131 models, not just no."""

    value: Any
    label: str


#: Every registered check by name.
CHECKS: dict[str, Check] = {}


def check(function: Callable | None = None, *, reads_runs: bool = True) -> Callable:
    """Register a function as ``module.function``: the name that claims give.

    Examples
    --------
    One function serves a family of claims, which name its arguments under ``with``::

        @check
        def accuracy(result_set: ResultSet, dataset: str) -> float: ...
    """

    def register(function: Callable) -> Callable:
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        if name in CHECKS:
            raise ValueError(f"two checks are called {name!r}")
        CHECKS[name] = Check(function, reads_runs)
        return function

    return register if function is None else register(function)


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
