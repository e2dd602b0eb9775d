"""The comparison key: which runs may be scored together; labels of experiments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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


def experiment_key(run: Mapping[Any, Any]) -> str:
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


def experiment_keys(runs: Iterable[Mapping[Any, Any]]) -> list[str]:
    """Return the comparison key of each run of a table.

    As `experiment_key`, but where several data sets have one name, such as two folders called
    ``chest``, the content's hash is added: their runs are not comparable.

    Parameters
    ----------
    runs : iterable of mapping
        Values by column name, ``dataset_hash`` among them where it is known.

    Examples
    --------
    >>> one, other = {"dataset": "chest", "dataset_hash": "1a"}, {"dataset": "chest"}
    >>> experiment_keys([one, one])
    ['chest/-/-/-/-/-/-/-', 'chest/-/-/-/-/-/-/-']
    >>> experiment_keys([one, other])
    ['chest (1a)/-/-/-/-/-/-/-', 'chest (content unknown)/-/-/-/-/-/-/-']
    """
    runs = list(runs)
    contents: dict[Any, set[str]] = defaultdict(set)
    for run in runs:
        contents[run.get("dataset")].add(_part("dataset_hash", run.get("dataset_hash")))

    def named(run: Mapping[Any, Any]) -> Mapping[Any, Any]:
        hashes = contents[run.get("dataset")]
        if len(hashes) == 1:
            return run
        own = _part("dataset_hash", run.get("dataset_hash"))
        length = next(n for n in range(8, 2**10) if len({h[:n] for h in hashes}) == len(hashes))
        content = "content unknown" if own == "-" else own[:length]
        return {**run, "dataset": f"{run['dataset']} ({content})"}

    return [experiment_key(named(run)) for run in runs]


def _part(name: str, value: Any) -> str:
    if value is None or value != value or str(value) == "<NA>":
        return "-"
    if name == "pretrained":
        return "pretrained" if value else "scratch"
    if isinstance(value, (int, float)):
        return repr(float(value)).removesuffix(".0")
    return str(value).replace("%", "%25").replace("/", "%2F")


def experiment_labels(keys: Any) -> dict[str, str]:
    """Shorten experiment keys to readable labels of what distinguishes them.

    Parameters
    ----------
    keys : iterable of str
        Experiment keys, repeats allowed.

    Returns
    -------
    dict of str to str
        Label of each key. It always has the data set; any other part only where the keys
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
        key: ", ".join(_readable(KEY_COLUMNS[i], p[i]) for i in varying)
        for key, p in zip(unique, parts, strict=True)
    }


def _readable(name: str, part: str) -> str:
    if part == "-":
        return f"{name} unknown"
    if name == "pretrained":
        return {"scratch": "from scratch"}.get(part, part)
    if name == "train_fraction":
        return f"{float(part) * 100:g} %"
    return part.replace("%2F", "/").replace("%25", "%")
