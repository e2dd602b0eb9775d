"""Which accuracies a number of images can give, and what always answering one class gives.

Over n images an accuracy is a multiple of 1/n, or of a coarser or finer step where it is averaged
over batches: its lattice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from pepr_utils.paths import read_shipped
from pepr_utils.results.result_set import ResultSet, cached_on_result_set, on_all_images

#: Batch sizes tried for averages over batches.
BATCHES = (8, 16, 32, 64, 128, 256)

#: Single precision, averaged over batches, is off by less.
PRECISION = 2e-7

#: How an accuracy can come from n images.
RULES = {
    "images": "the share of all images",
    "whole batches": "the share of the images in whole batches",
    "mean of batches": "the mean over batches, a partial one counting as much as the others",
}


def steps(n: int, rule: str = "images", batch: int = 32) -> int:
    """Number of steps from 0 to 1 of accuracies over n images.

    Parameters
    ----------
    n : int
        Number of images.
    rule : {"images", "whole batches", "mean of batches"}
        What the accuracy is, see `RULES`.
    batch : int, default 32
        Images in a whole batch.

    Examples
    --------
    >>> steps(2005), steps(2005, "whole batches"), steps(70, "mean of batches")
    (2005, 1984, 288)
    """
    if rule == "images":
        return n
    whole, rest = divmod(n, batch)
    if rule == "whole batches":
        return whole * batch
    return (whole + (rest > 0)) * math.lcm(batch, rest or batch)


def fits(values: np.ndarray, n_steps: int) -> np.ndarray:
    """Whether values are on the lattice of `n_steps` steps, to the digits that they are given with.

    A value with few digits fits wherever a multiple rounds to it; NaN fits.

    Examples
    --------
    >>> fits(np.array([0.5, 0.333, 0.3333333333, 0.4]), 3)
    array([False,  True,  True, False])
    """
    values = np.asarray(values, dtype=float)
    nearest = np.round(values * n_steps) / n_steps if n_steps else np.zeros_like(values)
    near = np.abs(values - nearest) <= tolerance(values)
    return near | np.isnan(values)


def tolerance(values: np.ndarray) -> np.ndarray:
    """One unit of the last digit that each value is given with, and at least `PRECISION`."""
    values = np.asarray(values, dtype=float)
    found = np.full(values.shape, PRECISION)
    for digits in range(6, 1, -1):
        found = np.where(np.round(values, digits) == values, 10.0**-digits, found)
    return found


def can_distinguish(values: np.ndarray, n_steps: int) -> bool:
    """Whether values of this precision could miss the lattice: its steps are wider.

    The most precise tenth decides: 1 and 0.5 are short in any notation.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    return bool(known.size) and float(np.quantile(tolerance(known), 0.1)) * 4 * n_steps < 1


def fitting(values: np.ndarray, highest: int) -> list[int]:
    """Numbers of images up to `highest` that all but a tenth of the values are multiples of one of.

    Multiples of the first number found are left out, and so are numbers that values of this
    precision fit by chance.

    Examples
    --------
    >>> fitting(np.array([0.123333333333333, 0.483333333333333, 0.71]), 1000)
    [300]
    """
    known = np.unique(values[np.isfinite(values)])
    room = np.minimum(1.0, 2 * tolerance(known))
    found: list[int] = []
    for n in range(2, highest + 1):
        by_chance = n * np.prod(np.minimum(1.0, room * n))
        if by_chance > 0.01 or any(n % one == 0 for one in found):
            continue
        if fits(known, n).mean() >= 0.9:
            found.append(n)
    return found


def one_digit_edits(value: float, n_steps: int) -> list[float]:
    """Values on the lattice that differ from `value` in exactly one digit.

    Examples
    --------
    >>> one_digit_edits(0.333266129032258, 1984)
    [0.033266129032258, 0.533266129032258]
    """
    text = repr(float(value))
    found = set()
    for place, old in enumerate(text):
        for new in "0123456789" if old.isdigit() else "":
            edited = float(text[:place] + new + text[place + 1 :])
            if new != old and edited <= 1 and abs(edited * n_steps % 1 - 0.5) > 0.5 - 1e-8:
                found.add(edited)
    return sorted(found)


#: Share of an experiment's accuracies that must be on a lattice for it to be accepted.
MOST = 0.9


@dataclass(frozen=True)
class Lattice:
    """What an experiment's accuracies are multiples of."""

    n: int
    rule: str
    n_steps: int


@cached_on_result_set
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
    """Find the lattice of accuracies over `n` images, if at least nine in ten are on one.

    The multiples of 1/n come first; among averages over batches the one that most values fit, and
    of several the coarsest.

    Returns
    -------
    Lattice or None
        None if there is none, or if the values are too coarse to tell.
    """
    if not can_distinguish(values, n):
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
        if can_distinguish(values, lattice.n_steps)
    ]
    share, _, best = max(shares, key=lambda s: s[:2], default=(0.0, 0, None))
    return best if share >= MOST else None


def _share(values: np.ndarray, n_steps: int) -> float:
    known = values[np.isfinite(values)]
    return float(fits(known, n_steps).mean()) if known.size and n_steps else 0.0


@cached_on_result_set
def test_lattices(result_set: ResultSet) -> dict[str, tuple[int, Lattice | None]]:
    """By experiment the number of test images claimed, and the lattice of its accuracies."""
    runs, values = result_set.finished, test_values(result_set)
    found = {}
    for key, part in runs.groupby("experiment", sort=False):
        claimed = part["n_test"].dropna()
        if claimed.nunique() == 1:
            n = int(claimed.iloc[0])
            found[str(key)] = n, lattice_of(values.loc[part["run_id"]].to_numpy(), n)
    return found


def stated_lattices(result_set: ResultSet) -> dict[str, tuple[int, Lattice | None]]:
    """As `test_lattices`, from the test images that ``data/splits.csv`` states for the data set.

    Where it states none, or the accuracies are on no lattice of that number, the set's own
    ``n_test`` counts.
    """
    runs, values, found = result_set.finished, test_values(result_set), test_lattices(result_set)
    stated = read_shipped("splits.csv", pd.read_csv).set_index("dataset")["n_test"]
    for key, part in runs.groupby("experiment", sort=False):
        n = stated.get(part["dataset"].iloc[0])
        lattice = lattice_of(values.loc[part["run_id"]].to_numpy(), int(n)) if n else None
        if lattice:
            found[str(key)] = int(n), lattice
    return found


@cached_on_result_set
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
        n, lattice = lattices.get(str(key), (0, None))
        if not n or not can_distinguish(values.loc[part["run_id"]].to_numpy(), n):
            continue
        n_steps = lattice.n_steps if lattice else n
        mine = values.loc[part["run_id"]]
        off = pd.DataFrame(~fits(mine.to_numpy(), n_steps), mine.index, mine.columns)
        long = mine.where(off).stack().dropna().reset_index()
        long = long.set_axis(["run_id", "epoch", "test_accuracy"], axis="columns")
        parts.append(long.assign(experiment=key, n_steps=n_steps))
    columns = ["run_id", "experiment", "epoch", "test_accuracy", "n_steps"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


@cached_on_result_set
def fits_other_test_set(result_set: ResultSet) -> pd.DataFrame:
    """Runs whose accuracies all miss their own test set and all fit another data set's.

    Returns
    -------
    pandas.DataFrame
        run_id, the ``other`` data set and its number of images, ``n``.
    """
    runs = result_set.finished.set_index("run_id")
    values, off = test_values(result_set), off_lattice(result_set)
    datasets = runs["dataset"].to_dict()
    others = {
        (runs.loc[runs["experiment"] == key, "dataset"].iloc[0], lattice.n_steps)
        for key, (_, lattice) in test_lattices(result_set).items()
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
            if other != datasets[run_id] and fits(mine, n_steps).all()
        ]
    return pd.DataFrame(rows, columns=["run_id", "other", "n"])


@cached_on_result_set
def training_images(result_set: ResultSet) -> pd.DataFrame:
    """How many images were trained on, from the training accuracies of each experiment.

    Where the number is not recorded it is looked for around the share of the images of the same
    data set that the experiment uses according to its records.

    Returns
    -------
    pandas.DataFrame
        One row per experiment with training accuracies: experiment, ``claimed`` (null where not
        recorded), ``n`` found, ``rule`` (see `pepr_utils.results.accuracies.RULES`),
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
    """Numbers of training images to try, the most probable first."""
    if claimed is not None:
        return [claimed]
    full, fraction = whole.get(run["dataset"]), run["train_fraction"]
    if pd.isna(full) or full is None or pd.isna(fraction):
        return []
    share = float(full) * float(fraction)
    return list(dict.fromkeys(n for n in (math.floor(share), math.ceil(share)) if n > 0))


@cache
def load_majority() -> pd.DataFrame:
    """Size of the largest class among the test images, by data set and number of test images.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, n_test, n_majority, basis (how the count is known) and
        ``majority_share``, in (0, 1].
    """
    table = read_shipped("majority.csv", pd.read_csv)
    return table.assign(majority_share=table["n_majority"] / table["n_test"])


def majority_share(dataset: str, n_test: int) -> float:
    """Accuracy of the majority-class predictor; NaN where it is not known.

    Parameters
    ----------
    dataset : str
        Data set name.
    n_test : int
        Number of test images behind the accuracies that it is compared with.

    Examples
    --------
    >>> majority_share("pneumonia", 624)
    0.625
    >>> majority_share("clinic", 100)
    nan
    """
    table = load_majority()
    row = table[(table["dataset"] == dataset) & (table["n_test"] == n_test)]
    return float(row["majority_share"].iloc[0]) if len(row) else float("nan")


def majority_of_runs(runs: pd.DataFrame) -> float:
    """Accuracy of the majority-class predictor on the test images of the runs of one experiment.

    NaN where it is not known, or the runs' numbers of test images differ.
    """
    counts = runs["n_test"].dropna().unique()
    if len(counts) != 1:
        return float("nan")
    return majority_share(str(runs["dataset"].iloc[0]), int(counts[0]))
