"""What in the published data is doubtful, counted: shared energies, repeated rows, power."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from pepr_utils.results import ResultSet, experiment_labels

#: Board power of the paper's graphics card (RTX 3090), by its maker's specification, and the
#: power usage effectiveness by which carbontracker multiplies unless told otherwise.
CARD_POWER_W, DEFAULT_PUE = 350, 1.58

_REPEATED_IF_EQUAL = ("test_accuracy", "energy_kwh", "co2eq_g", "released_train_time_s")


def shared_energies(result_set: ResultSet) -> pd.DataFrame:
    """Count architectures whose energy is the same, to the last digit, in two experiments.

    Returns
    -------
    pandas.DataFrame
        Columns: two experiments, the number of architectures that share their energy, how many of
        these are the repeated rows of `repeated_rows`, and the number that both experiments have.
        Pairs that share none are left out; most first.
    """
    wide = _wide(result_set, "energy_kwh")
    repeated = {(r["first"], r["second"], r["architecture"]) for r in _repeats(result_set)}
    rows = []
    for first, second in combinations(wide, 2):
        equal = wide[first] == wide[second]
        whole = sum((first, second, name) in repeated for name in wide.index[equal])
        both = wide[[first, second]].notna().all(axis="columns").sum()
        rows.append((first, second, int(equal.sum()), whole, int(both)))
    table = pd.DataFrame(
        rows, columns=["experiment", "and", "energies shared", "whole rows repeated", "of"]
    )
    table = table[table["energies shared"] > 0]
    return table.sort_values("energies shared", ascending=False, ignore_index=True)


def repeated_rows(result_set: ResultSet) -> pd.DataFrame:
    """List rows that agree in every measured value with another experiment's of the same model.

    Returns
    -------
    pandas.DataFrame
        Columns architecture, first, second (the two experiments).
    """
    return pd.DataFrame(_repeats(result_set), columns=["architecture", "first", "second"])


def _repeats(result_set: ResultSet) -> list[dict[str, str]]:
    wide = {name: _wide(result_set, name) for name in _REPEATED_IF_EQUAL}
    found = []
    for first, second in combinations(wide["energy_kwh"], 2):
        equal = pd.concat([w[first] == w[second] for w in wide.values()], axis="columns").all(
            axis="columns"
        )
        found += [
            {"architecture": name, "first": first, "second": second} for name in equal.index[equal]
        ]
    return found


def _wide(result_set: ResultSet, column: str) -> pd.DataFrame:
    runs = result_set.runs
    labelled = runs.assign(label=runs["experiment"].map(experiment_labels(runs["experiment"])))
    order = labelled["label"].unique()
    return labelled.pivot(index="architecture", columns="label", values=column)[order]


def implied_power(result_set: ResultSet) -> pd.DataFrame:
    """Mean power that energy and released training time imply, by experiment.

    The released time is read as the time of one of ten epochs.

    Returns
    -------
    pandas.DataFrame
        Lowest, median and highest power (W) of the runs of each experiment.
    """
    runs = result_set.runs
    power = runs["energy_kwh"] * 3.6e6 / (10 * runs["released_train_time_s"])
    groups = power.groupby(runs["experiment"], sort=False)
    table = groups.agg(["min", "median", "max"]).reset_index()
    table.columns = ["experiment", "lowest (W)", "median (W)", "highest (W)"]
    return table.assign(experiment=table["experiment"].map(experiment_labels(runs["experiment"])))


def off_lattice(result_set: ResultSet) -> pd.DataFrame:
    """Runs whose final accuracy is no multiple of one over their number of test images."""
    runs = result_set.runs
    images = runs["test_accuracy"] * runs["n_test"].astype(float)
    return runs[(images - images.round()).abs() > 1e-6]
