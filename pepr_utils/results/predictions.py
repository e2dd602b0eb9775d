"""The test predictions of measured runs, one file per run beside the records."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.file_content import one_error, read_regular
from pepr_utils.results.record_files import PREDICTIONS_FOLDER as FOLDER
from pepr_utils.results.record_files import read_record, record_path
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.schema import Record

_FIX = "restore it, or remove it and the record, and the run is measured again"


def read_predictions(folder: Path, run_id: str) -> dict[str, np.ndarray]:
    """Read the predictions of a run, and compare them with its record where there is one.

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
        If there are none, the file is damaged or contradicts itself, or its predictions are not
        those that the record's accuracy is of, such as another run's.
    """
    path = Path(folder) / FOLDER / f"{run_id}.npz"
    content, of_run = read_regular(path), record_path(folder, run_id)
    record = read_record(of_run) if of_run.exists() else None
    stated = record.predictions_sha256 if record else None
    if stated not in (None, hashlib.sha256(content).hexdigest()):
        raise InvalidTableError(
            f"{path}: damaged, or the predictions of another run: the record of {run_id} states "
            f"another SHA-256; {_FIX}"
        )
    with one_error(path, _FIX, what="no readable predictions"):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            outputs = "logits" if "logits" in file else "probabilities"
            found = {name: file[name] for name in ("predicted", "labels", outputs)}
        _check(*found.values())
        if outputs == "logits":
            found["probabilities"] = probabilities(found[outputs], found["labels"].ndim == 2)
        if record is not None:
            _compare(found, record)
    return found


def _check(predicted: np.ndarray, labels: np.ndarray, outputs: np.ndarray) -> None:
    """Raise a ValueError unless arrays of predictions agree with one another."""
    several, n = labels.ndim == 2, len(labels)
    if not (n and outputs.ndim == 2 and labels.ndim < 3 and len(outputs) == n):
        raise ValueError(f"labels of shape {labels.shape}, outputs of shape {outputs.shape}")
    if predicted.shape != (n,) or (several and labels.shape != outputs.shape):
        raise ValueError(f"labels of shape {labels.shape}, predictions of {predicted.shape}")
    if {labels.dtype.kind, predicted.dtype.kind} - set("iu") or outputs.dtype.kind != "f":
        raise ValueError("labels or predictions are not whole numbers, or outputs not floats")
    if not np.isfinite(outputs).all():
        raise ValueError("outputs that are not finite")
    of_one_output = outputs.shape[1] == 1
    n_classes = 2 if several or of_one_output else outputs.shape[1]
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"a label that is not from 0 to {n_classes - 1}")
    scores = np.hstack([0 * outputs, outputs]) if of_one_output else outputs
    if not ((predicted >= 0) & (predicted < scores.shape[1])).all():
        raise ValueError(f"a prediction that is not from 0 to {scores.shape[1] - 1}")
    # Of equal outputs any is right: earlier versions kept them in half precision.
    if (scores[np.arange(n), predicted] < scores.max(axis=1)).any():
        raise ValueError("predictions that are not the largest output")


def _compare(found: dict[str, np.ndarray], record: Record) -> None:
    """Raise a ValueError unless predictions are of the record's images and give its accuracy."""
    labels, several = found["labels"], found["labels"].ndim == 2
    outputs = found["probabilities"].shape[1]
    if record.n_test not in (None, len(labels)) or record.n_classes not in (None, outputs):
        raise ValueError(
            f"{len(labels)} images, {outputs} classes; the record has {record.n_test} images, "
            f"{record.n_classes} classes"
        )
    if several and "logits" not in found:
        return  # half precision does not say on which side of one half a probability was
    accuracy = ((found["logits"] > 0) == labels if several else found["predicted"] == labels).mean()
    if record.test_accuracy is not None and abs(accuracy - record.test_accuracy) > 1e-9:
        raise ValueError(
            f"their accuracy is {accuracy:.6g}, and the record's {record.test_accuracy:.6g}"
        )


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
        None unless every run has predictions with one label to an image, and all were made for the
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
