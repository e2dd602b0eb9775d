"""Records on disk: one JSON file per run, written whole or not at all, checked when read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.atomic import replacing
from pepr_utils.results.schema import Record

#: Folders of a result set's records and of its test predictions.
RUNS_FOLDER, PREDICTIONS_FOLDER = "runs", "predictions"


def record_paths(folder: Path) -> list[Path]:
    """Paths of the records under ``folder/runs``, sorted by name."""
    return sorted((Path(folder) / RUNS_FOLDER).glob("*.json"))


def record_path(folder: Path, run_id: str) -> Path:
    """Path of the record of a run, ``folder/runs/<run_id>.json``."""
    return Path(folder) / RUNS_FOLDER / f"{run_id}.json"


def write_record(record: Record, folder: Path) -> Path:
    """Write a record to ``folder/runs/<run_id>.json``, atomically.

    The file is written under a temporary name, synced and renamed: a reader sees the old file or
    the whole new one.
    """
    target = record_path(folder, record.run_id)
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
    if first["type"] == "extra_forbidden":
        return f"unknown field {place!r}; see the data dictionary for the names{more}"
    if first["type"] == "value_error":
        return f"{why}{more}"
    rule = first["msg"][:1].lower() + first["msg"][1:]
    return (
        f"field {place!r} is {shorten(first['input'])}; {rule}; correct it, or take the file out "
        f"of the folder{more}"
    )
