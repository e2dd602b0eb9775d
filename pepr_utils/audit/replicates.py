"""Runs that repeat one another under other names or other seeds, and how far they spread."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from pepr_utils.results.accuracies import test_values
from pepr_utils.results.power import TIME_COLUMNS
from pepr_utils.results.repair import SOURCE, origins
from pepr_utils.results.repeats import MIN_DIGITS, significant_digits
from pepr_utils.results.result_set import ResultSet


def same_network(result_set: ResultSet) -> pd.DataFrame:
    """Pairs of names that have the same parameters and peak memory in every experiment they share.

    Two different networks hardly agree in both to the last digit, so a pair is one network under
    two names: with other pretrained weights, or none. Trained from scratch it is run twice.

    Returns
    -------
    pandas.DataFrame
        first, second (names, sorted), ``experiments`` shared, in how many of these every test
        accuracy is the ``same`` in every epoch, and in how many the energy is too (``all``).
    """
    runs = result_set.finished.dropna(subset=["n_parameters", "peak_memory_gb"])
    once = runs.drop_duplicates(["architecture", "experiment"])
    memory = once.pivot(index="architecture", columns="experiment", values="peak_memory_gb")
    counts = once.groupby("architecture")["n_parameters"].first()
    history, energy = test_values(result_set), once.set_index("run_id")["energy_kwh"]
    run_ids = once.pivot(index="architecture", columns="experiment", values="run_id")
    rows = []
    for _, names in counts.groupby(counts).groups.items():
        for first, second in combinations(sorted(names), 2):
            both = memory.loc[[first, second]].dropna(axis="columns")
            precise = all(significant_digits(v) >= MIN_DIGITS for v in both.to_numpy().ravel())
            if both.empty or not precise or not (both.loc[first] == both.loc[second]).all():
                continue
            same, everything = 0, 0
            for key in both.columns:
                ids = [run_ids.loc[name, key] for name in (first, second)]
                a, b = (history.loc[run_id].to_numpy() for run_id in ids)
                if np.array_equal(a, b, equal_nan=True) and len(np.unique(a)) > 2:
                    same += 1
                    everything += energy[ids[0]] == energy[ids[1]]
            rows.append((first, second, both.shape[1], same, everything))
    return pd.DataFrame(rows, columns=["first", "second", "experiments", "same", "all"])


def spread(result_set: ResultSet) -> pd.DataFrame:
    """How far repeated runs of one network differ: seeds, and two names trained from scratch.

    Returns
    -------
    pandas.DataFrame
        One row per pair of runs: experiment, ``runs`` (their names), ``energy`` and ``time``
        (relative differences; null where unknown, and of an energy that is a copy or undecided),
        ``accuracy`` (difference at the last epoch) and ``epochs`` (root mean square difference over
        all epochs).
    """
    runs = result_set.finished
    pairs = [
        (runs.loc[i], runs.loc[j], runs.loc[i, "architecture"])
        for _, same in runs.groupby(["architecture", "experiment"])
        for i, j in combinations(same.index, 2)
    ]
    scratch = runs[runs["pretrained"].eq(False).fillna(False)]
    for pair in same_network(result_set).itertuples(index=False):
        a, b = (scratch[scratch["architecture"] == name] for name in pair[:2])
        for key in sorted(set(a["experiment"]) & set(b["experiment"])):
            one, two = (part[part["experiment"] == key].iloc[0] for part in (a, b))
            pairs.append((one, two, f"{pair.first}, {pair.second}"))
    history = test_values(result_set)
    times = next((name for name in TIME_COLUMNS if runs[name].notna().any()), None)
    table = origins(result_set)
    shared = set(table.loc[table["role"] != SOURCE, "run_id"])
    rows = []
    for one, two, names in pairs:
        doubtful = {one["run_id"], two["run_id"]} & shared
        squares = (history.loc[one["run_id"]] - history.loc[two["run_id"]]) ** 2
        rows.append(
            {
                "experiment": one["experiment"],
                "runs": names,
                "energy": float("nan") if doubtful else _apart(one, two, "energy_kwh"),
                "time": _apart(one, two, times) if times else float("nan"),
                "accuracy": abs(one["test_accuracy"] - two["test_accuracy"]),
                "epochs": float(np.sqrt(squares.mean())),
            }
        )
    columns = ["experiment", "runs", "energy", "time", "accuracy", "epochs"]
    return pd.DataFrame(rows, columns=columns)


def _apart(one: pd.Series, two: pd.Series, column: str) -> float:
    low, high = sorted((float(one[column]), float(two[column])))
    return (high - low) / ((high + low) / 2) if high > 0 else float("nan")
