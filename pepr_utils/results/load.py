"""Load a result set by name or path: published, repaired, a folder of records, a CSV table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from pepr_utils.errors import InvalidTableError, ScoreInputError, UnknownNameError, unknown_name
from pepr_utils.paths import data_dir, user_path
from pepr_utils.results import published
from pepr_utils.results.experiments import KEY_COLUMNS, experiment_keys
from pepr_utils.results.file_content import read_regular
from pepr_utils.results.record_files import RUNS_FOLDER, read_record, record_paths
from pepr_utils.results.repair import repair
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.schema import Epoch, Record, Run
from pepr_utils.results.table_reader import REQUIRED_IN_TABLE, Reading, UserTable, read_table_files
from pepr_utils.results.tables import check_table, columns

PUBLISHED = "published"
#: The published data with copied energies replaced, derived on load; see `repair`.
REPAIRED = "published-repaired"


def available_result_sets() -> dict[str, Path | None]:
    """Named result sets and their folders of records; the published ones have none."""
    named: dict[str, Path | None] = {PUBLISHED: None, REPAIRED: None}
    for parent in (data_dir() / "results", Path("results")):
        for folder in sorted(parent.glob("*")):
            if record_paths(folder):
                named.setdefault(folder.name, folder)
    return named


def load_result_set(name_or_path: str | os.PathLike[str], **options: Any) -> ResultSet:
    """Load a result set by name or path.

    Parameters
    ----------
    name_or_path : str or path
        ``"published"`` (the authors' data), ``"published-repaired"`` (the same with copied
        energies replaced, each changed cell in ``changes``), the name of a folder under
        ``data/results`` or ``results``, a folder of records (``runs/<run_id>.json``), or a table
        of any kind with at least the columns ``architecture``, ``dataset``, ``test_accuracy`` and
        ``energy_kwh``, the energy in whatever unit its name says.
    **options
        How a table is read: the options of `pepr_utils.results.user_table.load_user_table`.

    Returns
    -------
    ResultSet
        Its ``runs`` and ``epochs``, with every column of the data dictionary; in ``taken``, what
        a table was taken for.

    Raises
    ------
    UnknownNameError
        If there is neither such a set nor such a file.
    InvalidTableError
        If a record or table is malformed, or an embedded file is damaged; the message names the
        value and its place.

    Examples
    --------
    >>> load_result_set("published").runs.shape[0]
    1048
    """
    (kind, path), taken = _locate(name_or_path), ()
    if options and kind != "file":
        raise ScoreInputError(
            f"{name_or_path} is a result set, which is read in one way; leave out "
            f"{', '.join(sorted(options))}"
        )
    if kind == "repaired":
        return _repaired()
    if kind == "published":
        runs, epochs, digest = published.read()
    elif kind == "file":
        return of_table(read_table_files(path, Reading(**options)))
    else:
        runs, epochs, digest, taken = read_folder(path)
    return ResultSet(
        str(name_or_path),
        _complete(runs, "runs"),
        _complete(epochs, "epochs"),
        digest,
        folder=path if kind == "folder" else None,
        taken=taken,
    )


def of_records(loaded: Sequence[Record], name: str) -> ResultSet:
    """Make a result set of records that were read already, such as those of an unfinished sweep.

    Parameters
    ----------
    loaded : sequence of Record
        At least one.
    name : str
        What it is called.
    """
    runs, epochs = tabulate(loaded, source=name)
    digest = hashlib.sha256("".join(r.model_dump_json() for r in loaded).encode()).hexdigest()
    return ResultSet(name, _complete(runs, "runs"), _complete(epochs, "epochs"), digest)


def content_hash(name_or_path: str | os.PathLike[str]) -> str:
    """SHA-256 of what `load_result_set` would read, without building the tables."""
    kind, path = _locate(name_or_path)
    if kind == "published":
        return published.content_hash()
    if kind == "repaired":
        return _repaired_hash(published.content_hash())
    return _file_hash(path) if kind == "file" else folder_hash(path)


def _locate(name_or_path: str | os.PathLike[str]) -> tuple[str, Path]:
    if not isinstance(name_or_path, str | os.PathLike):
        raise UnknownNameError(
            f"result_set is {name_or_path!r}; allowed: a name or path as text, such as "
            f"{PUBLISHED!r} (papermill -r result_set {name_or_path} passes it as text)"
        )
    name = os.fspath(name_or_path)
    named = available_result_sets()
    if name in (PUBLISHED, REPAIRED):
        return ("published" if name == PUBLISHED else "repaired"), Path()
    path = named.get(name) or user_path(name)
    if path.is_dir():
        return "folder", path
    if path.exists() or name == "-":
        return "file", path
    raise unknown_name(
        "result set", name, named,
        also="the path of a table (CSV, spreadsheet, Parquet, JSON) or of a folder of records",
    )  # fmt: skip


def _repaired() -> ResultSet:
    source = load_result_set(PUBLISHED)
    return replace(repair(source), name=REPAIRED, content_hash=_repaired_hash(source.content_hash))


def _repaired_hash(source: str) -> str:
    """Hash of what is derived: of the source and of the rule's version."""
    return hashlib.sha256(f"{source} repaired 1".encode()).hexdigest()


def of_table(table: UserTable) -> ResultSet:
    """Make a result set of a table that was read already, if it has the columns for one.

    Parameters
    ----------
    table : UserTable
        The result of `load_user_table` for a file.

    Raises
    ------
    InvalidTableError
        If a column is missing or a value is not allowed.
    """
    if {"model", "num_param", "test_09"} <= set(table.columns):
        raise InvalidTableError(
            f"{table.name}: this is the authors' own table; it is the result set 'published', "
            "give that name instead of the file"
        )
    runs = _checked(table.as_dictionary(), table.name)
    epochs = pd.DataFrame(columns=list(columns("epochs")))
    digest = hashlib.sha256(runs.to_csv().encode()).hexdigest()
    return ResultSet(
        str(table.path or table.name),
        _complete(runs, "runs"),
        _complete(epochs, "epochs"),
        _file_hash(table.path) if table.path else digest,
        taken=tuple(table.taken),
    )


def _checked(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Check a user's table against the data dictionary, and give each run its name."""
    if "experiment" in frame:
        raise InvalidTableError(
            f"{name}: column 'experiment' is derived here from {', '.join(KEY_COLUMNS)}; "
            "rename it, or distinguish experiments by one of these"
        )
    runs = check_table(frame, required=REQUIRED_IN_TABLE, source=name)
    runs["status"] = runs.get("status", pd.Series("done", index=runs.index, dtype="string"))
    for column in ("test_accuracy", "energy_kwh"):
        missing = runs[column].isna() & (runs["status"] == "done")
        if missing.any():
            row, allowed = int(missing.to_numpy().argmax()), columns("runs")[column].allowed
            raise InvalidTableError(
                f"{name}: row {row + 1}, column {column!r} is empty; "
                f"allowed: {allowed.removesuffix(', or empty')}, or a status of 'failed'"
            )
    if "run_id" not in runs:
        runs["run_id"] = [f"row-{i + 1}" for i in range(len(runs))]
    elif runs["run_id"].duplicated().any():
        row = int(runs["run_id"].duplicated().to_numpy().argmax())
        raise InvalidTableError(
            f"{name}: row {row + 1}, column 'run_id' repeats {runs['run_id'].iloc[row]!r}; "
            "allowed: a different one in each row, or no such column"
        )
    runs["protocol"] = runs.get("protocol", pd.Series("unknown", index=runs.index))
    return runs


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _complete(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Add absent columns as nulls, derive the experiment, and order the columns."""
    spec = columns(table)
    kept = frame.drop(columns="experiment", errors="ignore").copy()
    if table == "runs":
        kept["experiment"] = pd.Series(
            experiment_keys(kept[kept.columns.intersection([*spec])].to_dict("records")),
            index=kept.index,
            dtype="string",
        )
    for name, column in spec.items():
        if name not in kept:
            kept[name] = pd.Series(
                pd.NA if column.dtype != "float64" else float("nan"), index=kept.index
            )
        kept[name] = kept[name].astype(column.dtype)
    return kept[[*spec, *(c for c in kept if c not in spec)]]


def read_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, str, tuple[str, ...]]:
    """Read all records of a folder: tables `runs` and `epochs`, content hash, and what to note."""
    paths = record_paths(folder)
    records = [read_record(path) for path in paths]
    if not records:
        raise InvalidTableError(
            f"{folder}: no records; allowed: a folder with {RUNS_FOLDER}/<run_id>.json"
        )
    for path, record in zip(paths, records, strict=True):
        if record.run_id != path.stem:
            raise InvalidTableError(
                f"{path.name}: run_id is {record.run_id!r}; it has to be the file's name"
            )
    unknown = sorted({name for record in records for name in record.unknown_fields})
    n_newer = sum(bool(record.unknown_fields) for record in records)
    taken = (
        f"{n_newer} records of a newer version of this project, without their fields "
        f"{', '.join(unknown)}, which are not known here"
    )
    return *tabulate(records, source=str(folder)), folder_hash(folder), (taken,) * bool(unknown)


def tabulate(records: Sequence[Record], *, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate records as `runs` and `epochs`.

    Parameters
    ----------
    records : sequence of Record
        At least one.
    source : str
        What messages call it.
    """
    runs = pd.DataFrame(
        [r.model_dump(exclude={"epochs", "energy_components"}) for r in records],
        columns=list(Run.model_fields),
    )
    epochs = pd.DataFrame(
        [{"run_id": r.run_id} | e.model_dump() for r in records for e in r.epochs],
        columns=["run_id", *Epoch.model_fields],
    )
    runs = check_table(runs, required=["run_id"], source=source)
    if len(epochs):
        epochs = check_table(epochs, required=["run_id"], table="epochs", source=source)
    return runs, epochs


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's records."""
    digest = hashlib.sha256()
    for path in record_paths(folder):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(read_regular(path)).digest())
    return digest.hexdigest()
