"""What runs will take, from runs that were measured, and what each figure is based on.

A measured run gives seconds and watts per image trained on and per image evaluated on. These are
multiplied by the images of another share, another data set or another number of epochs. The basis
of a run is the measured run of its own architecture and image size that is most like it. If that
was measured on another device or by another protocol, the figures are scaled by the ratio that runs
measured in both ways show. Without such runs there is no forecast for another device, and an
unscaled one for another protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets import Sizes, known_sizes, split_sizes
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run
from pepr_utils.results import Record, ResultSet
from pepr_utils.results.load import of_records
from pepr_utils.results.power import JOULE_PER_KWH, evaluation_time, implied_power

#: The label of a folder's own runs, and by how much these grow before they are read again.
HERE, GROWN = "runs here", 1.2
#: Fewer runs than this that were measured in both ways do not make a ratio.
FEWEST_IN_COMMON = 3
#: How a forecast says that its basis has another protocol, and no runs that show the difference.
NOT_SCALED = "not scaled"
#: The basis has the very images of the run.
SAME = "the same images"


# -- what was measured -----------------------------------------------------------------------------


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
    """A measured run as a basis."""

    architecture: str
    dataset: str
    protocol: str
    pretrained: bool | None
    train_fraction: float | None
    image_size: int | None
    device: str | None
    work: Work  # the images that it has seen
    train_s: float  # seconds per image
    eval_s: float
    train_w: float | None  # mean facility power; None where no energy was measured
    eval_w: float | None
    estimated: bool = False  # whether the energy is an estimate or simulated

    def seconds(self, work: Work) -> float:
        """Time (s) of some work at this run's rates: training and evaluations."""
        return self.train_s * work.trained + self.eval_s * work.evaluated

    def energy_kwh(self, work: Work) -> float | None:
        """Facility energy of some work at this run's rates and powers."""
        if self.train_w is None or self.eval_w is None:
            return None
        joule = self.train_s * work.trained * self.train_w
        return (joule + self.eval_s * work.evaluated * self.eval_w) / JOULE_PER_KWH


@dataclass(frozen=True)
class Source:
    """Measured runs for forecasts, and their label."""

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
            replaced. A time column that cannot be what its name says is read as
            `pepr_utils.results.power.implied_power` reads it.
        label : str, optional
            By default the set's name.
        sizes : mapping, optional
            Sizes of the user's own data sets, by name.
        """
        runs, power = result_set.finished, implied_power(result_set)
        epochs = result_set.epochs.groupby("run_id")["epoch"].max()
        table = runs.assign(
            n_epochs=runs["run_id"].map(epochs),
            time_s=power["time_s"],
            power_w=power["power_w"],
            evaluation_s=evaluation_time(runs),
            per_epoch=power["reading"].eq("epoch"),
            test_alone=runs["eval_time_s"].isna(),  # the released evaluations
        ).astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        found = (_measured(row, sizes or {}) for row in rows)
        return cls(label or result_set.name, tuple(m for m in found if m is not None))

    def by_architecture(self) -> dict[str, list[Measured]]:
        """Its runs by architecture."""
        found = defaultdict(list)
        for measured in self.runs:
            found[measured.architecture].append(measured)
        return dict(found)

    @property
    def devices(self) -> list[str]:
        """Models of the devices that its runs were measured on."""
        return list(dict.fromkeys(m.device for m in self.runs if m.device is not None))


def _measured(row: Mapping[str, Any], sizes: Mapping[str, Sizes]) -> Measured | None:
    """A row as a basis; None where its time or its number of images is not known."""
    known = sizes.get(row["dataset"]) or known_sizes(row["dataset"])
    name = row["protocol"].partition("-")[0]  # of any version: they take about as long
    recipe = PROTOCOLS.get(name)
    epochs = row["n_epochs"] or (recipe.epochs if recipe else None)
    n_train, fraction = row["n_train"], row["train_fraction"]
    if n_train is None and known is not None and fraction:
        n_train = max(1, int(fraction * known.train))
    if not row["time_s"] or not epochs or not n_train:
        return None
    evaluations = math.ceil(epochs / (recipe.evaluate_every if recipe else 1))
    evaluation_s = (row["evaluation_s"] or 0.0) * (epochs if row["per_epoch"] else 1)
    if known is not None:
        n_eval = known.test if row["test_alone"] else known.val + known.test
    else:
        n_eval = row["n_test"] or 0
    # The energy's window tells whether the evaluations are within the time.
    both = row["energy_window"] == "train+eval"
    train_s = row["time_s"] - evaluation_s if both else row["time_s"]
    if train_s <= 0:
        return None
    work = Work(int(epochs * n_train), int(evaluations * n_eval))
    eval_w = row["power_w"]
    if not both and row["eval_energy_kwh"] is not None and evaluation_s:
        eval_w = row["eval_energy_kwh"] * JOULE_PER_KWH / evaluation_s
    method, size = row["energy_method"] or "", row["image_size"]
    return Measured(
        architecture=row["architecture"],
        dataset=row["dataset"],
        protocol=name,
        pretrained=row["pretrained"],
        train_fraction=fraction,
        image_size=None if size is None else int(size),
        device=row["device"],
        work=work,
        train_s=train_s / work.trained,
        eval_s=evaluation_s / work.evaluated if work.evaluated else 0.0,
        train_w=row["power_w"],
        eval_w=eval_w,
        estimated="estimate" in method or "simulated" in method,
    )


# -- forecasts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factor:
    """What time and energy of a basis are multiplied by; no energy is forecast where it is None."""

    time: float
    energy: float | None
    text: str = ""


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take: training and evaluations, and the facility energy of both."""

    seconds: float | None = None  # None without a basis
    energy_kwh: float | None = None  # None where the basis has no energy
    basis: str = ""  # the measured runs, and how their figures were scaled
    images: str = ""  # the images that the basis was measured on
    why: str = ""  # why there is no basis


@dataclass
class Forecaster:
    """Forecasts of runs.

    Attributes
    ----------
    sources : sequence of Source
        Measured runs, in the order in which they are looked through.
    device : str or None
        Model of the device that the runs are for; None for the device of the basis.
    sizes : mapping
        Sizes of data sets by name or path as runs give it; looked up where one is missing.
    """

    sources: Sequence[Source]
    device: str | None = None
    sizes: Mapping[str, Sizes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes: dict[str, Sizes | None] = dict(self.sizes)
        self._given, self._n_learned = list(self.sources), 0
        self._use(self._given)

    def _use(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self._factors: dict[tuple, Factor | str] = {}
        self._known: dict[Run, Forecast] = {}
        self._by_architecture = [source.by_architecture() for source in sources]

    def learn(self, records: Sequence[Record]) -> None:
        """Look for a basis in the folder's own finished runs first.

        Cheap to call often: they are read again only when there are a fifth more.
        """
        records = [record for record in records if record.status == "done"]
        if not records or len(records) < GROWN * self._n_learned:
            return
        self._n_learned = len(records)
        self.device = self.device or records[0].device
        own = {name_of(name): sizes for name, sizes in self._sizes.items() if sizes is not None}
        self._use([Source.of(of_records(records, HERE), sizes=own), *self._given])

    def __call__(self, run: Run) -> Forecast:
        """Forecast one run."""
        if run not in self._known:
            self._known[run] = self._forecast(run)
        return self._known[run]

    def seconds(self, run: Run) -> float | None:
        """Time (s) that a run will take, or None without a basis."""
        return self(run).seconds

    def _forecast(self, run: Run) -> Forecast:
        if run.dataset not in self._sizes:
            try:
                self._sizes[run.dataset] = split_sizes(run.dataset)
            except PeprError:
                self._sizes[run.dataset] = None
        sizes = self._sizes[run.dataset]
        if sizes is None:
            return Forecast(why=f"the images of {run.dataset} are missing and cannot be counted")
        work = Work.of(run, sizes)
        why = f"no measured run of {run.architecture} at {protocol(run.protocol).image_size} px"
        for source, by_architecture in zip(self.sources, self._by_architecture, strict=True):
            nearest = self._nearest(by_architecture.get(run.architecture, ()), run, work)
            if not nearest:
                continue
            factor = self._factor(source, nearest[0], run.protocol)
            if isinstance(factor, str):
                why = factor
                continue
            energies = [m.energy_kwh(work) for m in nearest]
            images = _images(nearest[0], run, work)
            return Forecast(
                factor.time * fmean(m.seconds(work) for m in nearest),
                None if None in (*energies, factor.energy) else factor.energy * fmean(energies),
                _basis(source, nearest[0], images, factor),
                images,
            )
        return Forecast(why=why)

    def _nearest(self, measured: Iterable[Measured], run: Run, work: Work) -> list[Measured]:
        """The measured runs that are most like a run; several where they differ in seed alone."""
        size = protocol(run.protocol).image_size
        distances = [(self._distance(m, run, work), m) for m in measured if m.image_size == size]
        least = min((distance for distance, _ in distances), default=None)
        return [m for distance, m in distances if distance == least]

    def _distance(self, measured: Measured, run: Run, work: Work) -> tuple:
        times = abs(math.log(measured.work.trained / work.trained))
        return (
            self.device is not None and measured.device != self.device,
            measured.protocol != run.protocol,
            measured.dataset != name_of(run.dataset),
            round(times, 3),
            measured.pretrained != run.pretrained,
            measured.device or "",
            measured.protocol,
            measured.dataset,
        )

    def _factor(self, source: Source, basis: Measured, recipe: str) -> Factor | str:
        """What to multiply a basis by for this device and a protocol, or why there is nothing."""
        key = (source.label, basis.device, basis.protocol, basis.image_size, recipe)
        if key not in self._factors:
            self._factors[key] = self._measured_factor(source, basis, recipe)
        return self._factors[key]

    def _measured_factor(self, source: Source, basis: Measured, recipe: str) -> Factor | str:
        here = self.device or basis.device
        if (here, recipe) == (basis.device, basis.protocol):
            return Factor(1.0, 1.0)
        ratios = self._ratios(source, basis, here, recipe)
        if len(ratios) >= FEWEST_IN_COMMON:
            time = median(time for time, _ in ratios)
            with_energy = [ratio for _, ratio in ratios if ratio is not None]
            energy = median(with_energy) if len(with_energy) >= FEWEST_IN_COMMON else None
            both = "" if energy is None else f" and energy x {energy:.3g}"
            text = f"time x {time:.3g}{both}, as {len(ratios)} runs that were measured in both ways"
            return Factor(time, energy, text)
        if here == basis.device:
            return Factor(1.0, 1.0, f"{NOT_SCALED} to protocol {recipe}")
        return (
            f"measured on {basis.device or 'an unknown device'}, and fewer than "
            f"{FEWEST_IN_COMMON} runs were measured there and on {here}"
        )

    def _ratios(
        self, source: Source, basis: Measured, here: str | None, recipe: str
    ) -> list[tuple[float, float | None]]:
        """Measured over forecast time and energy, of runs made here that a source can forecast."""
        origin = (basis.device, basis.protocol, basis.image_size)
        bases, ratios = source.by_architecture(), []
        for other in (m for s in self.sources for m in s.runs):
            if (other.device, other.protocol, other.image_size) != (here, recipe, origin[2]):
                continue
            same = [
                m
                for m in bases.get(other.architecture, ())
                if (m.device, m.protocol, m.image_size) == origin
            ]
            if not same:
                continue
            nearest = min(
                same,
                key=lambda m: (
                    m.dataset != other.dataset,
                    abs(math.log(m.work.trained / other.work.trained)),
                ),
            )
            measured, forecast = other.energy_kwh(other.work), nearest.energy_kwh(other.work)
            ratios.append(
                (
                    other.seconds(other.work) / nearest.seconds(other.work),
                    measured / forecast if measured is not None and forecast else None,
                )
            )
        return ratios


def name_of(dataset: str) -> str:
    """The name in records of a data set that may be given as a path.

    Examples
    --------
    >>> name_of("derma"), name_of("/data/xrays"), name_of("/data/chest.npz")
    ('derma', 'xrays', 'chest')
    """
    path = Path(dataset)
    return dataset if len(path.parts) == 1 else path.name.removesuffix(".npz")


def _images(nearest: Measured, run: Run, work: Work) -> str:
    """The images that a run is forecast from."""
    as_many = abs(math.log(nearest.work.trained / work.trained)) < 1e-3
    if nearest.dataset == name_of(run.dataset) and as_many:
        return SAME
    share = "" if nearest.train_fraction in (None, 1) else f" at {100 * nearest.train_fraction:g} %"
    return f"{nearest.dataset}{share}"


def _basis(source: Source, nearest: Measured, images: str, factor: Factor) -> str:
    """The basis of a forecast, without anything that differs from run to run."""
    parts = [
        f"{source.label} on {nearest.device or 'an unknown device'}, protocol {nearest.protocol}",
        images if images == SAME else f"by number of images from {images}",
        factor.text,
        "energy is an estimate there" if nearest.estimated else "",
    ]
    return "; ".join(filter(None, parts))
