"""The test predictions of a run: accuracy and AUC, and the file that holds them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pepr_utils.results.atomic import write_whole
from pepr_utils.results.predictions import FOLDER, log_odds, probabilities


@dataclass(frozen=True)
class Predictions:
    """The outputs of a model for each image of a split.

    Attributes
    ----------
    logits : numpy.ndarray
        float32, n x outputs: one for two classes, or one per class or label.
    labels : numpy.ndarray
        int64, n or n x labels: the truth.
    """

    logits: np.ndarray
    labels: np.ndarray

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probability of each class or label: float64, n x classes."""
        return probabilities(self.logits, self.multi_label)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Most likely class of each image, or its most likely label."""
        if self.logits.shape[1] == 1:
            return (self.logits[:, 0] > 0).astype(np.int64)
        return self.logits.argmax(axis=1)

    def n_not_finite(self) -> int:
        """Number of images for which an output is not finite."""
        return int((~np.isfinite(self.logits)).any(axis=1).sum())

    def accuracy(self) -> float:
        """Share of images whose most likely class is right; of labels, where there are several."""
        from sklearn.metrics import accuracy_score

        if self.multi_label:
            predicted = (self.logits > 0).astype(np.int64)
            return float(accuracy_score(self.labels.ravel(), predicted.ravel()))
        return float(accuracy_score(self.labels, self.predicted))

    def auc(self) -> float | None:
        """Area under the ROC curve: of the second of two classes, else the mean over classes.

        With more than two classes it is the unweighted mean of one against the rest. Classes that
        no image or every image of the split has are left out; None where that leaves none. Images
        are ranked by log-odds, which differ wherever the model's outputs do.
        """
        from sklearn.metrics import roc_auc_score

        scores = log_odds(self.logits, self.multi_label)
        columns = scores.shape[1]
        truth = self.labels if self.multi_label else np.eye(columns, dtype=int)[self.labels]
        wanted = [1] if columns == 2 and not self.multi_label else range(columns)
        areas = [
            roc_auc_score(truth[:, c], scores[:, c])
            for c in wanted
            if 0 < truth[:, c].sum() < len(truth)
        ]
        return float(np.mean(areas)) if areas else None


def write_predictions(folder: Path, run_id: str, predictions: Predictions) -> str:
    """Write ``folder/predictions/<run_id>.npz``, a few kilobytes, whole; return its SHA-256.

    Accuracy and AUC of the record follow from the logits in it to the last digit.

    Parameters
    ----------
    folder : pathlib.Path
        The result set's folder.
    run_id : str
        The run.
    predictions : Predictions
        Its predictions for the test images.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        logits=predictions.logits.astype(np.float32),
        predicted=predictions.predicted.astype(np.uint16),
        labels=predictions.labels.astype(np.uint16),
    )
    write_whole(Path(folder) / FOLDER / f"{run_id}.npz", buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
