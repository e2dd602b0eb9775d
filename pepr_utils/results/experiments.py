"""The comparison key: which runs may be scored together, and how an experiment is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What has to be equal for two runs to be compared, in the order of the key.
KEY_COLUMNS = (
    "dataset",
    "pretrained",
    "train_fraction",
    "protocol",
    "device",
    "energy_method",
    "energy_window",
    "power_limit_w",
)


def experiment_key(run: Mapping[str, Any]) -> str:
    """Return the comparison key of one run: the key columns' values joined by ``/``.

    Parameters
    ----------
    run : mapping
        Values by column name; a missing one counts as unknown and is written ``-``.

    Examples
    --------
    >>> experiment_key({"dataset": "derma", "pretrained": True, "train_fraction": 0.1})
    'derma/pretrained/0.1/-/-/-/-/-'
    """
    return "/".join(_part(name, run.get(name)) for name in KEY_COLUMNS)


def _part(name: str, value: Any) -> str:
    if value is None or value != value or str(value) == "<NA>":
        return "-"
    if name == "pretrained":
        return "pretrained" if value else "scratch"
    if isinstance(value, (int, float)):
        return repr(float(value)).removesuffix(".0")
    return str(value).replace("%", "%25").replace("/", "%2F")


def experiment_labels(keys: Any) -> dict[str, str]:
    """Shorten experiment keys to what tells them apart, in words.

    Parameters
    ----------
    keys : iterable of str
        Experiment keys, repeats allowed.

    Returns
    -------
    dict of str to str
        Label of each key. The data set always stands in it; any other part only where the keys
        differ in it.

    Examples
    --------
    >>> labels = experiment_labels(["derma/scratch/1/p/d/m/w/-", "derma/pretrained/1/p/d/m/w/-"])
    >>> sorted(labels.values())
    ['derma, from scratch', 'derma, pretrained']
    """
    unique = list(dict.fromkeys(keys))
    parts = [key.split("/") for key in unique]
    varying = [i for i in range(len(KEY_COLUMNS)) if i == 0 or len({p[i] for p in parts}) > 1]
    return {
        key: ", ".join(_words(KEY_COLUMNS[i], p[i]) for i in varying)
        for key, p in zip(unique, parts, strict=True)
    }


def _words(name: str, part: str) -> str:
    if part == "-":
        return f"{name} unknown"
    if name == "pretrained":
        return {"scratch": "from scratch"}.get(part, part)
    if name == "train_fraction":
        return f"{float(part) * 100:g} %"
    return part.replace("%2F", "/").replace("%25", "%")
