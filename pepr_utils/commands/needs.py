"""Say which extra a command lacks, instead of which module Python did not find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pepr_utils.errors import PeprError


class NotInstalledError(PeprError, ImportError):
    """A package that a command needs is not installed."""


@contextmanager
def needs(extras: str) -> Iterator[None]:
    """Turn a module that is not found into an error that says what to install.

    Parameters
    ----------
    extras : str
        Those that hold it, such as ``"sweep,train"``.

    Examples
    --------
    >>> with needs("sweep,train"):
    ...     import a_module_that_nobody_has
    Traceback (most recent call last):
    ...
    pepr_utils.commands.needs.NotInstalledError: this needs a package that is not installed
    (a_module_that_nobody_has); in a clone run `make env`, elsewhere
    `pip install 'pepr-utils[sweep,train]'`
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pepr_utils"):
            raise
        raise NotInstalledError(
            f"this needs a package that is not installed ({error.name}); in a clone run "
            f"`make env`, elsewhere `pip install 'pepr-utils[{extras}]'`"
        ) from None
