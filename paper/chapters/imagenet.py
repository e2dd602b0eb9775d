"""Figure 4b: ImageNet-1k validation accuracy and PePR-M of the architectures, by their size."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.errors import InvalidTableError, NotAvailableError, unknown_name
from pepr_utils.results import ResultSet, add_classes, load_timm_models
from pepr_utils.results.groups import UNCLASSIFIED, medians_by_size
from pepr_utils.results.published import read_text
from pepr_utils.results.result_set import fine_tuned
from pepr_utils.scoring import normalize, pepr
from pepr_utils.statistics import Comparison, Tested, compare_samples, families
from pepr_utils.statistics.tables import format_p

#: Image size (px) that the study trains at; of several results, that nearest to it is taken.
IMAGE_SIZE = 256
JOINS = {
    "weights": "the pinned weights, at the image size nearest 256",
    "released": "the first name that contains the architecture's, as the released script takes it",
}
Join = Literal["weights", "released"]
NOTHING = "this result set has no fine-tuned runs on all training data with a reserved memory"


def validation() -> pd.DataFrame:
    """Read timm's ImageNet-1k validation results from the authors' release.

    Returns
    -------
    pandas.DataFrame
        In the order of the release (by falling accuracy): ``weights`` as ``arch.tag``,
        ``image_size`` (px), ``top1_percent``.
    """
    return read_text("imagenet.csv").astype({"image_size": "int64", "top1_percent": "float64"})


def memory_runs(result_set: ResultSet) -> pd.DataFrame:
    """Runs whose reserved memory is the cost: those of Derma fine-tuned on all images.

    A set without them gives its first fine-tuned experiment on all training data.

    Raises
    ------
    NotAvailableError
        If no such run has a reserved memory.
    """
    try:
        runs = result_set.full_data()
    except InvalidTableError as error:
        raise NotAvailableError(str(error)) from None
    runs = runs[fine_tuned(runs) & runs["reserved_memory_gb"].notna()]
    if runs.empty:
        raise NotAvailableError(f"{result_set.name}: {NOTHING}")
    derma = runs[runs["dataset"] == "derma"]
    runs = derma if len(derma) else runs
    return runs[runs["experiment"] == runs["experiment"].iloc[0]]


def data(result_set: ResultSet, *, join: Join = "weights", alpha: float = 1.0) -> pd.DataFrame:
    """Join each architecture with its ImageNet-1k accuracy and score it by memory.

    Parameters
    ----------
    result_set : ResultSet
        Gives the memory; see `memory_runs`.
    join : {"weights", "released"}, default "weights"
        See `JOINS`.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    pandas.DataFrame
        One row per architecture: classes, ``reserved_memory_gb`` and its ``resource`` by min-max
        over all of them, ``matched`` (the row of timm's table: ``arch.tag``), ``image_size`` of
        that row, ``top1`` as a share, ``pepr``, and ``match``: ``same weights``, ``other weights``
        of the same architecture, ``another model``, or ``none``, in which case the values are
        null. Empty where the set has no such memory.

    Raises
    ------
    UnknownNameError
        If there is no such join.
    """
    if join not in JOINS:
        raise unknown_name("join", join, JOINS)
    try:
        runs = memory_runs(result_set)
    except NotAvailableError:
        return pd.DataFrame(
            columns=["architecture", "n_parameters", "size", "top1", "pepr", "match"]
        )
    each = runs.groupby("architecture", sort=False)
    table = each[["reserved_memory_gb"]].mean().reset_index()
    table = table.assign(
        n_parameters=each["n_parameters"].first().to_numpy(),
        own=each["weights"].first().to_numpy(),
    )
    known = load_timm_models()
    pinned = table["own"].fillna(table["architecture"].map(known["weights"]))
    timm_names = table["architecture"].map(known["timm_name"]).fillna(table["architecture"])
    results = validation()
    if join == "weights":
        rows = [_by_weights(results, tag) for tag in pinned]
    else:
        rows = [_by_substring(results, name) for name in table["architecture"]]
    found = pd.DataFrame(rows, columns=["matched", "image_size", "top1"])
    table = table.drop(columns="own").assign(**{c: found[c] for c in found})
    table["match"] = [
        _kind(matched, tag, name)
        for matched, tag, name in zip(table["matched"], pinned, timm_names, strict=True)
    ]
    table["image_size"] = table["image_size"].astype("Int64")
    table["resource"] = normalize(table["reserved_memory_gb"])
    known_rows = table["top1"].notna()
    table["pepr"] = np.nan
    if known_rows.any():
        top1, resource = (table.loc[known_rows, name] for name in ("top1", "resource"))
        table.loc[known_rows, "pepr"] = pepr(top1, resource, alpha=alpha)
    table = add_classes(table)
    table[["type", "efficient"]] = table[["type", "efficient"]].fillna(UNCLASSIFIED)
    return table.sort_values("n_parameters", ignore_index=True)


def _by_weights(results: pd.DataFrame, tag: object) -> tuple[object, object, float]:
    rows = results[results["weights"] == tag]
    if rows.empty:
        return pd.NA, pd.NA, np.nan
    nearest = (rows["image_size"] - IMAGE_SIZE).abs().idxmin()
    return _row(rows.loc[nearest])


def _by_substring(results: pd.DataFrame, name: str) -> tuple[object, object, float]:
    rows = results[results["weights"].str.contains(re.escape(name))]
    return (pd.NA, pd.NA, np.nan) if rows.empty else _row(rows.iloc[0])


def _row(row: pd.Series) -> tuple[object, object, float]:
    return row["weights"], int(row["image_size"]), float(row["top1_percent"]) / 100


def _kind(matched: object, tag: object, name: str) -> str:
    if pd.isna(matched):
        return "none"
    if matched == tag:
        return "same weights"
    return "other weights" if str(matched).split(".")[0] == name else "another model"


def mismatches(result_set: ResultSet) -> pd.DataFrame:
    """List the architectures that the released join gives another model's accuracy, or none.

    Returns
    -------
    pandas.DataFrame
        architecture, the model ``joined`` to it, ``match``, and the top-1 accuracy of both joins.
    """
    right, released = (data(result_set, join=join) for join in JOINS)
    if right.empty:
        return pd.DataFrame(columns=["architecture", "joined", "match", "top-1, joined", "top-1"])
    both = released.merge(right[["architecture", "top1"]], on="architecture", suffixes=("", "_own"))
    both = both[both["match"].isin(["another model", "none"])]
    return pd.DataFrame(
        {
            "architecture": both["architecture"],
            "joined": both["matched"],
            "match": both["match"],
            "top-1, joined": both["top1"],
            "top-1": both["top1_own"],
        }
    ).sort_values("match", kind="stable", ignore_index=True)


def by_size(frame: pd.DataFrame, value: str) -> Tested | None:
    """Test the difference between small and large models as `significance` does; None without."""
    if frame.empty:
        return None
    known = frame.dropna(subset=[value, "size"])
    if known["size"].value_counts().reindex(["small", "large"]).fillna(0).min() < 2:
        return None
    comparison = Comparison("size", "accuracy" if value == "top1" else "pepr_e", "imagenet")
    blank = dict.fromkeys(["cost_alone", "log_value", "log_cost_alone", "majority"], np.nan)
    samples = pd.DataFrame(
        {
            "architecture": known["architecture"],
            "family": families(known["architecture"]),
            "group": known["size"],
            "value": known[value],
        }
    ).assign(**blank)
    return Tested(comparison=comparison, **compare_samples(samples, comparison))


def _verdict(frame: pd.DataFrame) -> str:
    """Say whether accuracy and score point the same way."""
    tested = [by_size(frame, value) for value in ("top1", "pepr")]
    if None in tested:
        return "This set has too few models to compare."
    higher = [one.conclusion() for one in tested]
    if higher == ["second higher", "first higher"]:
        return "So small models have the better trade-off, and are not as accurate."
    if higher[0] == higher[1]:
        return "Accuracy and score point the same way."
    return "Accuracy and score do not point the same way."


def numbers(result_set: ResultSet, frame: pd.DataFrame, *, alpha: float = 1.0) -> dict[str, str]:
    """Every number that the pages quote of this figure."""
    released = data(result_set, join="released", alpha=alpha)
    counts = released["match"].value_counts()
    found = {
        "imagenet-n": f"{frame['top1'].notna().sum()}" if len(frame) else NOT_AVAILABLE,
        "imagenet-n-other-model": f"{counts.get('another model', 0)}",
        "imagenet-n-other-weights": f"{counts.get('other weights', 0)}",
        "imagenet-n-none": f"{counts.get('none', 0)}",
        "imagenet-n-same": f"{counts.get('same weights', 0)}",
        "imagenet-sizes": f"{int(frame['image_size'].min())} to {int(frame['image_size'].max())}"
        if frame.get("image_size", pd.Series(dtype=float)).notna().any()
        else NOT_AVAILABLE,
    }
    for value in ("top1", "pepr"):
        tested = by_size(frame, value)
        found[f"imagenet-p-{value}"] = NOT_AVAILABLE if tested is None else format_p(tested.p)
    found["imagenet-verdict"] = _verdict(frame)
    for column in ("top1", "pepr"):
        for size, median in medians_by_size(frame, column).items():
            found[f"imagenet-{column}-{size}"] = fixed(median, 3)
    for size, median in medians_by_size(released, "pepr").items():
        found[f"imagenet-released-pepr-{size}"] = fixed(median, 3)
    return found
