"""Epochs of training, each followed by an evaluation, both in windows of the meter."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets.source import Source
from pepr_utils.measurement.metering import Meter
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.protocols import Protocol
from pepr_utils.measurement.training.batches import Batches
from pepr_utils.measurement.training.checkpoint import Part
from pepr_utils.measurement.training.device import synchronize
from pepr_utils.measurement.training.precision import Precision
from pepr_utils.results import Epoch

#: Called with epoch, images done and images of the epoch.
Tick = Callable[[int, int, int], None]
#: Called after an epoch that is to have a checkpoint, with the optimiser and the epochs so far.
Save = Callable[[torch.optim.Optimizer, "tuple[Epoch, ...]"], None]


class TrainingFailedError(PeprError, RuntimeError):
    """A training failed; the message is the reason that its record keeps."""


@dataclass(frozen=True)
class Task:
    """A classification: of one class each, or of several labels at once."""

    n_classes: int  #: number of classes, or of labels
    multi_label: bool  #: whether an image may have several labels
    one_logit: bool  #: whether two classes have a single output

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


@dataclass(frozen=True)
class Trained:
    """The epochs that were trained, without energies, and the test predictions after the last.

    Accuracies are None where an epoch was not evaluated.
    """

    epochs: tuple[Epoch, ...]
    test: Predictions | None


@dataclass(frozen=True)
class Splits:
    """The three splits of a run, in batches."""

    train: Batches
    val: Batches
    test: Batches

    def notes(self) -> list[str]:
        """Where the recipe is not followed, by split."""
        return [f"{name}: {b.note}" for name, b in vars(self).items() if b.note is not None]


def train(  # noqa: PLR0913 - what a training is made of
    model: torch.nn.Module,
    splits: Splits,
    task: Task,
    recipe: Protocol,
    *,
    precision: Precision,
    seed: int,
    shuffled: bool,
    meter: Meter,
    tick: Tick | None = None,
    part: Part | None = None,
    save: Save | None = None,
) -> Trained:
    """Train a model by a recipe and evaluate it, or do a part of that.

    Parameters
    ----------
    model : torch.nn.Module
        On the device of the splits.
    splits : Splits
        Images and labels.
    task : Task
        What the outputs mean.
    recipe : Protocol
        Epochs, optimiser, when to evaluate.
    precision : Precision
        Where it uses bf16.
    seed : int
        Decides the order of the images.
    shuffled : bool
        Whether they are shuffled at all.
    meter : Meter
        Gets one window ``train`` and one window ``eval`` per epoch.
    tick : callable, optional
        Called with the epoch, its images done and all of them; it must not wait for the device.
    part : Part, optional
        The checkpoint to go on from, and the epoch to stop after.
    save : callable, optional
        Writes a checkpoint, where the part wants one.

    Raises
    ------
    RunError
        If the checkpoint does not fit the model.
    TrainingFailedError
        If the loss or an output is not finite, or no batch is large enough.
    """
    device = splits.train.device
    optimizer = _optimizer(model, recipe, device)
    results, test, part = [], None, part or Part()
    if part.start is not None:
        part.start.restore(model, optimizer, device)
    for epoch in range(part.first_epoch, part.last_epoch(recipe) + 1):
        with meter.window("train", epoch):
            started = time.perf_counter()
            batches = splits.train.epoch(epoch, seed=seed, shuffled=shuffled)
            loss, accuracy = _epoch(
                model,
                batches,
                task,
                optimizer,
                precision,
                read_every_step=recipe.read_loss_every_step,
                tick=lambda done, now=epoch: tick and tick(now, done, len(splits.train)),
            )
            synchronize(device)
            train_time = time.perf_counter() - started
        if not math.isfinite(loss):
            raise TrainingFailedError(f"the loss is {loss} in epoch {epoch}")
        val_accuracy = test_accuracy = eval_time = None
        if epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs:
            with meter.window("eval", epoch):
                started = time.perf_counter()
                val = evaluate(model, splits.val, precision)
                test = evaluate(model, splits.test, precision)
                synchronize(device)
                eval_time = time.perf_counter() - started
            _check_finite(val, "validation", epoch)
            _check_finite(test, "test", epoch)
            val_accuracy, test_accuracy = val.accuracy(), test.accuracy()
        results.append(
            Epoch(
                epoch=epoch,
                train_loss=loss,
                train_accuracy=min(1.0, accuracy),
                val_accuracy=val_accuracy,
                test_accuracy=test_accuracy,
                train_time_s=train_time,
                eval_time_s=eval_time,
            )
        )
        if save is not None and part.is_saved(epoch, recipe):
            save(optimizer, tuple(results))
    return Trained(tuple(results), test)


def _epoch(
    model: torch.nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    task: Task,
    optimizer: torch.optim.Optimizer,
    precision: Precision,
    *,
    read_every_step: bool,
    tick: Callable[[int], object],
) -> tuple[float, float]:
    """Train one epoch; return mean loss and accuracy over its images."""
    model.train()
    # Sums stay on the device: reading them would make it wait.
    loss_sum: torch.Tensor | float = 0.0
    correct: torch.Tensor | float = 0.0
    done = 0
    for images, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast(training=True):
            logits = model(images)
        loss = task.loss(logits.float(), labels)
        loss.backward()
        optimizer.step()
        loss_sum = loss_sum + loss.detach() * len(labels)
        correct = correct + task.n_correct(logits.detach(), labels)
        done += len(labels)
        if read_every_step and not math.isfinite(loss.item()):
            raise TrainingFailedError(f"the loss is {loss.item()} after {done:,} images")
        tick(done)
    if not done:
        raise TrainingFailedError("the training images do not fill the smallest batch allowed")
    return float(loss_sum) / done, float(correct) / done


def evaluate(model: torch.nn.Module, batches: Batches, precision: Precision) -> Predictions:
    """Return a model's predictions on all images of a split, the last partial batch included."""
    model.eval()
    logits = []
    with torch.inference_mode(), precision.autocast(training=False):
        for images, _ in batches.ordered():
            logits.append(model(images).float())
    return Predictions(torch.cat(logits).cpu().numpy(), batches.labels.cpu().numpy())


def _check_finite(predictions: Predictions, split: str, epoch: int) -> None:
    """Raise where outputs are not finite: their accuracy would be that of some class."""
    if n := predictions.n_not_finite():
        raise TrainingFailedError(
            f"after epoch {epoch} the model's outputs are not finite for {n:,} of "
            f"{len(predictions.labels):,} {split} images"
        )


def _optimizer(
    model: torch.nn.Module, recipe: Protocol, device: torch.device
) -> torch.optim.Optimizer:
    """Return Adam; in one kernel on the CPU, where that is many times faster and else the same."""
    fused = {"fused": True} if device.type == "cpu" else {}
    return torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, **fused)
