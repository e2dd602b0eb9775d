"""Which training images a run uses: a seeded share, nested in every larger share of the seed."""

from __future__ import annotations

import numpy as np

_STREAM = 11  # a stream of random numbers of its own


def doubt(labels: np.ndarray, fraction: float, *, seed: int, stratified: bool) -> str | None:
    """Say it where a share leaves a class with one training image or none; else None.

    Examples
    --------
    >>> doubt(np.array([0] * 90 + [1] * 10), 0.1, seed=1, stratified=True)
    'warning: the share 0.1 leaves 1 of 2 classes with at most one training image'
    """
    if fraction == 1 or labels.ndim == 2:
        return None
    chosen = labels[subset(labels, fraction, seed=seed, stratified=stratified)]
    classes = np.unique(labels)
    few = sum(int((chosen == label).sum()) <= 1 for label in classes)
    if not few:
        return None
    return (
        f"warning: the share {fraction:g} leaves {few} of {len(classes)} classes with at most one "
        "training image"
    )


def subset(labels: np.ndarray, fraction: float, *, seed: int, stratified: bool) -> np.ndarray:
    """Return the indices of a share of the training images, in rising order.

    Parameters
    ----------
    labels : numpy.ndarray
        Class of each image (n), or labels of each (n x labels).
    fraction : float
        Above 0 and at most 1.
    seed : int
        Decides which; a smaller share is part of a larger one of the same seed.
    stratified : bool
        Keep the balance of classes, at least one image of each; else plain random. Images with
        several labels each are always drawn at random.

    Examples
    --------
    >>> labels = np.array([0] * 90 + [1] * 10)
    >>> chosen = subset(labels, 0.1, seed=1, stratified=True)
    >>> np.bincount(labels[chosen]).tolist()
    [9, 1]
    """
    if fraction == 1:
        return np.arange(len(labels))
    rng = np.random.default_rng([seed, _STREAM])
    if labels.ndim == 2 or not stratified:
        order = rng.permutation(len(labels))
        return np.sort(order[: max(1, int(fraction * len(labels)))])
    chosen = []
    for label in np.unique(labels):
        order = rng.permutation(np.flatnonzero(labels == label))
        chosen.append(order[: max(1, round(fraction * len(order)))])
    return np.sort(np.concatenate(chosen))
