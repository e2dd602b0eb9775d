"""The columns of a record: results of a training, its metering, and its provenance."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pepr_utils.measurement.metering import Meter
from pepr_utils.measurement.training.loop import Trained
from pepr_utils.results import Epoch
from pepr_utils.results.schema import EnergyComponent

_PACKAGES = ("carbontracker", "numpy", "pepr-utils", "pillow", "scikit-learn", "timm", "torch")


def result_columns(trained: Trained, measured: Meter) -> dict[str, Any]:
    """Results of a finished training, and its cost; null where that was not measured."""
    last = trained.epochs[-1]
    evaluations = [e.eval_time_s for e in trained.epochs if e.eval_time_s is not None]
    return {
        "test_accuracy": last.test_accuracy,
        "test_auc": trained.test.auc(),
        "val_accuracy": last.val_accuracy,
        "train_time_s": sum(e.train_time_s for e in trained.epochs),
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
            for e in trained.epochs
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
