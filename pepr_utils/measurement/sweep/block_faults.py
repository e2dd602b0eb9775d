"""What is wrong with a block as a whole, said beside what is wrong with its single values."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pepr_utils.measurement.sweep.grid import Block

_LISTS = ("datasets", "architectures", "protocols", "pretrained", "train_fractions", "seeds")
#: What stands for wrong values: it has no faults, and none with any other value.
_FAULTLESS = {"datasets": ["phantom"], "protocols": ["paper"]}
_FAULTLESS_ARCHITECTURES = ["resnet18d"]


def faults_of_the_whole(block: object, bad: Set[tuple], folder: Path) -> list[str]:
    """Look at what is left of a block without its wrong values.

    Nothing is said that may follow from one of them, such as ``all`` architectures whose condition
    is wrong.

    Parameters
    ----------
    block : object
        As it was read.
    bad : set of tuple
        Where the wrong values stand: a key, or a key and the place in its list.
    folder : pathlib.Path
        The study's.
    """
    if not isinstance(block, dict):
        return []
    good: dict[str, Any] = dict(_FAULTLESS)
    for key in filter(block.__contains__, _LISTS):
        values = block[key] if isinstance(block[key], list) else [block[key]]
        left = [v for i, v in enumerate(values) if not bad & {(key,), (key, i)}]
        if left:
            good[key] = left
    wrong = {place[0] for place in bad}
    if "where" in block and not wrong & {"where", "architectures"}:
        good["where"] = block["where"]
    if "where" in wrong or ("where" in block and "architectures" in wrong):
        good["architectures"] = _FAULTLESS_ARCHITECTURES
    elif "architectures" in wrong:
        good.setdefault("architectures", _FAULTLESS_ARCHITECTURES)
    try:
        Block.model_validate(good, context={"folder": folder})
    except ValidationError as error:
        whole = [each["msg"] for each in error.errors() if not each["loc"]]
        return [words.removeprefix("Value error, ") for words in whole]
    return []
