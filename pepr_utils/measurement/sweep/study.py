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
run that stands in several of them counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pepr_utils.errors import PeprError, unknown_name
from pepr_utils.measurement.protocols import PROTOCOLS
from pepr_utils.measurement.sweep.block_faults import faults_of_the_whole
from pepr_utils.measurement.sweep.grid import Block, Name, list_of
from pepr_utils.measurement.sweep.located_yaml import Located, LocatedYamlError, read_yaml
from pepr_utils.paths import data_dir

FOLDER = "studies"


class StudyError(PeprError, ValueError):
    """A study cannot be used as it stands; the message has a line for each fault."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = ""
    blocks: list_of(Block)


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
    try:
        found = read_yaml(path)
    except LocatedYamlError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        raise StudyError(f"{place}: {error}") from None
    if found.value is None:
        raise StudyError(f"{path}: empty; a study has at least one block; {_example()}")
    if not isinstance(found.value, dict):
        raise StudyError(f"{path}:{found.line(())}: no study; {_example()}")
    faults, read = [*found.faults, *_names_twice(found)], None
    folder = path.resolve().parent
    try:
        read = _File.model_validate(found.value, context={"folder": folder})
    except ValidationError as error:
        faults += [_fault(e, found) for e in error.errors()]
        faults += _faults_of_blocks(found, [tuple(e["loc"]) for e in error.errors()], folder)
    if faults or read is None:
        # Sorted by line: the reader walks through the file once.
        raise StudyError(
            "\n".join(f"{path}:{line}: {words}" for line, words in sorted(set(faults)))
        )
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


def _example() -> str:
    return "see data/studies/demo.yaml for one"


def _blocks(found: Located) -> list[Any]:
    """The blocks as they were read, whatever they are; one alone stands for a list."""
    blocks = found.value.get("blocks", [])
    return blocks if isinstance(blocks, list) else [blocks]


def _names_twice(found: Located) -> list[tuple[int, str]]:
    seen, faults = set(), []
    for i, block in enumerate(_blocks(found)):
        if not isinstance(block, dict):
            continue
        own = block.get("name")
        name = own if isinstance(own, str) and own else f"block {i + 1}"
        if name in seen:
            line = found.line(("blocks", i, "name"))
            faults.append((line, f"name: {name!r} is another block's too; name each differently"))
        seen.add(name)
    return faults


def _faults_of_blocks(
    found: Located, bad: Sequence[tuple], folder: Path
) -> Iterator[tuple[int, str]]:
    """What pydantic does not look at in a block of which single values are wrong."""
    for i, block in enumerate(_blocks(found)):
        inside = {place[2:] for place in bad if place[:2] == ("blocks", i)}
        if inside and () not in inside:
            for words in faults_of_the_whole(block, inside, folder):
                yield found.line(("blocks", i)), words


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


def _fault(error: dict, found: Located) -> tuple[int, str]:
    """One fault as line and words."""
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
        words = error["msg"].removeprefix("Value error, ")
        own = key if key != "blocks" and key is not None else None
        return line, f"{own}: {words}" if own else words
    shown = "nothing" if value is None else repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if error["type"] == "too_short":
        shown = "empty"
    if key is None:
        return line, f"is {shown}"
    quotes = error["type"] == "string_type" and isinstance(value, int | float)
    quoted = "; to mean text, put it in quotes" if quotes and key in _ANY_TEXT else ""
    return line, f"{key}: is {shown}; allowed: {_ALLOWED[key]}{quoted}"
