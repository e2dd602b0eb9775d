"""A block of a study: a grid of runs whose every value is checked when it is read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from pepr_utils.errors import PeprError, TrainingUnavailableError, unknown_name
from pepr_utils.measurement.architectures import (
    ArchitectureError,
    check_size,
    find_architecture,
    select_architectures,
)
from pepr_utils.measurement.datasets import ALIASES, resolve
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run
from pepr_utils.results import load_architectures, load_timm_models

#: The word that stands for the paper's architectures.
ALL = "all"
#: More runs than this are a slip of the pen.
MOST_RUNS = 1_000_000


def _saying(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turn an error of ours into one that pydantic collects."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except PeprError as error:
            raise ValueError(str(error)) from None

    return checked


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _dataset(name: str, info: ValidationInfo) -> str:
    """A name as it is; a path from the study's folder, written out from the root."""
    path = (info.context["folder"] / Path(name).expanduser()).resolve()
    try:
        _, place = resolve(name)
        if not isinstance(place, Path):
            return name
    except TrainingUnavailableError:
        if name in ALIASES:
            return name  # the index of MedMNIST is not needed to know the paper's own
        if not path.exists():
            raise ValueError(
                f"whether {name!r} is a data set cannot be said: MedMNIST's index is not "
                "installed; pip install 'pepr-utils[train]'"
            ) from None
    except PeprError as error:
        if not path.exists():
            raise ValueError(str(error)) from None
    if not path.exists():
        raise ValueError(f"no folder or file {path}; paths start at the study's own folder")
    try:
        resolve(str(path))
    except PeprError as error:
        raise ValueError(str(error)) from None
    return str(path)


def _architecture(name: str) -> str:
    known = load_timm_models().index
    if name == ALL or name in known:
        return name
    try:
        find_architecture(name)  # asks timm, which loads torch: only for names of timm's own
    except TrainingUnavailableError:
        close = str(unknown_name("architecture", name, known)).partition("; did you")[2]
        raise ValueError(
            f"unknown architecture {name!r}; allowed: one of the paper's {len(known)} "
            "(data/architectures.csv), or a model of timm, which is not installed here"
            + (f"; did you{close}" if close else "")
        ) from None
    return name


def _number(value: Any) -> Any:
    """YAML 1.1 takes ``1e-2`` for text; True is no number."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _fraction(value: float) -> float:
    return Run("-", "-", train_fraction=value).train_fraction


def _seed(value: int) -> int:
    return Run("-", "-", seed=value).seed


def list_of(item: Any) -> Any:
    """A list with at least one item; a single value stands for a list of one."""
    return Annotated[list[item], BeforeValidator(_listed), Field(min_length=1)]


Name = Annotated[str, Field(min_length=1, max_length=80)]
Strictly = Field(strict=True)
_DATASET = Annotated[str, AfterValidator(_dataset)]
_ARCHITECTURE = Annotated[str, AfterValidator(_saying(_architecture))]
_CONDITION = Annotated[str, AfterValidator(_saying(lambda w: select_architectures((), w) and w))]
_PROTOCOL = Annotated[str, AfterValidator(_saying(lambda name: protocol(name).name))]
_FRACTION = Annotated[float, BeforeValidator(_number), AfterValidator(_saying(_fraction))]
_SEED = Annotated[int, Strictly, AfterValidator(_saying(_seed))]


class Block(BaseModel):
    """A grid of runs.

    Attributes
    ----------
    name : str
        What tables call it; by default its number.
    datasets : list of str
        Names, folders or files; paths start at the study's folder.
    architectures : list of str
        Names, or ``all`` for the paper's 131.
    where : str or None
        A condition on them; without names, on the paper's 131.
    protocols, pretrained, train_fractions, seeds : list
        As in `Run`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = ""
    datasets: list_of(_DATASET)
    architectures: list_of(_ARCHITECTURE) = []
    where: _CONDITION | None = None
    protocols: list_of(_PROTOCOL)
    pretrained: list_of(Annotated[bool, Strictly]) = [True]
    train_fractions: list_of(_FRACTION) = [1.0]
    seeds: list_of(_SEED) = [1]

    @model_validator(mode="after")
    def _can_be_run(self) -> Block:
        if not self.architectures and self.where is None:
            raise ValueError(
                "no architectures; allowed: architectures: [a, b], architectures: all, or where: "
                "a condition such as n_parameters < 10e6"
            )
        try:
            names = self.chosen()
            for recipe in self.protocols:
                _check_sizes(names, recipe)
        except PeprError as error:
            raise ValueError(str(error)) from None
        n = math.prod(map(len, (names, *self._axes())))
        if n > MOST_RUNS:
            raise ValueError(f"{n:,} runs; allowed: at most {MOST_RUNS:,}")
        return self

    def chosen(self) -> list[str]:
        """The architectures, each once."""
        names = self.architectures
        if ALL in names:
            every = load_architectures()["architecture"].tolist()
            names = [n for name in names for n in (every if name == ALL else [name])]
        return select_architectures(names, self.where)

    def _axes(self) -> tuple[list, ...]:
        return self.datasets, self.protocols, self.pretrained, self.train_fractions, self.seeds

    def runs(self) -> Iterable[Run]:
        """Every combination; architectures vary fastest, seeds slowest."""
        datasets, protocols, starts, fractions, seeds = self._axes()
        names = self.chosen()
        for seed, dataset, recipe, start, fraction in itertools.product(
            seeds, datasets, protocols, starts, fractions
        ):
            for name in names:
                yield Run(name, dataset, recipe, start, fraction, seed)


def _check_sizes(names: list[str], recipe: str) -> None:
    """Say for all architectures at once which do not take the images of a protocol."""
    size, faults = PROTOCOLS[recipe].image_size, []
    known = load_timm_models()
    for name in (n for n in names if n in known.index):
        try:
            check_size(find_architecture(name), size)
        except PeprError as error:
            faults.append((name, str(error)))
    if len(faults) > 1:
        raise ArchitectureError(
            f"{len(faults)} architectures do not take the images of {size} px of protocol "
            f"{recipe!r}: {', '.join(name for name, _ in faults)}; leave them out, or choose "
            "another protocol"
        )
    if faults:
        raise ArchitectureError(faults[0][1])
