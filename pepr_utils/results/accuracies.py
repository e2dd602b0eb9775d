"""Accuracies against the number of images that they are said to be over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pepr_utils.paths import read_shipped
from pepr_utils.results.lattice import BATCHES, fits, steps, tells
from pepr_utils.results.remembered import remembered
from pepr_utils.results.result_set import ResultSet, on_all_images

#: So large a share of an experiment's accuracies has to lie on a lattice for it to be theirs.
MOST = 0.9


@dataclass(frozen=True)
class Lattice:
    """What an experiment's accuracies are multiples of."""

    n: int
    rule: str
    n_steps: int


@remembered
def test_values(result_set: ResultSet) -> pd.DataFrame:
    """Test accuracies of finished runs: one row per run, one column per epoch.

    The index is the run_id; where epochs are not known the only column is the last one's.
    """
    runs = result_set.finished.set_index("run_id")
    epochs = result_set.epochs
    wide = epochs[epochs["run_id"].isin(runs.index)].pivot(
        index="run_id", columns="epoch", values="test_accuracy"
    )
    final = runs["test_accuracy"].to_frame("last")
    wide = final if wide.empty else wide.reindex(runs.index)
    unknown = wide.isna().all(axis="columns")
    if unknown.any() and not epochs.empty:
        wide.loc[unknown, wide.columns[-1]] = final.loc[unknown, "last"]
    return wide.astype("float64")


def lattice_of(values: np.ndarray, n: int) -> Lattice | None:
    """Find the lattice of accuracies over `n` images, if at least nine in ten lie on one.

    The multiples of 1/n come first; among averages over batches the one that most values fit, and
    of several the coarsest.

    Returns
    -------
    Lattice or None
        None if there is none, or if the values are too coarse to tell.
    """
    if not tells(values, n):
        return None
    if _share(values, n) >= MOST:
        return Lattice(n, "images", n)
    others = [
        Lattice(n, rule, steps(n, rule, batch))
        for rule in ("whole batches", "mean of batches")
        for batch in BATCHES
        if batch <= n
    ]
    shares = [
        (_share(values, lattice.n_steps), -lattice.n_steps, lattice)
        for lattice in others
        if tells(values, lattice.n_steps)
    ]
    share, _, best = max(shares, key=lambda s: s[:2], default=(0.0, 0, None))
    return best if share >= MOST else None


def _share(values: np.ndarray, n_steps: int) -> float:
    known = values[np.isfinite(values)]
    return float(fits(known, n_steps).mean()) if known.size and n_steps else 0.0


@remembered
def test_lattices(result_set: ResultSet) -> dict[str, tuple[int, Lattice | None]]:
    """By experiment the number of test images claimed, and the lattice of its accuracies."""
    runs, values = result_set.finished, test_values(result_set)
    found = {}
    for key, part in runs.groupby("experiment", sort=False):
        claimed = part["n_test"].dropna()
        if claimed.nunique() == 1:
            n = int(claimed.iloc[0])
            found[key] = n, lattice_of(values.loc[part["run_id"]].to_numpy(), n)
    return found


def stated_lattices(result_set: ResultSet) -> dict[str, tuple[int, Lattice | None]]:
    """As `test_lattices`, from the test images that ``data/splits.csv`` states for the data set.

    Where it states none, or the accuracies lie on no lattice of its number, the set's own
    ``n_test`` counts.
    """
    runs, values, found = result_set.finished, test_values(result_set), test_lattices(result_set)
    stated = read_shipped("splits.csv", pd.read_csv).set_index("dataset")["n_test"]
    for key, part in runs.groupby("experiment", sort=False):
        n = stated.get(part["dataset"].iloc[0])
        lattice = lattice_of(values.loc[part["run_id"]].to_numpy(), int(n)) if n else None
        if lattice:
            found[key] = int(n), lattice
    return found


@remembered
def off_lattice(result_set: ResultSet) -> pd.DataFrame:
    """Test accuracies, of every epoch, that the test set of their experiment cannot give.

    Returns
    -------
    pandas.DataFrame
        run_id, experiment, epoch, ``test_accuracy``, ``n_steps`` of the lattice missed.
    """
    runs, values = result_set.finished, test_values(result_set)
    lattices, parts = test_lattices(result_set), []
    for key, part in runs.groupby("experiment", sort=False):
        n, lattice = lattices.get(key, (0, None))
        if not n or not tells(values.loc[part["run_id"]].to_numpy(), n):
            continue
        n_steps = lattice.n_steps if lattice else n
        mine = values.loc[part["run_id"]]
        off = pd.DataFrame(~fits(mine.to_numpy(), n_steps), mine.index, mine.columns)
        long = mine.where(off).rename_axis(columns="epoch").stack().dropna()
        parts.append(
            long.rename("test_accuracy").reset_index().assign(experiment=key, n_steps=n_steps)
        )
    columns = ["run_id", "experiment", "epoch", "test_accuracy", "n_steps"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


@remembered
def fits_other_test_set(result_set: ResultSet) -> pd.DataFrame:
    """Runs whose accuracies all miss their own test set and all fit another data set's.

    Returns
    -------
    pandas.DataFrame
        run_id, the ``other`` data set and its number of images, ``n``.
    """
    runs = result_set.finished.set_index("run_id")
    values, off = test_values(result_set), off_lattice(result_set)
    lattices = test_lattices(result_set)
    others = {
        (runs.loc[runs["experiment"] == key, "dataset"].iloc[0], lattice.n_steps)
        for key, (_, lattice) in lattices.items()
        if lattice
    }
    rows = []
    for run_id, part in off.groupby("run_id", sort=False):
        mine = values.loc[run_id].dropna().to_numpy()
        if len(part) < max(2, len(mine) / 2):
            continue
        rows += [
            {"run_id": run_id, "other": other, "n": n_steps}
            for other, n_steps in sorted(others)
            if other != runs.loc[run_id, "dataset"] and fits(mine, n_steps).all()
        ]
    return pd.DataFrame(rows, columns=["run_id", "other", "n"])


@remembered
def training_images(result_set: ResultSet) -> pd.DataFrame:
    """How many images were trained on, from the training accuracies of each experiment.

    Where the number is not recorded it is looked for around the share of the images of the same
    data set that the experiment is said to use.

    Returns
    -------
    pandas.DataFrame
        One row per experiment with training accuracies: experiment, ``claimed`` (null where not
        recorded), ``n`` found, ``rule`` (see `pepr_utils.results.lattice.RULES`),
        ``n_steps``, ``values`` and how many of them ``fit``. `n` is null where nothing fits.
    """
    runs, epochs = result_set.finished, result_set.epochs
    known = epochs.dropna(subset=["train_accuracy"])
    whole = runs[on_all_images(runs)].groupby("dataset")["n_train"].max()
    rows = []
    for key, part in runs.groupby("experiment", sort=False):
        values = known.loc[known["run_id"].isin(part["run_id"]), "train_accuracy"].to_numpy(float)
        if not values.size:
            continue
        claimed = part["n_train"].dropna()
        one = int(claimed.iloc[0]) if claimed.nunique() == 1 else None
        lattice = None
        for n in _candidates(one, part.iloc[0], whole):
            lattice = lattice_of(values, n)
            if lattice:
                break
        rows.append(
            {
                "experiment": key,
                "claimed": one,
                "n": lattice.n if lattice else None,
                "rule": lattice.rule if lattice else None,
                "n_steps": lattice.n_steps if lattice else None,
                "values": len(values),
                "fit": int(fits(values, lattice.n_steps).sum()) if lattice else 0,
            }
        )
    columns = ["experiment", "claimed", "n", "rule", "n_steps", "values", "fit"]
    return pd.DataFrame(rows, columns=columns).astype(
        {"claimed": "Int64", "n": "Int64", "n_steps": "Int64", "rule": "string"}
    )


def _candidates(claimed: int | None, run: pd.Series, whole: pd.Series) -> list[int]:
    """Numbers of training images to try, the likeliest first."""
    if claimed is not None:
        return [claimed]
    full, fraction = whole.get(run["dataset"]), run["train_fraction"]
    if pd.isna(full) or full is None or pd.isna(fraction):
        return []
    share = float(full) * float(fraction)
    return list(dict.fromkeys(n for n in (math.floor(share), math.ceil(share)) if n > 0))
