"""A session: check all runs, then measure one after the other; for `pepr run` and the notebook."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pepr_utils.errors import (
    FolderError,
    PeprError,
    RunError,
    RunningElsewhereError,
    StoppedError,
)
from pepr_utils.measurement.architectures import select_architectures
from pepr_utils.measurement.checks import check_runs
from pepr_utils.measurement.datasets.prepare import Images
from pepr_utils.measurement.datasets.report import Report, report, share_lines
from pepr_utils.measurement.measuring import measure
from pepr_utils.measurement.progress import Bar
from pepr_utils.measurement.run import ResolvedRun, Run
from pepr_utils.measurement.store import folder_errors, record_killed, supersede
from pepr_utils.measurement.sweep.plan import REQUESTED, write_requested
from pepr_utils.measurement.sweep_environment import in_sweep, stop_requested, wait_to_retry
from pepr_utils.paths import user_path
from pepr_utils.results import Record, ResultSet
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.export import without_formulas
from pepr_utils.results.load import of_records
from pepr_utils.results.record_files import data_warnings_path, record_paths

#: The set that `make paper` makes: it holds what the notebook asks for and nothing else.
DEMO = "demo"
#: Errors that are not the run's fault: it can be measured at another time.
TEMPORARY = (RunningElsewhereError, FolderError, StoppedError)


@dataclass(frozen=True)
class Session:
    """The result of a session.

    Attributes
    ----------
    folder : pathlib.Path
        The result set's folder.
    data : Report
        Sizes, class balance and possible faults of the data set.
    records : tuple of Record
        One per run, in their order; without those in `not_measured`.
    not_measured : tuple of PeprError
        Why runs have no record of this session, such as another process that measures them.
    """

    folder: Path
    data: Report
    records: tuple[Record, ...] = ()
    not_measured: tuple[PeprError, ...] = ()

    def result_set(self) -> ResultSet:
        """The records of this session as a result set, whatever else is in the folder.

        Raises
        ------
        RunError
            If none of the runs is done.
        """
        if not any(record.status == "done" for record in self.records):
            raise RunError("no run is done:\n" + "\n".join(map(outcome, self.records)))
        return of_records(self.records, self.folder.name)


def outcome(record: Record) -> str:
    """How a run ended, in a line.

    Examples
    --------
    >>> run = {"run_id": "r", "architecture": "resnet18d", "dataset": "phantom", "status": "done"}
    >>> outcome(Record(**run, test_accuracy=0.75, energy_kwh=0.001))
    'resnet18d: test accuracy 0.7500'
    >>> outcome(Record(**run, test_accuracy=0.75, meter_notes="others used the processor"))
    'resnet18d: test accuracy 0.7500; its energy is not known: others used the processor'
    """
    if record.status == "failed":
        return f"{record.architecture}: failed: {record.failure_reason}"
    if record.status == "paused":
        return f"{record.architecture}: {record.stop_reason}"
    line = f"{record.architecture}: test accuracy {record.test_accuracy:.4f}"
    if record.training_notes:
        line += f" ({record.training_notes})"
    if record.energy_kwh is not None:
        return line
    return f"{line}; its energy is not known: {record.meter_notes or 'nothing could meter it'}"


def fine_tune(  # noqa: PLR0913 - the parameters of the notebook
    dataset: str,
    architectures: str | Sequence[str] = (),
    *,
    where: str | None = None,
    result_set: str | Path,
    say: Callable[[str], object] = print,
    device: str = "auto",
    weights: str | None = None,
    carbon_intensity: float | str | None = None,
    any_device: bool = False,
    until_epoch: int | None = None,
    keep_checkpoints: bool = False,
    **settings: Any,
) -> Session:
    """Train and meter architectures on a data set; each record is written when its run ends.

    Parameters
    ----------
    dataset : str
        Name, folder or file; see `Run`.
    architectures : str or sequence of str
        Names; a string is split at commas.
    where : str, optional
        A condition on the paper's architectures; see `select_architectures`.
    result_set : str or path
        A name for a folder under ``results``, or a folder.
    say : callable, default print
        Called with what is found in the data, before anything is trained, and with a line per run.
    device, weights, carbon_intensity, any_device, until_epoch, keep_checkpoints
        See `measure`; empty strings, and 0 for an epoch, stand for None.
    **settings
        The rest of `Run`: ``protocol``, ``pretrained``, ``train_fraction``, ``seed``.

    Raises
    ------
    RunError
        Before anything is trained, with everything that is wrong; or if no run was measured here.
    """
    text = {"dataset": dataset, "where": where or "", "result_set": result_set, "device": device,
            "weights": weights or ""}  # fmt: skip
    for name, value in text.items():  # such as a number that a notebook was given
        if not isinstance(value, str | Path):
            raise RunError(f"{name} is {value!r}; allowed: text")
    if not str(result_set).strip():
        raise RunError(
            "result_set is empty; allowed: a name for a folder under results, or a folder"
        )
    folder = user_path(result_set)
    if not folder.is_absolute() and len(folder.parts) == 1:
        folder = Path("results") / folder
    names = select_architectures(architectures, where or None)
    runs = [Run(name, dataset, **settings) for name in names]
    options = {"say": say, "device": device, "any_device": any_device}
    data, ready = check_all(runs, folder, weights_folder=weights or None, **options)
    if str(result_set) == DEMO:
        _remove_others(folder, {run.run_id for run, _ in ready})
    intensity = None if carbon_intensity == "" else carbon_intensity
    records, not_measured = measure_all(
        ready, folder, carbon_intensity=intensity, until_epoch=until_epoch or None,
        keep_checkpoints=keep_checkpoints, **options,
    )  # fmt: skip
    if not records:
        raise _common_error(not_measured)(
            "no run was measured:\n" + "\n".join(map(str, not_measured))
        )
    return Session(folder, data, tuple(records), tuple(not_measured))


def check_all(
    runs: Sequence[Run],
    folder: Path,
    *,
    say: Callable[[str], object],
    weights_folder: Path | str | None = None,
    progress: bool = False,
    **options: Any,
) -> tuple[Report, list[tuple[ResolvedRun, Images]]]:
    """Check runs on one data set, and report what is found in it and in the folder.

    The arguments are those of `check_runs` and `fine_tune`. Returns what is known of the data set,
    and the runs as `measure_all` takes them.

    Raises
    ------
    RunError
        With everything that is wrong.
    """
    errors, ready = check_runs(
        runs, folder, weights_folder=weights_folder, progress=progress, **options
    )
    if errors:
        raise _common_error(errors)("\n".join(map(str, errors)) + "\nnothing was trained")
    images = ready[0][1]
    data = report(images)
    for line in data.lines() + share_lines(images, runs[0]):
        say(line)
    if not in_sweep():  # a sweep records them itself, since it knows why they ended
        for record in record_killed(folder):
            say(outcome(record))
    return data, ready


def measure_all(
    ready: Sequence[tuple[ResolvedRun, Images]],
    folder: Path,
    *,
    say: Callable[[str], object],
    carbon_intensity: float | str | None = None,
    progress: bool = False,
    **options: Any,
) -> tuple[list[Record], list[PeprError]]:
    """Measure the runs of `check_all` one after the other, except those that are done.

    Returns the records of the runs, and the errors of those that have none, such as of a run that
    another process measures. `progress` shows a bar for each run on stderr.
    """
    records, not_measured = [], []
    if not in_sweep():  # which has written its plan
        with folder_errors(folder):
            write_requested(folder, {run.run_id: run.run for run, _ in ready})
    for run, images in ready:
        if stop_requested():
            not_measured.append(StoppedError("the sweep was stopped before the other runs"))
            break
        try:
            with Bar(run.architecture.name, shown=progress) as bar:
                record = _measure(
                    run, folder, images=images, watch=bar.update,
                    carbon_intensity_g_per_kwh=carbon_intensity, **options,
                )  # fmt: skip
        except PeprError as error:  # such as another process that measures it: the others go on
            not_measured.append(error)
            continue
        say(outcome(record))
        records.append(record)
    for error in not_measured:
        say(f"not measured here: {error}")
    return records, not_measured


def _remove_others(folder: Path, wanted: set[str]) -> None:
    """Move the records of another version of the demo to ``superseded``."""
    for path in record_paths(folder):
        if path.stem not in wanted:
            supersede(path)
    shutil.rmtree(folder / REQUESTED, ignore_errors=True)


def _name_files(images: Images, folder: Path) -> None:
    """Write the CSV file with the images behind the warnings on a data set, if there are any."""
    source, files = images.source, report(images).files
    path = data_warnings_path(folder, source.name, source.content_hash)
    if len(files) and not path.exists():
        with folder_errors(folder):
            text = without_formulas(files).to_csv(index=False)
            write_whole(path, text.encode("utf-8", "backslashreplace"))


def _measure(
    run: ResolvedRun, folder: Path, images: Images | None = None, **options: Any
) -> Record:
    """Measure one run; in a sweep, wait while the folder takes no files."""
    while True:
        try:
            if images is not None:
                _name_files(images, folder)
            return measure(run, folder, images=images, **options)
        except FolderError:
            if not wait_to_retry():
                raise


def _common_error(errors: Sequence[PeprError]) -> type[RunError]:
    """The class of an error that stands for several: a temporary one only if they all are."""
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else RunError
    return kind if issubclass(kind, TEMPORARY) else RunError
