"""The noun: what one run measures, and the name that follows from it.

Nothing here loads torch: a plan of a thousand runs is made, counted and compared with the records
that are there on a machine that cannot train.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from pepr_utils.errors import PeprError
from pepr_utils.measurement.protocols import protocol


class RunError(PeprError, ValueError):
    """A run is not defined as it has to be, or cannot be measured as it is asked for."""


@dataclass(frozen=True)
class Run:
    """One training that is to be measured.

    Attributes
    ----------
    architecture : str
        One of the paper's 131, any other model of timm, or ``name.tag`` for certain weights.
    dataset : str
        Name of a data set, a folder of images, or an ``.npz`` file in MedMNIST's layout.
    protocol : str
        Name of the recipe.
    pretrained : bool
        From ImageNet-1k weights, or from scratch.
    train_fraction : float
        Share of the training images that is used, above 0 and at most 1.
    seed : int
        Decides initial weights, the order of images and which share is used; at least 0.

    Raises
    ------
    RunError
        If the share or the seed is out of range, or of a wrong type.

    Examples
    --------
    >>> Run("resnet18d", "phantom", protocol="demo", pretrained=False).train_fraction
    1.0
    """

    architecture: str
    dataset: str
    protocol: str = "paper"
    pretrained: bool = True
    train_fraction: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.train_fraction, Real) or not 0 < self.train_fraction <= 1:
            raise RunError(
                f"train_fraction is {self.train_fraction!r}; allowed: above 0 and at most 1, "
                "such as 0.1 for a tenth"
            )
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**31:
            raise RunError(f"seed is {self.seed!r}; allowed: a whole number from 0 to 2^31 - 1")
        if not isinstance(self.pretrained, bool | np.bool_):  # a table's are numpy's
            raise RunError(f"pretrained is {self.pretrained!r}; allowed: True or False")


def definition(run: Run, weights_folder: Path | None = None) -> dict[str, Any]:
    """Return what defines a run, resolved: weights, content of the data set, recipe.

    Raises
    ------
    PeprError
        If architecture, data set or protocol is unknown, or the data set cannot be read, or the
        folder of weights does not hold those of the run.
    """
    from pepr_utils.measurement.architectures import find_architecture
    from pepr_utils.measurement.datasets import describe_dataset
    from pepr_utils.measurement.datasets.npz import file_hash
    from pepr_utils.measurement.training.weights import local_weights

    found = find_architecture(run.architecture)
    dataset = describe_dataset(run.dataset)
    own = {}
    if run.pretrained and weights_folder is not None:
        own = {"weights_sha256": file_hash(local_weights(found, weights_folder))}
    return own | {
        "architecture": found.name,
        "weights": found.pinned_weights() if run.pretrained else None,
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash,
        "protocol": protocol(run.protocol).definition(),
        "pretrained": bool(run.pretrained),
        "train_fraction": float(run.train_fraction),
        "seed": int(run.seed),
    }


def run_id(run: Run, weights_folder: Path | None = None) -> str:
    """Return the name of a run's record: its architecture, and the hash of what defines it.

    Two runs have the same name if and only if they are the same measurement: a data set counts by
    its name, which stands in the record, and by its content; a protocol by all its fields;
    pretrained weights by their tag, and from a folder of one's own by the file's SHA-256 too.

    Parameters
    ----------
    run : Run
        The run.
    weights_folder : pathlib.Path, optional
        Where its pretrained weights lie; without it they are those that timm downloads.

    Examples
    --------
    >>> run = Run("resnet18d", "phantom", protocol="demo", pretrained=False)
    >>> run_id(run).startswith("resnet18d-")
    True
    >>> run_id(run) == run_id(Run("resnet18d", "phantom", "demo", False, seed=2))
    False
    """
    return name_of(run, definition(run, weights_folder))


def name_of(run: Run, defined: Mapping[str, Any]) -> str:
    """Return the run_id of a run of which `definition` has said what defines it."""
    text = json.dumps(defined, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", run.architecture)[:80].lstrip("._-")
    return f"{name or 'run'}-{digest}"
