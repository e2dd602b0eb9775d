"""The authors' files and the embedded tables follow from each other, to the last byte."""

import hashlib
import io

import pandas as pd
import pytest

from pepr_utils.errors import InvalidTableError
from pepr_utils.paths import data_dir
from pepr_utils.results import release
from pepr_utils.results.download import release as pinned


@pytest.mark.parametrize("file", [f for f in release.RENAMED if f not in release.NOT_CARRIED])
def test_a_restored_file_has_the_pinned_sha256(released, file):
    """The proof that nothing was lost, without the authors' files."""
    assert hashlib.sha256(released[file]).hexdigest() == pinned().sha256[file]


def test_the_embedded_tables_follow_from_the_files(released, embedded):
    for name, frame in release.embed(released).items():
        pd.testing.assert_frame_equal(frame, embedded[name])
    assert release.differences(released, embedded) == []


def test_columns_of_timm_that_are_not_embedded_are_no_difference(released, embedded):
    frame = pd.read_csv(io.BytesIO(released["results-imagenet.csv"]), dtype=str)
    left = dict.fromkeys(release.NOT_CARRIED["results-imagenet.csv"], "1")
    whole = frame.assign(**left).to_csv(index=False).encode()
    assert release.differences(released | {"results-imagenet.csv": whole}, embedded) == []


@pytest.fixture
def row():
    """The authors' files with one run, whose values are easy to follow."""
    columns = release._LAYOUT["all_results.csv"][0].split()
    values = {
        "model": "resnet18d", "num_param": "11709000", "type": "CNN", "efficient": "0",
        "memT": "25.4", "memR": "1.72", "memA": "0.2", "memM": "1.48", "energy": "0.017",
        "co2": "1.25", "train_time": "10.6", "infer_time": "0", "inf_time": "0.9", "tr_acc": "1",
        "dataset": "lidc_small", **{f"test_{i:02d}": f"0.5{i}" for i in range(10)},
    }  # fmt: skip
    country = "name,num_papers,Region,pop,Region_updated\nA,1,R,2,S\n"
    return {
        "all_results.csv": f"{','.join(columns)}\n{','.join(values[c] for c in columns)}\n",
        "model_names.csv": "model,num_param,type,efficient,link\nresnet18d,11709000,CNN,0,here\n",
        "results-imagenet.csv": "model,img_size,top1\nresnet18d.a,224,70.1\n",
        **dict.fromkeys(release.YEARS.values(), country),
    }


def _bytes(files):
    return {name: text.encode() for name, text in files.items()}


def test_units_names_and_arms(row):
    tables = release.embed(_bytes(row))
    run = tables["runs.csv"].iloc[0]
    assert (run["dataset"], run["pretrained"], run["train_fraction"]) == ("lidc", "true", "0.1")
    assert (run["n_classes"], run["n_train"], run["n_test"]) == ("2", "", "3008")
    assert (run["energy_kwh"], run["co2eq_g"]) == ("0.017", "1.25")
    assert (run["reserved_memory_gb"], run["peak_memory_gb"]) == ("1.72", "1.48")
    assert (run["released_train_time_s"], run["test_accuracy"]) == ("10.6", "0.59")
    epochs = tables["epochs.csv"]
    assert epochs["test_accuracy"].tolist() == [f"0.5{i}" for i in range(10)]
    assert epochs["train_accuracy"].tolist() == [""] * 9 + ["1"]
    assert tables["countries.csv"]["year"].tolist() == ["2013", "2022"]
    restored = release.restore(tables)["all_results.csv"].decode()
    assert restored.replace('"', "") == row["all_results.csv"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("derma", ("derma", "false", "1", "7", "7007", "1984")),
        ("derma_pt", ("derma", "true", "1", "7", "7007", "1984")),
        ("derma_small", ("derma", "true", "0.1", "7", "", "1984")),
        ("derma_smallest", ("derma", "true", "0.01", "7", "", "1984")),
        ("lidc", ("lidc", "true", "1", "2", "9057", "3008")),
        ("lidc_small", ("lidc", "true", "0.1", "2", "", "3008")),
        ("pneumonia", ("pneumonia", "true", "1", "2", "4708", "608")),
        ("pneumonia_small", ("pneumonia", "true", "0.1", "2", "", "608")),
    ],
)
def test_experiments_of_the_authors_by_name(row, theirs, ours):
    """Training images as in section 3 of the paper; test images in full batches of 32."""
    row["all_results.csv"] = row["all_results.csv"].replace("lidc_small", theirs)
    run = release.embed(_bytes(row))["runs.csv"].iloc[0]
    names = ["dataset", "pretrained", "train_fraction", "n_classes", "n_train", "n_test"]
    assert tuple(run[names]) == ours


@pytest.mark.parametrize("file", list(release.RENAMED))
def test_each_changed_cell_is_a_difference(row, file):
    tables = release.embed(_bytes(row))
    header, values = row[file].splitlines()
    for number, column in enumerate(header.split(",")):
        changed = values.split(",")
        changed[number] = "other"
        files = row | {file: f"{header}\n{','.join(changed)}\n"}
        found = release.differences(_bytes(files), tables)
        assert [(d["file"], d["row"], d["column"], d["released"]) for d in found] == [
            (file, 1, column, "other")
        ]


@pytest.mark.parametrize("table", ["runs.csv", "epochs.csv"])
def test_each_changed_embedded_cell_is_a_difference(row, table):
    tables = release.embed(_bytes(row))
    for column in tables[table]:
        changed = tables[table].copy()
        changed.loc[0, column] = "9"
        assert release.differences(_bytes(row), tables | {table: changed}), column


def test_rows_that_are_missing_or_added_are_a_difference(row):
    tables = release.embed(_bytes(row))
    files = row | {"model_names.csv": row["model_names.csv"] + "b,1,CNN,0,there\n"}
    (found,) = release.differences(_bytes(files), tables)
    assert (found["released"], found["embedded"]) == ("2 rows", "1 rows")


def test_what_cannot_be_embedded(row):
    broken = row | {"all_results.csv": row["all_results.csv"].replace("co2", "co3")}
    with pytest.raises(InvalidTableError, match=r"all_results\.csv: no column 'co2'"):
        release.embed(_bytes(broken))
    broken = row | {"all_results.csv": row["all_results.csv"].replace("lidc_small", "dermo")}
    with pytest.raises(InvalidTableError, match="row 1, column 'dataset' is 'dermo'; allowed"):
        release.embed(_bytes(broken))
    with pytest.raises(InvalidTableError, match=r"model_names\.csv: not a readable CSV table"):
        release.embed(_bytes(row) | {"model_names.csv": b""})


def test_written_tables_are_the_embedded_files(embedded, tmp_path):
    release.write_tables(embedded, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (data_dir() / "published" / path.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 6
