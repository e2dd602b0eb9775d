"""The columns of a record: results of a training, its metering, and its provenance."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pepr_utils.measurement.metering import Meter
from pepr_utils.measurement.metering.energy import Component, total
from pepr_utils.measurement.training.loop import Trained
from pepr_utils.results import Epoch, Record
from pepr_utils.results.schema import EnergyComponent

#: How columns of a run that is measured in parts are joined; see `joined`.
_ADDED = ("energy_kwh", "it_energy_kwh", "eval_energy_kwh", "co2eq_g", "gpu_counter_kwh",
          "gpu_polled_kwh", "train_time_s", "eval_time_s", "n_power_samples")  # fmt: skip
_LARGEST = ("gpu_disagreement", "peak_memory_gb", "reserved_memory_gb", "nvml_used_memory_gb",
            "resident_memory_gb")  # fmt: skip
_SAME = ("energy_window", "pue", "carbon_intensity_g_per_kwh", "carbon_intensity_source",
         "power_limit_w")  # fmt: skip
_NOTES = ("meter_notes", "training_notes")
_JOINED = (*_ADDED, *_LARGEST, *_SAME, *_NOTES, "energy_method", "epochs", "energy_components")
_PACKAGES = ("carbontracker", "numpy", "pepr-utils", "pillow", "scikit-learn", "timm", "torch")


def result_columns(trained: Trained) -> dict[str, Any]:
    """Results of a training that is done."""
    last = trained.epochs[-1]
    return {
        "test_accuracy": last.test_accuracy,
        "test_auc": trained.test.auc(),
        "val_accuracy": last.val_accuracy,
    }


def cost_columns(epochs: Sequence[Epoch], measured: Meter) -> dict[str, Any]:
    """The epochs that were trained, and their cost; null where that was not measured."""
    evaluations = [e.eval_time_s for e in epochs if e.eval_time_s is not None]
    return {
        "train_time_s": sum(e.train_time_s for e in epochs),
        "eval_time_s": sum(evaluations),
        "energy_kwh": measured.energy_kwh("train"),
        "energy_window": "train",
        "it_energy_kwh": measured.it_energy_kwh("train"),
        "pue": measured.pue,
        "eval_energy_kwh": measured.energy_kwh("eval"),
        "co2eq_g": measured.co2eq_g("train"),
        "carbon_intensity_g_per_kwh": measured.intensity.g_per_kwh,
        "carbon_intensity_source": measured.intensity.source,
        "gpu_counter_kwh": measured.gpu_kwh("counter", "train"),
        "gpu_polled_kwh": measured.gpu_kwh("polled", "train"),
        "gpu_disagreement": measured.disagreement,
        "n_power_samples": measured.n_samples("train"),
        "energy_components": tuple(
            EnergyComponent(window=kind, **asdict(part))
            for kind in ("train", "eval")
            for part in measured.components(kind)
        ),
        "epochs": tuple(
            Epoch(
                **e.model_dump(exclude={"energy_kwh", "eval_energy_kwh"}),
                energy_kwh=measured.energy_kwh("train", e.epoch),
                eval_energy_kwh=measured.energy_kwh("eval", e.epoch),
            )
            for e in epochs
        ),
    }


def meter_columns(measured: Meter) -> dict[str, Any]:
    """How the run was metered; a failed run has them too."""
    memory = measured.memory
    return {
        # Of the windows that `energy_kwh` is of; of all where nothing was trained.
        "energy_method": measured.method("train" if measured.duration_s("train") else None),
        "power_limit_w": measured.power_limit_w,
        "meter_notes": "; ".join(measured.notes) or None,
        "peak_memory_gb": _gb(memory.allocated_bytes),
        "reserved_memory_gb": _gb(memory.reserved_bytes),
        "nvml_used_memory_gb": _gb(memory.nvml_used_bytes),
        "resident_memory_gb": _gb(memory.resident_bytes),
    }


def part_columns(
    measured: Meter,
    epochs: Sequence[Epoch],
    notes: Sequence[str],
    before: Record | None,
    versions: dict[str, str],
) -> dict[str, Any]:
    """The columns of the epochs so far: of this part of a run, joined to its record `before`.

    Without epochs, as in a failed run, the part has no costs.
    """
    now = meter_columns(measured) | (cost_columns(epochs, measured) if epochs else {})
    if before is None:
        return now | {"training_notes": "; ".join(notes) or None}
    first, old = before.epochs_done + 1, before.versions or {}
    changed = [name for name in old | versions if old.get(name) != versions.get(name)]
    others = [f"from epoch {first} with other versions of {', '.join(changed)}"] if changed else []
    now["training_notes"] = "; ".join([*notes, *others]) or None
    apart = [f"metered apart from epoch {first}", now["meter_notes"]]
    now["meter_notes"] = "; ".join(filter(None, apart))
    return joined(before, now)


def joined(before: Record, now: dict[str, Any]) -> dict[str, Any]:
    """The columns of a run that is measured in parts, from its record so far and the next part.

    Costs and counts add up, and are null where those of a part are; of peaks the largest counts;
    notes are joined. What the parts do not have in common, such as a declared intensity, is null.
    A column that is not in `now` stays as it was.
    """
    found = {name: getattr(before, name) for name in _JOINED} | now
    for name, new in now.items():
        pair = getattr(before, name), new
        known = [value for value in pair if value is not None]
        if name in _ADDED:
            found[name] = sum(known) if len(known) == len(pair) else None
        elif name in _LARGEST:
            found[name] = max(known, default=None)
        elif name in _SAME:
            found[name] = new if pair[0] == pair[1] else None
        elif name in _NOTES:
            parts = [part for text in known for part in text.split("; ")]
            found[name] = "; ".join(dict.fromkeys(parts)) or None
        elif name == "energy_method":  # of no run that was metered by one of them alone
            found[name] = ", then ".join(dict.fromkeys(known)) or None
    found["epochs"] = before.epochs + now.get("epochs", ())
    found["energy_components"] = _merged(before.energy_components, now.get("energy_components", ()))
    return found


def _merged(
    before: Sequence[EnergyComponent], now: Sequence[EnergyComponent]
) -> tuple[EnergyComponent, ...]:
    """Energies of devices, those of one device and kind of window added."""
    parts: dict[tuple, list[Component]] = {}
    for part in (*before, *now):
        key = part.window, part.kind, part.device
        parts.setdefault(key, []).append(Component(**part.model_dump(exclude={"window"})))
    return tuple(
        EnergyComponent(window=key[0], **asdict(total(found))) for key, found in parts.items()
    )


def _gb(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else n_bytes / 1e9


def provenance_columns() -> dict[str, Any]:
    """Versions of the software, and the commit of this project."""
    return {"versions": _versions(), "git_commit": _git_commit()}


def _versions() -> dict[str, str]:
    """Versions by name: Python, the packages that decide a result, and CUDA where torch has it."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["torch"] = torch.__version__
    if torch.version.cuda:
        found |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
    return found


def _git_commit() -> str | None:
    """Commit of the checkout that holds this package, with ``+`` if changed; else None."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+" if changed else commit
