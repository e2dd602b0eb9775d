"""A study: grids of runs in a YAML file, read whole or refused with every error and its line.

::

    name: my-clinic
    blocks:
      - name: small models, fine-tuned
        datasets: [pneumonia, ~/xrays]
        architectures: all          # or names; `where` chooses among them
        where: n_parameters < 10e6
        protocols: fast
        pretrained: true
        train_fractions: [1.0, 0.1]
        seeds: [1, 2, 3]

Each block is a grid: every combination of its lists is a run. A run that is in several blocks is
done once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
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
from pepr_utils.measurement.datasets import ALIASES, dataset_kind, describe_dataset
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run, run_id
from pepr_utils.measurement.sweep.plan import Plan, Planned, StudyError
from pepr_utils.paths import data_dir, user_path
from pepr_utils.results import load_architectures, load_timm_models

FOLDER = "studies"
#: Stands for the paper's architectures.
ALL = "all"
#: What each field may hold, for values of a wrong type.
_ALLOWED = {
    "name": "text of 1 to 80 characters",
    "blocks": "a list of blocks, each with datasets, architectures or where, and protocols",
    "datasets": "names such as derma, folders, or .npz files",
    "architectures": "names such as resnet18d, or all",
    "where": "a condition such as n_parameters < 10e6",
    "protocols": ", ".join(PROTOCOLS),
    "pretrained": "true (fine-tuned), false (from scratch), or [true, false]",
    "train_fractions": "numbers above 0 and at most 1, such as 0.1 for a tenth",
    "seeds": "whole numbers from 0 to 2^31 - 1",
}
_EXAMPLE = f"see {data_dir() / 'studies' / 'demo.yaml'} for one"


# -- blocks ----------------------------------------------------------------------------------------


def _collected(check: Callable[[Any], Any]) -> AfterValidator:
    """Turn an error of ours into one that pydantic collects."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except PeprError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(checked)


def _dataset(name: str, info: ValidationInfo) -> str:
    """A name as it is; a path from the study's folder as an absolute one."""
    # Not resolved: a link's own name is the data set's, as in `pepr run`.
    path = Path(os.path.abspath(info.context["folder"] / user_path(name)))  # noqa: PTH100
    try:
        if not isinstance(dataset_kind(name)[1], Path):
            return name
    except PeprError as error:
        if name in ALIASES:
            return name  # known without MedMNIST's index, which may not be installed
        if not path.exists():
            raise ValueError(str(error)) from None
    if not path.exists():
        raise ValueError(f"no folder or file {path}; paths start at the study's own folder")
    try:
        dataset_kind(str(path))
    except PeprError as error:
        raise ValueError(str(error)) from None
    return str(path)


def _architecture(name: str) -> str:
    known = load_timm_models().index
    if name != ALL and name not in known:
        try:
            find_architecture(name)  # asks timm, which loads torch: only for names of timm's own
        except TrainingUnavailableError:
            raise unknown_name(
                "architecture", name, known, also="a model of timm, which is not installed here"
            ) from None
    return name


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-2`` as text; True is not a number."""
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _list_of(item: Any) -> Any:
    """A list with at least one item; a single value stands for a list of one."""
    return Annotated[list[item], BeforeValidator(_listed), Field(min_length=1)]


_Name = Annotated[str, Field(min_length=1, max_length=80)]
_Strictly = Field(strict=True)
_DATASET = Annotated[str, AfterValidator(_dataset)]
_ARCHITECTURE = Annotated[str, _collected(_architecture)]
_CONDITION = Annotated[str, _collected(lambda where: select_architectures((), where) and where)]
_PROTOCOL = Annotated[str, _collected(lambda name: protocol(name).name)]
_FRACTION = Annotated[
    float, BeforeValidator(_number), _collected(lambda v: Run("-", "-", train_fraction=v) and v)
]
_SEED = Annotated[int, _Strictly, _collected(lambda v: Run("-", "-", seed=v) and v)]


class Block(BaseModel):
    """A grid of runs.

    Attributes
    ----------
    name : str
        Its name in tables; by default its number.
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

    name: _Name = ""
    datasets: _list_of(_DATASET)
    architectures: _list_of(_ARCHITECTURE) = []
    where: _CONDITION | None = None
    protocols: _list_of(_PROTOCOL)
    pretrained: _list_of(Annotated[bool, _Strictly]) = [True]
    train_fractions: _list_of(_FRACTION) = [1.0]
    seeds: _list_of(_SEED) = [1]

    @model_validator(mode="after")
    def _can_be_run(self) -> Block:
        if not self.architectures and self.where is None:
            raise ValueError(
                "no architectures; allowed: architectures: [a, b], architectures: all, or where: "
                "a condition such as n_parameters < 10e6"
            )
        try:
            for recipe in self.protocols:
                check_sizes(self.chosen(), recipe)
        except PeprError as error:
            raise ValueError(str(error)) from None
        return self

    def chosen(self) -> list[str]:
        """The architectures, each once."""
        names = self.architectures
        if ALL in names:
            every = load_architectures()["architecture"].tolist()
            names = [n for name in names for n in (every if name == ALL else [name])]
        return select_architectures(names, self.where)

    def runs(self) -> Iterator[Run]:
        """Every combination; architectures vary fastest, seeds slowest."""
        grid = itertools.product(
            self.seeds,
            self.datasets,
            self.protocols,
            self.pretrained,
            self.train_fractions,
            self.chosen(),
        )
        for seed, dataset, recipe, pretrained, fraction, name in grid:
            yield Run(name, dataset, recipe, pretrained, fraction, seed)


def check_sizes(names: list[str], recipe: str) -> None:
    """Raise one error for all architectures that do not take the images of a protocol."""
    size, errors, known = PROTOCOLS[recipe].image_size, {}, load_timm_models().index
    for name in (n for n in names if n in known):
        try:
            check_size(find_architecture(name), size)
        except PeprError as error:
            errors[name] = error
    if len(errors) > 1:
        raise ArchitectureError(
            f"{len(errors)} architectures do not take the images of {size} px of protocol "
            f"{recipe!r}: {', '.join(errors)}; leave them out, or choose another protocol"
        )
    for error in errors.values():
        raise error


# -- files -----------------------------------------------------------------------------------------


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name = ""
    blocks: _list_of(Block)

    def named(self) -> list[tuple[str, Block]]:
        return [(block.name or f"block {i}", block) for i, block in enumerate(self.blocks, start=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> _File:
        names = [name for name, _ in self.named()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two blocks are named {name!r}; give each a name of its own")
        return self


@dataclass(frozen=True)
class Study:
    """A study."""

    name: str  # its own, or that of its file
    blocks: dict[str, Block]  # by name, in their order


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package.

    Examples
    --------
    >>> shipped_studies()
    ['demo', 'paper', 'xray', 'xray-extra']
    """
    return sorted(path.stem for path in (data_dir() / FOLDER).glob("*.yaml"))


def load_study(name_or_path: str | Path) -> Study:
    """Read a study by name or from a file.

    Parameters
    ----------
    name_or_path : str or path
        ``paper``, ``demo``, or the path of a YAML file.

    Raises
    ------
    UnknownNameError
        If it is neither.
    StudyError
        With every error of the file: its line, the value, what is allowed.

    Examples
    --------
    >>> study = load_study("paper")
    >>> sum(len(list(block.runs())) for block in study.blocks.values())
    1048
    """
    name, path = str(name_or_path), user_path(name_or_path)
    if name in shipped_studies():
        path = data_dir() / FOLDER / f"{name}.yaml"
    elif not path.is_file():
        raise unknown_name("study", name, shipped_studies(), also="the path of a YAML file")
    value, lines, errors = _read_yaml(path)
    if value is None:
        raise StudyError(f"{path}: empty; a study has at least one block; {_EXAMPLE}")
    if not isinstance(value, dict):
        raise StudyError(f"{path}:{lines[()]}: no study; {_EXAMPLE}")
    try:
        read = _File.model_validate(value, context={"folder": path.resolve().parent})
    except ValidationError as error:
        errors |= {_line_and_message(e, lines) for e in error.errors()}
    if errors:
        raise StudyError("\n".join(f"{path}:{line}: {why}" for line, why in sorted(errors)))
    return Study(read.name or path.stem, dict(read.named()))


def _read_yaml(path: Path) -> tuple[Any, dict[tuple, int], set[tuple[int, str]]]:
    """Return a file's value, the line of each value in it by its keys, and keys that appear twice.

    A repeated key would otherwise silently replace the first.
    """
    lines: dict[tuple, int] = {}
    errors: set[tuple[int, str]] = set()
    try:
        text = path.read_text("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _note_lines(root, (), root.start_mark.line + 1, lines, errors)
        return yaml.safe_load(text), lines, errors
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001 - PyYAML raises errors of many kinds
        mark = getattr(error, "problem_mark", None)
        place = path if mark is None else f"{path}:{mark.line + 1}"
        why = getattr(error, "problem", None) or " ".join(str(error).split())
        raise StudyError(f"{place}: not YAML: {why}") from None


def _note_lines(
    node: yaml.Node, keys: tuple, line: int, lines: dict[tuple, int], errors: set[tuple[int, str]]
) -> None:
    lines[keys] = line
    if isinstance(node, yaml.SequenceNode):
        for i, each in enumerate(node.value):
            _note_lines(each, (*keys, i), each.start_mark.line + 1, lines, errors)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            own, line = (*keys, str(key.value)), key.start_mark.line + 1
            if own in lines:
                first = f"the first is on line {lines[own]}"
                errors.add((line, f"the key {key.value!r} appears twice; {first}"))
            _note_lines(value, own, line, lines, errors)


def _line_and_message(error: dict, lines: dict[tuple, int]) -> tuple[int, str]:
    """Line and message of an error that pydantic has found."""
    place = tuple(error["loc"])
    keys = [part for part in place if isinstance(part, str)]
    key = next((k for k in reversed(keys) if k in _ALLOWED), None)
    line = next(lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines)
    if error["type"] == "extra_forbidden":
        fields = Block.model_fields if "blocks" in place[:-1] else _File.model_fields
        return line, str(unknown_name("key", keys[-1], fields))
    if error["type"] == "missing":
        return line, f"no {keys[-1]!r}; allowed: {_ALLOWED[keys[-1]]}"
    if error["type"] == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return line, message if key in ("blocks", None) else f"{key}: {message}"
    value = error["input"]
    shown = "nothing" if value is None else repr(value)
    if error["type"] == "too_short":
        shown = "empty"
    if key is None:  # such as a key that is a number
        return line, f"{shown}: {error['msg']}"
    message = f"{key}: is {shown if len(shown) <= 60 else f'{shown[:57]}...'}"
    quotes = error["type"] == "string_type" and not isinstance(value, list | dict | None)
    return line, (f"{message}; allowed: {_ALLOWED[key]}{'; put text in quotes' if quotes else ''}")


# -- plans -----------------------------------------------------------------------------------------


def make_plan(study: Study, *, weights_folder: Path | None = None) -> Plan:
    """Return the runs of a study, each once, with their run_ids where these are known.

    Nothing is downloaded. Folders of images and of pretrained weights are read, since a run_id
    depends on their content.

    Examples
    --------
    >>> plan = make_plan(load_study("demo"))
    >>> len(plan.runs), plan.runs[0].block, plan.missing
    (9, 'all images', Counter())
    """
    first: dict[Run, str] = {}
    for name, block in study.blocks.items():
        for run in block.runs():
            first.setdefault(run, name)
    missing: dict[str, str] = {}
    for name in dict.fromkeys(run.dataset for run in first):
        try:
            describe_dataset(name)
        except PeprError as error:
            missing[name] = str(error)
    planned = []
    for run, block in first.items():
        identity, why = None, missing.get(run.dataset, "")
        if not why:
            try:
                identity = run_id(run, weights_folder)
            except PeprError as error:
                why = str(error)
        planned.append(Planned(run, block, identity, why))
    return Plan(study.name, tuple(planned))
