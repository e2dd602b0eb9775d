"""Do one run: make data and model, train under the meter, and put the record together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pepr_utils.measurement.architectures import find_architecture
from pepr_utils.measurement.datasets import resolve
from pepr_utils.measurement.datasets.medmnist_sets import split_size
from pepr_utils.measurement.datasets.prepare import Images, prepare_dataset, subset
from pepr_utils.measurement.measuring import Step, Watch
from pepr_utils.measurement.metering import Meter, meter
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.protocols import Protocol, protocol
from pepr_utils.measurement.provenance import git_commit, versions
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.training import device as devices
from pepr_utils.measurement.training.batches import Batches
from pepr_utils.measurement.training.failures import reason
from pepr_utils.measurement.training.loop import Splits, Trained, train
from pepr_utils.measurement.training.model import count_parameters, make_model
from pepr_utils.measurement.training.task import Task
from pepr_utils.results import Epoch, Record
from pepr_utils.results.schema import EnergyComponent


def perform(
    run: Run,
    known: dict[str, Any],
    device: torch.device,
    weights_folder: Path | None,
    carbon_intensity_g_per_kwh: float | str | None,
    watch: Watch | None,
) -> tuple[Record, Predictions | None]:
    """Train and evaluate a run; return its record and, unless it failed, its test predictions.

    Parameters
    ----------
    run : Run
        What to do.
    known : dict
        The columns of the record that are known already.
    device, weights_folder, carbon_intensity_g_per_kwh, watch
        As in `pepr_utils.measurement.measure`.
    """
    tell = watch or (lambda _step: None)
    recipe = protocol(run.protocol)
    tell(Step("data"))
    images = prepare_dataset(
        run.dataset,
        recipe.image_size,
        progress=lambda done, total: tell(Step("data", done=done, total=total)),
    )
    task = Task.of(images.source, recipe)
    chosen = subset(
        images.labels["train"], run.train_fraction, seed=run.seed, stratified=recipe.stratified
    )
    known = known | {
        "n_classes": images.source.n_classes,
        "n_train": len(chosen),
        "n_test": len(images.labels["test"]),
        "versions": versions(),
        "git_commit": git_commit(),
    }
    tell(Step("model"))
    with devices.deterministic(
        run.seed, tf32_convolutions=recipe.tf32_convolutions, cpu_threads=recipe.cpu_threads
    ):
        devices.release_memory(device)
        model = make_model(
            find_architecture(run.architecture),
            image_size=recipe.image_size,
            n_channels=images.source.n_channels,
            n_outputs=task.n_outputs,
            pretrained=run.pretrained,
            weights_folder=weights_folder,
        )
        shuffled = is_shuffled(run.dataset, recipe)
        notes = [] if shuffled else ["training images are shown in the order of the file"]
        known |= {"n_parameters": count_parameters(model), "n_parameters_of": "trained model"}
        with meter(device, carbon_intensity=carbon_intensity_g_per_kwh) as measured:
            try:
                splits = _splits(images, chosen, recipe, device)
                notes += splits.notes()
                trained = train(
                    _placed(model, recipe, device),
                    splits,
                    task,
                    recipe,
                    seed=run.seed,
                    shuffled=shuffled,
                    meter=measured,
                    tick=lambda epoch, done, n: tell(Step("train", epoch, recipe.epochs, done, n)),
                )
                failure = None
            except Exception as error:  # noqa: BLE001 - one failure must not end the other runs
                trained, failure = None, reason(error, device)
    known |= _metered(measured) | {"training_notes": "; ".join(notes) or None}
    if trained is None:
        return Record(**known, status="failed", failure_reason=failure), None
    record = Record(
        **known,
        **_results(trained),
        **_consumed(measured),
        status="done",
        epochs=_epochs(trained, measured),
    )
    return record, trained.test


def is_shuffled(dataset: str, recipe: Protocol) -> bool:
    """Whether a recipe shuffles the training images of a data set.

    A set of MedMNIST is the same by each of its names and in each of its sizes: ``derma`` is
    ``dermamnist``, and ``dermamnist_64``. A folder or file is none of them, whatever it is called.

    Examples
    --------
    >>> paper = protocol("paper")
    >>> [is_shuffled(name, paper) for name in ("derma", "dermamnist", "dermamnist_224", "lidc")]
    [False, False, False, True]
    """
    return _set_name(dataset) not in {_set_name(name) for name in recipe.unshuffled}


def _set_name(dataset: str) -> str:
    kind, value = resolve(dataset)
    return split_size(value)[0] if kind == "medmnist" else dataset


def _placed(model: torch.nn.Module, recipe: Protocol, device: torch.device) -> torch.nn.Module:
    layout = {"memory_format": torch.channels_last} if recipe.channels_last else {}
    return model.to(device, **(layout if device.type == "cuda" else {}))


def _splits(images: Images, chosen: Any, recipe: Protocol, device: torch.device) -> Splits:
    import numpy as np

    def batches(split: str, indices: Any) -> Batches:
        return Batches(images.pixels[split], images.labels[split], indices, recipe, device)

    everything = {s: np.arange(len(images.labels[s])) for s in ("val", "test")}
    return Splits(
        batches("train", chosen),
        batches("val", everything["val"]),
        batches("test", everything["test"]),
    )


def _results(trained: Trained) -> dict[str, Any]:
    """The columns that the training itself gave."""
    evaluations = [e.eval_time_s for e in trained.epochs if e.eval_time_s is not None]
    return {
        "test_accuracy": trained.epochs[-1].test_accuracy,
        "test_auc": trained.test.auc(),
        "val_accuracy": trained.epochs[-1].val_accuracy,
        "train_time_s": sum(e.train_time_s for e in trained.epochs),
        "eval_time_s": sum(evaluations),
    }


def _metered(measured: Meter) -> dict[str, Any]:
    """The columns on how the run was metered; a failed run has them too."""
    memory = measured.memory
    return {
        # Of what `energy_kwh` is of; of whatever was done where nothing was trained.
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


def _consumed(measured: Meter) -> dict[str, Any]:
    """The columns that the meter gave; null where it measured nothing."""
    energy = measured.energy_kwh("train")
    return {
        "energy_kwh": energy,
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
    }


def _epochs(trained: Trained, measured: Meter) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=e.epoch,
            train_loss=e.train_loss,
            train_accuracy=min(1.0, e.train_accuracy),
            val_accuracy=e.val_accuracy,
            test_accuracy=e.test_accuracy,
            energy_kwh=measured.energy_kwh("train", e.epoch),
            eval_energy_kwh=measured.energy_kwh("eval", e.epoch),
            train_time_s=e.train_time_s,
            eval_time_s=e.eval_time_s,
        )
        for e in trained.epochs
    )
