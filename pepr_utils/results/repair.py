"""Copied energies: which run is the source, and the set without the copies or with new values."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pandas as pd

from pepr_utils.errors import unknown_name
from pepr_utils.results.accuracies import fits_other_test_set
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.power import JOULE_PER_KWH, implied_power
from pepr_utils.results.repeats import CONTINUOUS, repeated_rows, shared_values
from pepr_utils.results.result_set import ResultSet, cached_on_result_set

SOURCE, COPY, UNDECIDED = "source", "copy", "undecided"

Reading = Literal["published", "dropped", "replaced"]

#: What each reading is called.
READINGS: dict[str, str] = {
    "published": "as published",
    "dropped": "copies dropped",
    "replaced": "copied energies replaced",
}

#: Columns of the list of changed cells.
CHANGES = ["run_id", "architecture", "experiment", "column", "before", "after", "reason"]


@cached_on_result_set
def origins(result_set: ResultSet, *, host_power_w: float | None = None) -> pd.DataFrame:
    """Mark each run whose energy another run has too, bit for bit, by the power it implies.

    A run's energy over its *own* time is a mean power. Where the device cannot draw it, the energy
    is a *copy* from another run. If one run of a group is left that can, it is the *source*. Where
    several are left, all are *undecided*, unless whole rows are repeated and the accuracies of some
    fit another run's test set and not their own: those are copies. Nothing is decided by medians:
    copies can be the majority of an experiment.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    host_power_w : float, optional
        Another allowance for processor and memory than the declared one, in W.

    Returns
    -------
    pandas.DataFrame
        One row per such run, by the index of the runs: run_id, architecture, experiment,
        ``energy_kwh``, ``power_w``, ``limit_w``, ``whole_row`` (whether every measured value is
        repeated), ``role``.
    """
    runs = result_set.finished
    power = implied_power(result_set, host_power_w=host_power_w)
    values = shared_values(runs, "energy_kwh")
    names = ["run_id", "architecture", "experiment", "energy_kwh"]
    table = runs.loc[values.index, names].join(power[["power_w", "limit_w", "possible"]])
    repeated = repeated_rows(result_set)
    table["whole_row"] = table["run_id"].isin(repeated["run_id"])
    of_other_test_set = set(fits_other_test_set(result_set)["run_id"])
    role = pd.Series(UNDECIDED, index=table.index, dtype="string")
    for _, group in table.groupby("energy_kwh"):
        left = group[group["possible"].fillna(True).astype(bool)]
        role[group.index.difference(left.index)] = COPY
        if left["whole_row"].all():
            foreign = left["run_id"].isin(of_other_test_set)
            if foreign.any() and not foreign.all():
                role[left.index[foreign]] = COPY
                left = left[~foreign]
        if len(left) == 1 and bool(left["possible"].fillna(False).iloc[0]):
            role[left.index] = SOURCE
    return table.drop(columns="possible").assign(role=role)


def read_as(result_set: ResultSet, reading: Reading) -> ResultSet:
    """Return a result set under one of three readings of its copied values.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    reading : {"published", "dropped", "replaced"}
        *published*: as it is. *dropped*: without the runs that `origins` marks as copies.
        *replaced*: `repair`.

    Raises
    ------
    UnknownNameError
        If there is no such reading.
    """
    if reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    if reading == "published":
        return result_set
    if reading == "replaced":
        return repair(result_set)
    table = origins(result_set)
    gone = table.loc[table["role"] == COPY, "run_id"]
    return _without(result_set, gone, name=f"{result_set.name}, copies dropped")


def repair(result_set: ResultSet) -> ResultSet:
    """Replace copied energies by power times time; withdraw rows that are copies as a whole.

    The power is the mean over the experiment's own runs: those whose energy no other run has, and
    sources; the time is the row's own, over all epochs. Emissions of a copied energy become null:
    the intensity of the run's own energy is unknown. Runs that are *undecided* keep their values.

    Parameters
    ----------
    result_set : ResultSet
        Any set; one without copies is returned with no changes.

    Returns
    -------
    ResultSet
        The repaired set, with each changed cell and its reason in ``changes``.
    """
    runs, power = result_set.finished, implied_power(result_set)
    table = origins(result_set)
    copies = table[table["role"] == COPY]
    whole = copies[copies["whole_row"]]
    fresh = power["possible"].fillna(True).astype(bool) & ~power.index.isin(
        table.index[table["role"] != "source"]
    )
    means = power.loc[fresh, "power_w"].groupby(runs.loc[fresh, "experiment"]).agg(["mean", "size"])
    labels = experiment_labels(runs["experiment"])
    repaired, changes = result_set.runs.copy(), []
    for index in copies.index.difference(whole.index):
        run = runs.loc[index]
        watt, size = means["mean"].get(run["experiment"]), means["size"].get(run["experiment"], 0)
        after = float("nan") if watt is None else watt * power.at[index, "time_s"] / JOULE_PER_KWH
        reason = f"copy: {power.at[index, 'power_w']:,.0f} W over its own time; " + (
            f"replaced by {watt:.1f} W, the mean of {size} runs of {labels[run['experiment']]},"
            f" times {power.at[index, 'time_s']:.1f} s"
            if watt is not None
            else "no run of its experiment gives a power to replace it by"
        )
        changes.append(_change(run, "energy_kwh", after, reason))
        repaired.loc[index, "energy_kwh"] = after
        for column in ("it_energy_kwh", "eval_energy_kwh", "co2eq_g"):
            if pd.notna(run[column]):
                changes.append(_change(run, column, None, "copied with the energy"))
                repaired.loc[index, column] = float("nan")
    measured = ["test_accuracy", *(c for c in CONTINUOUS if c in runs)]
    for index in whole.index:
        run = runs.loc[index]
        reason = "the row repeats another run's in every measured value; withdrawn"
        changes += [_change(run, c, None, reason) for c in measured if pd.notna(run[c])]
    listed = pd.DataFrame(changes, columns=CHANGES).astype({"before": float, "after": float})
    repaired_set = replace(result_set, runs=repaired)
    return replace(
        _without(repaired_set, whole["run_id"], name=f"{result_set.name}, repaired"), changes=listed
    )


def _change(run: pd.Series, column: str, after: float | None, reason: str) -> dict[str, object]:
    names = {name: run[name] for name in ("run_id", "architecture", "experiment")}
    return names | {"column": column, "before": run[column], "after": after, "reason": reason}


def _without(result_set: ResultSet, run_ids: pd.Series, *, name: str) -> ResultSet:
    """Return the set without some runs, and without their epochs."""
    runs, epochs = result_set.runs, result_set.epochs
    return replace(
        result_set,
        name=name,
        runs=runs[~runs["run_id"].isin(run_ids)],
        epochs=epochs[~epochs["run_id"].isin(run_ids)],
    )
