"""The set `published`: the authors' released table, adapted to the record's columns and units.

The authors' file has one row per architecture and experiment and is read as it is: values are
converted in unit or renamed, never corrected. Its column `infer_time` is 0 in every row and
is not carried over, since what was not measured is null here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.download import fetch, registry
from pepr_utils.results.tables import check_table, check_values, columns

FILE = "all_results.csv"
N_EPOCHS = 10
#: Height and width of the images (px; paper, section 3).
IMAGE_SIZE = 256

#: What the authors' `dataset` column says: data set, pretrained, share of the training images.
EXPERIMENTS = {
    "derma": ("derma", False, 1.0),
    "derma_pt": ("derma", True, 1.0),
    "derma_small": ("derma", True, 0.1),
    "derma_smallest": ("derma", True, 0.01),
    "lidc": ("lidc", True, 1.0),
    "lidc_small": ("lidc", True, 0.1),
    "pneumonia": ("pneumonia", True, 1.0),
    "pneumonia_small": ("pneumonia", True, 0.1),
}

#: Number of classes and of training images (paper, section 3), and of the test images that the
#: released accuracies average over: full batches of 32.
DATASETS = {
    "derma": {"n_classes": 7, "n_train": 7007, "n_test": 1984},
    "lidc": {"n_classes": 2, "n_train": 9057, "n_test": 3008},
    "pneumonia": {"n_classes": 2, "n_train": 4708, "n_test": 608},
}

#: Our column for each of theirs that is carried over unchanged.
_RENAMED = {
    "model": "architecture",
    "num_param": "n_parameters",
    "energy": "energy_kwh",
    "co2": "co2eq_g",
    "memR": "reserved_memory_gb",
    "memM": "peak_memory_gb",
    "train_time": "released_train_time_s",
    "inf_time": "released_inf_time_s",
    "memA": "released_allocated_memory_gb",
    "memT": "released_total_memory_gb",
}
_EPOCH_COLUMNS = [f"test_{i:02d}" for i in range(N_EPOCHS)]
_NEEDED = ["dataset", *_RENAMED, *_EPOCH_COLUMNS, "tr_acc"]


def content_hash() -> str:
    """SHA-256 of the authors' table, fetched if need be."""
    fetch(FILE)
    return registry()["published"].sha256[FILE]


def read() -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Fetch and adapt the authors' table: `runs`, `epochs` and the content hash."""
    return *adapt_file(fetch(FILE)), content_hash()


def adapt_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Adapt a file in the authors' format.

    Raises
    ------
    InvalidTableError
        If a column is missing, an experiment is unknown or a value is not allowed.
    """
    try:
        released = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InvalidTableError(f"{path.name}: not a readable CSV table ({error})") from None
    return adapt(released, source=path.name)


def adapt(released: pd.DataFrame, *, source: str = FILE) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn the authors' table into the tidy tables `runs` and `epochs`.

    Parameters
    ----------
    released : pandas.DataFrame
        One row per architecture and experiment, with the authors' columns.
    source : str
        What messages call it.

    Returns
    -------
    runs, epochs : pandas.DataFrame
        One row per run, in the order of the input, and ten rows per run.

    Raises
    ------
    InvalidTableError
        If a column is missing, an experiment is unknown, a run stands twice or a value is not
        allowed in its column.
    """
    _check_layout(released, source)
    arms = pd.DataFrame(
        [EXPERIMENTS[d] for d in released["dataset"]],
        columns=["dataset", "pretrained", "train_fraction"],
    )
    runs = released[list(_RENAMED)].rename(columns=_RENAMED).reset_index(drop=True)
    runs = runs.assign(**{name: arms[name] for name in arms})
    for name in ("n_classes", "n_train", "n_test"):
        runs[name] = arms["dataset"].map(lambda d, name=name: DATASETS[d][name])
    runs["n_train"] = runs["n_train"].where(runs["train_fraction"] == 1.0)
    runs = runs.assign(
        run_id=[_run_id(*key) for key in zip(released["dataset"], released["model"], strict=True)],
        status="done",
        attempt=1,
        image_size=IMAGE_SIZE,
        protocol="paper",
        n_parameters_of="ImageNet-1k head",
        test_accuracy=released[_EPOCH_COLUMNS[-1]].to_numpy(),
        energy_window="train+eval",
        energy_method="carbontracker",
        device="NVIDIA GeForce RTX 3090",
    )
    epochs = released[_EPOCH_COLUMNS].set_axis(range(1, N_EPOCHS + 1), axis="columns")
    epochs = (
        epochs.set_axis(runs["run_id"])
        .stack()
        .rename("test_accuracy")
        .rename_axis(["run_id", "epoch"])
    )
    epochs = epochs.reset_index()
    last = epochs["epoch"] == N_EPOCHS
    epochs.loc[last, "train_accuracy"] = released["tr_acc"].to_numpy()
    runs = check_table(runs, required=["run_id"], source=source)
    return runs, check_table(epochs, required=["run_id"], table="epochs", source=source)


def _check_layout(released: pd.DataFrame, source: str) -> None:
    for name in _NEEDED:
        if name not in released:
            raise InvalidTableError(
                f"{source}: no column {name!r}; the authors' table has {', '.join(_NEEDED)}"
            )
    strange = released.index[~released["dataset"].isin(EXPERIMENTS)]
    if len(strange):
        row = released.index.get_loc(strange[0])
        raise InvalidTableError(
            f"{source}: row {row + 1}, column 'dataset' is {str(released['dataset'].iloc[row])!r}; "
            f"allowed: {', '.join(EXPERIMENTS)}"
        )
    twice = released.duplicated(["model", "dataset"])
    if twice.any():
        row = int(twice.to_numpy().argmax())
        model, dataset = released[["model", "dataset"]].iloc[row]
        raise InvalidTableError(
            f"{source}: row {row + 1} repeats {model!r} on {dataset!r}; keep one"
        )
    _check_values(released, source)


def _check_values(released: pd.DataFrame, source: str) -> None:
    """Check numbers under the authors' own column names, so that a message can be followed."""
    runs, epochs = columns("runs"), columns("epochs")
    spec = {theirs: runs[ours] for theirs, ours in _RENAMED.items()}
    spec |= dict.fromkeys([*_EPOCH_COLUMNS, "tr_acc"], epochs["test_accuracy"])
    for theirs, column in spec.items():
        check_values(released[theirs], column, source, nullable=False)


def _run_id(experiment: str, model: str) -> str:
    return "published-" + hashlib.sha256(f"{experiment}/{model}".encode()).hexdigest()[:16]
