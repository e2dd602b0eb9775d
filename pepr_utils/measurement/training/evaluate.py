"""Evaluate a model on a whole split: every image counts, the last partial batch too."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.training.batches import Batches


def evaluate(
    model: torch.nn.Module,
    batches: Batches,
    *,
    autocast: Callable[[], object],
) -> Predictions:
    """Return a model's predictions on all images of a split."""
    model.eval()
    logits = []
    with torch.inference_mode(), autocast():
        for images, _ in batches.ordered():
            logits.append(model(images).float())
    return Predictions(torch.cat(logits).cpu().numpy(), batches.labels.cpu().numpy())
