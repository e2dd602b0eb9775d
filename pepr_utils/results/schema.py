"""The schema of a record: JSON format, columns of the tables and data dictionary in one model.

Column names carry their unit; 1 GB = 10^9 bytes. What was not measured is null, never 0.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]

#: The version of the records that are written here; a record without one is of version 1.
SCHEMA_VERSION = 2
#: The validation context in which fields that are not known are kept; see `_Row`.
NEWER = {"newer": True}


def _field(meaning: str, default: Any = ..., *, unit: str = "", doubt: str = "") -> Any:
    """Declare a column with its meaning, its unit and, where there is one, a doubt about it."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "doubt": doubt})


class _Row(BaseModel):
    """A row of a table; an unknown field is an error, except in a record of a newer version."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, defer_build=True)

    @model_validator(mode="after")
    def _knows_every_field(self, info: ValidationInfo) -> Self:
        if self.model_extra and info.context != NEWER:
            raise ValueError(
                f"unknown field {next(iter(self.model_extra))!r}; see the data dictionary for the "
                "names"
            )
        return self


class Epoch(_Row):
    """One row of the ``epochs`` table: what was measured in one pass over the training images."""

    epoch: Count = _field("epoch, counted from 1")
    train_loss: NotNegative | None = _field("mean training loss", None)
    train_accuracy: Fraction | None = _field("accuracy on the training images", None, unit="1")
    val_accuracy: Fraction | None = _field("accuracy on the validation images", None, unit="1")
    test_accuracy: Fraction | None = _field("accuracy on the test images", None, unit="1")
    energy_kwh: NotNegative | None = _field("facility energy of this epoch", None, unit="kWh")
    eval_energy_kwh: NotNegative | None = _field(
        "facility energy of the evaluation after this epoch, where measured apart",
        None,
        unit="kWh",
    )
    train_time_s: NotNegative | None = _field("time spent training", None, unit="s")
    eval_time_s: NotNegative | None = _field("time spent evaluating", None, unit="s")


class Run(_Row):
    """What defines a run and what was measured: the columns of the ``runs`` table."""

    run_id: Name = _field("hash of what defines the run")
    status: Literal["done", "failed", "paused"] = _field(
        "`done`, `failed`, or `paused` after some of its epochs; only a run that is done has scores"
    )
    failure_reason: str | None = _field("why a failed run failed", None)
    stop_reason: str | None = _field(
        "why a paused run was stopped, such as its elimination from a race", None
    )
    attempt: Count = _field("how many times the run was tried", 1)

    architecture: Name = _field("architecture name in timm")
    weights: str | None = _field(
        "pretrained weights as `arch.tag`; empty when trained from scratch", None
    )
    weights_sha256: str | None = _field(
        "SHA-256 of the weights' file, where they came from a user's folder", None
    )
    dataset: Name = _field("data set name: `derma`, `lidc`, `pneumonia` or another")
    dataset_hash: str | None = _field(
        "content of the data set: runs of one name and two contents are not comparable", None
    )
    image_size: Count | None = _field(
        "height and width of the images fed to the model", None, unit="px"
    )
    n_classes: Annotated[int, Field(ge=2)] | None = _field("number of classes", None)
    pretrained: bool | None = _field(
        "fine-tuned from ImageNet-1k weights, or trained from scratch", None
    )
    train_fraction: Annotated[float, Field(gt=0, le=1)] | None = _field(
        "share of the training images used", None, unit="1"
    )
    n_train: Count | None = _field("number of training images used", None)
    n_test: Count | None = _field("number of test images behind the test accuracy", None)
    seed: int | None = _field("random seed", None)
    protocol: Name = _field("named, versioned recipe of the training", "unknown")

    n_parameters: Count | None = _field("trainable parameters", None)
    n_parameters_of: Literal["trained model", "ImageNet-1k head"] | None = _field(
        "which model was counted: the trained one, or the one with its 1,000-class head", None
    )

    test_accuracy: Fraction | None = _field("test accuracy after the last epoch", None, unit="1")
    test_auc: Fraction | None = _field("test area under the ROC curve, last epoch", None, unit="1")
    val_accuracy: Fraction | None = _field(
        "validation accuracy after the last epoch", None, unit="1"
    )

    energy_kwh: NotNegative | None = _field(
        "facility energy of the window named in `energy_window`: the default cost of a score",
        None,
        unit="kWh",
    )
    energy_window: Literal["train", "train+eval"] | None = _field(
        "what `energy_kwh` includes", None
    )
    it_energy_kwh: NotNegative | None = _field(
        "energy of the computer alone, without PUE", None, unit="kWh"
    )
    pue: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = _field(
        "power usage effectiveness: facility over computer energy", None
    )
    eval_energy_kwh: NotNegative | None = _field(
        "facility energy of the evaluations, where measured apart", None, unit="kWh"
    )
    co2eq_g: NotNegative | None = _field("emissions in CO2 equivalents", None, unit="g")
    carbon_intensity_g_per_kwh: NotNegative | None = _field(
        "declared carbon intensity behind `co2eq_g`", None, unit="g/kWh"
    )
    carbon_intensity_source: str | None = _field(
        "where the carbon intensity is from, and of which year", None
    )
    gpu_counter_kwh: NotNegative | None = _field(
        "the GPU's part of `it_energy_kwh` by its own energy counter", None, unit="kWh"
    )
    gpu_polled_kwh: NotNegative | None = _field("the same by samples of power", None, unit="kWh")
    gpu_disagreement: NotNegative | None = _field(
        "largest difference of the two, as a share of the larger, in a window of training or "
        "evaluation that is long enough to compare them",
        None,
        unit="1",
    )
    train_time_s: NotNegative | None = _field(
        "training time, summed over all epochs", None, unit="s"
    )
    eval_time_s: NotNegative | None = _field(
        "evaluation time, summed over all epochs", None, unit="s"
    )
    peak_memory_gb: NotNegative | None = _field("largest allocated device memory", None, unit="GB")
    reserved_memory_gb: NotNegative | None = _field(
        "device memory reserved by the framework: the paper's M", None, unit="GB"
    )
    nvml_used_memory_gb: NotNegative | None = _field(
        "largest device memory in use, of all processes, as the driver sees it", None, unit="GB"
    )
    resident_memory_gb: NotNegative | None = _field(
        "largest resident set of the measuring process", None, unit="GB"
    )

    energy_method: str | None = _field("how energy was measured", None)
    device: str | None = _field("model name of the device", None)
    power_limit_w: Positive | None = _field("power limit of the device", None, unit="W")
    n_power_samples: Annotated[int, Field(ge=0)] | None = _field(
        "number of power readings in the training windows", None
    )
    meter_notes: str | None = _field(
        "what the meter did not measure and why, and what is doubtful", None
    )
    training_notes: str | None = _field(
        "what of the training does not follow from the protocol's name, such as the order of the "
        "images or that they did not fit on the device",
        None,
    )
    data_warnings: str | None = _field(
        "what was found in the images before training and makes the accuracies doubtful, such as "
        "test images that are copies of training images",
        None,
    )
    versions: dict[str, str] | None = _field("versions of the software that measured", None)
    git_commit: str | None = _field("commit of this project that measured", None)


class EnergyComponent(_Row):
    """Energy of one device in one kind of window, as the meter gave it; see its `Component`."""

    window: Literal["train", "eval"] = _field("which windows, summed over the epochs")
    kind: Name = _field("gpu, cpu, memory or simulated")
    device: Name = _field("name of the device, with its UUID or domain")
    energy_j: NotNegative | None = _field("energy of the computer, without PUE", None, unit="J")
    method: str | None = _field("counter, polled, rapl, tdp-estimate or simulated", None)
    duration_s: NotNegative = _field("length of the windows", 0.0, unit="s")
    interval_s: NotNegative | None = _field("pause between two samples", None, unit="s")
    n_samples: Annotated[int, Field(ge=0)] | None = _field("samples in the windows", None)
    n_dropped: Annotated[int, Field(ge=0)] = _field("samples that failed", 0)
    counter_j: NotNegative | None = _field("by the energy counter", None, unit="J")
    polled_j: NotNegative | None = _field("by samples of power", None, unit="J")
    power_limit_w: Positive | None = _field("enforced power limit", None, unit="W")
    idle_w: NotNegative | None = _field("power before the work; not subtracted", None, unit="W")
    other_processes: Annotated[int, Field(ge=0)] | None = _field("others on the GPU", None)
    notes: tuple[str, ...] = _field("what was not measured, and what is doubtful", ())


class Record(Run):
    """One run as it is stored: the run's columns and its epochs, in one JSON file."""

    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = _field(
        "hash of what defines the run; also the name of its file"
    )
    epochs: tuple[Epoch, ...] = _field("one entry per epoch", ())
    energy_components: tuple[EnergyComponent, ...] = _field(
        "energy by device and kind of window: only in the record, not in the tables", ()
    )
    predictions_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = _field(
        "SHA-256 of the file of its test predictions: only in the record", None
    )
    schema_version: Count = _field(
        "version of the record's form; 1 where there is none", SCHEMA_VERSION
    )

    @property
    def unknown_fields(self) -> tuple[str, ...]:
        """Names of the fields that a newer version of the project wrote, and this one keeps."""
        rows = (self, *self.epochs, *self.energy_components)
        return tuple(sorted({name for row in rows for name in row.model_extra or ()}))

    @property
    def epochs_done(self) -> int:
        """The number of its last epoch; 0 without epochs."""
        return self.epochs[-1].epoch if self.epochs else 0

    def has_reached(self, until_epoch: int | None = None) -> bool:
        """Whether it is done or, with an epoch given, paused after that epoch or a later one."""
        if self.status == "paused":
            return until_epoch is not None and self.epochs_done >= until_epoch
        return self.status == "done"

    @model_validator(mode="after")
    def _only_done_has_accuracy(self) -> Record:
        if self.status == "done" and self.test_accuracy is None:
            raise ValueError("status is 'done' but test_accuracy is null; a finished run has one")
        if self.status == "paused" and self.test_accuracy is not None:
            raise ValueError("status is 'paused' but there is a test_accuracy; it is in the epochs")
        return self

    @model_validator(mode="after")
    def _epochs_fit_the_run(self) -> Record:
        numbers = [epoch.epoch for epoch in self.epochs]
        if any(b <= a for a, b in pairwise(numbers)):
            raise ValueError(f"epochs are numbered {numbers}; they have to rise")
        last = self.epochs[-1].test_accuracy if self.epochs else None
        if self.status == "done" and last is not None and last != self.test_accuracy:
            raise ValueError(
                f"test_accuracy is {self.test_accuracy} but {last} after the last epoch; "
                "it has to be the last epoch's"
            )
        return self


class PublishedRun(Run):
    """A run as the authors released it: quantities of doubtful meaning keep the authors' value."""

    released_train_time_s: NotNegative | None = _field(
        "the authors' `train_time`; the T printed in Table 1",
        None,
        unit="s",
        doubt=(
            "Table 1 calls it the training time of ten epochs. With the energy of the same row "
            "that would need kilowatts from one GPU. Read as the time of one epoch and "
            "the evaluation after it, it gives a possible power wherever the energy is the run's "
            "own."
        ),
    )
    released_inf_time_s: NotNegative | None = _field(
        "the authors' `inf_time`",
        None,
        unit="s",
        doubt="of the size of one pass over the test images; whether of one epoch is not stated",
    )
    released_allocated_memory_gb: NotNegative | None = _field(
        "the authors' `memA`",
        None,
        unit="GB",
        doubt="allocated memory when it was read; when that was is not stated",
    )
    released_total_memory_gb: NotNegative | None = _field(
        "the authors' `memT`: one value in all rows, the memory of the GPU", None, unit="GB"
    )


#: Doubts about columns that published and measured sets share, shown for the published set only.
PUBLISHED_DOUBTS = {
    "dataset": (
        "some rows filed under `derma` repeat, in every measured value, the same architecture's "
        "row under `lidc`; they are kept as released"
    ),
    "co2eq_g": (
        "emissions divided by energy give a carbon intensity that differs from row to row, and the "
        "data do not say where it came from"
    ),
    "energy_kwh": (
        "taken as facility energy over training and the evaluation after each epoch; PUE and the "
        "window are not stated in the data. Many values stand, to the last digit, in several "
        "experiments of the same architecture; over the run's own time most of these need more "
        "power than the device can draw, and are copies"
    ),
    "n_parameters": "counted with the 1,000-class ImageNet head, not with the data set's own",
    "n_train": "empty for the 10 % and 1 % arms, whose number of images is not stated",
    "n_test": (
        "all but a few accuracies are multiples of one over this number: the whole batches of "
        "32 in the test set, so that the last, partial batch does not count"
    ),
    "reserved_memory_gb": "the authors' `memR`",
    "peak_memory_gb": "the authors' `memM`",
    "device": "as the paper states; the data do not record it",
    "weights": "empty: the data do not record which ImageNet-1k weights were loaded",
}
