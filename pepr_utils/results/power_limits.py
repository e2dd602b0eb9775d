"""The most power that a run can have drawn, from what is declared of its device."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

import pandas as pd

from pepr_utils.paths import read_shipped


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
    >>> from pepr_utils.results.power_limits import power_limit
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
    beside = runs["device"].map(hosts).astype("float64").fillna(host)
    if host_power_w is not None:
        beside = float(host_power_w)
    return (board * several + beside) * pue_of(runs)


def pue_of(runs: pd.DataFrame) -> pd.Series:
    """PUE of each run: its own, or the one that carbontracker applies unless told otherwise."""
    return runs["pue"].fillna(declared()["facility"]["pue"])


def least_power(runs: pd.DataFrame) -> pd.Series:
    """Facility power of each run in W below which it is not taken for measured.

    Zero unless something is declared of the device: a small one may draw a few watts.
    """
    known = runs["device"].isin(declared()["devices"]).fillna(False).astype(float)
    return known * float(declared()["facility"]["least_power_w"])
