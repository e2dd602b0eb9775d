"""What runs will take, from runs that were measured, and how each figure was come by.

A run trains on so many images and is evaluated on so many. With the time of the evaluations known,
the two have rates of their own, and a measured run tells what another share, another data set or
another number of epochs would take. A run is forecast from measured runs of its own architecture at
its own image size: time and energy per image, times its images. If these were measured on another
device or by another protocol, the figure is multiplied by what runs that were measured here show;
without such runs by the ratio of the data sheets, and where there is none of either there is no
forecast. Nothing is taken from other architectures.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import pandas as pd

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets import Sizes, known_sizes, split_sizes
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run
from pepr_utils.results import Record, ResultSet
from pepr_utils.results.load import of_records
from pepr_utils.results.power import JOULE_PER_KWH, declared, evaluation_time, implied_power

#: What a folder's own runs are called, and by how much they grow before they are looked at again.
HERE, GROWN = "runs here", 1.2
#: Fewer runs than this on both sides do not make a ratio.
FEWEST_IN_COMMON = 3
#: Of a basis on the very images of the run.
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
            `pepr_utils.results.power.implied_power` reads it.
        label : str, optional
            What to call it; by default the set's name.
        sizes : mapping, optional
            Sizes of data sets that are somebody's own, by name.
        """
        return cls(label or result_set.name, tuple(_measured(result_set, dict(sizes or {}))))

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


# -- other devices and protocols -------------------------------------------------------------------


@dataclass(frozen=True)
class Factor:
    """What time and energy of one device and protocol are multiplied by for another.

    Without a factor for the energy there is no forecast of it.
    """

    time: float
    energy: float | None
    text: str = ""


def factor(
    source: Source, sources: Sequence[Source], measured: Measured, device: str | None, recipe: str
) -> Factor | str:
    """Say what the figures of a measured run are multiplied by for a device and protocol.

    Parameters
    ----------
    source : Source
        Where the measured run is from.
    sources : sequence of Source
        All of them, to look for runs that were made here.
    measured : Measured
        The run; others of its source, device, protocol and image size have the same factor.
    device : str or None
        The device that a forecast is for; None for that of the measured run.
    recipe : str
        The protocol that it is for.

    Returns
    -------
    Factor or str
        The factor, or why there is none.
    """
    here = device or measured.device
    if (here, recipe) == (measured.device, measured.protocol):
        return Factor(1.0, 1.0)
    common = _in_common(source, sources, measured, here, recipe)
    if len(common) >= FEWEST_IN_COMMON:
        time = median(ratio for ratio, _ in common)
        with_energy = [ratio for _, ratio in common if ratio is not None]
        energy = median(with_energy) if len(with_energy) >= FEWEST_IN_COMMON else None
        both = "" if energy is None else f" and energy x {energy:.3g}"
        text = f"time x {time:.3g}{both}, as {len(common)} runs that were measured in both ways"
        return Factor(time, energy, text)
    other_recipe = "" if measured.protocol == recipe else f"not scaled to protocol {recipe}"
    if here == measured.device:
        return Factor(1.0, 1.0, other_recipe)
    sheets = by_data_sheets(measured.device, here)
    if sheets is None:
        return (
            f"measured on {measured.device or 'an unknown device'}, and nothing says how "
            f"{here} compares with it"
        )
    return Factor(sheets.time, sheets.energy, "; ".join(filter(None, [sheets.text, other_recipe])))


def _in_common(
    source: Source, sources: Sequence[Source], measured: Measured, here: str | None, recipe: str
) -> list[tuple[float, float | None]]:
    """Measured over forecast time and energy, for runs made here that a source can forecast."""
    origin = (measured.device, measured.protocol, measured.image_size)
    bases = source.by_architecture()
    found = []
    for other in (m for s in sources for m in s.runs):
        if (other.device, other.protocol) != (here, recipe):
            continue
        same = [
            m
            for m in bases.get(other.architecture, ())
            if (m.device, m.protocol, m.image_size) == origin and other.image_size == m.image_size
        ]
        if not same:
            continue
        best = min(
            same,
            key=lambda m: (
                m.dataset != other.dataset,
                abs(math.log(m.work.trained / other.work.trained)),
            ),
        )
        expected, energy = best.seconds(other.work), best.energy_kwh(other.work)
        was = other.energy_kwh(other.work)
        found.append(
            (
                other.seconds(other.work) / expected,
                was / energy if was is not None and energy else None,
            )
        )
    return found


def by_data_sheets(measured_on: str | None, here: str | None) -> Factor | None:
    """Ratio of two GPUs by what ``data/devices.toml`` declares of them; None where it does not.

    Time goes by the bandwidth of the memory, which limits networks of this size more than
    arithmetic does, and power by the board's limit. It is a rule of thumb, for GPUs that no run
    was measured on yet: small networks use little of a large one.

    Examples
    --------
    >>> by_data_sheets("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090").text
    'time x 0.929 and energy x 1.19, by the data sheets alone'
    """
    devices = declared()["devices"]
    if measured_on not in devices or here not in devices:
        return None
    old, new = devices[measured_on], devices[here]
    time = old["memory_bandwidth_gb_s"] / new["memory_bandwidth_gb_s"]
    energy = time * new["board_power_w"] / old["board_power_w"]
    text = f"time x {time:.3g} and energy x {energy:.3g}, by the data sheets alone"
    return Factor(time, energy, text)


# -- forecasts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take.

    Attributes
    ----------
    seconds : float or None
        Training and evaluations; None without a basis.
    energy_kwh : float or None
        Facility energy of both; None where the basis has no energy.
    basis : str
        What the figures rest on and how they were scaled; empty without a basis.
    images : str
        The images among it that the basis was measured on.
    why : str
        Why there is no basis.
    """

    seconds: float | None = None
    energy_kwh: float | None = None
    basis: str = ""
    images: str = ""
    why: str = ""


@dataclass
class Forecaster:
    """Forecasts of runs.

    Attributes
    ----------
    sources : sequence of Source
        Measured runs, the nearest first: those of the folder, then others.
    device : str or None
        Model of the device that the runs are for; None if that is not known, and the figures are
        then those of the device that the basis was measured on.
    sizes : mapping
        Sizes of data sets by name or path as runs give it; looked up where it is missing.
    """

    sources: Sequence[Source]
    device: str | None = None
    sizes: Mapping[str, Sizes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes: dict[str, Sizes | None] = dict(self.sizes)
        self._others, self._learned = list(self.sources), 0
        self._rest_on(self._others)

    def _rest_on(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self._factors: dict[tuple, Factor | str] = {}
        self._known: dict[Run, Forecast] = {}
        self._by_architecture = [source.by_architecture() for source in sources]

    def learn(self, records: Sequence[Record]) -> None:
        """Rest on the finished runs of the folder before all others, as they become more.

        Cheap to call often: it looks at them again only when they have grown by a fifth.

        Parameters
        ----------
        records : sequence of Record
            All of them.
        """
        if not records or len(records) < GROWN * self._learned:
            return
        self._learned = len(records)
        self.device = self.device or records[0].device
        here = Source.of(of_records(records, HERE), sizes=self._own_sizes())
        self._rest_on([here, *self._others])

    def _own_sizes(self) -> dict[str, Sizes]:
        return {name_of(name): sizes for name, sizes in self._sizes.items() if sizes is not None}

    def __call__(self, run: Run) -> Forecast:
        """Forecast one run."""
        if run not in self._known:
            self._known[run] = self._forecast(run)
        return self._known[run]

    def seconds(self, run: Run) -> float | None:
        """Time (s) that a run will take, or None without a basis."""
        return self(run).seconds

    def _forecast(self, run: Run) -> Forecast:
        sizes = self._size(run.dataset)
        if sizes is None:
            return Forecast(why=f"the images of {run.dataset} are not there to be counted")
        work = Work.of(run, sizes)
        why = f"no measured run of {run.architecture} at {protocol(run.protocol).image_size} px"
        for source, by_architecture in zip(self.sources, self._by_architecture, strict=True):
            nearest = self._nearest(by_architecture.get(run.architecture, ()), run, work)
            if not nearest:
                continue
            scale = self._factor(source, nearest[0], run.protocol)
            if isinstance(scale, str):
                why = scale
                continue
            energies = [m.energy_kwh(work) for m in nearest]
            images = _images(nearest[0], run, work)
            return Forecast(
                scale.time * fmean(m.seconds(work) for m in nearest),
                None if None in (*energies, scale.energy) else scale.energy * fmean(energies),
                _basis(source, nearest[0], images, scale),
                images,
            )
        return Forecast(why=why)

    def _size(self, dataset: str) -> Sizes | None:
        if dataset not in self._sizes:
            try:
                self._sizes[dataset] = split_sizes(dataset)
            except PeprError:
                self._sizes[dataset] = None
        return self._sizes[dataset]

    def _nearest(self, measured: Iterable[Measured], run: Run, work: Work) -> list[Measured]:
        """The measured runs that are most like a run; several where they differ in seed alone."""
        size = protocol(run.protocol).image_size
        fitting = [m for m in measured if m.image_size == size]
        keys = [self._distance(m, run, work) for m in fitting]
        return [m for m, key in zip(fitting, keys, strict=True) if key == min(keys)]

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

    def _factor(self, source: Source, measured: Measured, recipe: str) -> Factor | str:
        """What to multiply by from where a run was measured to here, or why there is nothing."""
        key = (source.label, measured.device, measured.protocol, recipe)
        if key not in self._factors:
            self._factors[key] = factor(source, self.sources, measured, self.device, recipe)
        return self._factors[key]


def _images(nearest: Measured, run: Run, work: Work) -> str:
    """The images that a run is forecast from."""
    as_many = abs(math.log(nearest.work.trained / work.trained)) < 1e-3
    if nearest.dataset == name_of(run.dataset) and as_many:
        return SAME
    share = "" if nearest.train_fraction in (None, 1) else f" at {nearest.train_fraction:.0%}"
    return f"{nearest.dataset}{share}"


def _basis(source: Source, nearest: Measured, images: str, scale: Factor) -> str:
    """What a forecast rests on, without anything that differs from run to run."""
    parts = [
        f"{source.label} on {nearest.device or 'an unknown device'}, protocol {nearest.protocol}",
        images if images == SAME else f"by number of images from {images}",
        scale.text,
        "energy is an estimate there" if nearest.estimated else "",
    ]
    return "; ".join(filter(None, parts))
