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
from statistics import fmean, median

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets.sizes import Sizes, split_sizes
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.basis import Measured, Source, Work, name_of
from pepr_utils.results import Record
from pepr_utils.results.audit.limits import declared
from pepr_utils.results.result_set import of_records

#: Fewer runs than this on both sides do not make a ratio.
FEWEST_IN_COMMON = 3
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


@dataclass(frozen=True)
class Factor:
    """What time and energy of one device and protocol are multiplied by for another."""

    time: float
    energy: float
    words: str = ""


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
        self._by_architecture = [_grouped(source) for source in sources]

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
        for source, grouped in zip(self.sources, self._by_architecture, strict=True):
            nearest = self._nearest(grouped.get(run.architecture, ()), run, work)
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
                None if None in energies else factor.energy * fmean(energies),
                _words(source, nearest[0], images, factor),
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
            self._factors[key] = self._make_factor(source, measured, recipe)
        return self._factors[key]

    def _make_factor(self, source: Source, measured: Measured, recipe: str) -> Factor | str:
        here = self.device or measured.device
        if (here, recipe) == (measured.device, measured.protocol):
            return Factor(1.0, 1.0)
        common = self._in_common(source, measured, recipe)
        if len(common) >= FEWEST_IN_COMMON:
            time = median(ratio for ratio, _ in common)
            with_energy = [ratio for _, ratio in common if ratio is not None]
            energy = median(with_energy) if with_energy else time
            words = (
                f"time x {time:.3g} and energy x {energy:.3g}, as {len(common)} runs that were "
                "measured in both ways"
            )
            return Factor(time, energy, words)
        other_recipe = "" if measured.protocol == recipe else f"not scaled to protocol {recipe}"
        if here == measured.device:
            return Factor(1.0, 1.0, other_recipe)
        sheets = by_data_sheets(measured.device, here)
        if sheets is None:
            return (
                f"measured on {measured.device or 'an unknown device'}, and nothing says how "
                f"{here} compares with it"
            )
        return Factor(
            sheets.time, sheets.energy, "; ".join(filter(None, [sheets.words, other_recipe]))
        )

    def _in_common(
        self, source: Source, measured: Measured, recipe: str
    ) -> list[tuple[float, float | None]]:
        """Measured over forecast time and energy, for runs made here that a source can forecast."""
        origin = (measured.device, measured.protocol, measured.image_size)
        bases = _grouped(source)
        found = []
        for other in (m for s in self.sources for m in s.runs):
            if (other.device, other.protocol) != (self.device or measured.device, recipe):
                continue
            same = [
                m
                for m in bases.get(other.architecture, ())
                if (m.device, m.protocol, m.image_size) == origin
                and other.image_size == m.image_size
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
    """Ratio of two cards by what ``data/devices.toml`` declares of them; None where it does not.

    Time goes by the bandwidth of the memory, which limits networks of this size more than
    arithmetic does, and power by the board's limit. It is a rule of thumb, for cards that no run
    was measured on yet: small networks use little of a large card.

    Examples
    --------
    >>> by_data_sheets("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090").words
    'time x 0.929 and energy x 1.19, by the data sheets alone'
    """
    devices = declared()["devices"]
    if measured_on not in devices or here not in devices:
        return None
    old, new = devices[measured_on], devices[here]
    time = old["memory_bandwidth_gb_s"] / new["memory_bandwidth_gb_s"]
    energy = time * new["board_power_w"] / old["board_power_w"]
    words = f"time x {time:.3g} and energy x {energy:.3g}, by the data sheets alone"
    return Factor(time, energy, words)


#: Of a basis on the very images of the run.
SAME = "the same images"


def _images(nearest: Measured, run: Run, work: Work) -> str:
    """The images that a run is forecast from."""
    as_many = abs(math.log(nearest.work.trained / work.trained)) < 1e-3
    if nearest.dataset == name_of(run.dataset) and as_many:
        return SAME
    share = "" if nearest.train_fraction in (None, 1) else f" at {nearest.train_fraction:.0%}"
    return f"{nearest.dataset}{share}"


def _words(source: Source, nearest: Measured, images: str, factor: Factor) -> str:
    """What a forecast rests on, without anything that differs from run to run."""
    parts = [
        f"{source.label} on {nearest.device or 'an unknown device'}, protocol {nearest.protocol}",
        images if images == SAME else f"by number of images from {images}",
        factor.words,
        "energy is an estimate there" if nearest.estimated else "",
    ]
    return "; ".join(filter(None, parts))


def _grouped(source: Source) -> dict[str, list[Measured]]:
    grouped: dict[str, list[Measured]] = {}
    for measured in source.runs:
        grouped.setdefault(measured.architecture, []).append(measured)
    return grouped
