"""Runs that never learnt, or that fell back to answering one class whatever the image."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pepr_utils.results.audit.accuracies import test_values
from pepr_utils.results.result_set import ResultSet

#: An accuracy that so many runs repeat for so many epochs on end is that of a constant answer.
RUNS, EPOCHS = 3, 4
#: Room for chance around the level of a constant answer, in standard errors.
ERRORS = 2.0


def constant_answers(result_set: ResultSet) -> pd.DataFrame:
    """Accuracies at which runs stand still, by data set: those of answering one class always.

    Returns
    -------
    pandas.DataFrame
        dataset, ``level`` and the number of ``runs`` that stay on it for four epochs or more.
    """
    runs, values = result_set.finished, test_values(result_set)
    rows = []
    for dataset, part in runs.groupby("dataset", sort=False):
        still = [
            {level for level in _standing(values.loc[run_id].to_numpy()) if level < 1}
            for run_id in part["run_id"]
        ]
        counts = pd.Series([level for levels in still for level in levels], dtype=float)
        for level, n in counts.value_counts().items():
            if n >= RUNS:
                rows.append({"dataset": dataset, "level": float(level), "runs": int(n)})
    table = pd.DataFrame(rows, columns=["dataset", "level", "runs"])
    return table.sort_values(["dataset", "level"], ascending=[True, False], ignore_index=True)


def _standing(values: np.ndarray) -> set[float]:
    """Values that stand in `EPOCHS` successive places."""
    found, length = set(), 1
    for before, now in pairwise(values):
        length = length + 1 if before == now else 1
        if length >= EPOCHS:
            found.add(round(float(now), 9))
    return found


def learning(result_set: ResultSet) -> pd.DataFrame:
    """Compare the best and the final accuracy of each run with a constant answer's.

    The level is the highest of `constant_answers` on the data set; where there is none, one over
    the number of classes.

    Returns
    -------
    pandas.DataFrame
        By the index of the runs: ``best``, ``final``, ``level``, ``margin`` (two standard errors of
        an accuracy at that level) and ``state``: ``learnt``, ``never learnt`` (the best epoch is
        within the margin of the level or below), ``collapsed`` (the last one is at the level or
        below, a better one before it was not) or null where no level is known.
    """
    runs = result_set.finished
    values = test_values(result_set).loc[runs["run_id"]]
    levels = constant_answers(result_set).groupby("dataset")["level"].max()
    level = runs["dataset"].map(levels).astype("float64")
    level = level.fillna(1.0 / runs["n_classes"].astype("float64"))
    margin = ERRORS * np.sqrt(level * (1 - level) / runs["n_test"].astype("float64"))
    frame = pd.DataFrame(
        {
            "best": values.max(axis="columns").to_numpy(),
            "final": runs["test_accuracy"],
            "level": level,
            "margin": margin.fillna(0.0).where(level.notna()),
        },
        index=runs.index,
    )
    state = pd.Series("learnt", index=runs.index, dtype="string")
    state[frame["final"] <= frame["level"]] = "collapsed"
    state[frame["best"] <= frame["level"] + frame["margin"]] = "never learnt"
    frame["state"] = state.where(frame["level"].notna())
    return frame
