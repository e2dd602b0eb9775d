"""Records on disk: one JSON file per run, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.atomic import replacing
from pepr_utils.results.file_content import parse_json, read_regular
from pepr_utils.results.schema import NEWER, SCHEMA_VERSION, Record

#: Folders of a result set's records and of its test predictions.
RUNS_FOLDER, PREDICTIONS_FOLDER = "runs", "predictions"


def record_paths(folder: Path) -> list[Path]:
    """Paths of the records under ``folder/runs``, sorted by name."""
    return sorted((Path(folder) / RUNS_FOLDER).glob("*.json"))


def record_path(folder: Path, run_id: str) -> Path:
    """Path of the record of a run, ``folder/runs/<run_id>.json``."""
    return Path(folder) / RUNS_FOLDER / f"{run_id}.json"


def data_warnings_path(folder: Path, dataset: str, dataset_hash: str) -> Path:
    """Path of the CSV file that names the images behind the `data_warnings` of records."""
    return Path(folder) / "data-warnings" / f"{dataset[:50]}-{dataset_hash[:12]}.csv"


def write_record(record: Record, folder: Path) -> Path:
    """Write a record to ``folder/runs/<run_id>.json``, atomically.

    The file is written under a temporary name, synced and renamed: a reader sees the old file or
    the whole new one.
    """
    target = record_path(folder, record.run_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(record_text(record), encoding="utf-8")
    return target


def record_text(record: Record) -> str:
    """Write a record as JSON, with its SHA-256."""
    text = record.model_dump_json(indent=1)
    return f'{{\n "sha256": "{_sha256(json.loads(text))}",' + text[1:] + "\n"


def _sha256(content: dict[str, Any]) -> str:
    """SHA-256 of the fields and their values, whatever the order and the white space."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_record(path: Path) -> Record:
    """Read one record.

    Raises
    ------
    InvalidTableError
        If the file is not JSON, is not what was written, or a field is missing, unknown or not
        allowed; the message names the file, the field and the value.
    """
    path = Path(path)
    return parse_record(path.name, read_regular(path))


def parse_record(name: str, content: bytes) -> Record:
    """Read a record from the content of its file.

    Records of earlier versions, and those written by hand, have no checksum. What a newer version
    has added is kept; see `Record.unknown_fields`.
    """
    try:
        found = parse_json(name, content.decode())
    except InvalidTableError:
        raise
    except ValueError as error:
        raise InvalidTableError(f"{name}: not valid JSON, perhaps truncated: {error}") from None
    if not isinstance(found, dict):
        raise InvalidTableError(f"{name}: no record; allowed: one JSON object")
    stated = found.pop("sha256", None)
    if stated is not None and stated != _sha256(found):
        raise InvalidTableError(
            f"{name}: damaged, or changed after it was written: its content does not have the "
            "SHA-256 that it states; restore it, or remove its field 'sha256' if the change is "
            "yours"
        )
    version = found.setdefault("schema_version", 1)
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    try:
        return Record.model_validate_json(json.dumps(found), context=NEWER if newer else None)
    except ValidationError as error:
        why = _first_error(error)
    if newer:
        why += (
            f"; the record is of schema version {version}, and {SCHEMA_VERSION} is the newest "
            "known here: update this project"
        )
    raise InvalidTableError(f"{name}: {why}")


def _first_error(error: ValidationError) -> str:
    from pepr_utils.results.tables import shorten  # which loads pandas

    errors = error.errors()
    first = errors[0]
    place = ".".join(str(p) for p in first["loc"])
    why = first.get("ctx", {}).get("error")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "json_invalid":
        return f"not valid JSON, perhaps truncated: {why}{more}"
    if first["type"] == "missing":
        return f"no field {place!r}; it is required{more}"
    if first["type"] == "value_error":
        return f"{why}{more}"
    rule = first["msg"][:1].lower() + first["msg"][1:]
    return (
        f"field {place!r} is {shorten(first['input'])}; {rule}; correct it, or take the file out "
        f"of the folder{more}"
    )
