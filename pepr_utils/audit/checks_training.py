"""Checks of training: runs that never learnt, impossible or inconsistent memory and parameters."""

from __future__ import annotations

from collections.abc import Iterator

from pepr_utils.audit.finding import Finding, count, rows_of, some
from pepr_utils.audit.learning import learning
from pepr_utils.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.record_files import data_warnings_path
from pepr_utils.results.result_set import ResultSet

#: Peak memory of one architecture differs by less between experiments with the same images.
MEMORY_SHARE = 0.1
#: Training accuracy may be this far below the test accuracy of the same epoch.
ACCURACY_GAP = 0.2


@check("never-learnt")
def never_learnt(result_set: ResultSet) -> Iterator[Finding]:
    """Runs that are never better than a constant answer, or that collapsed to one.

    Runs that are better by less than two standard errors are only noted: chance may do as much.
    """
    runs, table = result_set.finished, learning(result_set)
    labels = experiment_labels(runs["experiment"])
    answer = "the accuracy of one constant answer"
    for state, severity, words in (
        ("never learnt", "warning", f"in no epoch above {answer}"),
        ("collapsed", "warning", f"after a better epoch, at or below {answer}"),
        ("not told apart", "note", f"at best above {answer} by no more than chance would explain"),
    ):
        part = table[table["state"].eq(state).fillna(False).astype(bool)]
        for (key, level, basis), mine in part.groupby([runs["experiment"], "level", "basis"]):
            rows = runs.loc[mine.index]
            yield Finding(
                "never-learnt",
                severity,
                rows_of(rows),
                ("test_accuracy",),
                f"{labels[key]}: {count(rows, 'run')} {words} "
                f"({level:.4f}, {basis}): {some(sorted(rows['architecture']))}",
            )


@check("training-accuracy")
def training_accuracy(result_set: ResultSet) -> Iterator[Finding]:
    """Training accuracies far below the test accuracy of the same epoch."""
    epochs, runs = result_set.epochs, result_set.finished
    labels = experiment_labels(runs["experiment"])
    low = epochs["test_accuracy"] - epochs["train_accuracy"] > ACCURACY_GAP
    rows = runs[runs["run_id"].isin(epochs.loc[low.fillna(False).astype(bool), "run_id"])]
    worst = epochs[low.fillna(False).astype(bool)].set_index("run_id")
    for run in rows.itertuples(index=False):
        at = worst.loc[[run.run_id]].iloc[-1]
        yield Finding(
            "training-accuracy",
            "warning",
            rows_of(rows[rows["run_id"] == run.run_id]),
            ("train_accuracy", "test_accuracy"),
            f"{run.architecture} on {labels[run.experiment]}: {at['train_accuracy']:.4f} on the "
            f"training images in epoch {int(at['epoch'])}, and {at['test_accuracy']:.4f} on the "
            "test images",
        )


@check("data-warnings")
def data_warnings(result_set: ResultSet) -> Iterator[Finding]:
    """Runs on images in which copies across splits, or one patient in two, were found before."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    names = ["experiment", "dataset", "data_warnings"]
    for (key, dataset, text), part in runs.dropna(subset=["data_warnings"]).groupby(names):
        files = ""
        if result_set.folder:
            content = part["dataset_hash"].fillna("").iloc[0]
            path = data_warnings_path(result_set.folder, dataset, content)
            files = f"; the files: {path}" if path.is_file() else ""
        yield Finding(
            "data-warnings",
            "warning",
            rows_of(part),
            ("test_accuracy",),
            f"{labels[key]}: {text}{files}",
        )


@check("memory")
def memory(result_set: ResultSet) -> Iterator[Finding]:
    """Memory that exceeds what holds it, or differs between experiments of one architecture."""
    runs = result_set.finished
    total = runs["released_total_memory_gb"]
    pairs = (
        ("peak_memory_gb", "reserved_memory_gb", runs["reserved_memory_gb"]),
        ("released_allocated_memory_gb", "peak_memory_gb", runs["peak_memory_gb"]),
        ("reserved_memory_gb", "released_total_memory_gb", total),
    )
    for name, other, ceiling in pairs:
        rows = runs[(runs[name] > ceiling * 1.001).fillna(False)]
        if len(rows):
            yield Finding(
                "memory",
                "error",
                rows_of(rows),
                (name, other),
                f"{count(rows, 'run')} with a larger {name} than {other}, which holds it",
            )
    known = runs.dropna(subset=["peak_memory_gb"])
    keys = ["architecture", "image_size", "protocol", "device"]
    for (name, *_), part in known.groupby(keys, dropna=False):
        low, high = part["peak_memory_gb"].min(), part["peak_memory_gb"].max()
        if low > 0 and high / low - 1 > MEMORY_SHARE:
            yield Finding(
                "memory",
                "warning",
                rows_of(part),
                ("peak_memory_gb",),
                f"{name}: peak memory from {low:.2f} to {high:.2f} GB with the same images, "
                "protocol and device",
            )


@check("parameters")
def parameters(result_set: ResultSet) -> Iterator[Finding]:
    """Numbers of parameters of one architecture that differ with the same number of classes."""
    runs = result_set.finished.dropna(subset=["n_parameters"])
    released = runs["n_parameters_of"].eq("ImageNet-1k head").fillna(False).astype(bool)
    # the last layer grows with the classes; where they are not known, a data set has its own
    head = runs["n_classes"].astype("string").fillna(runs["dataset"].astype("string"))
    head = head.where(~released, "ImageNet-1k head")
    for (name, *_), part in runs.groupby(
        ["architecture", runs["n_parameters_of"].fillna(""), head]
    ):
        counts = sorted(part["n_parameters"].unique())
        if len(counts) > 1:
            yield Finding(
                "parameters",
                "error",
                rows_of(part),
                ("n_parameters",),
                f"{name}: {some(f'{n:,}' for n in counts)} parameters in different runs",
            )
