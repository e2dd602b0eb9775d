"""Checks of the data sets and of how runs were made: images, epochs, batches, the GPU."""

from __future__ import annotations

import pandas as pd

from paper.chapters.published_data import released_script
from paper.checks.shared import DATASETS, arm
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.results import ResultSet
from pepr_utils.results.accuracies import Lattice, stated_lattices, training_images
from pepr_utils.results.load import PUBLISHED
from pepr_utils.results.power import epochs_per_run, implied_power
from pepr_utils.results.repeats import shared_values
from pepr_utils.results.result_set import cached_on_result_set

_GIB = 2**30 / 1e9


@check
def datasets(result_set: ResultSet) -> list[str]:
    """Data sets of the runs."""
    return list(result_set.finished["dataset"].dropna().unique())


@cached_on_result_set
def _lattices(result_set: ResultSet) -> dict[str, tuple[int, Lattice | None]]:
    return stated_lattices(result_set)


def _lattice(result_set: ResultSet, name: str) -> tuple[int, Lattice]:
    experiment = arm(result_set, name)["experiment"].iloc[0]
    stated, lattice = _lattices(result_set).get(experiment, (0, None))
    if lattice is None:
        raise NotAvailableError(f"accuracies of {name} are multiples of no number of images")
    return stated, lattice


@check
def test_images(result_set: ResultSet, dataset: str) -> int:
    """Images that the test accuracies are shares of."""
    return _lattice(result_set, dataset)[1].n_steps


@check
def whole_batches(result_set: ResultSet, dataset: str) -> int:
    """Size of a test set whose whole batches give the accuracies."""
    stated, lattice = _lattice(result_set, dataset)
    return stated if lattice.rule == "whole batches" else lattice.n_steps


test_images.__test__ = False


@check
def train_images(result_set: ResultSet, name: str) -> int:
    """Training images that the training accuracies are averages over."""
    experiment = arm(result_set, name)["experiment"].iloc[0]
    found = training_images(result_set).set_index("experiment")["n"]
    if experiment not in found.index or pd.isna(found[experiment]):
        raise NotAvailableError(f"training accuracies of {name} that fit a number of images")
    return int(found[experiment])


@check
def tenth(result_set: ResultSet, dataset: str) -> float:
    """Share of the training images in the arm of ten per cent, in per cent."""
    whole = train_images(result_set, dataset)
    return 100 * train_images(result_set, f"{dataset}-tenth") / whole


@check
def batch_size(result_set: ResultSet) -> LabelledValue:
    """The batch size whose whole batches give the test accuracies of all three data sets."""
    pairs = [_lattice(result_set, dataset) for dataset in DATASETS]
    possible = [
        size
        for size in range(2, 513)
        if all(n // size * size == lattice.n_steps for n, lattice in pairs)
    ]
    words = ", ".join(map(str, possible)) or "none fits"
    return LabelledValue(possible[0] if len(possible) == 1 else float("nan"), words)


@check(reads_runs=False)
def script_setting(result_set: ResultSet, setting: str) -> float:
    """A number that the released training script sets, for the authors' own runs."""
    if not result_set.name.startswith(PUBLISHED):
        raise NotAvailableError("the training script's settings for these runs")
    script = released_script().set_index("setting")
    return float(script.loc[setting, "value"])


@check
def epochs(result_set: ResultSet) -> LabelledValue:
    """Epochs of a run, if it is the same number for all."""
    counts = epochs_per_run(result_set)
    if counts.empty:
        raise NotAvailableError("no values by epoch")
    low, high = int(counts.min()), int(counts.max())
    return LabelledValue(
        low if low == high else float("nan"), f"{low}" if low == high else f"{low}–{high}"
    )


@check
def gpu_memory(result_set: ResultSet, binary: bool = False) -> float:
    """Memory of the GPU, in units of 10^9 bytes or, if binary, of 2^30."""
    runs = result_set.finished
    if "released_total_memory_gb" not in runs or runs["released_total_memory_gb"].isna().all():
        raise NotAvailableError("the memory of the GPU")
    return float(runs["released_total_memory_gb"].max()) / (_GIB if binary else 1.0)


def _powers(result_set: ResultSet) -> pd.DataFrame:
    """Energy over time of runs that hold no copied energy: and the number of epochs."""
    runs, power = result_set.finished, implied_power(result_set)
    own = power[~power.index.isin(shared_values(runs, "energy_kwh").index)]
    own = own.dropna(subset=["stated_power_w", "limit_w"])
    if own.empty:
        raise NotAvailableError("runs with time, energy and a known limit of power")
    n_epochs = runs["run_id"].map(epochs_per_run(result_set)).fillna(1).astype(float)[own.index]
    return own.assign(n_epochs=n_epochs)


@check
def time_is_possible(result_set: ResultSet, reading: str) -> LabelledValue:
    """Whether the energies of own runs could have been drawn in the stated time, so read."""
    own = _powers(result_set)
    watts = own["stated_power_w"] / (own["n_epochs"] if reading == "epoch" else 1.0)
    possible = watts <= own["limit_w"]
    words = f"median {watts.median():,.0f} W, at most {own['limit_w'].max():,.0f} W possible"
    return LabelledValue(
        bool(possible.mean() > 0.5), f"{'yes' if possible.mean() > 0.5 else 'no'} ({words})"
    )


@check
def energy_is_of_the_run(result_set: ResultSet) -> LabelledValue:
    """Whether, in the time of one epoch, a tenth of the energy is possible and all of it is not."""
    own = _powers(result_set)
    whole, part = own["stated_power_w"], own["stated_power_w"] / own["n_epochs"]
    holds = bool((part <= own["limit_w"]).mean() > 0.5 > (whole <= own["limit_w"]).mean())
    words = f"median {part.median():,.0f} W as of ten epochs, {whole.median():,.0f} W as of one"
    return LabelledValue(holds, f"{'yes' if holds else 'no'} ({words})")
