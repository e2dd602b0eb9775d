"""What several checks ask for: one arm of the study, scored runs, the mean of the data sets."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet, add_classes, score_runs
from pepr_utils.results.groups import by_architecture, medians_by_size
from pepr_utils.results.result_set import cached_on_result_set, fine_tuned, image_share

DATASETS = ("derma", "lidc", "pneumonia")

#: Arms of the study by the name that checks call them: data set, pretrained, share of the images.
ARMS = {
    "derma-scratch": ("derma", False, 1.0),
    **{dataset: (dataset, True, 1.0) for dataset in DATASETS},
    **{f"{dataset}-tenth": (dataset, True, 0.1) for dataset in DATASETS},
}

#: With the arm that was released and that the paper does not describe.
RELEASED_ARMS = ARMS | {"derma-hundredth": ("derma", True, 0.01)}

#: Arms of figures 3a and 3b.
PRETRAINING = ("derma", "derma-scratch")
FRACTION = (*DATASETS, *(f"{dataset}-tenth" for dataset in DATASETS))


def arm(result_set: ResultSet, name: str) -> pd.DataFrame:
    """Finished runs of one arm of the study, scored within each experiment.

    As in the figures, a run that does not say so counts as fine-tuned, and on all images.

    Raises
    ------
    NotAvailableError
        If there is none.
    """
    return _of_arm(scored(result_set), name)


def _of_arm(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    dataset, pretrained, fraction = RELEASED_ARMS[name]
    mine = (
        (runs["dataset"] == dataset).fillna(False)
        & (fine_tuned(runs) == pretrained)
        & (image_share(runs) == fraction)
    )
    if not mine.any():
        how = "fine-tuned" if pretrained else "trained from scratch"
        raise NotAvailableError(
            f"no finished run of {dataset} {how} on {100 * fraction:g} % of the data"
            + _not_given(runs)
        )
    return runs[mine.astype(bool)]


def _not_given(runs: pd.DataFrame) -> str:
    """Say where the runs leave open how they were trained; empty where they do not."""
    taken = {"pretrained": "fine-tuned", "train_fraction": "on all images"}
    open_ = [
        f"{name} is not given for {n} of {len(runs)} runs, which count as {words}"
        for name, words in taken.items()
        if (n := int(runs[name].isna().sum()))
    ]
    return "".join(f"; {words}" for words in open_)


def need_arms(result_set: ResultSet, names: Iterable[str], *, stated: bool = False) -> None:
    """Make sure that a set has every one of these arms, for what is an average or a sum over them.

    Parameters
    ----------
    result_set : ResultSet
        Any set.
    names : iterable of str
        Keys of `RELEASED_ARMS`.
    stated : bool, default False
        Whether each has to say that it is fine-tuned, or from scratch.

    Raises
    ------
    NotAvailableError
        Of the first that is missing.
    """
    for name in names:
        runs = _of_arm(result_set.finished, name)
        if stated and runs["pretrained"].isna().all():
            raise NotAvailableError(
                f"whether runs of {RELEASED_ARMS[name][0]} are fine-tuned; pretrained is not given"
            )


@cached_on_result_set
def scored(result_set: ResultSet) -> pd.DataFrame:
    """Finished runs with their classes and scores."""
    return score_runs(add_classes(result_set.finished))


@cached_on_result_set
def averaged(result_set: ResultSet, *, cost: str = "E") -> pd.DataFrame:
    """Means over the paper's three data sets, fine-tuned on all images: the points of figure 3."""
    need_arms(result_set, DATASETS)
    return by_architecture(result_set, cost=cost)


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
    found = medians_by_size(frame, column)
    if frame.empty or not {"small", "large"} <= set(frame["size"].dropna()):
        raise NotAvailableError("no small, or no large models")
    return float(found["small"]), float(found["large"])
