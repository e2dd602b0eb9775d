"""What several checks ask for: one arm of the study, scored runs, the mean of the data sets."""

from __future__ import annotations

import pandas as pd

from pepr_utils.errors import NotAvailableError
from pepr_utils.reporting.figures import by_size
from pepr_utils.results import ResultSet, add_classes, score_runs
from pepr_utils.results.audit.remembered import remembered

DATASETS = ("derma", "lidc", "pneumonia")

#: Arms of the study by the name that checks call them: data set, pretrained, share of the images.
ARMS = {
    "derma-scratch": ("derma", False, 1.0),
    **{dataset: (dataset, True, 1.0) for dataset in DATASETS},
    **{f"{dataset}-tenth": (dataset, True, 0.1) for dataset in DATASETS},
}


def arm(result_set: ResultSet, name: str) -> pd.DataFrame:
    """Finished runs of one arm of the study, scored within each experiment.

    Raises
    ------
    NotAvailableError
        If there is none.
    """
    dataset, pretrained, fraction = ARMS[name]
    runs = scored(result_set)
    mine = (
        (runs["dataset"] == dataset)
        & (runs["pretrained"] == pretrained)
        & (runs["train_fraction"] == fraction)
    ).fillna(False)
    if not mine.any():
        how = "fine-tuned" if pretrained else "trained from scratch"
        raise NotAvailableError(f"no finished run of {dataset} {how} on {fraction:.0%} of the data")
    return runs[mine.astype(bool)]


@remembered
def scored(result_set: ResultSet) -> pd.DataFrame:
    """Finished runs with their classes and scores."""
    return score_runs(add_classes(result_set.finished))


@remembered
def averaged(result_set: ResultSet, *, cost: str = "E") -> pd.DataFrame:
    """Means over the paper's three data sets, fine-tuned on all images: the points of figure 3."""
    for dataset in DATASETS:
        arm(result_set, dataset)
    return by_size.data(result_set, cost=cost)


def accuracies(result_set: ResultSet, name: str) -> pd.Series:
    """Test accuracy of each architecture in one arm, the mean of repeated runs."""
    return arm(result_set, name).groupby("architecture")["test_accuracy"].mean()


def group_medians(frame: pd.DataFrame, column: str) -> tuple[float, float]:
    """Medians of the small and of the large models.

    Raises
    ------
    NotAvailableError
        If either group is empty.
    """
    found = frame.groupby("size")[column].median()
    if not {"small", "large"} <= set(found.index):
        raise NotAvailableError("no small, or no large models")
    return float(found["small"]), float(found["large"])
