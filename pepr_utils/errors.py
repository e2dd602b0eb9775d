"""The exceptions that pepr_utils raises on purpose: one tree, each message with the remedy.

Every message names the offending value, its place, what is allowed and what to do. The command
line prints the message alone; a library user can catch `PeprError` for all of them or one leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class PeprError(Exception):
    """Base of every error that pepr_utils raises on purpose."""


class ScoreInputError(PeprError, ValueError):
    """A performance, cost, weight or parameter lies outside what the score is defined for."""


class InfeasibleBudgetError(PeprError, ValueError):
    """No model meets the budgets of a selection.

    Attributes
    ----------
    binding : list of str
        The budgets that are not met, such as ``"energy_kwh <= 0.001"``.
    nearest : dict
        Label, and value in each budgeted column, of the model that misses them by least.
    """

    def __init__(self, message: str, *, binding: list[str], nearest: dict[str, object]) -> None:
        super().__init__(message)
        self.binding, self.nearest = binding, nearest


class InvalidTableError(PeprError, ValueError):
    """A table or record has a missing column, or a value that its column does not allow."""


class UnknownNameError(PeprError, KeyError):
    """A result set, column or option name that does not exist."""

    def __str__(self) -> str:  # KeyError would show the repr, quotes and all
        return str(self.args[0]) if self.args else ""


class NotAvailableError(PeprError, LookupError):
    """A result set does not have the runs that a comparison or a statement is about."""


class NotInstalledError(PeprError, ImportError):
    """A package that comes with an extra of this one is not installed."""

    @classmethod
    def of(cls, error: ImportError, what: str, extras: str = "") -> NotInstalledError:
        """Build the message that names the extras to install for a missing module.

        Parameters
        ----------
        error : ImportError
            What Python raised.
        what : str
            What needs it.
        extras : str, optional
            The extras with that module, such as ``"sweep,train"``; none for a base dependency.

        Examples
        --------
        >>> missing = ModuleNotFoundError("No module named 'PIL'", name="PIL")
        >>> print(NotInstalledError.of(missing, "training", "train"))
        training needs Pillow, which is not installed: pip install '.[train]' in a clone of the
        project
        """
        name = "Pillow" if error.name == "PIL" else error.name or error
        return cls(
            f"{what} needs {name}, which is not installed: {how_to_install(extras)}",
            name=error.name,
        )


class DataUnavailableError(PeprError, OSError):
    """Data could not be obtained: no network, no mirror, a wrong hash or a truncated file."""


class RunError(PeprError, ValueError):
    """A run is not defined correctly, or cannot be measured as requested."""


class FolderError(RunError):
    """Nothing can be written to a result set's folder: it is full, read-only or gone."""


class RunningElsewhereError(RunError):
    """Another process measures this run at this moment."""


class StoppedError(RunError):
    """The sweep that started this process starts no further run."""


class TrainingUnavailableError(NotInstalledError):
    """The packages that training needs are not installed."""


def how_to_install(extras: str = "") -> str:
    """Return the command that installs extras; this package is on no package index."""
    what = f"'.[{extras}]'" if extras else "."
    return f"pip install {what} in a clone of the project"


def listed(names: Sequence[str], most: int = 150) -> str:
    """Return names as a message lists them; a table may have thousands of columns.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1), listed([])
    ('a, b, c', 'a and 2 more', 'none')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def unknown_name(
    what: str, name: str, allowed: Iterable[object], *, also: str = ""
) -> UnknownNameError:
    """Build the error for a name that is not among the allowed ones, with a suggestion.

    Parameters
    ----------
    what : str
        What the name is of, such as ``"result set"``.
    name : str
        The offending name.
    allowed : iterable
        The names that exist.
    also : str, optional
        What else is accepted, appended to the message.

    Examples
    --------
    >>> print(unknown_name("result set", "publishd", ["published", "demo"]))
    unknown result set 'publishd'; allowed: published, demo; did you mean 'published'?
    """
    names = [str(n) for n in allowed]
    message = f"unknown {what} {name!r}; allowed: {listed(names)}"
    if also:
        message += f", or {also}"
    close = get_close_matches(str(name), names, n=1)
    if close:
        message += f"; did you mean {close[0]!r}?"
    return UnknownNameError(message)
