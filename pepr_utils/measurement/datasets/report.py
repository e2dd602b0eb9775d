"""What to know of a data set before it is trained on: sizes, balance, copies across splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pepr_utils.measurement.datasets.fractions import doubt
from pepr_utils.measurement.datasets.prepare import Images
from pepr_utils.measurement.datasets.source import SPLITS
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run


@dataclass(frozen=True)
class Report:
    """Facts about a data set.

    Attributes
    ----------
    balance : pandas.DataFrame
        One row per class: its name and its number of images in each split.
    majority_accuracy : float or None
        Test accuracy of always saying the commonest training class; None for several labels.
    duplicates : dict of str to int
        Images of a split that are, pixel by pixel, also in the one named first: ``val in train``,
        ``test in train``, ``test in val``.
    notes : tuple of str
        What was found while reading.
    """

    balance: pd.DataFrame
    majority_accuracy: float | None
    duplicates: dict[str, int]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say it in lines of text."""
        heads = f"{'class':<40}" + "".join(f"{split:>9}" for split in SPLITS)
        rows = [
            f"{row['class'][:40]:<40}" + "".join(f"{row[split]:>9,}" for split in SPLITS)
            for row in self.balance.to_dict("records")
        ]
        said = [heads, *rows]
        if self.majority_accuracy is not None:
            said.append(f"always saying the commonest class: accuracy {self.majority_accuracy:.3f}")
        said += [
            f"warning: {n:,} {pair.split()[0]} images are copies of {pair.split()[2]} images"
            for pair, n in self.duplicates.items()
            if n
        ]
        return said + [f"note: {note}" for note in self.notes]


def share_lines(images: Images, run: Run) -> list[str]:
    """Say what is doubtful about the share of the training images that a run uses."""
    recipe = protocol(run.protocol)
    found = doubt(
        images.labels["train"], run.train_fraction, seed=run.seed, stratified=recipe.stratified
    )
    return [found] if found else []


def report(images: Images) -> Report:
    """Count classes and copies of a prepared data set."""
    source, labels = images.source, images.labels
    counts = {
        split: labels[split].sum(axis=0)
        if source.multi_label
        else np.bincount(labels[split], minlength=source.n_classes)
        for split in SPLITS
    }
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
    )


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
