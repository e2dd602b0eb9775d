"""The records of a folder as tables, and the hash of their contents."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.record_files import RUNS_FOLDER, read_record, record_paths
from pepr_utils.results.schema import Epoch, Run
from pepr_utils.results.tables import check_table


def read_folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Read all records of a folder into the tables `runs` and `epochs`, with the content hash."""
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
    runs = pd.DataFrame(
        [r.model_dump(exclude={"epochs", "energy_components"}) for r in records],
        columns=list(Run.model_fields),
    )
    epochs = pd.DataFrame(
        [{"run_id": r.run_id} | e.model_dump() for r in records for e in r.epochs],
        columns=["run_id", *Epoch.model_fields],
    )
    runs = check_table(runs, required=["run_id"], source=str(folder))
    if len(epochs):
        epochs = check_table(epochs, required=["run_id"], table="epochs", source=str(folder))
    return runs, epochs, folder_hash(folder)


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's records."""
    digest = hashlib.sha256()
    for path in record_paths(folder):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
