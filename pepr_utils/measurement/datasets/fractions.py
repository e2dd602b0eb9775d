"""Which training images a run uses: a seeded share, nested in every larger share of the seed."""

from __future__ import annotations

import numpy as np

_STREAM = 11  # a stream of random numbers of its own


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
