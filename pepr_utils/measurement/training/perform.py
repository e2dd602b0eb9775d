"""Do one run: make data and model, train under the meter, and put the record together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pepr_utils.errors import PeprError, RunError
from pepr_utils.measurement import datasets
from pepr_utils.measurement.datasets.medmnist_sets import split_size
from pepr_utils.measurement.datasets.prepare import Images, prepare, subset
from pepr_utils.measurement.datasets.report import report
from pepr_utils.measurement.metering import meter
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.progress import Step, Watch
from pepr_utils.measurement.protocols import Protocol
from pepr_utils.measurement.run import ResolvedRun
from pepr_utils.measurement.training import device as devices
from pepr_utils.measurement.training.batches import Batches, memory_layout
from pepr_utils.measurement.training.checkpoint import Part, write_checkpoint
from pepr_utils.measurement.training.loop import Splits, Task, Trained, TrainingFailedError, train
from pepr_utils.measurement.training.model import count_parameters, make_model
from pepr_utils.measurement.training.precision import Precision, choose_precision
from pepr_utils.measurement.training.record import (
    part_columns,
    provenance_columns,
    result_columns,
)
from pepr_utils.results import Epoch, Record


def perform(
    run: ResolvedRun,
    known: dict[str, Any],
    device: torch.device,
    *,
    images: Images | None = None,
    carbon_intensity_g_per_kwh: float | str | None = None,
    watch: Watch | None = None,
    part: Part,
) -> tuple[Record, Predictions | None]:
    """Train and evaluate a run, or a part of it; return its record and, if done, test predictions.

    Parameters
    ----------
    run : ResolvedRun
        The run.
    known : dict
        The columns of the record that are known already.
    device, images, carbon_intensity_g_per_kwh, watch
        As in `pepr_utils.measurement.measure`.
    part : Part
        The checkpoint to go on from, and where to stop.
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
            "data_warnings": "; ".join(report(images).warnings) or None,
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
            precision = _precision(model, images, chosen, recipe, device, part)
            notes += filter(None, [precision.note])
            known |= {"n_parameters": count_parameters(model), "n_parameters_of": "trained model"}
            trained = failure = None

            def columns(epochs: tuple[Epoch, ...]) -> dict[str, Any]:
                return known | part_columns(measured, epochs, notes, part.record, known["versions"])

            with meter(device, carbon_intensity=carbon_intensity_g_per_kwh) as measured:
                try:
                    splits = _splits(images, chosen, recipe, device)
                    notes += splits.notes()
                    model = model.to(device, memory_format=memory_layout(recipe))
                    trained = train(
                        model,
                        splits,
                        task,
                        recipe,
                        precision=precision,
                        seed=seed,
                        shuffled=shuffled,
                        meter=measured,
                        tick=lambda now, done, n: tell(Step("train", now, recipe.epochs, done, n)),
                        part=part,
                        save=lambda optimizer, epochs: write_checkpoint(
                            part.path, _paused(columns(epochs), recipe), model, optimizer, device
                        ),
                    )
                except RunError:
                    raise
                except Exception as error:  # noqa: BLE001 - it has columns of the meter, too
                    failure = reason(error, device)
        if trained is None:
            return Record(**columns(()), status="failed", failure_reason=failure), None
        return _outcome(columns(trained.epochs), trained, recipe)
    except PeprError:
        raise
    except Exception as error:  # noqa: BLE001 - one failure must not end the other runs
        return Record(**known, status="failed", failure_reason=reason(error, device)), None


def _outcome(
    columns: dict[str, Any], trained: Trained, recipe: Protocol
) -> tuple[Record, Predictions | None]:
    """The record of a training that is done, with its predictions, or of one that is paused."""
    if trained.epochs[-1].epoch < recipe.epochs:
        return _paused(columns, recipe), None
    return Record(**columns, **result_columns(trained), status="done"), trained.test


def _paused(columns: dict[str, Any], recipe: Protocol) -> Record:
    last = columns["epochs"][-1].epoch
    why = f"paused after epoch {last} of {recipe.epochs}, as requested"
    return Record(**columns, status="paused", stop_reason=why)


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


def _precision(
    model: torch.nn.Module,
    images: Images,
    chosen: np.ndarray,
    recipe: Protocol,
    device: torch.device,
    part: Part,
) -> Precision:
    """Where the training uses bf16; a trial on a CPU is before anything is metered."""
    if device.type == "cpu":
        model.to(memory_format=memory_layout(recipe))
    first = Batches(images.pixels["train"], images.labels["train"], chosen, recipe, device)
    return choose_precision(
        model,
        lambda: next(first.ordered())[0],
        recipe,
        device,
        n_steps=recipe.epochs * -(-len(chosen) // recipe.batch_size),
        notes=part.record.training_notes if part.record else None,
    )


def _splits(images: Images, chosen: np.ndarray, recipe: Protocol, device: torch.device) -> Splits:
    def batches(split: str, indices: np.ndarray | None = None) -> Batches:
        labels = images.labels[split]
        indices = np.arange(len(labels)) if indices is None else indices
        return Batches(images.pixels[split], labels, indices, recipe, device)

    return Splits(batches("train", chosen), batches("val"), batches("test"))
