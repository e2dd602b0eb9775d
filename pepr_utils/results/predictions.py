"""The test predictions of measured runs, image by image, beside their records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.record_files import PREDICTIONS_FOLDER as FOLDER
from pepr_utils.results.result_set import ResultSet


def read_predictions(folder: Path, run_id: str) -> dict[str, np.ndarray]:
    """Read the predictions of a run: ``probabilities``, ``predicted`` and ``labels``.

    Raises
    ------
    InvalidTableError
        If there are none, or the file is damaged.
    """
    path = Path(folder) / FOLDER / f"{run_id}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("probabilities", "predicted", "labels")}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InvalidTableError(f"{path}: no readable predictions ({error})") from None


def correct_images(result_set: ResultSet, runs: pd.DataFrame) -> np.ndarray | None:
    """Which test images each run classifies correctly, where that is known of all.

    Parameters
    ----------
    result_set : ResultSet
        The set that the runs are from.
    runs : pandas.DataFrame
        Rows of its ``runs``, of one data set.

    Returns
    -------
    numpy.ndarray of bool, shape (n runs, n images), or None
        None unless every run has predictions with one label an image, and all were made for the
        same images in the same order.

    Raises
    ------
    InvalidTableError
        If a file of predictions is damaged.
    """
    folder = result_set.folder
    if folder is None or not len(runs):
        return None
    names = [str(run_id) for run_id in runs["run_id"]]
    if not all((folder / FOLDER / f"{name}.npz").is_file() for name in names):
        return None
    found = [read_predictions(folder, name) for name in names]
    labels = found[0]["labels"]
    if labels.ndim != 1 or not all(np.array_equal(f["labels"], labels) for f in found):
        return None
    return np.array([f["predicted"] == labels for f in found])
