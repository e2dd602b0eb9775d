"""Evaluate a model on a whole split: every image counts, the last partial batch too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pepr_utils.measurement.training.batches import Batches
from pepr_utils.measurement.training.task import Task


@dataclass(frozen=True)
class Predictions:
    """What a model says about each image of a split.

    Attributes
    ----------
    probabilities : numpy.ndarray
        float32, n x classes.
    labels : numpy.ndarray
        int64, n or n x labels: the truth.
    multi_label : bool
        Whether an image may have several labels.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    multi_label: bool

    def accuracy(self) -> float:
        """Share of images whose likeliest class is right; of labels, where there are several."""
        from sklearn.metrics import accuracy_score

        if self.multi_label:
            said = (self.probabilities > 0.5).astype(np.int64)
            return float(accuracy_score(self.labels.ravel(), said.ravel()))
        return float(accuracy_score(self.labels, self.probabilities.argmax(axis=1)))

    def auc(self) -> float | None:
        """Area under the ROC curve: of the second of two classes, else the mean over classes.

        With more than two classes each is taken against the rest, without weights. Classes that
        the split does not have, or has only, count for nothing; None where that leaves none.
        """
        from sklearn.metrics import roc_auc_score

        columns = self.probabilities.shape[1]
        truth = self.labels if self.multi_label else np.eye(columns, dtype=int)[self.labels]
        wanted = [1] if columns == 2 and not self.multi_label else range(columns)
        areas = [
            roc_auc_score(truth[:, c], self.probabilities[:, c])
            for c in wanted
            if 0 < truth[:, c].sum() < len(truth)
        ]
        return float(np.mean(areas)) if areas else None


def evaluate(
    model: torch.nn.Module,
    batches: Batches,
    task: Task,
    *,
    autocast: Callable[[], object],
) -> Predictions:
    """Return a model's predictions on all images of a split."""
    model.eval()
    logits = []
    with torch.inference_mode(), autocast():
        for images, _ in batches.ordered():
            logits.append(model(images).float())
    return Predictions(
        task.probabilities(torch.cat(logits)), batches.labels.cpu().numpy(), task.multi_label
    )
