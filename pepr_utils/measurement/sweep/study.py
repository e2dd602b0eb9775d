"""A study: grids of runs in a YAML file, read whole or refused with every fault and its line.

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

Each block is a grid: every combination of its lists is a run. A study is its blocks together, a
run that appears in several of them counted once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
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

from pepr_utils.errors import (
    PeprError,
    TrainingUnavailableError,
    how_to_install,
    unknown_name,
)
from pepr_utils.measurement.architectures import (
    ArchitectureError,
    check_size,
    find_architecture,
    select_architectures,
)
from pepr_utils.measurement.datasets import ALIASES, dataset_kind
from pepr_utils.measurement.protocols import PROTOCOLS, protocol
from pepr_utils.measurement.run import Run
from pepr_utils.paths import data_dir
from pepr_utils.results import load_architectures, load_timm_models

FOLDER = "studies"
#: The word that stands for the paper's architectures.
ALL = "all"
#: More runs than this are a slip of the pen.
MOST_RUNS = 1_000_000
#: What each field may hold, for values of a wrong kind.
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
#: Fields with text that may look like a number.
_ANY_TEXT = ("name", "datasets", "architectures")
#: Kinds of YAML values that are read.
_PLAIN = {"str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge", "value"}
_EXAMPLE = "see data/studies/demo.yaml for one"


class StudyError(PeprError, ValueError):
    """A study cannot be used as it stands; the message has a line for each fault."""


# -- blocks ----------------------------------------------------------------------------------------


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _collected(check: Callable[[Any], Any]) -> AfterValidator:
    """Turn an error of ours into one that pydantic collects."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except PeprError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(checked)


def _dataset(name: str, info: ValidationInfo) -> str:
    """A name as it is; a path from the study's folder, written out from the root."""
    path = (info.context["folder"] / Path(name).expanduser()).resolve()
    try:
        _, place = dataset_kind(name)
        if not isinstance(place, Path):
            return name
    except TrainingUnavailableError:
        if name in ALIASES:
            return name  # the index of MedMNIST is not needed to know the paper's own
        if not path.exists():
            raise ValueError(
                f"it cannot be checked whether {name!r} is a data set: MedMNIST's index is not "
                f"installed; {how_to_install('train')}"
            ) from None
    except PeprError as error:
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
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


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
            return self  # which `_faults_of_blocks` says
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
        return self.seeds, self.datasets, self.protocols, self.pretrained, self.train_fractions

    def runs(self) -> Iterable[Run]:
        """Every combination; architectures vary fastest, seeds slowest."""
        names = self.chosen()
        for seed, dataset, recipe, start, fraction in itertools.product(*self._axes()):
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


# -- files -----------------------------------------------------------------------------------------


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name = ""
    blocks: _list_of(Block)


@dataclass(frozen=True)
class Study:
    """A study as it was read.

    Attributes
    ----------
    name : str
        Its own, or that of its file.
    blocks : dict of str to Block
        By name, in their order.
    """

    name: str
    blocks: dict[str, Block]


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package.

    Examples
    --------
    >>> shipped_studies()
    ['demo', 'paper']
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
        With every fault of the file: its line, the value, what is allowed.

    Examples
    --------
    >>> study = load_study("paper")
    >>> sum(len(list(block.runs())) for block in study.blocks.values())
    1048
    """
    path = _place(str(name_or_path))
    found = _Yaml()
    value = found.read(path)
    if value is None:
        raise StudyError(f"{path}: empty; a study has at least one block; {_EXAMPLE}")
    if not isinstance(value, dict):
        raise StudyError(f"{path}:{found.line(())}: no study; {_EXAMPLE}")
    faults, read = [*found.faults, *_faults_of_blocks(value, found)], None
    try:
        read = _File.model_validate(value, context={"folder": path.resolve().parent})
    except ValidationError as error:
        faults += [_fault(e, found) for e in error.errors()]
    if faults or read is None:
        # Sorted by line: the reader walks through the file once.
        lines = [f"{path}:{line}: {message}" for line, message in sorted(set(faults))]
        raise StudyError("\n".join(lines))
    return Study(
        read.name or path.stem,
        {block.name or f"block {i}": block for i, block in enumerate(read.blocks, start=1)},
    )


def _place(name: str) -> Path:
    path = Path(name).expanduser()
    if name in shipped_studies():
        return data_dir() / FOLDER / f"{name}.yaml"
    if path.is_file():
        return path
    raise unknown_name("study", name, shipped_studies(), also="the path of a YAML file")


@dataclass
class _Yaml:
    """A YAML file as plain values, with the line (from 1) of each by its keys and indices.

    What plain values cannot show, such as a key that appears twice, is a fault with its line.
    """

    lines: dict[tuple, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def read(self, path: Path) -> Any:
        try:
            node = yaml.compose(path.read_text("utf-8-sig"), Loader=yaml.SafeLoader)
            return None if node is None else self._plain(node, ())
        except OSError as error:
            raise StudyError(f"{path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise StudyError(f"{path}: no text in UTF-8") from None
        except RecursionError:
            raise StudyError(f"{path}: nested too deep, or part of itself") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = path if mark is None else f"{path}:{mark.line + 1}"
            why = " ".join(filter(None, [error.context, error.problem]))
            raise StudyError(f"{place}: not YAML: {why}") from None
        except yaml.YAMLError as error:
            raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None

    def line(self, path: tuple) -> int:
        """Line of a value, or of the innermost that encloses it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def _plain(self, node: yaml.Node, path: tuple) -> Any:
        line = self.lines.setdefault(path, node.start_mark.line + 1)
        if not self._is_plain(node) and isinstance(node, yaml.ScalarNode):
            return node.value
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(each, (*path, i)) for i, each in enumerate(node.value)]
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (ValueError, LookupError, ArithmeticError, yaml.YAMLError):
            self.faults.append((line, f"{node.value!r} is no value that can be read"))
            return node.value
        # A date, say, is read as it is written.
        return value if isinstance(value, bool | int | float | None) else node.value

    def _is_plain(self, node: yaml.Node) -> bool:
        if node.tag.removeprefix("tag:yaml.org,2002:") in _PLAIN:
            return True
        message = f"the tag {node.tag} is not read; write the plain value"
        self.faults.append((node.start_mark.line + 1, message))
        return False

    def _mapping(self, node: yaml.MappingNode, path: tuple) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line, own = key.start_mark.line + 1, (*path, key.value)
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append((line, "a key has to be a word"))
            elif key.value in found:
                first = self.lines[own]
                message = f"the key {key.value!r} appears twice; the first is on line {first}"
                self.faults.append((line, message))
            else:
                self._is_plain(key)
                self.lines[own] = line
                found[key.value] = self._plain(value, own)
        return found


def _faults_of_blocks(study: dict, found: _Yaml) -> Iterable[tuple[int, str]]:
    """Names that two blocks share, and blocks without architectures."""
    seen: set[str] = set()
    for i, block in enumerate(_listed(study.get("blocks")) or ()):
        if not isinstance(block, dict):
            continue
        name = block.get("name")
        name = name if isinstance(name, str) and name else f"block {i + 1}"
        if name in seen:
            line = found.line(("blocks", i, "name"))
            yield line, f"name: {name!r} is another block's too; name each differently"
        seen.add(name)
        if "architectures" not in block and block.get("where") is None:
            yield (
                found.line(("blocks", i)),
                "no architectures; allowed: architectures: [a, b], architectures: all, or where: "
                "a condition such as n_parameters < 10e6",
            )


def _fault(error: dict, found: _Yaml) -> tuple[int, str]:
    """One fault as line and message."""
    path = tuple(error["loc"])
    keys = [part for part in path if isinstance(part, str)]
    key = next((k for k in reversed(keys) if k in _ALLOWED), None)
    line, value = found.line(path), error["input"]
    if error["type"] == "extra_forbidden":
        fields = Block.model_fields if "blocks" in path[:-1] else _File.model_fields
        return line, str(unknown_name("key", keys[-1], fields))
    if error["type"] == "missing":
        return line, f"no {keys[-1]!r}; allowed: {_ALLOWED[keys[-1]]}"
    if error["type"] == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return line, f"{key}: {message}" if key not in ("blocks", None) else message
    shown = "nothing" if value is None else repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if error["type"] == "too_short":
        shown = "empty"
    if key is None:
        return line, f"is {shown}"
    quotes = error["type"] == "string_type" and isinstance(value, int | float)
    quoted = "; to mean text, put it in quotes" if quotes and key in _ANY_TEXT else ""
    return line, f"{key}: is {shown}; allowed: {_ALLOWED[key]}{quoted}"
