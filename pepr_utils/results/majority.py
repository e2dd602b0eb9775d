"""The accuracy of always answering with the largest class, for the paper's three data sets."""

from __future__ import annotations

from functools import cache

import pandas as pd

from pepr_utils.paths import read_shipped


@cache
def load_majority() -> pd.DataFrame:
    """Size of the largest class among the test images, by data set and number of test images.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, n_test, n_majority, basis (how the count is known) and
        ``majority_share``, in (0, 1].
    """
    table = read_shipped("majority.csv", pd.read_csv)
    return table.assign(majority_share=table["n_majority"] / table["n_test"])


def majority_share(dataset: str, n_test: int) -> float:
    """Accuracy of the majority-class predictor; NaN where it is not known.

    Parameters
    ----------
    dataset : str
        Data set name.
    n_test : int
        Number of test images behind the accuracies that it is compared with.

    Examples
    --------
    >>> majority_share("pneumonia", 624)
    0.625
    >>> majority_share("clinic", 100)
    nan
    """
    table = load_majority()
    row = table[(table["dataset"] == dataset) & (table["n_test"] == n_test)]
    return float(row["majority_share"].iloc[0]) if len(row) else float("nan")


def majority_of_runs(runs: pd.DataFrame) -> float:
    """Accuracy of the majority-class predictor on the test images of the runs of one experiment.

    NaN where it is not known, or the runs' numbers of test images differ.
    """
    counts = runs["n_test"].dropna().unique()
    if len(counts) != 1:
        return float("nan")
    return majority_share(str(runs["dataset"].iloc[0]), int(counts[0]))
