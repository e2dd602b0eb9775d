"""What a model's outputs mean: the loss to train by, and the probabilities to evaluate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from pepr_utils.measurement.datasets.source import Source
from pepr_utils.measurement.protocols import Protocol


@dataclass(frozen=True)
class Task:
    """A classification: of one class each, or of several labels at once.

    Attributes
    ----------
    n_classes : int
        Number of classes, or of labels.
    multi_label : bool
        Whether an image may have several labels.
    one_logit : bool
        Whether two classes are told apart by a single output.
    """

    n_classes: int
    multi_label: bool
    one_logit: bool

    @classmethod
    def of(cls, source: Source, recipe: Protocol) -> Task:
        """Return the task of a data set under a recipe."""
        two = source.n_classes == 2 and not source.multi_label
        return cls(source.n_classes, source.multi_label, two and recipe.binary_logits == 1)

    @property
    def n_outputs(self) -> int:
        """Outputs that a model needs."""
        return 1 if self.one_logit else self.n_classes

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss over a batch: cross-entropy, binary for one output and for several labels."""
        if self.one_logit:
            return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
        if self.multi_label:
            return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return F.cross_entropy(logits, labels)

    def n_correct(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Number of images that are right; with several labels, the mean share of right labels."""
        if self.one_logit:
            return ((logits[:, 0] > 0).long() == labels).sum()
        if self.multi_label:
            return ((logits > 0).long() == labels).float().mean(dim=1).sum()
        return (logits.argmax(dim=1) == labels).sum()
