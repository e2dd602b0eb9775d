"""Which accuracies a test or training set of n images can give: the multiples of 1/n."""

from __future__ import annotations

import math

import numpy as np

#: Batch sizes tried for averages over batches.
BATCHES = (8, 16, 32, 64, 128, 256)

#: Single precision, averaged over batches, is off by less.
PRECISION = 2e-7

#: How an accuracy can come from n images.
RULES = {
    "images": "the share of all images",
    "whole batches": "the share of the images in whole batches",
    "mean of batches": "the mean over batches, a partial one counting as much as the others",
}


def steps(n: int, rule: str = "images", batch: int = 32) -> int:
    """Number of steps from 0 to 1 that accuracies over n images lie on.

    Parameters
    ----------
    n : int
        Number of images.
    rule : {"images", "whole batches", "mean of batches"}
        What the accuracy is, see `RULES`.
    batch : int, default 32
        Images in a whole batch.

    Examples
    --------
    >>> steps(2005), steps(2005, "whole batches"), steps(70, "mean of batches")
    (2005, 1984, 288)
    """
    if rule == "images":
        return n
    whole, rest = divmod(n, batch)
    if rule == "whole batches":
        return whole * batch
    return (whole + (rest > 0)) * math.lcm(batch, rest or batch)


def fits(values: np.ndarray, n_steps: int) -> np.ndarray:
    """Whether values lie on the lattice of `n_steps` steps, to the digits that they are given with.

    A value with few digits fits wherever a multiple rounds to it; NaN fits.

    Examples
    --------
    >>> fits(np.array([0.5, 0.333, 0.3333333333, 0.4]), 3)
    array([False,  True,  True, False])
    """
    values = np.asarray(values, dtype=float)
    nearest = np.round(values * n_steps) / n_steps if n_steps else np.zeros_like(values)
    near = np.abs(values - nearest) <= tolerance(values)
    return near | np.isnan(values)


def tolerance(values: np.ndarray) -> np.ndarray:
    """One unit of the last digit that each value is given with, and at least `PRECISION`."""
    values = np.asarray(values, dtype=float)
    found = np.full(values.shape, PRECISION)
    for digits in range(6, 1, -1):
        found = np.where(np.round(values, digits) == values, 10.0**-digits, found)
    return found


def tells(values: np.ndarray, n_steps: int) -> bool:
    """Whether these values could miss this lattice: its steps are wider than their precision.

    The most precise tenth decides: 1 and 0.5 are short in any notation.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    return bool(known.size) and float(np.quantile(tolerance(known), 0.1)) * 4 * n_steps < 1


def fitting(values: np.ndarray, highest: int) -> list[int]:
    """Numbers of images up to `highest` that all but a tenth of the values are multiples of one of.

    Multiples of the first number found are left out, and so are numbers that values of this
    precision fit by chance.

    Examples
    --------
    >>> fitting(np.array([0.123333333333333, 0.483333333333333, 0.71]), 1000)
    [300]
    """
    known = np.unique(values[np.isfinite(values)])
    room = np.minimum(1.0, 2 * tolerance(known))
    found: list[int] = []
    for n in range(2, highest + 1):
        by_chance = n * np.prod(np.minimum(1.0, room * n))
        if by_chance > 0.01 or any(n % one == 0 for one in found):
            continue
        if fits(known, n).mean() >= 0.9:
            found.append(n)
    return found


def one_digit_edits(value: float, n_steps: int) -> list[float]:
    """Values on the lattice that differ from `value` in exactly one digit.

    Examples
    --------
    >>> one_digit_edits(0.333266129032258, 1984)
    [0.033266129032258, 0.533266129032258]
    """
    text = repr(float(value))
    found = set()
    for place, old in enumerate(text):
        for new in "0123456789" if old.isdigit() else "":
            edited = float(text[:place] + new + text[place + 1 :])
            if new != old and edited <= 1 and abs(edited * n_steps % 1 - 0.5) > 0.5 - 1e-8:
                found.add(edited)
    return sorted(found)
