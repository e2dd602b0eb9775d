"""The verb: measure one run and return its record. Nothing else trains or writes a record."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pepr_utils.errors import NotInstalledError, RunError
from pepr_utils.measurement.progress import Watch
from pepr_utils.measurement.run import ResolvedRun, Run, resolve
from pepr_utils.measurement.store import (
    check_device,
    check_writable,
    checkpoint_path,
    finished_record,
    next_attempt,
    run_lock,
    write_result,
)
from pepr_utils.measurement.sweep_environment import check_expected, time_limit
from pepr_utils.results import Record

if TYPE_CHECKING:
    from pepr_utils.measurement.predictions import Predictions

try:
    from pepr_utils.measurement.datasets import obtain_dataset
    from pepr_utils.measurement.datasets.prepare import Images
    from pepr_utils.measurement.metering import carbon_intensity
    from pepr_utils.measurement.training import device as devices
    from pepr_utils.measurement.training import perform as training
    from pepr_utils.measurement.training.checkpoint import Part, read_checkpoint
except (ModuleNotFoundError, NotInstalledError) as error:
    raise NotInstalledError.of(error, "measure", "train") from None


#: Columns of a record that say how the run ended.
_OF_STATUS = {"status", "failure_reason", "stop_reason"}


def measure(  # noqa: PLR0913 - the settings of a run, each with a default
    run: Run | ResolvedRun,
    folder: Path | str | None = None,
    *,
    device: str = "auto",
    weights_folder: Path | str | None = None,
    carbon_intensity_g_per_kwh: float | str | None = None,
    any_device: bool = False,
    images: Images | None = None,
    watch: Watch | None = None,
    until_epoch: int | None = None,
    keep_checkpoints: bool = False,
) -> Record:
    """Train and evaluate one run, metered, and return its record.

    A run that has a finished record in the folder is not measured again; one that failed is. One
    that has a checkpoint there goes on from it, and its costs are the sums of its parts. This
    process holds the run's lock meanwhile.

    Parameters
    ----------
    run : Run or ResolvedRun
        What to measure. What is resolved already is not looked up again.
    folder : path, optional
        A result set's folder: ``runs/<run_id>.json`` is written there when the run ends, and its
        test predictions beside it. Without a folder nothing is kept.
    device : str, default "auto"
        ``cuda``, ``cuda:N``, ``mps``, ``cpu``, or the best available one.
    weights_folder : path, optional
        Folder with pretrained weights, for machines without a network; a resolved run names them.
    carbon_intensity_g_per_kwh : float or str, optional
        Declared carbon intensity, or a country's code; by default the world's mean. See
        `pepr_utils.measurement.metering.carbon_intensity`.
    any_device : bool, default False
        Allow a folder that was measured on another device.
    images : Images, optional
        The data set at the size of the protocol, where it has been prepared already.
    watch : callable, optional
        Called with each step; see `pepr_utils.measurement.progress.Step`.
    until_epoch : int, optional
        Pause after this epoch: the record says so, and the checkpoint beside it lets the next call
        go on. By default, and where the protocol has no more epochs, the run is finished.
    keep_checkpoints : bool, default False
        Write a checkpoint after each epoch, so that a killed run loses one epoch at most. It is
        removed when the run is done.

    Returns
    -------
    Record
        ``done``, ``paused``, or ``failed`` with the reason: a loss that is not finite, too little
        memory, an architecture that cannot be trained on such images, or any other error.

    Raises
    ------
    PeprError
        Before anything is trained, if the run is impossible: an unknown name, damaged data, weights
        that cannot be loaded, a damaged checkpoint, a folder of another device; and afterwards, if
        the record cannot be written.
    RunningElsewhereError
        If another process measures the same run.

    Examples
    --------
    Some 20 s on two cores:

    >>> run = Run("dla46_c", "phantom", protocol="demo", pretrained=False)
    >>> measure(run, "results/try").status  # doctest: +SKIP
    'done'
    """
    _check_part(folder, until_epoch, keep_checkpoints=keep_checkpoints)
    if carbon_intensity_g_per_kwh is not None:
        carbon_intensity(carbon_intensity_g_per_kwh)  # raises before anything is trained
    if isinstance(run, Run):
        obtain_dataset(run.dataset)  # its content is part of the run's name
        run = resolve(run, weights_folder)
    check_expected(run)
    if folder is not None:
        folder = Path(folder)
        check_writable(folder)
        if found := finished_record(folder, run.run_id, until_epoch):
            return found
    chosen = devices.choose_device(device)
    known = run.columns() | {"device": devices.device_name(chosen)}
    options = {
        "images": images,
        "carbon_intensity_g_per_kwh": carbon_intensity_g_per_kwh,
        "watch": watch,
    }
    if folder is None:
        return training.perform(run, known, chosen, part=Part(), **options)[0]
    check_device(folder, known["device"], any_device=any_device)

    checkpoint, start = checkpoint_path(folder, run.run_id), None

    def note() -> dict[str, Any]:
        nonlocal start
        known["attempt"] = next_attempt(folder, run.run_id)
        start = read_checkpoint(checkpoint, run.run_id, known["device"])
        # What has been measured so far stays known if this process is killed.
        so_far = start.record.model_dump(mode="json", exclude=_OF_STATUS) if start else {}
        return so_far | known

    with run_lock(folder, run.run_id, note):
        if found := finished_record(folder, run.run_id, until_epoch):  # another was quicker
            return found
        # The device was waited for: meanwhile others may have begun the folder with theirs.
        check_device(folder, known["device"], any_device=any_device)
        part = Part(checkpoint, start, until_epoch, keep_checkpoints)
        with time_limit():
            record, predictions = _perform(run, known, chosen, part=part, **options)
        record = write_result(folder, record, predictions)
        if record.status == "done":
            with suppress(OSError):
                checkpoint.unlink(missing_ok=True)
    return record


def _check_part(folder: Path | str | None, until_epoch: int | None, *, keep_checkpoints: bool):
    if until_epoch is not None and until_epoch < 1:
        raise RunError(f"until_epoch is {until_epoch!r}; allowed: a whole number of at least 1")
    if folder is None and (until_epoch is not None or keep_checkpoints):
        raise RunError("a run that pauses or keeps checkpoints needs a folder for them")


def _perform(
    run: ResolvedRun, known: dict[str, Any], *arguments: Any, part: Part, **options: Any
) -> tuple[Record, Predictions | None]:
    """Train what is left of a run; nothing, if it was killed between checkpoint and record."""
    if part.record is not None and part.record.has_reached(part.until_epoch):
        return part.record.model_copy(update=known), None
    return training.perform(run, known, *arguments, part=part, **options)
