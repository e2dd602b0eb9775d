"""A result set is measured on one model of device: its first record writes it down."""

from __future__ import annotations

import json
from pathlib import Path

from pepr_utils.measurement.files import write_whole
from pepr_utils.measurement.locks import is_held, noted_runs, read_note
from pepr_utils.measurement.run import RunError
from pepr_utils.results.record_files import record_paths

FILE = "manifest.json"


def check_device(folder: Path, device: str, *, any_device: bool = False) -> None:
    """Compare a device with the one that a result set is measured on; nothing is written.

    Energies of different devices are not comparable, and runs of different devices are different
    experiments: a folder with both would look like one study and be two. A folder without a
    record is nobody's, unless a run is being measured in it now.

    Raises
    ------
    RunError
        If the set is measured on another device and `any_device` is not set.
    """
    first = _device_of(Path(folder), device)
    if first not in (None, device) and not any_device:
        raise RunError(
            f"the result set in {folder} was measured on {first}, and this is {device}; "
            "choose another folder, or say --any-device to add runs that are scored apart"
        )


def note_device(folder: Path, device: str) -> None:
    """Write the device of a result set down, for its first record; later ones change nothing."""
    path = Path(folder) / FILE
    if not (path.is_file() and record_paths(folder)):
        write_whole(path, (json.dumps({"device": device}) + "\n").encode())


def _device_of(folder: Path, own: str) -> str | None:
    """The device that a folder is bound to, by its records or by another's run in it."""
    path = folder / FILE
    if record_paths(folder) and path.is_file():
        try:
            return str(json.loads(path.read_bytes())["device"])
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{path} is damaged; remove it, and the next run writes it anew"
            ) from None
    notes = [read_note(folder, name) for name in noted_runs(folder) if is_held(folder, name)]
    found = [note["record"].get("device") for note in notes if note is not None]
    return next((device for device in found if device not in (None, own)), None)
