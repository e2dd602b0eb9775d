"""The embedded data of the authors, and embedded files that are damaged."""

import shutil
import tomllib
from hashlib import sha256

import pandas as pd
import pytest

from pepr_utils import paths
from pepr_utils.errors import InvalidTableError
from pepr_utils.paths import data_dir
from pepr_utils.results import (
    add_classes,
    content_hash,
    experiment_labels,
    load_architectures,
)
from pepr_utils.results import published as published_tables
from pepr_utils.results.published import TABLES
from pepr_utils.results.release import EXPERIMENTS


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


def test_labels_distinguish_the_eight_experiments(published):
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


@pytest.mark.parametrize("column", ["num_param", "type", "efficient", "link"])
def test_the_model_space_is_the_authors_table(names, column):
    ours = load_architectures().rename(columns={"n_parameters": "num_param"})
    ours = ours.set_index("architecture")[column]
    assert ours.index.is_unique
    assert ours.to_dict() == names[column].to_dict()


def test_printed_parameter_counts_are_the_authors_rounded(names):
    printed = load_architectures().set_index("architecture")["printed_parameters_m"]
    assert printed.to_dict() == {m: f"{n / 1e6:.1f}" for m, n in names["num_param"].items()}


def test_the_hash_is_of_the_embedded_files(published):
    folder = data_dir() / "published"
    both = (folder / "runs.csv").read_bytes() + (folder / "epochs.csv").read_bytes()
    assert content_hash("published") == published.content_hash == sha256(both).hexdigest()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c.replace(b"0", b"1", 1), None])
def test_a_damaged_embedded_file_is_named(name, damage, tmp_path, monkeypatch):
    folder = shutil.copytree(data_dir() / "published", tmp_path / "published")
    content = (folder / name).read_bytes()
    (folder / name).unlink() if damage is None else (folder / name).write_bytes(damage(content))
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path)
    with pytest.raises(InvalidTableError, match=rf"{name}.*git checkout") as caught:
        published_tables.read_text(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xf5\x00"])
@pytest.mark.parametrize("name", ["registry.toml", "timm_models.csv"])
def test_a_damaged_shipped_file_is_named(name, content, tmp_path, monkeypatch):
    def read(path):
        text = path.read_text("utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else pd.read_csv(path)["module"]

    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path)
    with pytest.raises(InvalidTableError, match=rf"{name}.*install pepr-utils again"):
        paths.read_shipped(name, read)


def test_damaged_checksums_are_named(tmp_path, monkeypatch):
    folder = shutil.copytree(data_dir() / "published", tmp_path / "published")
    (folder / "SHA256SUMS").write_text("junk")
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path)
    with pytest.raises(InvalidTableError, match=r"runs\.csv is damaged .*SHA256SUMS has none"):
        published_tables.read_text("runs.csv")
