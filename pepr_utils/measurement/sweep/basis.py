"""What measured runs say of the cost of an architecture: seconds and watts per image.

A run trains on so many images and is evaluated on so many. With the time of the evaluations known,
the two have rates of their own, and the run tells what another share, another data set or another
number of epochs would take. `forecast` says for which runs and how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pepr_utils.measurement.datasets import Sizes, known_sizes
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run
from pepr_utils.results import ResultSet
from pepr_utils.results.audit.power import JOULE_PER_KWH, evaluation_time, implied_power


@dataclass(frozen=True)
class Work:
    """Images that a run trains on and is evaluated on, each as often as it is seen."""

    trained: int
    evaluated: int

    @classmethod
    def of(cls, run: Run, sizes: Sizes) -> Work:
        """Return the work of a run: all epochs; validation and test images at each evaluation.

        Examples
        --------
        >>> Work.of(Run("vgg11", "derma", train_fraction=0.1), Sizes(7007, 1003, 2005))
        Work(trained=7000, evaluated=30080)
        """
        recipe = protocol(run.protocol)
        evaluations = math.ceil(recipe.epochs / recipe.evaluate_every)
        images = max(1, int(run.train_fraction * sizes.train))
        return cls(recipe.epochs * images, evaluations * (sizes.val + sizes.test))


@dataclass(frozen=True)
class Measured:
    """A measured run as a basis.

    Attributes
    ----------
    architecture, dataset, protocol, pretrained, train_fraction, image_size, device
        Of the run, as in its record; None where that is not known.
    work : Work
        What it did.
    train_s, eval_s : float
        Seconds per image.
    train_w, eval_w : float or None
        Mean facility power; None where no energy was measured.
    estimated : bool
        Whether the energy is an estimate or simulated.
    """

    architecture: str
    dataset: str
    protocol: str
    pretrained: bool | None
    train_fraction: float | None
    image_size: int | None
    device: str | None
    work: Work
    train_s: float
    eval_s: float
    train_w: float | None
    eval_w: float | None
    estimated: bool = False

    def seconds(self, work: Work) -> float:
        """Time (s) of some work at this run's rates: training and evaluations, no more."""
        return self.train_s * work.trained + self.eval_s * work.evaluated

    def energy_kwh(self, work: Work) -> float | None:
        """Facility energy of some work at this run's rates and powers."""
        if self.train_w is None or self.eval_w is None:
            return None
        joule = self.train_s * work.trained * self.train_w
        return (joule + self.eval_s * work.evaluated * self.eval_w) / JOULE_PER_KWH


@dataclass(frozen=True)
class Source:
    """Measured runs that a forecast may rest on, and what they are called."""

    label: str
    runs: tuple[Measured, ...]

    @classmethod
    def of(
        cls, result_set: ResultSet, *, label: str = "", sizes: Mapping[str, Sizes] | None = None
    ) -> Source:
        """Read the finished runs of a result set that have a time and a number of images.

        Parameters
        ----------
        result_set : ResultSet
            Any set; of the published ones take ``published-repaired``, where copied energies are
            replaced. A time column that cannot be what it is called is read as
            `pepr_utils.results.audit.power.implied_power` reads it.
        label : str, optional
            What to call it; by default the set's name.
        sizes : mapping, optional
            Sizes of data sets that are somebody's own, by name.
        """
        return cls(label or result_set.name, tuple(_measured(result_set, dict(sizes or {}))))

    @property
    def devices(self) -> list[str]:
        """Models of the devices that its runs were measured on."""
        return list(dict.fromkeys(m.device for m in self.runs if m.device is not None))


def name_of(dataset: str) -> str:
    """What records call a data set that may be given as a path.

    Examples
    --------
    >>> name_of("derma"), name_of("/data/xrays"), name_of("/data/chest.npz")
    ('derma', 'xrays', 'chest')
    """
    path = Path(dataset)
    return dataset if len(path.parts) == 1 else path.name.removesuffix(".npz")


def _measured(result_set: ResultSet, sizes: dict[str, Sizes]) -> list[Measured]:
    runs, power = result_set.finished, implied_power(result_set)
    if runs.empty:
        return []
    epochs = result_set.epochs.groupby("run_id")["epoch"].max()
    per_epoch = power["reading"].eq("epoch")
    released = runs["eval_time_s"].isna()
    table = runs.assign(
        n_epochs=runs["run_id"].map(epochs).astype("float64"),
        time_s=power["time_s"],
        power_w=power["power_w"],
        evaluation_s=evaluation_time(runs),
        per_epoch=per_epoch,
        test_alone=released,
    )
    found = (_of_row(row, sizes) for row in table.to_dict("records"))
    return [measured for measured in found if measured is not None]


def _of_row(row: dict, sizes: dict[str, Sizes]) -> Measured | None:
    known = sizes.get(row["dataset"]) or known_sizes(row["dataset"])
    recipe = PROTOCOLS.get(row["protocol"])
    epochs = _value(row["n_epochs"]) or (recipe.epochs if recipe else None)
    n_train = _value(row["n_train"])
    if n_train is None and known is not None and _value(row["train_fraction"]):
        n_train = max(1, int(row["train_fraction"] * known.train))
    time_s = _value(row["time_s"])
    if not time_s or not epochs or not n_train:
        return None
    every = recipe.evaluate_every if recipe else 1
    evaluations = math.ceil(epochs / every)
    evaluation_s = (_value(row["evaluation_s"]) or 0.0) * (epochs if row["per_epoch"] else 1)
    n_test = _value(row["n_test"])
    if known is not None:
        n_eval = known.test if row["test_alone"] else known.val + known.test
    else:
        n_eval = n_test
    # The energy's window tells whether the evaluations are within the time.
    both = _value(row["energy_window"]) == "train+eval"
    train_s = time_s - evaluation_s if both else time_s
    if train_s <= 0:
        return None
    work = Work(int(epochs * n_train), int(evaluations * (n_eval or 0)))
    watt = _value(row["power_w"])
    eval_kwh = _value(row["eval_energy_kwh"])
    eval_w = watt
    if not both and eval_kwh is not None and evaluation_s:
        eval_w = eval_kwh * JOULE_PER_KWH / evaluation_s
    method = _value(row["energy_method"]) or ""
    fraction, size = _value(row["train_fraction"]), _value(row["image_size"])
    return Measured(
        architecture=row["architecture"],
        dataset=row["dataset"],
        protocol=row["protocol"],
        pretrained=_value(row["pretrained"]),
        train_fraction=fraction,
        image_size=None if size is None else int(size),
        device=_value(row["device"]),
        work=work,
        train_s=train_s / work.trained,
        eval_s=evaluation_s / work.evaluated if work.evaluated else 0.0,
        train_w=watt,
        eval_w=eval_w,
        estimated="estimate" in method or "simulated" in method,
    )


def _value(value: object) -> object:
    """None for every kind of missing value."""
    return None if pd.isna(value) else value
