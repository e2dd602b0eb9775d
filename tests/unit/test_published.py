"""The adapter of the authors' data: hand-made rows, the real file, and files that are not right."""

from dataclasses import replace

import pandas as pd
import pytest

from pepr_utils.errors import DataUnavailableError, InvalidTableError
from pepr_utils.results import (
    add_classes,
    content_hash,
    download,
    experiment_labels,
    load_architectures,
)
from pepr_utils.results.published import EXPERIMENTS, adapt, adapt_file


@pytest.fixture
def released():
    """Two rows in the authors' layout, with values that are easy to follow."""
    row = {
        "model": "resnet18d", "num_param": 11_709_000, "type": "CNN", "efficient": 0,
        "memT": 25.4, "memR": 1.72, "memA": 0.2, "memM": 1.48, "energy": 0.017, "co2": 1.25,
        "train_time": 10.6, "infer_time": 0, "inf_time": 0.9, "tr_acc": 0.98, "dataset": "derma",
        **{f"test_{i:02d}": 0.5 + i / 100 for i in range(10)},
    }  # fmt: skip
    return pd.DataFrame([row, row | {"dataset": "lidc_small", "model": "vgg11"}])


def test_units_names_and_arms(released):
    runs, _ = adapt(released)
    first, second = runs.to_dict("records")
    assert (first["dataset"], first["pretrained"], first["train_fraction"]) == ("derma", False, 1.0)
    assert (second["dataset"], second["pretrained"], second["train_fraction"]) == (
        "lidc",
        True,
        0.1,
    )
    assert first["energy_kwh"] == 0.017
    assert first["co2eq_g"] == 1.25
    assert first["reserved_memory_gb"] == 1.72
    assert first["peak_memory_gb"] == 1.48
    assert first["released_train_time_s"] == 10.6
    assert first["test_accuracy"] == 0.59
    assert first["n_train"] == 7007
    assert pd.isna(second["n_train"])
    assert first["energy_window"] == "train+eval"
    assert "train_time_s" not in runs


def test_epochs_are_in_order_and_only_the_last_has_a_training_accuracy(released):
    runs, epochs = adapt(released)
    mine = epochs[epochs["run_id"] == runs["run_id"][0]]
    assert mine["epoch"].tolist() == list(range(1, 11))
    assert mine["test_accuracy"].tolist() == pytest.approx([0.5 + i / 100 for i in range(10)])
    assert mine["train_accuracy"].notna().tolist() == [False] * 9 + [True]


def test_the_real_set(published):
    runs, epochs = published.runs, published.epochs
    assert (len(runs), len(epochs)) == (1048, 10480)
    assert runs["run_id"].is_unique
    assert runs["architecture"].nunique() == 131
    assert len(published.experiments) == 8
    assert (runs.groupby("experiment").size() == 131).all()
    # hand-picked from the authors' file: resnet18d, from scratch
    row = runs[
        (runs["architecture"] == "resnet18d") & (runs["dataset"] == "derma") & ~runs["pretrained"]
    ]
    assert row["energy_kwh"].item() * 1e3 == pytest.approx(16.956, abs=5e-4)
    assert row["test_accuracy"].item() == pytest.approx(1484 / 1984)
    last = epochs[epochs["epoch"] == 10].set_index("run_id")["test_accuracy"]
    assert (runs.set_index("run_id")["test_accuracy"] == last).all()


def test_labels_tell_the_eight_experiments_apart(published):
    labels = experiment_labels(published.experiments)
    assert len(set(labels.values())) == len(EXPERIMENTS)
    assert "derma, from scratch, 100 %" in labels.values()


def test_test_accuracies_count_whole_images(published):
    """All LIDC accuracies are multiples of 1/3,008: the test images in full batches of 32."""
    lidc = published.runs[published.runs["dataset"] == "lidc"]
    images = lidc["test_accuracy"] * lidc["n_test"].astype(float)
    assert (images - images.round()).abs().max() < 1e-9


def test_model_space_agrees_with_the_released_table(published):
    space = load_architectures().set_index("architecture")
    seen = published.runs.drop_duplicates("architecture").set_index("architecture")
    assert set(space.index) == set(seen.index)
    assert (seen["n_parameters"] == space["n_parameters"].reindex(seen.index)).all()


def test_classes_are_joined_by_name_not_by_order(published):
    shuffled = add_classes(published.runs.sample(frac=1, random_state=1))
    one = shuffled[shuffled["architecture"] == "ghostnet_100"]
    assert set(zip(one["type"], one["efficient"], one["size"], strict=True)) == {
        ("CNN", "efficient", "small")
    }


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "energy",
            -0.5,
            "row 2, column 'energy' is '-0.5'; allowed: a finite number of at least 0",
        ),
        ("energy", float("inf"), "row 2, column 'energy' is 'inf'"),
        ("energy", None, "row 2, column 'energy' is empty"),
        ("test_03", 57.2, "row 2, column 'test_03' is '57.2'.*divide percentages by 100"),
        ("num_param", "many", "row 2, column 'num_param' is 'many'; allowed: a whole number"),
        ("dataset", "dermo", "row 2, column 'dataset' is 'dermo'; allowed: derma, derma_pt"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(released, column, value, message):
    released[column] = released[column].astype(object)
    released.loc[1, column] = value
    with pytest.raises(InvalidTableError, match=message):
        adapt(released)


def test_missing_column_and_repeated_run(released):
    with pytest.raises(InvalidTableError, match="no column 'co2'"):
        adapt(released.drop(columns="co2"))
    with pytest.raises(InvalidTableError, match="row 2 repeats 'resnet18d' on 'derma'"):
        adapt(pd.concat([released.iloc[[0]], released.iloc[[0]]], ignore_index=True))


def test_a_file_that_is_no_table(tmp_path):
    path = tmp_path / "all_results.csv"
    path.write_bytes(b"\x00\xff\xfe not a table")
    with pytest.raises(InvalidTableError, match=r"all_results\.csv"):
        adapt_file(path)


@pytest.mark.parametrize(
    ("theirs", "dataset", "pretrained", "fraction", "n_classes", "n_train", "n_test"),
    [
        ("derma", "derma", False, 1.0, 7, 7007, 1984),
        ("derma_pt", "derma", True, 1.0, 7, 7007, 1984),
        ("derma_small", "derma", True, 0.1, 7, None, 1984),
        ("derma_smallest", "derma", True, 0.01, 7, None, 1984),
        ("lidc", "lidc", True, 1.0, 2, 9057, 3008),
        ("lidc_small", "lidc", True, 0.1, 2, None, 3008),
        ("pneumonia", "pneumonia", True, 1.0, 2, 4708, 608),
        ("pneumonia_small", "pneumonia", True, 0.1, 2, None, 608),
    ],
)
def test_what_each_experiment_of_the_authors_is(
    released, theirs, dataset, pretrained, fraction, n_classes, n_train, n_test
):
    """Training images as in section 3 of the paper; test images in full batches of 32."""
    runs, _ = adapt(released.head(1).assign(dataset=theirs))
    run = runs.iloc[0]
    assert run["dataset"] == dataset
    assert run["pretrained"] == pretrained
    assert run["train_fraction"] == fraction
    assert (run["n_classes"], run["n_test"]) == (n_classes, n_test)
    assert pd.isna(run["n_train"]) if n_train is None else run["n_train"] == n_train


@pytest.mark.parametrize("column", ["num_param", "type", "efficient", "link"])
def test_the_model_space_is_the_authors_table(names, column):
    ours = load_architectures().rename(columns={"n_parameters": "num_param"})
    ours = ours.set_index("architecture")[column]
    assert ours.index.is_unique
    assert ours.to_dict() == names[column].to_dict()


def test_printed_parameter_counts_are_the_authors_rounded(names):
    printed = load_architectures().set_index("architecture")["printed_parameters_m"]
    assert printed.to_dict() == {m: f"{n / 1e6:.1f}" for m, n in names["num_param"].items()}


def test_the_hash_is_of_the_authors_file(published):
    assert content_hash("published") == published.content_hash
    assert published.content_hash.startswith("1f624ef1a684")


def test_no_hash_of_data_that_cannot_be_had(tmp_path, monkeypatch):
    groups = {
        name: replace(group, base_url="http://127.0.0.1:9/")
        for name, group in download.registry().items()
    }
    monkeypatch.setattr(download, "registry", lambda: groups)
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(tmp_path / "missing"))
    with pytest.raises(DataUnavailableError, match=r"all_results\.csv could not be had"):
        content_hash("published")
