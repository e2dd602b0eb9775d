"""The test predictions of measured runs, one file per run beside the records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.record_files import PREDICTIONS_FOLDER as FOLDER
from pepr_utils.results.result_set import ResultSet


def read_predictions(folder: Path, run_id: str) -> dict[str, np.ndarray]:
    """Read the predictions of a run.

    Returns
    -------
    dict of str to numpy.ndarray
        ``labels``, n or n x labels; ``predicted``, the most probable class of each image;
        ``probabilities``, n x classes; and ``logits``, float32, n x outputs, from which accuracy
        and AUC follow to the last digit. Files of earlier versions have no logits, and
        probabilities in half precision.

    Raises
    ------
    InvalidTableError
        If there are none, or the file is damaged.
    """
    path = Path(folder) / FOLDER / f"{run_id}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("predicted", "labels")}
            if "logits" not in file:
                return found | {"probabilities": file["probabilities"]}
            logits = file["logits"]
        several = found["labels"].ndim == 2
        return found | {"logits": logits, "probabilities": probabilities(logits, several)}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InvalidTableError(f"{path}: no readable predictions ({error})") from None


def log_odds(logits: np.ndarray, multi_label: bool = False) -> np.ndarray:
    """Logarithm of the odds of each class or label: an order of images that never saturates.

    Probabilities near 1 are all the same number in floating point where logits still differ.

    Parameters
    ----------
    logits : numpy.ndarray
        n x outputs: one output stands for the second of two classes.
    multi_label : bool, default False
        Whether each output is a label of its own, and not one of several classes.

    Returns
    -------
    numpy.ndarray
        float64, n x classes.

    Examples
    --------
    >>> log_odds(np.array([[20.0], [50.0]])).tolist()
    [[-20.0, 20.0], [-50.0, 50.0]]
    >>> log_odds(np.array([[1.0, 51.0], [1.0, 61.0]])).tolist()
    [[-50.0, 50.0], [-60.0, 60.0]]
    """
    logits = np.asarray(logits, dtype=np.float64)
    if multi_label:
        return logits
    if logits.shape[1] == 1:
        return np.hstack([-logits, logits])
    from scipy.special import logsumexp

    others = [logsumexp(np.delete(logits, c, axis=1), axis=1) for c in range(logits.shape[1])]
    return logits - np.stack(others, axis=1)


def probabilities(logits: np.ndarray, multi_label: bool = False) -> np.ndarray:
    """Probability of each class or label (float64, n x classes) from logits; see `log_odds`.

    Examples
    --------
    >>> probabilities(np.array([[0.0]])).tolist()
    [[0.5, 0.5]]
    """
    from scipy.special import expit

    return expit(log_odds(logits, multi_label))


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
