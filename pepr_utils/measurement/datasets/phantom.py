"""`phantom`: a procedural lesion data set that needs no download, for tests and the demo.

Grey-scale patches of textured tissue, as a scanner with noise would show them. A patch holds no
lesion, a smooth one or a spiculated one; size, place, contrast and the strength of texture and
noise vary, so that the classes overlap and a better model does better. Drawn from one seed: the
images are the same everywhere.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pepr_utils.measurement.datasets.source import Description, Source

SIZE = 64
CLASS_NAMES = ("no lesion", "smooth lesion", "spiculated lesion")
#: Images per split and class: the classes are not balanced, as in a clinic.
COUNTS = {"train": (77, 48, 35), "val": (15, 10, 7), "test": (46, 29, 21)}
#: Part of the content hash: it changes with anything that changes an image.
VERSION = "phantom-3"
_SEED = 20_250_109


def describe() -> Description:
    """Name and content of the data set."""
    return Description("phantom", VERSION)


@cache
def load() -> Source:
    """Draw the data set; the same images on every call."""
    images, labels = {}, {}
    for number, (split, counts) in enumerate(COUNTS.items()):
        rng = np.random.default_rng([_SEED, number])
        classes = rng.permutation(np.repeat(np.arange(3), counts))
        drawn = np.stack([_draw(rng, int(c)) for c in classes])
        images[split], labels[split] = drawn[..., None], classes.astype(np.int64)
    return Source(
        "phantom", VERSION, CLASS_NAMES, images, labels, 1, licence="MIT, like the project"
    )


def _draw(rng: np.random.Generator, kind: int) -> np.ndarray:
    """Draw one patch of uint8, SIZE x SIZE."""
    tissue = 0.32 + 0.09 * _smooth(rng, 5) + 0.045 * _smooth(rng, 13)
    if kind:
        tissue = tissue + rng.uniform(0.2, 0.5) * _lesion(rng, spiculated=kind == 2)
    noise = rng.normal(0.0, rng.uniform(0.02, 0.04), (SIZE, SIZE))
    return np.round(255 * np.clip(tissue + noise, 0.0, 1.0)).astype(np.uint8)


def _smooth(rng: np.random.Generator, knots: int) -> np.ndarray:
    """Smooth random field: normal values on a coarse grid, interpolated along both axes."""
    grid = rng.normal(0.0, 1.0, (knots, knots))
    at, fine = np.linspace(0, 1, knots), np.linspace(0, 1, SIZE)
    rows = np.stack([np.interp(fine, at, row) for row in grid])
    return np.stack([np.interp(fine, at, column) for column in rows.T], axis=1)


def _lesion(rng: np.random.Generator, *, spiculated: bool) -> np.ndarray:
    """Bright blob in [0, 1] whose edge is round, or runs out into spikes."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    centre = rng.uniform(0.3, 0.7, 2) * SIZE
    radius, angle = np.hypot(y - centre[0], x - centre[1]), np.arctan2(y - centre[0], x - centre[1])
    size, phase = rng.uniform(0.11, 0.19) * SIZE, rng.uniform(0, 2 * np.pi, 2)
    if spiculated:
        spikes = np.abs(np.cos(rng.integers(3, 6) * angle + phase[0])) ** 3
        edge = size * (0.62 + rng.uniform(0.75, 1.2) * spikes)
    else:
        edge = size * (
            1 + 0.12 * np.cos(2 * angle + phase[0]) + 0.06 * np.cos(3 * angle + phase[1])
        )
    return 1.0 / (1.0 + np.exp((radius - edge) / (0.06 * size + 0.6)))
