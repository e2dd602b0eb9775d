"""The mean power that a run's energy and time imply, and the most that its device can draw."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

import pandas as pd

from pepr_utils.paths import read_shipped
from pepr_utils.results.repeats import shared_values
from pepr_utils.results.result_set import ResultSet, cached_on_result_set

#: Columns that are called the training time of a whole run; the first that a run has counts.
TIME_COLUMNS = ("train_time_s", "released_train_time_s")
JOULE_PER_KWH = 3.6e6
#: Texts in ``energy_method`` that mean that nothing was measured.
NOT_MEASURED = "estimate|simulat|tdp"


def energy_basis(result_set: ResultSet) -> str | None:
    """Say that energies are estimates; None where none is known to be one."""
    runs = result_set.finished
    runs = runs[runs["energy_kwh"].notna()]
    method = runs["energy_method"].astype("string").str.lower()
    n = int(method.str.contains(NOT_MEASURED, na=False).sum())
    if not n:
        return None
    share = "every run" if n == len(runs) else f"{n:,} of {len(runs):,} runs"
    return f"energy was not measured but estimated in {share}: compare time and memory"


@cache
def declared() -> dict[str, Any]:
    """Return ``data/devices.toml``: limits by device, host, PUE and fallback intensities."""
    return read_shipped("devices.toml", lambda path: tomllib.loads(path.read_text("utf-8")))


def power_limit(runs: pd.DataFrame, *, host_power_w: float | None = None) -> pd.Series:
    """Highest facility power of each run, in W: (board + host) x PUE.

    The board's power is the run's ``power_limit_w``, else what is declared for its ``device``,
    times ``n_devices`` where the table has that column; the host's share is declared too; PUE is
    the run's own, else carbontracker's.

    Parameters
    ----------
    runs : pandas.DataFrame
        Runs of a result set.
    host_power_w : float, optional
        Another allowance for processor and memory than the declared one, for all runs.

    Returns
    -------
    pandas.Series
        Null where nothing is declared of the device.

    Examples
    --------
    >>> frame = pd.DataFrame({"device": ["NVIDIA GeForce RTX 3090", "an abacus"],
    ...                       "power_limit_w": [float("nan")] * 2, "pue": [1.0, 1.0]})
    >>> power_limit(frame).tolist()
    [500.0, nan]
    """
    known = declared()
    devices, host = known["devices"], known["host"]["power_w"]
    boards = {name: entry["board_power_w"] for name, entry in devices.items()}
    hosts = {name: entry.get("host_power_w", host) for name, entry in devices.items()}
    if "n_devices" in runs:
        several = pd.to_numeric(runs["n_devices"], errors="coerce").fillna(1).clip(lower=1)
    else:
        several = 1.0
    board = runs["power_limit_w"].fillna(runs["device"].map(boards).astype("float64"))
    host_w = runs["device"].map(hosts).astype("float64").fillna(host)
    if host_power_w is not None:
        host_w = float(host_power_w)
    return (board * several + host_w) * pue_of(runs)


def pue_of(runs: pd.DataFrame) -> pd.Series:
    """PUE of each run: its own, or the one that carbontracker applies by default."""
    return runs["pue"].fillna(declared()["facility"]["pue"])


def least_power(runs: pd.DataFrame) -> pd.Series:
    """Facility power of each run in W below which it does not count as measured.

    Zero unless something is declared of the device: a small device may draw a few watts.
    """
    known = runs["device"].isin(declared()["devices"]).fillna(False).astype(float)
    return known * float(declared()["facility"]["least_power_w"])


@cached_on_result_set
def implied_power(result_set: ResultSet, *, host_power_w: float | None = None) -> pd.DataFrame:
    """Mean facility power of each finished run, under the reading of its time that is possible.

    A time column is read as what it is called, the time of the whole run, unless most runs would
    then draw more than their device can and, read as the time of one epoch, would not. Runs whose
    energy appears in another run too do not count in this.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    host_power_w : float, optional
        See `power_limit`.

    Returns
    -------
    pandas.DataFrame
        By the index of the runs: ``time_column``; ``reading``, ``run`` or ``epoch``; ``time_s``
        that the energy covers; ``power_w`` and, as the column is called, ``stated_power_w``;
        ``limit_w``, null where nothing is declared of the device; ``possible``, null where power
        or limit is unknown.
    """
    runs = result_set.finished
    stated, column = _stated_time(runs)
    n_epochs = runs["run_id"].map(epochs_per_run(result_set)).fillna(1).astype("float64")
    energy, limit = runs["energy_kwh"] * JOULE_PER_KWH, power_limit(runs, host_power_w=host_power_w)
    frame = pd.DataFrame(
        {
            "time_column": column,
            "reading": "run",
            "time_s": stated,
            "stated_power_w": energy / stated,
            "limit_w": limit,
        }
    )
    own = ~runs.index.isin(shared_values(runs, "energy_kwh").index)
    for _, part in frame.groupby("time_column"):
        voters = part[own[runs.index.get_indexer(part.index)]]
        voters = part if voters.empty else voters
        as_run = voters["stated_power_w"] <= voters["limit_w"]
        as_epoch = voters["stated_power_w"] / n_epochs[voters.index] <= voters["limit_w"]
        if as_run.mean() < 0.5 <= as_epoch.mean():
            frame.loc[part.index, "reading"] = "epoch"
    frame["time_s"] = stated.where(frame["reading"] == "run", stated * n_epochs)
    frame["power_w"] = energy / frame["time_s"]
    inside = frame["power_w"].between(least_power(runs), frame["limit_w"]).astype("boolean")
    frame["possible"] = inside.where(frame["power_w"].notna() & frame["limit_w"].notna())
    return frame


def epochs_per_run(result_set: ResultSet) -> pd.Series:
    """Number of the last epoch of each run, by run_id; empty where epochs are not known."""
    return result_set.epochs.groupby("run_id")["epoch"].max()


def _stated_time(runs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Time that the energy covers as the columns are called, and the column it is from."""
    stated = pd.Series(float("nan"), index=runs.index)
    column = pd.Series(pd.NA, index=runs.index, dtype="string")
    for name in TIME_COLUMNS:
        if name not in runs:
            continue
        values = runs[name].where(runs[name] > 0)
        if name == "train_time_s":
            both = runs["energy_window"].eq("train+eval").fillna(False).astype(bool)
            values = values + runs["eval_time_s"].where(both).fillna(0.0)
        column = column.where(stated.notna() | values.isna(), name)
        stated = stated.fillna(values)
    return stated, column


def evaluation_time(runs: pd.DataFrame) -> pd.Series:
    """Time of the evaluations on the same footing as the time column, where it is known."""
    released = runs["released_inf_time_s"] if "released_inf_time_s" in runs else float("nan")
    return runs["eval_time_s"].fillna(released)


def energy_windows(result_set: ResultSet) -> pd.DataFrame:
    """Median power of each experiment if the energy covered this or that: which can be true.

    Runs whose energy appears elsewhere too are left out. The evaluation counts as part of
    the time where `time_contents` finds it.

    Returns
    -------
    pandas.DataFrame
        Per experiment the number of runs, the median power (W) if the energy were that of one
        epoch, of all epochs, of all epochs without their evaluation, and the limit.
    """
    runs, frame = result_set.finished, implied_power(result_set)
    n_epochs = runs["run_id"].map(epochs_per_run(result_set)).fillna(1).astype("float64")
    epoch = frame["time_s"] / n_epochs
    evaluation = evaluation_time(runs)
    if frame["reading"].eq("run").all():
        evaluation = evaluation / n_epochs
    energy = runs["energy_kwh"] * JOULE_PER_KWH
    table = pd.DataFrame(
        {
            "experiment": runs["experiment"],
            "one epoch (W)": energy / epoch,
            "all epochs (W)": energy / frame["time_s"],
            "all epochs, training alone (W)": energy / (n_epochs * (epoch - evaluation)),
            "limit (W)": frame["limit_w"],
        }
    )
    own = table[~table.index.isin(shared_values(runs, "energy_kwh").index)]
    groups = own.groupby("experiment", sort=False)
    medians = groups.median()
    medians.insert(0, "runs", groups.size())
    return medians.reset_index()


def time_contents(result_set: ResultSet) -> pd.DataFrame:
    """Whether the time contains an evaluation, from how it shrinks with the training images.

    With a fraction f of the images, training alone takes f times as long; an evaluation takes as
    long as before. Experiments on part of the images are compared with the one on all images of the
    same data set and start, architecture by architecture.

    Returns
    -------
    pandas.DataFrame
        One row per experiment on part of the images: experiment, models, fraction, the median
        ratio of the times, and what it would be for training alone and with the evaluation.
    """
    runs = result_set.finished
    frame = implied_power(result_set)
    known = (
        runs.assign(time=runs[frame["time_column"].mode().iloc[0]])
        if len(frame["time_column"].mode())
        else runs.assign(time=float("nan"))
    )
    known = known.assign(evaluation=evaluation_time(runs)).dropna(
        subset=["time", "evaluation", "train_fraction"]
    )
    rows = []
    for _, same in known.groupby(["dataset", "pretrained"], dropna=False):
        whole = same[same["train_fraction"] == 1.0].drop_duplicates("architecture")
        whole = whole.set_index("architecture")
        for key, part in same[same["train_fraction"] < 1.0].groupby("experiment", sort=False):
            small = part.drop_duplicates("architecture").set_index("architecture")
            both = small.index.intersection(whole.index)
            if both.empty:
                continue
            small, full = small.loc[both], whole.loc[both]
            fraction = float(small["train_fraction"].iloc[0])
            alone = fraction * full["time"]
            within = fraction * (full["time"] - full["evaluation"]) + small["evaluation"]
            rows.append(
                {
                    "experiment": key,
                    "models": len(both),
                    "fraction": fraction,
                    "time ratio": (small["time"] / full["time"]).median(),
                    "training alone": (alone / full["time"]).median(),
                    "with one evaluation": (within / full["time"]).median(),
                }
            )
    names = ["experiment", "models", "fraction", "time ratio", "training alone"]
    return pd.DataFrame(rows, columns=[*names, "with one evaluation"])
