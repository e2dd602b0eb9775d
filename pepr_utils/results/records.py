"""Records on disk: one JSON file per run, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.atomic import replacing
from pepr_utils.results.schema import Epoch, Record, Run
from pepr_utils.results.tables import check_table, shorten

RUNS_FOLDER = "runs"


def record_paths(folder: Path) -> list[Path]:
    """Paths of the records under ``folder/runs``, sorted by name."""
    return sorted((Path(folder) / RUNS_FOLDER).glob("*.json"))


def write_record(record: Record, folder: Path) -> Path:
    """Write a record to ``folder/runs/<run_id>.json``, atomically.

    The file is written under a temporary name, synced and renamed: a reader sees the old file or
    the whole new one.
    """
    target = Path(folder) / RUNS_FOLDER / f"{record.run_id}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return target


def read_record(path: Path) -> Record:
    """Read one record.

    Raises
    ------
    InvalidTableError
        If the file is not JSON, a field is missing, unknown or not allowed; the message names the
        file, the field and the value.
    """
    path = Path(path)
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidTableError(f"{path.name}: {_first_error(error)}") from None
    except OSError as error:
        raise InvalidTableError(f"{path}: cannot be read ({error.strerror})") from None


def _first_error(error: ValidationError) -> str:
    errors = error.errors()
    first = errors[0]
    place = ".".join(str(p) for p in first["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "json_invalid":
        return f"not valid JSON, perhaps truncated: {first['ctx']['error']}{more}"
    if first["type"] == "missing":
        return f"no field {place!r}; it is required{more}"
    if first["type"] == "extra_forbidden":
        return f"unknown field {place!r}; see the data dictionary for the names{more}"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}{more}"
    return f"field {place!r} is {shorten(first['input'])}; {first['msg'].lower()}{more}"


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
    return *tabulate(records, source=str(folder)), folder_hash(folder)


def tabulate(records: Sequence[Record], *, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay records out as the tables `runs` and `epochs`.

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
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
