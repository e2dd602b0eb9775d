"""A whole fine-tuning session in one call: what the notebook does, and a script may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pepr_utils.errors import PeprError
from pepr_utils.measurement.architectures import select_architectures
from pepr_utils.measurement.checks import check_runs
from pepr_utils.measurement.datasets.report import Report, report, share_lines
from pepr_utils.measurement.files import FolderError
from pepr_utils.measurement.killed import record_killed
from pepr_utils.measurement.locks import RunningElsewhereError
from pepr_utils.measurement.measuring import measure
from pepr_utils.measurement.orders import StoppedError, in_sweep, stop_requested, wait
from pepr_utils.measurement.run import Run, RunError, run_id
from pepr_utils.measurement.superseded import set_aside
from pepr_utils.results import Record, ResultSet
from pepr_utils.results.load import of_records
from pepr_utils.results.record_files import record_paths

#: The set that `make paper` makes: it holds what the notebook asks for and nothing else.
DEMO = "demo"

#: What says nothing against a run: it can be measured at another time.
_PASSING = (RunningElsewhereError, FolderError, StoppedError)


@dataclass(frozen=True)
class Session:
    """What a session gave.

    Attributes
    ----------
    folder : pathlib.Path
        The result set's folder.
    data : Report
        Sizes, balance and doubts of the data set.
    records : tuple of Record
        One per architecture, in their order; without those in `not_measured`.
    not_measured : tuple of PeprError
        Why runs have no record of this session, such as another process that measures them.
    """

    folder: Path
    data: Report
    records: tuple[Record, ...]
    not_measured: tuple[PeprError, ...] = ()

    def result_set(self) -> ResultSet:
        """The records of this session as a result set, whatever else is in the folder.

        Raises
        ------
        RunError
            If none of the runs came to its end.
        """
        if not any(record.status == "done" for record in self.records):
            raise RunError("no run came to its end:\n" + "\n".join(map(in_words, self.records)))
        return of_records(self.records, self.folder.name)


def in_words(record: Record) -> str:
    """How a run ended, in a line.

    Examples
    --------
    >>> run = {"run_id": "r", "architecture": "resnet18d", "dataset": "phantom", "status": "done"}
    >>> in_words(Record(**run, test_accuracy=0.75, energy_kwh=0.001))
    'resnet18d: test accuracy 0.7500'
    >>> in_words(Record(**run, test_accuracy=0.75, meter_notes="others used the processor"))
    'resnet18d: test accuracy 0.7500; its energy is not known: others used the processor'
    """
    if record.status == "failed":
        return f"{record.architecture}: failed: {record.failure_reason}"
    said = f"{record.architecture}: test accuracy {record.test_accuracy:.4f}"
    if record.training_notes:
        said += f" ({record.training_notes})"
    if record.energy_kwh is not None:
        return said
    return f"{said}; its energy is not known: {record.meter_notes or 'nothing could meter it'}"


def result_folder(result_set: str | Path) -> Path:
    """Folder of a result set: a path as it is, a bare name under ``results``.

    Raises
    ------
    RunError
        If it is empty.

    Examples
    --------
    >>> result_folder("mine").as_posix(), result_folder("/data/mine").as_posix()
    ('results/mine', '/data/mine')
    """
    if not str(result_set).strip():
        raise RunError(
            "result_set is empty; allowed: a name for a folder under results, or a folder"
        )
    path = Path(result_set).expanduser()
    return path if path.is_absolute() or len(path.parts) > 1 else Path("results") / path


def fine_tune(
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
        Is told what is found in the data, before anything is trained, and one line per run.
    device, weights, carbon_intensity, any_device
        See `measure`; empty strings stand for None.
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
    if isinstance(architectures, str):
        architectures = [name.strip() for name in architectures.split(",") if name.strip()]
    folder = result_folder(result_set)
    runs = [Run(n, dataset, **settings) for n in select_architectures(architectures, where or None)]
    place = {"device": device, "weights_folder": weights or None, "any_device": any_device}
    errors, images = check_runs(runs, folder, **place)
    if errors:
        raise _kind(errors)("\n".join(map(str, errors)) + "\nnothing was trained")
    found = next(iter(images.values()))
    data = report(found)
    for line in data.lines() + share_lines(found, runs[0]):
        say(line)
    if not in_sweep():  # which looks after its own killed runs, and knows why they ended
        for record in record_killed(folder):
            say(f"{record.architecture}: {record.failure_reason}")
    if str(result_set) == DEMO:
        own = Path(weights) if weights else None
        _set_aside(folder, {run_id(run, own) for run in runs})
    records, not_measured = _measure_all(
        runs, folder, say, carbon_intensity_g_per_kwh=_intensity(carbon_intensity), **place
    )
    return Session(folder, data, tuple(records), tuple(not_measured))


def _measure_all(
    runs: Sequence[Run], folder: Path, say: Callable[[str], object], **options: Any
) -> tuple[list[Record], list[PeprError]]:
    """Measure what can be; return the records, and why others are not there."""
    records, not_measured = [], []
    for run in runs:
        if stop_requested():
            not_measured.append(StoppedError("the sweep was stopped before the other runs"))
            break
        try:
            record = _measured(run, folder, options)
        except PeprError as error:  # such as another process that measures it: the others go on
            not_measured.append(error)
            continue
        say(in_words(record))
        records.append(record)
    for error in not_measured:
        say(f"not measured here: {error}")
    if not records:
        raise _kind(not_measured)("no run was measured:\n" + "\n".join(map(str, not_measured)))
    return records, not_measured


def _kind(errors: Sequence[PeprError]) -> type[RunError]:
    """The error that several come to: one that passes, where they all do in the same way."""
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else RunError
    return kind if issubclass(kind, _PASSING) else RunError


def _measured(run: Run, folder: Path, options: dict[str, Any]) -> Record:
    """Measure one run; in a sweep, wait while the folder takes no files."""
    while True:
        try:
            return measure(run, folder, **options)
        except FolderError:
            if not wait(2):
                raise


def _intensity(value: float | str | None) -> float | str | None:
    """A carbon intensity as `measure` takes it: a number, even if it came as text, or a code."""
    try:
        return None if value in (None, "") else float(value)
    except ValueError:
        return value


def _set_aside(folder: Path, wanted: set[str]) -> None:
    """Move records that another version of the demo has left to ``superseded``."""
    for path in record_paths(folder):
        if path.stem not in wanted:
            set_aside(path)
