"""A result set: two tidy tables, `runs` and `epochs`, under a name, with their content hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError


def fine_tuned(runs: pd.DataFrame) -> pd.Series:
    """Tell which runs started from pretrained weights; one that does not say counts as such."""
    return runs["pretrained"].fillna(True).astype(bool)


def on_all_images(runs: pd.DataFrame) -> pd.Series:
    """Tell which runs saw all training images; one that does not say counts as such."""
    return image_share(runs) == 1.0


def image_share(runs: pd.DataFrame) -> pd.Series:
    """Share of the training images that each run saw; all where it is not given."""
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
        Where its records lie; None if it was not read from records.
    """

    name: str
    runs: pd.DataFrame
    epochs: pd.DataFrame
    content_hash: str
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)
    folder: Path | None = None

    @property
    def experiments(self) -> list[str]:
        """Comparison keys, in order of first appearance."""
        return list(self.runs["experiment"].unique())

    @property
    def finished(self) -> pd.DataFrame:
        """The runs that ended well, in their order: those that are summarised and drawn."""
        return self.runs[self.runs["status"] == "done"]

    def full_data(self) -> pd.DataFrame:
        """Finished runs on all training images; an unknown share counts as all.

        Raises
        ------
        InvalidTableError
            If there is none.
        """
        full = self.finished[on_all_images(self.finished)]
        if full.empty:
            raise InvalidTableError(
                f"{self.name}: no finished run on all training data (train_fraction 1)"
            )
        return full
