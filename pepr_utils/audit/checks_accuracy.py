"""Checks of accuracies: values that the test or training set cannot give."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pepr_utils.audit.finding import Finding, count, counted, rows_of, some
from pepr_utils.audit.registry import check
from pepr_utils.errors import InvalidTableError
from pepr_utils.results.accuracies import (
    RULES,
    can_distinguish,
    fits,
    fits_other_test_set,
    fitting,
    off_lattice,
    one_digit_edits,
    stated_lattices,
    test_lattices,
    test_values,
    tolerance,
    training_images,
)
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.predictions import read_predictions
from pepr_utils.results.record_files import PREDICTIONS_FOLDER, read_record, record_path
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
    missed = off_lattice(result_set)
    missed = missed[~missed["run_id"].isin(elsewhere)]
    for key, part in missed.groupby("experiment"):
        rows = runs[runs["experiment"].eq(key) & ~runs["run_id"].isin(elsewhere)]
        known = values.loc[rows.index].to_numpy().ravel()
        known = known[np.isfinite(known)]
        if len(part) <= len(known) / 2:
            continue
        missed = missed[missed["experiment"] != key]
        n_steps = int(part["n_steps"].iloc[0])
        others = fitting(known, 4 * n_steps)
        words = (
            f"they would fit {some([f'{n:,}' for n in others], 3)}"
            if others
            else f"no number up to {4 * n_steps:,} fits, so perhaps they are no shares of images"
        )
        yield Finding(
            "off-lattice",
            "warning",
            rows_of(rows),
            ("test_accuracy", "n_test"),
            f"{labels[key]}: {len(part):,} of {counted(len(known), 'accuracy')} are no multiple of "
            f"1/{n_steps:,}; {words}",
        )
    for run_id, part in missed.groupby("run_id"):
        run, n_steps = runs.loc[run_id], int(part["n_steps"].iloc[0])
        same = values.loc[runs.index[runs["dataset"] == run["dataset"]]].to_numpy()
        cases = []
        for value, found in part.groupby("test_accuracy"):
            nearest = round(value * n_steps) / n_steps
            edits = [
                f"{edit:.6g} (found {_count(same, edit)} times in this data set)"
                for edit in one_digit_edits(value, n_steps)
            ]
            cases.append(
                f"{value:.6g} in epoch {some(found['epoch'], 12)}, nearest {nearest:.6g}, with one "
                f"digit changed {' or '.join(edits) or 'none'}"
            )
        yield Finding(
            "off-lattice",
            "warning",
            rows_of(runs.loc[[run_id]]),
            ("test_accuracy",),
            f"{run['architecture']} on {labels[run['experiment']]}: no multiple of 1/{n_steps:,}: "
            + "; ".join(cases),
        )


@check("last-epoch")
def last_epoch(result_set: ResultSet) -> Iterator[Finding]:
    """Final accuracies that are not those of the run's last epoch."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    epochs = result_set.epochs.dropna(subset=["test_accuracy"])
    history = dict(iter(epochs.sort_values("epoch").groupby("run_id")))
    lattices = test_lattices(result_set)
    for run in runs.itertuples(index=False):
        mine = history.get(run.run_id)
        if mine is None or run.test_accuracy != run.test_accuracy:
            continue
        values, final = mine["test_accuracy"].to_numpy(float), np.array([run.test_accuracy])
        near = np.abs(values - final) <= np.maximum(tolerance(values), tolerance(final))
        if near[-1]:
            continue
        last = f"the last epoch's is {values[-1]:.6g}"
        n, lattice = lattices.get(run.experiment, (0, None))
        n_steps = lattice.n_steps if lattice else n
        off = bool(n_steps) and can_distinguish(final, n_steps) and not fits(final, n_steps)[0]
        places = [int(epoch) for epoch in mine["epoch"].to_numpy()[near]]
        if places:
            words = f"that of epoch {some(places)}"
        elif off:
            words = f"in no epoch and no multiple of 1/{n_steps:,}"
        else:
            words = "in no epoch"
        yield Finding(
            "last-epoch",
            "note" if places else "warning",
            rows_of(runs[runs["run_id"] == run.run_id]),
            ("test_accuracy",),
            f"{run.architecture} on {labels[run.experiment]}: final accuracy "
            f"{run.test_accuracy:.6g}, {words}; {last}",
        )


def _count(values: np.ndarray, wanted: float) -> int:
    return int((np.abs(values - wanted) < 1e-9).sum())


@check("predictions")
def predictions(result_set: ResultSet) -> Iterator[Finding]:
    """Test predictions that are missing, damaged, or do not give their record's accuracy."""
    runs, folder = result_set.finished, result_set.folder
    for run_id in map(str, runs["run_id"] if folder else ()):
        path, rows = folder / PREDICTIONS_FOLDER / f"{run_id}.npz", runs[runs["run_id"] == run_id]
        try:
            if path.exists():
                read_predictions(folder, run_id)
            elif read_record(record_path(folder, run_id)).predictions_sha256:
                why = f"{path}: missing; the record of {run_id} has its SHA-256"
                yield Finding("predictions", "warning", rows_of(rows), ("test_accuracy",), why)
        except InvalidTableError as error:
            yield Finding("predictions", "error", rows_of(rows), ("test_accuracy",), str(error))


@check("test-images")
def test_images(result_set: ResultSet) -> Iterator[Finding]:
    """Test accuracies computed over a different number of images than stated."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    for key, (n, lattice) in stated_lattices(result_set).items():
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
