"""The architectures: the paper's 131 as timm has them today, and any other model of timm.

The table ``data/timm_models.csv`` holds, for each of the 131, the name that timm gives it now,
the ImageNet-1k weights that stand for the paper's, the argument that tells the model the size of
its images where it needs one, and the smallest size that it takes.

`timm()` imports timm also where torchvision's compiled operators do not fit the installed torch.
timm needs only the Python half of torchvision. With torch's CPU build beside torchvision's CUDA
build (the one that package indexes serve for Linux), the compiled half cannot be loaded, and
torchvision then fails on import because it describes operators that nobody has declared. They are
declared here, without an implementation: this project never calls them.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import ModuleType

import pandas as pd
from pandas.api.types import is_bool_dtype

from pepr_utils.errors import PeprError, TrainingUnavailableError, unknown_name
from pepr_utils.results import load_architectures, load_timm_models

__all__ = [
    "Architecture",
    "ArchitectureError",
    "check_size",
    "find_architecture",
    "select_architectures",
    "timm",
]

#: The columns of ``data/published/architectures.csv`` that conditions are about.
COLUMNS = ("architecture", "n_parameters", "type", "efficient", "size")
_UNDECLARED = re.compile(r"operator torchvision::(\w+) does not exist")
_declared: list[object] = []  # a torch library lives as long as its handle


class ArchitectureError(PeprError, ValueError):
    """An architecture cannot be made as it is asked for, or no condition chooses it."""


@dataclass(frozen=True)
class Architecture:
    """One architecture and what timm needs to make it."""

    name: str  #: in records: the paper's name, or timm's
    timm_name: str  #: in timm, without weights
    weights: str | None = None  #: pretrained, as ``arch.tag``; None where timm has to be asked
    size_argument: str | None = None  #: keyword for the images' size (px); None where it takes any
    #: The smallest size (px) among 32, 64, 96, 128, 192, 224 and 256 that it trains at; None where
    #: that was not tried.
    smallest_size: int | None = None

    def pinned_weights(self) -> str:
        """Tag of the weights that a pretrained run starts from; timm is asked where none is pinned.

        Raises
        ------
        ArchitectureError
            If timm knows no weights of the model.
        """
        if self.weights is not None:
            return self.weights
        found = timm().get_pretrained_cfg(self.timm_name, allow_unregistered=False)
        if found is None or not found.has_weights:
            raise ArchitectureError(
                f"timm has no pretrained weights of {self.timm_name!r}; train it from scratch"
            )
        return f"{self.timm_name}.{found.tag}" if found.tag else self.timm_name

    def size_arguments(self, image_size: int) -> dict[str, int]:
        """Keywords for `timm.create_model` at an image size (px)."""
        return {self.size_argument: image_size} if self.size_argument else {}


@cache
def find_architecture(name: str) -> Architecture:
    """Return an architecture by the paper's name for it, or by any name of timm.

    Parameters
    ----------
    name : str
        Such as ``"resnet18d"``; ``"resnet50.a1_in1k"`` asks for certain weights.

    Raises
    ------
    UnknownNameError
        If neither the paper nor timm has a model of that name.

    Examples
    --------
    >>> find_architecture("gluon_xception65").weights
    'xception65.tf_in1k'
    """
    table = load_timm_models()
    if name in table.index:
        row = table.loc[name]
        argument = row["size_argument"]
        return Architecture(
            name,
            row["timm_name"],
            row["weights"],
            argument if isinstance(argument, str) else None,
            int(row["smallest_size_px"]),
        )
    timm_name, _, tag = name.partition(".")
    known = timm().list_models(include_tags=False)
    if timm_name not in known or ("." in name and name not in timm().list_pretrained()):
        close = unknown_name("architecture", name, [*table.index, *known])
        hint = str(close).partition("; did you")[2]
        raise type(close)(
            f"unknown architecture {name!r}; allowed: one of the paper's {len(table)}, such as "
            "resnet18d, or a model of timm" + (f"; did you{hint}" if hint else "")
        )
    config = timm().get_pretrained_cfg(timm_name)  # such as of a model that takes one size only
    fixed = config is not None and config.fixed_input_size
    return Architecture(name, timm_name, name if tag else None, "img_size" if fixed else None)


def check_size(architecture: Architecture, image_size: int) -> None:
    """Raise where it is known that an architecture does not take images of a size (px).

    Raises
    ------
    ArchitectureError
        Naming the smallest size that was found to work.
    """
    smallest = architecture.smallest_size
    if smallest is not None and image_size < smallest:
        raise ArchitectureError(
            f"{architecture.name} does not take images of {image_size} px; it needs {smallest} px: "
            "choose another protocol or another architecture"
        )


def select_architectures(names: str | Sequence[str] = (), where: str | None = None) -> list[str]:
    """Return architectures by name, by a condition on the paper's table, or both.

    Parameters
    ----------
    names : str or sequence of str
        Names, in a string between commas; kept in their order, each once.
    where : str, optional
        A condition as `pandas.DataFrame.eval` takes it, on ``architecture``, ``n_parameters``,
        ``type``, ``efficient`` and ``size`` (``"small"``, ``"large"``). Without names it chooses
        from all of the paper's; with names from these, which have to be the paper's.

    Raises
    ------
    ArchitectureError
        If the condition cannot be understood or a name is not in the paper's table, or if nothing
        is left.

    Notes
    -----
    Without a condition names are not looked up here; `check_runs` does, with everything else that
    can be wrong.

    Examples
    --------
    >>> select_architectures(where="n_parameters < 3e6 and type == 'Other'")
    ['mobilevitv2_050', 'semnasnet_075']
    """
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
    chosen = list(dict.fromkeys(names))
    if where is not None:
        table = load_architectures()[list(COLUMNS)]
        matching = _matching(where, table)
        _check_in_table(chosen, table["architecture"])
        chosen = [name for name in chosen if name in set(matching)] if chosen else matching
        if not chosen:
            raise ArchitectureError(
                f"no architecture fits {where!r}"
                + (f" among {', '.join(names)}" if names else "")
                + f"; loosen the condition: {_allowed_values(table)}"
            )
    if not chosen:
        raise ArchitectureError(
            "no architecture named; allowed: --architectures a,b or --where 'n_parameters < 10e6'"
        )
    return chosen


def _matching(where: str, table: pd.DataFrame) -> list[str]:
    """The architectures that fit a condition, in the order of the table."""
    try:
        _refuse_powers(where)
        fits = table.eval(where, engine="python")
        if not (isinstance(fits, pd.Series) and is_bool_dtype(fits)):
            raise ValueError("it compares nothing; equality is ==")
    except Exception as error:  # noqa: BLE001 - of many kinds, by pandas and by Python's parser
        reason = " ".join(str(error).split())
        raise ArchitectureError(
            f"the condition {where!r} is not understood ({reason}); allowed: comparisons of "
            f'{", ".join(COLUMNS)}, with text in quotes, such as "n_parameters < 10e6 and '
            "type == 'CNN'\""
        ) from None
    return table["architecture"][fits].tolist()


def _refuse_powers(where: str) -> None:
    """Raise a ValueError for 9**9**9, which would be computed for ever."""
    for node in ast.walk(ast.parse(where.replace("`", "").strip(), mode="eval")):
        if isinstance(node, ast.Pow | ast.LShift):
            raise ValueError("it has a power; write numbers out, such as 10e6")


def _allowed_values(table: pd.DataFrame) -> str:
    least, most = table["n_parameters"].min(), table["n_parameters"].max()
    parts = [f"n_parameters is from {least:,} to {most:,}"]
    for column in ("type", "efficient", "size"):
        parts.append(f"{column} is {' or '.join(map(str, sorted(set(table[column]))))}")
    return "; ".join(parts)


def _check_in_table(names: list[str], papers: pd.Series) -> None:
    """Raise for names outside the paper's table, of which a condition says nothing."""
    others = [name for name in names if name not in set(papers)]
    if others:
        close = [(name, get_close_matches(name, papers, n=1)) for name in others]
        hints = [f"; did you mean {found[0]!r} by {name!r}?" for name, found in close if found]
        raise ArchitectureError(
            f"a condition chooses among the paper's {len(papers)} architectures; not among them: "
            f"{', '.join(others)}; leave them out, or name them without a condition"
            + "".join(hints)
        )


def timm() -> ModuleType:
    """Return the module timm.

    Raises
    ------
    TrainingUnavailableError
        If torch or timm is not installed; the message says how to get them.
    """
    try:
        import torch
    except ImportError as error:
        raise TrainingUnavailableError.of(error, "training", "train") from None
    for _ in range(20):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tqdm, in a notebook without widgets
                importlib.import_module("torchvision")
                return importlib.import_module("timm")
        except RuntimeError as error:
            missing = _UNDECLARED.search(str(error))
            if missing is None:
                raise
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{missing[1]}(Tensor input) -> Tensor")
            _declared.append(library)
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        except ImportError as error:
            raise TrainingUnavailableError.of(error, "training", "train") from None
    raise PeprError("torchvision cannot be imported; install the build that fits torch")
