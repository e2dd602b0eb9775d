"""What runs will take, from runs that were measured, and how each figure was come by.

A run is forecast from measured runs of its own architecture at its own image size: time and energy
per image (`basis`), times its images. If these were measured on another device or by another
protocol, the figure is multiplied by what runs that were measured here show; without such runs by
the ratio of the data sheets, and where there is none of either there is no forecast. Nothing is
taken from other architectures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets import Sizes, split_sizes
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.basis import Measured, Source, Work, name_of
from pepr_utils.measurement.sweep.scaling import Factor, factor, grouped
from pepr_utils.results import Record
from pepr_utils.results.result_set import of_records

#: What a folder's own runs are called, and by how much they grow before they are looked at again.
HERE, GROWN = "runs here", 1.2


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
        self._by_architecture = [grouped(source) for source in sources]

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
                _words(source, nearest[0], images, scale),
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


#: Of a basis on the very images of the run.
SAME = "the same images"


def _images(nearest: Measured, run: Run, work: Work) -> str:
    """The images that a run is forecast from."""
    as_many = abs(math.log(nearest.work.trained / work.trained)) < 1e-3
    if nearest.dataset == name_of(run.dataset) and as_many:
        return SAME
    share = "" if nearest.train_fraction in (None, 1) else f" at {nearest.train_fraction:.0%}"
    return f"{nearest.dataset}{share}"


def _words(source: Source, nearest: Measured, images: str, scale: Factor) -> str:
    """What a forecast rests on, without anything that differs from run to run."""
    parts = [
        f"{source.label} on {nearest.device or 'an unknown device'}, protocol {nearest.protocol}",
        images if images == SAME else f"by number of images from {images}",
        scale.words,
        "energy is an estimate there" if nearest.estimated else "",
    ]
    return "; ".join(filter(None, parts))
