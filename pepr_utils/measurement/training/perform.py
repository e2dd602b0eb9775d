"""Do one run: make data and model, train under the meter, and put the record together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pepr_utils.errors import PeprError, RunError
from pepr_utils.measurement import datasets
from pepr_utils.measurement.datasets.medmnist_sets import split_size
from pepr_utils.measurement.datasets.prepare import Images, prepare, subset
from pepr_utils.measurement.metering import meter
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.progress import Step, Watch
from pepr_utils.measurement.protocols import Protocol
from pepr_utils.measurement.run import ResolvedRun
from pepr_utils.measurement.training import device as devices
from pepr_utils.measurement.training.batches import Batches
from pepr_utils.measurement.training.loop import Splits, Task, TrainingFailedError, train
from pepr_utils.measurement.training.model import count_parameters, make_model
from pepr_utils.measurement.training.record import (
    meter_columns,
    provenance_columns,
    result_columns,
)
from pepr_utils.results import Record


def perform(
    run: ResolvedRun,
    known: dict[str, Any],
    device: torch.device,
    *,
    images: Images | None = None,
    carbon_intensity_g_per_kwh: float | str | None = None,
    watch: Watch | None = None,
) -> tuple[Record, Predictions | None]:
    """Train and evaluate a run; return its record and, unless it failed, its test predictions.

    Parameters
    ----------
    run : ResolvedRun
        The run.
    known : dict
        The columns of the record that are known already.
    device, images, carbon_intensity_g_per_kwh, watch
        As in `pepr_utils.measurement.measure`.
    """
    tell = watch or (lambda _step: None)
    recipe, seed, dataset = run.protocol, run.run.seed, run.run.dataset
    try:
        tell(Step("data"))
        if images is None:
            images = prepare(
                datasets.load_dataset(dataset),
                recipe.image_size,
                progress=lambda done, total: tell(Step("data", done=done, total=total)),
            )
        if images.source.content_hash != run.dataset.content_hash:
            raise RunError(f"{dataset} has changed since its run_id was computed; try again")
        task = Task.of(images.source, recipe)
        chosen = subset(
            images.labels["train"], run.run.train_fraction, seed=seed, stratified=recipe.stratified
        )
        shuffled = is_shuffled(dataset, recipe)
        known = known | provenance_columns()
        known |= {
            "n_classes": images.source.n_classes,
            "n_train": len(chosen),
            "n_test": len(images.labels["test"]),
        }
        tell(Step("model"))
        with devices.deterministic(
            seed, tf32_convolutions=recipe.tf32_convolutions, cpu_threads=recipe.cpu_threads
        ):
            devices.release_memory(device)
            model = make_model(
                run.architecture,
                image_size=recipe.image_size,
                n_channels=images.source.n_channels,
                n_outputs=task.n_outputs,
                weights=run.weights,
                weights_file=run.weights_file,
            )
            notes = [] if shuffled else ["training images are shown in the order of the file"]
            known |= {"n_parameters": count_parameters(model), "n_parameters_of": "trained model"}
            trained = failure = None
            with meter(device, carbon_intensity=carbon_intensity_g_per_kwh) as measured:
                try:
                    splits = _splits(images, chosen, recipe, device)
                    notes += splits.notes()
                    trained = train(
                        _placed(model, recipe, device),
                        splits,
                        task,
                        recipe,
                        seed=seed,
                        shuffled=shuffled,
                        meter=measured,
                        tick=lambda now, done, n: tell(Step("train", now, recipe.epochs, done, n)),
                    )
                except Exception as error:  # noqa: BLE001 - it has columns of the meter, too
                    failure = reason(error, device)
        known |= meter_columns(measured) | {"training_notes": "; ".join(notes) or None}
        if trained is None:
            return Record(**known, status="failed", failure_reason=failure), None
        return Record(**known, **result_columns(trained, measured), status="done"), trained.test
    except PeprError:
        raise
    except Exception as error:  # noqa: BLE001 - one failure must not end the other runs
        return Record(**known, status="failed", failure_reason=reason(error, device)), None


def reason(error: BaseException, device: torch.device) -> str | None:
    """Why a training failed, as its record keeps it; None for Ctrl-C, which is no failure."""
    if isinstance(error, TrainingFailedError):
        return str(error)
    text = " ".join(str(error).split())
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if memory or "out of memory" in text.lower() or "DefaultCPUAllocator" in text:
        return f"out of memory on {device.type}: {text[:300]}"
    return f"{type(error).__name__}: {text[:300]}" if isinstance(error, Exception) else None


def is_shuffled(dataset: str, recipe: Protocol) -> bool:
    """Whether a recipe shuffles the training images of a data set.

    A set of MedMNIST is the same by each of its names and in each of its sizes: ``derma`` is
    ``dermamnist``, and ``dermamnist_64``. A folder or file is none of them, whatever it is called.

    Examples
    --------
    >>> from pepr_utils.measurement import protocol
    >>> paper = protocol("paper")
    >>> [is_shuffled(name, paper) for name in ("derma", "dermamnist", "dermamnist_224", "lidc")]
    [False, False, False, True]
    """
    return _set_name(dataset) not in {_set_name(name) for name in recipe.unshuffled}


def _set_name(dataset: str) -> str:
    kind, value = datasets.dataset_kind(dataset)
    return split_size(value)[0] if kind == "medmnist" else dataset


def _placed(model: torch.nn.Module, recipe: Protocol, device: torch.device) -> torch.nn.Module:
    layout = {"memory_format": torch.channels_last} if recipe.channels_last else {}
    return model.to(device, **(layout if device.type == "cuda" else {}))


def _splits(images: Images, chosen: np.ndarray, recipe: Protocol, device: torch.device) -> Splits:
    def batches(split: str, indices: np.ndarray | None = None) -> Batches:
        labels = images.labels[split]
        indices = np.arange(len(labels)) if indices is None else indices
        return Batches(images.pixels[split], labels, indices, recipe, device)

    return Splits(batches("train", chosen), batches("val"), batches("test"))
