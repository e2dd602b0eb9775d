"""A result set is measured on one model of device: the first run writes it down."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pepr_utils.measurement.run import RunError

FILE = "manifest.json"


def check_device(folder: Path, device: str, *, any_device: bool = False) -> None:
    """Write the device of a result set down, or compare with what is written.

    Energies of different devices are not comparable, and runs of different devices are different
    experiments: a folder with both would look like one study and be two.

    Raises
    ------
    RunError
        If the set was measured on another device and `any_device` is not set.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        _create(path, {"device": device})
    try:
        first = json.loads(path.read_bytes())["device"]
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} is damaged; remove it, and the next run writes it anew") from None
    if first != device and not any_device:
        raise RunError(
            f"the result set in {folder} was measured on {first}, and this is {device}; "
            "choose another folder, or say --any-device to add runs that are scored apart"
        )


def _create(path: Path, content: dict[str, str]) -> None:
    """Write the file if no other process has: the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
