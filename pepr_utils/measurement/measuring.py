"""The verb: measure one run and return its record. Nothing else trains or writes a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pepr_utils.errors import PeprError
from pepr_utils.measurement.metering import carbon_intensity
from pepr_utils.measurement.orders import check_expected, time_limit
from pepr_utils.measurement.predictions import Predictions
from pepr_utils.measurement.protocols import Protocol, protocol
from pepr_utils.measurement.run import Run, definition, name_of
from pepr_utils.measurement.store import (
    check_device,
    check_writable,
    finished_record,
    keep,
    next_attempt,
    run_lock,
)
from pepr_utils.results import Record


@dataclass(frozen=True)
class Step:
    """How far a run is: told to whoever watches.

    Attributes
    ----------
    stage : {"data", "model", "train"}
        What is being done.
    epoch : int
        The epoch that is being trained, from 1; 0 before.
    epochs : int
        All of them.
    done, total : int
        Images of this stage or epoch.
    """

    stage: str
    epoch: int = 0
    epochs: int = 0
    done: int = 0
    total: int = 0


Watch = Callable[[Step], None]


def measure(
    run: Run,
    folder: Path | str | None = None,
    *,
    device: str = "auto",
    weights_folder: Path | str | None = None,
    carbon_intensity_g_per_kwh: float | str | None = None,
    any_device: bool = False,
    watch: Watch | None = None,
) -> Record:
    """Train and evaluate one run, metered, and return its record.

    A run that has a finished record in the folder is not measured again. One that failed is. While
    it is measured, this process holds the run's lock.

    Parameters
    ----------
    run : Run
        What to measure.
    folder : path, optional
        A result set's folder: ``runs/<run_id>.json`` is written there when the run ends, and its
        test predictions beside it. Without a folder nothing is kept.
    device : str, default "auto"
        ``cuda``, ``cuda:N``, ``mps``, ``cpu``, or the best that is there.
    weights_folder : path, optional
        Where pretrained weights lie, for machines without a network.
    carbon_intensity_g_per_kwh : float or str, optional
        Declared carbon intensity, or a country's code; by default the world's mean. See
        `pepr_utils.measurement.metering.carbon_intensity`.
    any_device : bool, default False
        Allow a folder that was measured on another device.
    watch : callable, optional
        Is told the progress.

    Returns
    -------
    Record
        ``done``, or ``failed`` with the reason: a loss that is not finite, too little memory, an
        architecture that cannot be trained on such images, or any other error on the way.

    Raises
    ------
    PeprError
        Before anything is trained, if the run cannot be made: an unknown name, data that are not
        what they should be, weights that cannot be had, a folder of another device; and after
        it, if the record cannot be written.
    RunningElsewhereError
        If another process measures the same run.
    """
    intensity = carbon_intensity_g_per_kwh
    if intensity is not None:
        carbon_intensity(intensity)  # raises before anything is trained
    weights = None if weights_folder is None else Path(weights_folder)
    from pepr_utils.measurement.datasets import obtain_dataset

    obtain_dataset(run.dataset)  # its content is part of the run's name
    defined = definition(run, weights)
    identity = name_of(run, defined)
    check_expected(run, identity)
    known = definition_columns(run, identity, defined)
    if folder is not None:
        folder = Path(folder)
        check_writable(folder)
        if found := finished_record(folder, identity):
            return found
    from pepr_utils.measurement.training.device import choose_device, device_name
    from pepr_utils.measurement.training.failures import reason
    from pepr_utils.measurement.training.perform import perform

    chosen = choose_device(device)
    known["device"] = device_name(chosen)

    def done() -> tuple[Record, Predictions | None]:
        try:
            return perform(run, known, chosen, weights, intensity, watch)
        except PeprError:
            raise
        except Exception as error:  # noqa: BLE001 - one failure must not end the other runs
            why = reason(error, chosen)
            return Record(**known, status="failed", failure_reason=why), None

    if folder is None:
        return done()[0]
    check_device(folder, known["device"], any_device=any_device)

    def note() -> dict[str, Any]:
        known["attempt"] = next_attempt(folder, identity)
        return known

    with run_lock(folder, identity, note):
        if found := finished_record(folder, identity):  # another process was quicker
            return found
        # The device was waited for: meanwhile others may have begun the folder with theirs.
        check_device(folder, known["device"], any_device=any_device)
        with time_limit():
            record, predictions = done()
        keep(folder, record, predictions)
    return record


def definition_columns(run: Run, identity: str, defined: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a record that are known before anything is done.

    Parameters
    ----------
    run : Run
        The run.
    identity : str
        Its run_id.
    defined : mapping
        What `pepr_utils.measurement.run.definition` returns of it.
    """
    recipe: Protocol = protocol(run.protocol)
    names = ("architecture", "weights", "dataset", "dataset_hash", "pretrained", "train_fraction")
    return {name: defined[name] for name in names} | {
        "run_id": identity,
        "weights_sha256": defined.get("weights_sha256"),
        "image_size": recipe.image_size,
        "seed": run.seed,
        "protocol": recipe.name,
    }
