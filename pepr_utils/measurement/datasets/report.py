"""What to know of a data set before it is trained on: sizes, balance, copies across splits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pepr_utils.measurement.datasets.prepare import Images, subset
from pepr_utils.measurement.datasets.source import SPLITS, Source
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.printable import clean

#: Classes whose share is shown one by one.
_MANY = 20


@dataclass(frozen=True)
class Report:
    """Facts about a data set."""

    balance: pd.DataFrame  #: a row per class: its name and its number of images in each split
    #: Test accuracy of always predicting the commonest training class; None for several labels.
    majority_accuracy: float | None
    #: Images of a split that are, pixel by pixel, also in another: ``test in train`` and so on.
    duplicates: dict[str, int]
    notes: tuple[str, ...]  #: what was found while reading
    multi_label: bool = False  #: whether an image may have several labels, each counted by itself
    contradictions: int = 0  #: images with a pixel-by-pixel copy that has another label

    def lines(self) -> list[str]:
        """Return it as lines of text, without control characters."""
        heads = f"{'label' if self.multi_label else 'class':<40}"
        rows = [
            f"{clean(row['class'])[:40]:<40}" + "".join(f"{row[split]:>9,}" for split in SPLITS)
            for row in self.balance.to_dict("records")
        ]
        lines = [heads + "".join(f"{split:>9}" for split in SPLITS), *rows]
        if self.multi_label:
            lines.append(
                "several labels to an image: accuracy is the share of labels, over all images, "
                "that are right; AUC is the mean over labels"
            )
        if self.majority_accuracy is not None:
            lines.append(
                f"always predicting the most common class: accuracy {self.majority_accuracy:.3f}"
            )
        lines += [
            f"warning: {n:,} {pair.split()[0]} images are copies of {pair.split()[2]} images"
            for pair, n in self.duplicates.items()
            if n
        ]
        if self.contradictions:
            lines.append(f"warning: {self.contradictions:,} images have a copy with another label")
        return lines + [f"note: {clean(note)}" for note in self.notes]


def share_lines(images: Images, run: Run) -> list[str]:
    """Say which share of the training images a run uses, and warn where a class is almost empty."""
    source, labels, fraction = images.source, images.labels["train"], run.train_fraction
    if fraction == 1:
        return []
    stratified = protocol(run.protocol).stratified
    chosen = labels[subset(labels, fraction, seed=run.seed, stratified=stratified)]
    counts = _counts(chosen, source)
    shown = [f"{n:,}" for n in counts[:_MANY]] + ["..."] * (len(counts) > _MANY)
    kind = "label" if source.multi_label else "class"
    lines = [
        f"the share {fraction:g} is {len(chosen):,} of {len(labels):,} training images; "
        f"by {kind}, in the order above: {', '.join(shown)}"
    ]
    few = 0 if source.multi_label else int((counts <= 1).sum())
    if few:
        lines.append(
            f"warning: the share {fraction:g} leaves {few} of {len(counts)} classes with at most "
            "one training image"
        )
    return lines


def report(images: Images) -> Report:
    """Count classes and copies of a prepared data set."""
    source, labels = images.source, images.labels
    counts = {split: _counts(labels[split], source) for split in SPLITS}
    majority = None
    if not source.multi_label:
        majority = float((labels["test"] == counts["train"].argmax()).mean())
    digests = {split: [_digest(image) for image in images.pixels[split]] for split in SPLITS}
    pairs = (("val", "train"), ("test", "train"), ("test", "val"))
    known = {split: set(found) for split, found in digests.items()}
    return Report(
        pd.DataFrame({"class": list(source.class_names)} | counts),
        majority,
        {f"{a} in {b}": sum(d in known[b] for d in digests[a]) for a, b in pairs},
        source.notes,
        source.multi_label,
        _contradictions(digests, labels),
    )


def _counts(labels: np.ndarray, source: Source) -> np.ndarray:
    """Images of each class, or with each label."""
    if source.multi_label:
        return labels.sum(axis=0)
    return np.bincount(labels, minlength=source.n_classes)


def _contradictions(digests: dict[str, list[bytes]], labels: dict[str, np.ndarray]) -> int:
    """Count images that have a copy with another label, in any split."""
    every = [
        (digest, np.asarray(label).tobytes())
        for split in SPLITS
        for digest, label in zip(digests[split], labels[split], strict=True)
    ]
    by_digest = defaultdict(set)
    for digest, label in every:
        by_digest[digest].add(label)
    return sum(len(by_digest[digest]) > 1 for digest, _ in every)


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
