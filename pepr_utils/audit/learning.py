"""Runs that never learnt, or fell back to answering one class for every image."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pepr_utils.results.accuracies import fits_other_test_set, majority_share, test_values
from pepr_utils.results.repair import COPY, origins
from pepr_utils.results.result_set import ResultSet, cached_on_result_set

#: An accuracy that so many runs repeat in so many successive epochs is a constant answer's.
RUNS, EPOCHS = 3, 4
#: A constant answer may vary by this many images, where they are a small share of the test set.
WOBBLE, SHARE = 2, 0.002
#: Room for chance around the level of a constant answer, in standard errors.
ERRORS = 2.0

MAJORITY = "the share of the largest class"
STANDING = "where several runs stand still"
CLASSES = "one over the number of classes"


def constant_answers(result_set: ResultSet) -> pd.DataFrame:
    """Accuracies that runs repeat, by data set: those of always answering one class.

    Levels that are within two images of one another are one, the one that most runs repeat, if
    two images are at most a five-hundredth of the test images.

    Returns
    -------
    pandas.DataFrame
        dataset, ``level`` and the number of ``runs`` that stay on it for four epochs or more.
    """
    runs, values = result_set.finished, test_values(result_set)
    rows = []
    for dataset, part in runs.groupby("dataset", sort=False):
        n_test = part["n_test"].min()
        room = 0.0 if pd.isna(n_test) or SHARE * n_test < WOBBLE else (WOBBLE + 1e-6) / n_test
        found = [
            (level, run_id)
            for run_id in part["run_id"]
            for level in _repeated(values.loc[run_id].to_numpy(), room)
            if level < 1
        ]
        for cluster in _clusters(found, room):
            n = len({run_id for _, run_id in cluster})
            if n >= RUNS:
                levels = pd.Series([level for level, _ in cluster])
                rows.append((dataset, float(levels.mode().iloc[-1]), n))
    table = pd.DataFrame(rows, columns=["dataset", "level", "runs"])
    return table.sort_values(["dataset", "level"], ascending=[True, False], ignore_index=True)


def _repeated(values: np.ndarray, room: float) -> set[float]:
    """Values repeated in `EPOCHS` successive places, within `room`."""
    found, start = set(), 0
    for place in range(len(values)):
        while not np.ptp(values[start : place + 1]) <= room and start < place:
            start += 1
        if place - start + 1 >= EPOCHS:
            found.add(round(float(np.median(values[start : place + 1])), 9))
    return found


def _clusters(found: list[tuple[float, str]], room: float) -> list[list[tuple[float, str]]]:
    """Group levels that follow one another within `room`."""
    ordered = sorted(found)
    cuts = [i + 1 for i, (a, b) in enumerate(pairwise(ordered)) if b[0] - a[0] > room]
    ends = [0, *cuts, len(ordered)]
    return [ordered[a:b] for a, b in pairwise(ends) if b > a]


def answer_levels(result_set: ResultSet) -> pd.DataFrame:
    """Accuracy of one constant answer for each data set and number of test images, and its basis.

    The share of the largest class where it is known; else the highest of `constant_answers`; else
    one over the number of classes, which a constant answer reaches at least.

    Returns
    -------
    pandas.DataFrame
        dataset, n_test, ``level`` (null where nothing is known) and ``basis``.
    """
    repeated = constant_answers(result_set).groupby("dataset")["level"].max()
    rows = []
    keys = ["dataset", "n_test"]
    for (dataset, n_test), part in result_set.finished.groupby(keys, dropna=False, sort=False):
        n_classes = part["n_classes"].dropna().max()
        level = float("nan") if pd.isna(n_test) else majority_share(str(dataset), int(n_test))
        basis = MAJORITY
        if np.isnan(level):
            level, basis = repeated.get(dataset, float("nan")), STANDING
        if np.isnan(level) and not pd.isna(n_classes):
            level, basis = 1.0 / float(n_classes), CLASSES
        rows.append((dataset, n_test, float(level), None if np.isnan(level) else basis))
    return pd.DataFrame(rows, columns=[*keys, "level", "basis"])


@cached_on_result_set
def learning(result_set: ResultSet) -> pd.DataFrame:
    """Compare the best and the final accuracy of each run with a constant answer's.

    The level is that of `answer_levels`. Runs whose accuracies are another data set's, and copies
    of whole rows, are not judged.

    Returns
    -------
    pandas.DataFrame
        By the index of the runs: ``best``, ``final``, ``level``, its ``basis``, ``margin`` (two
        standard errors of an accuracy at that level) and ``state``: ``learnt``, ``never learnt``
        (no epoch is above the level), ``not told apart`` (the best epoch is above it by no more
        than the margin), ``collapsed`` (the last one is at the level or below, one before it was
        above by more than the margin) or null where no level is known or the run is not judged.
    """
    runs = result_set.finished
    values = test_values(result_set).loc[runs["run_id"]]
    levels = answer_levels(result_set)
    places = levels.set_index(["dataset", "n_test"]).index
    keys = pd.MultiIndex.from_frame(runs[["dataset", "n_test"]])
    at = places.get_indexer(keys)
    level = pd.Series(levels["level"].to_numpy()[at], index=runs.index)
    margin = ERRORS * np.sqrt(level * (1 - level) / runs["n_test"].astype("float64"))
    frame = pd.DataFrame(
        {
            "best": values.max(axis="columns").to_numpy(),
            "final": runs["test_accuracy"],
            "level": level,
            "basis": pd.Series(levels["basis"].to_numpy()[at], index=runs.index),
            "margin": margin.fillna(0.0).where(level.notna()),
        },
        index=runs.index,
    )
    tiny = 1e-9
    state = pd.Series("learnt", index=runs.index, dtype="string")
    state[frame["final"] <= frame["level"] + tiny] = "collapsed"
    state[frame["best"] <= frame["level"] + frame["margin"]] = "not told apart"
    state[frame["best"] <= frame["level"] + tiny] = "never learnt"
    table = origins(result_set)
    copies = table.loc[table["whole_row"] & table["role"].eq(COPY), "run_id"]
    of_other_test_set = {*fits_other_test_set(result_set)["run_id"], *copies}
    frame["state"] = state.where(frame["level"].notna() & ~runs["run_id"].isin(of_other_test_set))
    return frame
