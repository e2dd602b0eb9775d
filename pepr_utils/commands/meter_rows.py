"""What `pepr meter` measured, as a row of a table: its own columns, or CodeCarbon's."""

from __future__ import annotations

import csv
import io
import os
import platform
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from pepr_utils.errors import PeprError
from pepr_utils.printable import for_spreadsheet

#: The columns of CodeCarbon 3's emissions.csv: codecarbon/output_methods/emissions_data.py.
CODECARBON = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions",
    "emissions_rate", "cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy",
    "ram_energy", "energy_consumed", "water_consumed", "country_name", "country_iso_code",
    "region", "cloud_provider", "cloud_region", "os", "python_version", "codecarbon_version",
    "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude", "latitude",
    "ram_total_size", "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
)  # fmt: skip
OWN = (
    "model", "energy_kwh", "it_energy_kwh", "pue", "co2eq_g", "carbon_intensity_g_per_kwh",
    "duration_s", "nvml_used_memory_gb", "resident_memory_gb", "energy_method", "timestamp",
)  # fmt: skip
FORMATS = {"pepr": OWN, "codecarbon": CODECARBON}


def check(path: Path, layout: str) -> None:
    """Refuse, before anything runs, a file to which no such row can be added.

    Raises
    ------
    PeprError
        If its folder does not exist, or it is no file with these columns.
    """
    if not path.parent.is_dir():
        raise PeprError(f"--append {str(path)!r}: no folder {str(path.parent)!r}; make it first")
    if not path.exists():
        return
    if not path.is_file() or not os.access(path, os.W_OK):
        raise PeprError(f"--append {str(path)!r}: no file that can be written to")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    if header and tuple(header) != FORMATS[layout]:
        raise PeprError(
            f"--append {str(path)!r}: its columns are {', '.join(header[:4])}, ...; allowed: a new "
            f"file, or one with the columns of --format {layout}"
        )


def append(path: Path, layout: str, label: str, report: dict[str, Any]) -> None:
    """Add a report to a file as one row, in one write; the header first, where there is none."""
    row = {"pepr": _own, "codecarbon": _codecarbon}[layout](label, report)
    text = io.StringIO()
    writer = csv.DictWriter(text, FORMATS[layout], lineterminator="\n")
    try:
        with path.open("ab+") as file:
            if file.tell() == 0:
                writer.writeheader()
            else:
                file.seek(-1, os.SEEK_END)
                text.write("" if file.read(1) == b"\n" else "\n")
            writer.writerow({name: for_spreadsheet(value) for name, value in row.items()})
            file.write(text.getvalue().encode())
    except OSError as error:
        raise PeprError(f"--append {str(path)!r} cannot be written: {error.strerror}") from None


def _own(label: str, report: dict[str, Any]) -> dict[str, Any]:
    memory = report["memory"]
    sizes = {"nvml_used_memory_gb": "nvml_used_bytes", "resident_memory_gb": "resident_bytes"}
    return {
        "model": label,
        **{name: report[name] for name in OWN if name in report},
        **{n: None if memory[b] is None else memory[b] / 1e9 for n, b in sizes.items()},
        "timestamp": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _codecarbon(label: str, report: dict[str, Any]) -> dict[str, Any]:
    """CodeCarbon's units: kWh and kg with PUE, W, s. What was not measured is empty."""
    grams, seconds = report["co2eq_g"], report["duration_s"]
    kilograms = None if grams is None else grams / 1000
    row: dict[str, Any] = {
        "timestamp": datetime.now().isoformat(timespec="seconds"),
        "project_name": label,
        "run_id": uuid.uuid4(),
        "duration": seconds,
        "emissions": kilograms,
        "emissions_rate": kilograms / seconds if kilograms is not None and seconds else None,
        "energy_consumed": report["energy_kwh"],
        "os": platform.platform(),
        "python_version": platform.python_version(),
        "cpu_count": os.cpu_count(),
        "tracking_mode": "machine",
        "on_cloud": "N",
        "pue": report["pue"],
    }
    for ours, theirs in (("cpu", "cpu"), ("gpu", "gpu"), ("memory", "ram")):
        parts = [part for part in report["components"] if part["kind"] == ours]
        known = [part["energy_j"] for part in parts]
        if known and None not in known and report["pue"] is not None:
            joules = sum(known) * report["pue"]
            row[f"{theirs}_energy"] = joules / 3.6e6
            row[f"{theirs}_power"] = joules / seconds if seconds else None
        if parts and ours == "gpu":
            row |= {"gpu_count": len(parts), "gpu_model": ", ".join(p["device"] for p in parts)}
    return row
