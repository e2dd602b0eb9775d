"""What one run measures: as it is requested, and with everything looked up that it names.

Nothing here loads torch: a plan of a thousand runs is made and compared with the existing records
on a machine that cannot train.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pepr_utils.errors import RunError
from pepr_utils.measurement.protocols import Protocol, protocol

if TYPE_CHECKING:
    from pepr_utils.measurement.architectures import Architecture
    from pepr_utils.measurement.datasets.source import Description


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
        Determines initial weights, the order of images and which share is used; at least 0.

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


@dataclass(frozen=True)
class ResolvedRun:
    """A run with everything looked up that it names; see `resolve`.

    Attributes
    ----------
    run : Run
        What was requested.
    run_id : str
        Name of its record.
    architecture : Architecture
        The architecture.
    weights : str or None
        Tag of the weights that it starts from; None from scratch.
    weights_file : pathlib.Path or None
        Their file; None where timm downloads them.
    weights_sha256 : str or None
        SHA-256 of that file.
    dataset : Description
        Name and content of the data set.
    protocol : Protocol
        The recipe.
    """

    run: Run
    run_id: str
    architecture: Architecture
    weights: str | None
    weights_file: Path | None
    weights_sha256: str | None
    dataset: Description
    protocol: Protocol

    def columns(self) -> dict[str, Any]:
        """The columns of its record that are known before it is measured."""
        return {
            "run_id": self.run_id,
            "architecture": self.architecture.name,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "dataset": self.dataset.name,
            "dataset_hash": self.dataset.content_hash,
            "image_size": self.protocol.image_size,
            "pretrained": self.run.pretrained,
            "train_fraction": float(self.run.train_fraction),
            "seed": self.run.seed,
            "protocol": self.protocol.label,
        }


def resolve(
    run: Run, weights_folder: Path | str | None = None, *, dataset: Description | None = None
) -> ResolvedRun:
    """Look up, once, everything that a run names; nothing is downloaded.

    Parameters
    ----------
    run : Run
        The run.
    weights_folder : path, optional
        Folder of its pretrained weights; without it they are those that timm downloads.
    dataset : Description, optional
        The result of `describe_dataset`, which reads a folder of images.

    Raises
    ------
    PeprError
        If architecture, data set or protocol is unknown, the data set cannot be read, or the folder
        of weights lacks those of the run.

    Examples
    --------
    >>> resolve(Run("resnet18d", "phantom", "demo")).weights
    'resnet18d.ra2_in1k'
    """
    from pepr_utils.measurement.architectures import find_architecture
    from pepr_utils.measurement.datasets import describe_dataset
    from pepr_utils.measurement.datasets.npz import file_hash
    from pepr_utils.measurement.training.weights import local_weights

    architecture, recipe = find_architecture(run.architecture), protocol(run.protocol)
    dataset = dataset or describe_dataset(run.dataset)
    weights = architecture.pinned_weights() if run.pretrained else None
    file = sha256 = None
    if weights is not None and weights_folder is not None:
        file = local_weights(architecture, Path(weights_folder))
        sha256 = file_hash(file)
    defined = {
        "architecture": architecture.name,
        "weights": weights,
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash,
        "protocol": recipe.definition(),
        "pretrained": bool(run.pretrained),
        "train_fraction": float(run.train_fraction),
        "seed": int(run.seed),
    } | ({"weights_sha256": sha256} if sha256 else {})
    text = json.dumps(defined, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", run.architecture)[:80].lstrip("._-")
    return ResolvedRun(
        run, f"{name or 'run'}-{digest}", architecture, weights, file, sha256, dataset, recipe
    )


def run_id(run: Run, weights_folder: Path | str | None = None) -> str:
    """Return the name of a run's record: its architecture, and the hash of what defines it.

    Two runs have the same name if and only if they are the same measurement: the same name and
    content of the data set, the same fields of the protocol, the same tag of pretrained weights,
    and where these are from a folder, the same SHA-256 of the file.

    Parameters
    ----------
    run, weights_folder
        As in `resolve`.

    Examples
    --------
    >>> run = Run("resnet18d", "phantom", protocol="demo", pretrained=False)
    >>> run_id(run).startswith("resnet18d-")
    True
    >>> run_id(run) == run_id(Run("resnet18d", "phantom", "demo", False, seed=2))
    False
    """
    return resolve(run, weights_folder).run_id
