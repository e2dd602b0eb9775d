"""Checks of accuracies: values that the test or training set cannot give, whose they would be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pepr_utils.results.audit.accuracies import (
    fits_other_test_set,
    off_lattice,
    test_lattices,
    test_values,
    training_images,
)
from pepr_utils.results.audit.finding import Finding, count, rows_of, some
from pepr_utils.results.audit.lattice import RULES, fits, one_digit_edits
from pepr_utils.results.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet


@check("other-test-set")
def other_test_set(result_set: ResultSet) -> Iterator[Finding]:
    """Runs whose accuracies are no multiples of 1/n for their test set and are for another's."""
    runs, table = result_set.finished, fits_other_test_set(result_set)
    labels = experiment_labels(runs["experiment"])
    table = table.join(runs.set_index("run_id")["experiment"], on="run_id")
    for (key, other, n), part in table.groupby(["experiment", "other", "n"]):
        rows = runs[runs["run_id"].isin(part["run_id"])]
        yield Finding(
            "other-test-set",
            "error",
            rows_of(rows),
            ("test_accuracy",),
            f"{labels[key]}: the accuracies of {count(rows, 'run')} miss the multiples of one over "
            f"their test images and in every epoch fit {n:,} images, those of {other}: "
            f"{some(sorted(rows['architecture']))}",
        )


@check("off-lattice")
def off(result_set: ResultSet) -> Iterator[Finding]:
    """Single accuracies that no whole number of test images gives, and the nearest that do."""
    runs = result_set.finished.set_index("run_id", drop=False)
    labels = experiment_labels(runs["experiment"])
    elsewhere = set(fits_other_test_set(result_set)["run_id"])
    values = test_values(result_set)
    for run_id, part in off_lattice(result_set).groupby("run_id"):
        if run_id in elsewhere:
            continue
        run, n_steps = runs.loc[run_id], int(part["n_steps"].iloc[0])
        same = values.loc[runs.index[runs["dataset"] == run["dataset"]]].to_numpy()
        words = []
        for value, cases in part.groupby("test_accuracy"):
            nearest = round(value * n_steps) / n_steps
            edits = [
                f"{edit:.6g} (found {_count(same, edit)} times in this data set)"
                for edit in one_digit_edits(value, n_steps)
            ]
            words.append(
                f"{value:.6g} in epoch {some(cases['epoch'], 12)}, nearest {nearest:.6g}, with one "
                f"digit changed {' or '.join(edits) or 'none'}"
            )
        yield Finding(
            "off-lattice",
            "warning",
            rows_of(runs.loc[[run_id]]),
            ("test_accuracy",),
            f"{run['architecture']} on {labels[run['experiment']]}: no multiple of 1/{n_steps:,}: "
            + "; ".join(words),
        )


def _count(values: np.ndarray, wanted: float) -> int:
    return int((np.abs(values - wanted) < 1e-9).sum())


@check("test-images")
def test_images(result_set: ResultSet) -> Iterator[Finding]:
    """Test accuracies that are over other images than the number that is claimed for them."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    for key, (n, lattice) in test_lattices(result_set).items():
        if lattice is None or lattice.rule == "images":
            continue
        yield Finding(
            "test-images",
            "note",
            rows_of(runs[runs["experiment"] == key]),
            ("test_accuracy", "n_test"),
            f"{labels[key]}: claimed over {n:,} test images; the accuracies are multiples of "
            f"1/{lattice.n_steps:,}, {RULES[lattice.rule]}",
        )


@check("training-images")
def train_images(result_set: ResultSet) -> Iterator[Finding]:
    """Training accuracies that the training set cannot give, or that are means over batches."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    known = result_set.epochs.dropna(subset=["train_accuracy"])
    table = training_images(result_set).dropna(subset=["n"])
    for row in table.itertuples(index=False):
        mine = runs[runs["experiment"] == row.experiment]
        if row.rule != "images":
            yield Finding(
                "training-images",
                "note",
                rows_of(mine),
                ("train_accuracy",),
                f"{labels[row.experiment]}: the training accuracies are those of {row.n:,} images, "
                f"{RULES[row.rule]}",
            )
        values = known[known["run_id"].isin(mine["run_id"])]
        missed = values[~fits(values["train_accuracy"].to_numpy(float), int(row.n_steps))]
        rows = mine[mine["run_id"].isin(missed["run_id"])]
        if rows.empty:
            continue
        others = [
            f"{labels[o.experiment]} ({o.n:,})"
            for o in table.itertuples(index=False)
            if o.experiment != row.experiment
            and fits(missed["train_accuracy"].to_numpy(float), int(o.n_steps)).all()
        ]
        yield Finding(
            "training-images",
            "error",
            rows_of(rows),
            ("train_accuracy",),
            f"{labels[row.experiment]}: training accuracies of {count(rows, 'run')} do not fit "
            f"{row.n:,} images: {some(sorted(rows['architecture']))}; they would fit "
            f"{some(others) or 'no other experiment here'}",
        )
