"""A result set: two tidy tables, `runs` and `epochs`, under a name, with their content hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import pandas as pd

from pepr_utils.errors import InvalidTableError


def fine_tuned(runs: pd.DataFrame) -> pd.Series:
    """Flag the runs that started from pretrained weights; unknown counts as such."""
    return runs["pretrained"].fillna(True).astype(bool)


def on_all_images(runs: pd.DataFrame) -> pd.Series:
    """Flag the runs on all training images; unknown counts as such."""
    return image_share(runs) == 1.0


def image_share(runs: pd.DataFrame) -> pd.Series:
    """Share of the training images that each run used; unknown counts as all."""
    return runs["train_fraction"].fillna(1.0)


@dataclass(frozen=True)
class ResultSet:
    """Runs and epochs that belong together.

    Attributes
    ----------
    name : str
        Name or path it was loaded by.
    runs : pandas.DataFrame
        One row per run; columns as in the data dictionary, absent quantities null.
    epochs : pandas.DataFrame
        One row per run and epoch; empty where only totals are known.
    content_hash : str
        SHA-256 of the stored content.
    changes : pandas.DataFrame
        Of a derived set, each cell that differs from what it derives from, with the reason; empty
        in every other.
    folder : pathlib.Path or None
        Folder of its records; None if it was not read from records.
    taken : tuple of str
        What a user's table was taken for, where that was not the plain default.
    """

    name: str
    runs: pd.DataFrame
    epochs: pd.DataFrame
    content_hash: str
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)
    folder: Path | None = None
    taken: tuple[str, ...] = ()

    @property
    def experiments(self) -> list[str]:
        """Comparison keys, in order of first appearance."""
        return list(self.runs["experiment"].unique())

    @property
    def finished(self) -> pd.DataFrame:
        """The runs that finished, in their order: those that are summarised and drawn."""
        return self.runs[self.runs["status"] == "done"]

    def full_data(self) -> pd.DataFrame:
        """Finished runs on all training images, or else on the largest share that there is.

        An unknown share counts as all.

        Raises
        ------
        InvalidTableError
            If no run has finished.
        """
        finished = self.finished
        if finished.empty:
            raise InvalidTableError(f"{self.name}: no finished run")
        share = image_share(finished)
        return finished[share == share.max()]


Function = TypeVar("Function", bound=Callable[..., Any])


def cached_on_result_set(function: Function) -> Function:
    """Compute a function of a result set once for each set, and keep the value with the set.

    Each caller gets a copy. Result sets are not changed in place: `dataclasses.replace` makes a new
    one, with nothing computed.
    """

    @wraps(function)
    def once(result_set: Any, **options: Any) -> Any:
        computed = vars(result_set).setdefault("_computed", {})
        key = (function.__module__, function.__name__, *sorted(options.items()))
        if key not in computed:
            computed[key] = function(result_set, **options)
        return computed[key].copy()

    return cast(Function, once)
