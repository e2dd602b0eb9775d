"""The authors' released files and the tables that are embedded of them, in both directions.

Values are carried over as the text that the authors wrote: renamed and rearranged, never
converted, so that each file can be restored to the last byte (but for `NOT_CARRIED`).
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.atomic import replacing

N_EPOCHS = 10
#: Height and width of the images (px; paper, section 3).
IMAGE_SIZE = 256

#: Meaning of the authors' `dataset` column: data set, pretrained, share of the training images.
EXPERIMENTS = {
    "derma": ("derma", "false", "1"),
    "derma_pt": ("derma", "true", "1"),
    "derma_small": ("derma", "true", "0.1"),
    "derma_smallest": ("derma", "true", "0.01"),
    "lidc": ("lidc", "true", "1"),
    "lidc_small": ("lidc", "true", "0.1"),
    "pneumonia": ("pneumonia", "true", "1"),
    "pneumonia_small": ("pneumonia", "true", "0.1"),
}

#: Number of classes and of training images (paper, section 3), and of the test images that the
#: released accuracies average over: full batches of 32.
DATASETS = {
    "derma": {"n_classes": "7", "n_train": "7007", "n_test": "1984"},
    "lidc": {"n_classes": "2", "n_train": "9057", "n_test": "3008"},
    "pneumonia": {"n_classes": "2", "n_train": "4708", "n_test": "608"},
}

#: The year of each table of countries, as the paper and the released plotting code give it.
YEARS = {"2013": "regions_papers_data_2013.csv", "2022": "regions_papers_data_2023.csv"}

#: Our column for each of theirs, by file.
RENAMED = {
    "all_results.csv": {
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
    },
    "model_names.csv": {
        "model": "architecture",
        "num_param": "n_parameters",
        "type": "type",
        "efficient": "efficient",
        "link": "link",
    },
    **{
        file: {
            "name": "country",
            "num_papers": "publications",
            "Region": "released_region",
            "pop": "population",
            "Region_updated": "region",
        }
        for file in YEARS.values()
    },
    "results-imagenet.csv": {"model": "weights", "img_size": "image_size", "top1": "top1_percent"},
}

#: The authors' columns in the order of their file, with those that are quoted in it.
_LAYOUT = {
    "all_results.csv": (
        "model num_param memT memR memA memM energy co2 train_time infer_time test_00 inf_time "
        "tr_acc test_01 test_02 test_03 test_04 test_05 test_06 test_07 test_08 test_09 type "
        "efficient dataset",
        "model type dataset",
    ),
    "model_names.csv": ("model num_param type efficient link", None),
    "regions_papers_data_2013.csv": ("name num_papers Region pop Region_updated", None),
    "regions_papers_data_2023.csv": (
        "name num_papers Region pop Region_updated",
        "name Region Region_updated",
    ),
    "results-imagenet.csv": ("model img_size top1", None),
}

#: Columns of timm's results that are not used here.
NOT_CARRIED = {
    "results-imagenet.csv": (
        "top1_err",
        "top5",
        "top5_err",
        "param_count",
        "crop_pct",
        "interpolation",
    )
}
_EPOCH_COLUMNS = [f"test_{i:02d}" for i in range(N_EPOCHS)]


def parse(content: bytes, source: str) -> pd.DataFrame:
    """Read one of the authors' files, or one of ours, as text: what is empty is an empty text.

    Raises
    ------
    InvalidTableError
        If it is not a CSV table in UTF-8.
    """
    try:
        frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, na_filter=False)
    except (ValueError, pd.errors.ParserError) as error:  # also what is not UTF-8, or empty
        raise InvalidTableError(f"{source}: not a readable CSV table ({error})") from None
    return frame.reset_index() if not isinstance(frame.index, pd.RangeIndex) else frame


def embed(released: Mapping[str, bytes]) -> dict[str, pd.DataFrame]:
    """Carry the authors' files over into this project's schema.

    Parameters
    ----------
    released : mapping of str to bytes
        The content of each file of `RENAMED`.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``runs.csv``, ``epochs.csv``, ``architectures.csv``, ``countries.csv`` and
        ``imagenet.csv``, every value as text, in the order of the authors' rows.

    Raises
    ------
    InvalidTableError
        If a file is no table, a column is missing, or an experiment is unknown.
    """
    frames = {file: parse(content, file) for file, content in released.items()}
    for file, (layout, _) in _LAYOUT.items():
        for name in layout.split():
            if name not in frames[file]:
                raise InvalidTableError(
                    f"{file}: no column {name!r}; the authors' file has {layout.replace(' ', ', ')}"
                )
    renamed = {file: frames[file][[*new]].rename(columns=new) for file, new in RENAMED.items()}
    runs, epochs = _runs_and_epochs(frames["all_results.csv"], renamed["all_results.csv"])
    years = [renamed[file].assign(year=year) for year, file in YEARS.items()]
    countries = pd.concat(years, ignore_index=True)
    return {
        "runs.csv": runs,
        "epochs.csv": epochs,
        "architectures.csv": renamed["model_names.csv"],
        "countries.csv": countries[["year", *countries.columns.drop("year")]],
        "imagenet.csv": renamed["results-imagenet.csv"],
    }


def _runs_and_epochs(
    released: pd.DataFrame, runs: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    unknown = released.index[~released["dataset"].isin(EXPERIMENTS)]
    if len(unknown):
        raise InvalidTableError(
            f"all_results.csv: row {unknown[0] + 1}, column 'dataset' is "
            f"{released.at[unknown[0], 'dataset']!r}; allowed: {', '.join(EXPERIMENTS)}"
        )
    arms = pd.DataFrame(
        [EXPERIMENTS[d] for d in released["dataset"]],
        columns=["dataset", "pretrained", "train_fraction"],
    )
    of_dataset = pd.DataFrame([DATASETS[d] for d in arms["dataset"]])
    n_train = of_dataset["n_train"].where(arms["train_fraction"] == "1", "")
    keys = zip(released["dataset"], released["model"], strict=True)
    runs = pd.concat([runs, arms, of_dataset.assign(n_train=n_train)], axis=1).assign(
        run_id=[_run_id(*key) for key in keys],
        status="done",
        attempt="1",
        image_size=str(IMAGE_SIZE),
        protocol="paper",
        n_parameters_of="ImageNet-1k head",
        test_accuracy=released[_EPOCH_COLUMNS[-1]],
        energy_window="train+eval",
        energy_method="carbontracker",
        device="NVIDIA GeForce RTX 3090",
    )
    epochs = pd.DataFrame(
        {
            "run_id": runs["run_id"].repeat(N_EPOCHS).to_numpy(),
            "epoch": [str(i + 1) for i in range(N_EPOCHS)] * len(runs),
            "test_accuracy": released[_EPOCH_COLUMNS].to_numpy().ravel(),
            "train_accuracy": "",
        }
    )
    epochs.loc[N_EPOCHS - 1 :: N_EPOCHS, "train_accuracy"] = released["tr_acc"].to_numpy()
    first = ["run_id", "status", "attempt", "architecture", *arms]
    return runs[[*first, *runs.columns.drop(first)]], epochs


def _run_id(experiment: str, model: str) -> str:
    return "published-" + hashlib.sha256(f"{experiment}/{model}".encode()).hexdigest()[:16]


def restore(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Restore the authors' files from the embedded tables: the inverse of `embed`.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        As `embed` returns them.

    Returns
    -------
    dict of str to bytes
        Each file's content; equal to the authors' but for the columns of `NOT_CARRIED`.
    """
    frames = {}
    for file, new in RENAMED.items():
        source = {
            "all_results.csv": "runs.csv",
            "model_names.csv": "architectures.csv",
            "results-imagenet.csv": "imagenet.csv",
        }.get(file, "countries.csv")
        frames[file] = tables[source].rename(columns={ours: theirs for theirs, ours in new.items()})
    for year, file in YEARS.items():
        frames[file] = frames[file][frames[file]["year"] == year]
    arms = {arm: name for name, arm in EXPERIMENTS.items()}
    results = frames["all_results.csv"]
    of_run = results[["dataset", "pretrained", "train_fraction"]].itertuples(index=False, name=None)
    epochs = tables["epochs.csv"].drop_duplicates(["run_id", "epoch"]).set_index("run_id")
    models = frames["model_names.csv"].set_index("model")

    def of_epoch(number: int, column: str) -> pd.Series:
        values = epochs.loc[epochs["epoch"] == str(number), column]
        return results["run_id"].map(values.to_dict().get).astype("string").fillna("")

    frames["all_results.csv"] = results.assign(
        dataset=[arms.get(arm, "/".join(arm)) for arm in of_run],
        infer_time="0",
        tr_acc=of_epoch(N_EPOCHS, "train_accuracy"),
        type=results["model"].map(models["type"].to_dict().get).fillna(""),
        efficient=results["model"].map(models["efficient"].to_dict().get).fillna(""),
        **{
            name: of_epoch(number, "test_accuracy")
            for number, name in enumerate(_EPOCH_COLUMNS, start=1)
        },
    )
    return {
        file: _written(frames[file][layout.split()], quoted.split() if quoted else None)
        for file, (layout, quoted) in _LAYOUT.items()
    }


def _written(frame: pd.DataFrame, quoted: list[str] | None) -> bytes:
    """Write a table as the authors did: all text quoted, or only what has to be."""
    if quoted is None:
        return frame.to_csv(index=False, lineterminator="\n").encode()
    parts = {c: [f'"{v}"' if c in quoted and v else v for v in frame[c]] for c in frame}
    rows = [[f'"{c}"' for c in frame], *zip(*parts.values(), strict=True)]
    return "".join(",".join(row) + "\n" for row in rows).encode()


def differences(
    released: Mapping[str, bytes], tables: Mapping[str, pd.DataFrame]
) -> list[dict[str, object]]:
    """Compare the authors' files with the embedded tables, cell by cell.

    Parameters
    ----------
    released : mapping of str to bytes
        The content of each of the authors' files.
    tables : mapping of str to pandas.DataFrame
        The embedded tables, as text.

    Returns
    -------
    list of dict
        ``file``, ``row`` (from 1; null for a whole file or column), ``column``, ``released`` and
        ``embedded``: none if the tables follow from the files and the files from the tables.
    """
    found: list[dict[str, object]] = []
    for file, content in restore(tables).items():
        try:
            theirs = parse(released[file], file)
        except InvalidTableError:
            found.append(_difference(file, None, None, "not a readable CSV table", "a table"))
            continue
        extra = [c for c in theirs if c in NOT_CARRIED.get(file, ())]
        found += _cells(file, theirs.drop(columns=extra), parse(content, file))
    if not found:
        # Each released value is embedded: compare the columns that `embed` adds.
        for name, expected in embed(released).items():
            found += _cells(name, expected, tables[name])
    return found


def _cells(file: str, released: pd.DataFrame, embedded: pd.DataFrame) -> list[dict[str, object]]:
    if list(released) != list(embedded):
        names = (", ".join(map(str, frame)) for frame in (released, embedded))
        return [_difference(file, None, None, *names)]
    found = []
    if len(released) != len(embedded):
        sizes = (f"{len(frame):,} rows" for frame in (released, embedded))
        found.append(_difference(file, None, None, *sizes))
    for name in map(str, released):
        pairs = zip(released[name], embedded[name], strict=False)
        found += [_difference(file, i, name, a, b) for i, (a, b) in enumerate(pairs, 1) if a != b]
    return found


def _difference(
    file: str, row: int | None, column: str | None, released: str, embedded: str
) -> dict[str, object]:
    return {
        "file": file,
        "row": row,
        "column": column,
        "released": released,
        "embedded": embedded,
    }


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write embedded tables as CSV files, with a ``SHA256SUMS`` beside them.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        As `embed` returns them.
    folder : pathlib.Path
        An existing folder; each file in it is replaced whole.
    """
    sums = []
    for name, frame in tables.items():
        content = frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).encode()
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    with replacing(folder / "SHA256SUMS") as temporary:
        temporary.write_text("".join(sums), encoding="utf-8")
