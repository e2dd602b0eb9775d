"""What to know of a data set before it is trained on: sizes, balance, copies across splits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pepr_utils.measurement.datasets.prepare import Images, subset
from pepr_utils.measurement.datasets.source import SPLITS, Source, listed
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.printable import clean

#: Splits that should have no image in common.
_PAIRS = (("val", "train"), ("test", "train"), ("test", "val"))
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
    #: What makes accuracies doubtful, as records keep it; copies and contradictions are in it.
    warnings: tuple[str, ...] = ()
    #: A row per image behind the warnings: `finding`, and `split` and `file` of it and of another.
    files: pd.DataFrame = field(default_factory=pd.DataFrame)

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
        lines += [f"warning: {clean(warning)}" for warning in self.warnings]
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
    """Count classes and copies of a prepared data set; computed once for each."""
    kept = vars(images)  # it is frozen, and its images do not change
    if "_report" not in kept:
        kept["_report"] = _report(images)
    return kept["_report"]


def _report(images: Images) -> Report:
    source, labels = images.source, images.labels
    counts = {split: _counts(labels[split], source) for split in SPLITS}
    majority = None
    if not source.multi_label:
        majority = float((labels["test"] == counts["train"].argmax()).mean())
    digests = {split: [_digest(image) for image in images.pixels[split]] for split in SPLITS}
    copies = {(a, b): _shared(digests[a], digests[b]) for a, b in _PAIRS}
    who = source.patients or dict.fromkeys(SPLITS, ())
    patients = {(a, b): _shared(who[a], who[b]) for a, b in _PAIRS}
    contradictions = _contradictions(digests, labels)
    found = [
        f"{len(these):,} of {len(labels[a]):,} {a} images are copies of {b} images"
        for (a, b), these in copies.items()
        if these
    ]
    if contradictions:
        found.append(f"{len(contradictions):,} images have a copy with another label")
    found += _patients_lines(source, patients)
    rows = [
        (finding, a, source.image_name(a, i), b, source.image_name(b, j))
        for finding, pairs in (("copy", copies), ("same patient", patients))
        for (a, b), these in pairs.items()
        for i, j in these.items()
    ]
    rows += [
        ("copy with another label", a, source.image_name(a, i), b, source.image_name(b, j))
        for (a, i), (b, j) in contradictions.items()
    ]
    return Report(
        pd.DataFrame({"class": list(source.class_names)} | counts),
        majority,
        {f"{a} in {b}": len(these) for (a, b), these in copies.items()},
        source.notes,
        source.multi_label,
        len(contradictions),
        tuple(found),
        pd.DataFrame(rows, columns=["finding", "split", "file", "other_split", "other_file"]),
    )


def _counts(labels: np.ndarray, source: Source) -> np.ndarray:
    """Images of each class, or with each label."""
    if source.multi_label:
        return labels.sum(axis=0)
    return np.bincount(labels, minlength=source.n_classes)


def _shared(these: Sequence[Hashable], others: Sequence[Hashable]) -> dict[int, int]:
    """Places of what is also in another sequence, with its first place there; "" is nothing."""
    first = {value: j for j, value in reversed(list(enumerate(others))) if value}
    return {i: first[value] for i, value in enumerate(these) if value in first}


def _patients_lines(source: Source, shared: Mapping[tuple[str, str], dict[int, int]]) -> list[str]:
    """A warning where folders or names of files look like patients who are in two splits."""
    found = {split: shared[split, "train"] for split in ("test", "val")}
    if source.patients is None or not any(found.values()):
        return []
    names = sorted({source.patients[split][i] for split, these in found.items() for i in these})
    counts = " and ".join(
        f"{len(these):,} of {len(source.labels[split]):,} {split} images"
        for split, these in found.items()
        if these
    )
    return [
        f"{counts} are, by the names of folders or files, of patients who have training images "
        f"too ({listed(names)}): if these are patients, make train, val and test folders by patient"
    ]


def _contradictions(
    digests: dict[str, list[bytes]], labels: dict[str, np.ndarray]
) -> dict[tuple[str, int], tuple[str, int]]:
    """Images that have a copy with another label, in any split, each with one such copy."""
    places: dict[bytes, dict[bytes, tuple[str, int]]] = defaultdict(dict)
    every = [
        (split, i, digest, np.asarray(label).tobytes())
        for split in SPLITS
        for i, (digest, label) in enumerate(zip(digests[split], labels[split], strict=True))
    ]
    for split, i, digest, label in every:
        places[digest].setdefault(label, (split, i))
    return {
        (split, i): next(place for other, place in places[digest].items() if other != label)
        for split, i, digest, label in every
        if len(places[digest]) > 1
    }


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
