"""The runs that a study is made of: each once, by name, and which of them one machine does."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.measurement.datasets import describe_dataset
from pepr_utils.measurement.run import Run, run_id
from pepr_utils.measurement.sweep.study import Study, StudyError
from pepr_utils.results import load_architectures
from pepr_utils.results.atomic import write_whole

#: The resolved plan beside the records: derived, so that `pepr status` can name what is missing.
FILE = "study.json"
#: Beside the records, a file for each `pepr run`, with the runs that it was asked for.
ASKED = "asked"


@dataclass(frozen=True)
class Planned:
    """A run of a study.

    Attributes
    ----------
    run : Run
        What is measured.
    block : str
        The first block that it is in.
    run_id : str or None
        The name of its record; None where that cannot be known yet, as of a data set that is not
        there.
    why : str
        Why it has no name.
    """

    run: Run
    block: str
    run_id: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """The runs of a study.

    Attributes
    ----------
    study : str
        Its name.
    runs : tuple of Planned
        Each once, in the study's order.
    """

    study: str
    runs: tuple[Planned, ...]

    @property
    def missing(self) -> Counter[str]:
        """Why runs have no name yet, and how many."""
        return Counter(p.why for p in self.runs if p.run_id is None)

    def names(self) -> dict[str, Run]:
        """The runs whose names are known, by name."""
        return {p.run_id: p.run for p in self.runs if p.run_id is not None}

    def part(self, number: int, of: int) -> Plan:
        """Return part `number` (from 1) of `of`: every run is in exactly one of them.

        It follows from the study alone, whatever is done already, so that the jobs of an array
        agree without a word. Architectures of each arm are dealt out by size, to and fro, so that
        the parts cost about the same.

        Raises
        ------
        StudyError
            If there is no such part.
        """
        if not 1 <= number <= of:
            raise StudyError(
                f"part {number}/{of} is none; allowed: I/N with I from 1 to N, such as 3/16"
            )
        chosen = {planned for planned, place in _dealt(self.runs, of) if place == number - 1}
        return Plan(self.study, tuple(p for p in self.runs if p in chosen))


def _dealt(runs: Sequence[Planned], of: int) -> list[tuple[Planned, int]]:
    """Each run with the number, from 0, of the part that it is dealt to."""
    sizes = load_architectures().set_index("architecture")["n_parameters"].to_dict()
    ordered = sorted(
        runs,
        key=lambda p: (
            *(str(value) for value in _arm(p.run)),
            sizes.get(p.run.architecture, 0),
            p.run.architecture,
        ),
    )
    there_and_back = [*range(of), *reversed(range(of))]
    return [(p, there_and_back[i % (2 * of)]) for i, p in enumerate(ordered)]


def _arm(run: Run) -> tuple:
    return run.seed, run.dataset, run.protocol, run.pretrained, run.train_fraction


def make_plan(
    study: Study,
    *,
    weights_folder: Path | None = None,
    progress: Callable[[str], object] | None = None,
) -> Plan:
    """Lay the blocks of a study out as runs, each once, and name those that can be named.

    Nothing is downloaded. A folder of images is read, since its content is part of the names.

    Parameters
    ----------
    study : Study
        What was read.
    weights_folder : pathlib.Path, optional
        Where pretrained weights lie; their content is part of the names.
    progress : callable, optional
        Is called with what is read.

    Examples
    --------
    >>> from pepr_utils.measurement.sweep.study import load_study
    >>> plan = make_plan(load_study("demo"))
    >>> len(plan.runs), plan.runs[0].block, plan.missing
    (9, 'all images', Counter())
    """
    first: dict[Run, str] = {}
    for name, block in study.blocks.items():
        for run in block.runs():
            first.setdefault(run, name)
    datasets: dict[str, str | None] = {}
    for name in dict.fromkeys(run.dataset for run in first):
        if progress is not None:
            progress(f"reading {name}")
        datasets[name] = _why(lambda name=name: describe_dataset(name))
    planned = []
    for run, block in first.items():
        identity, why = None, datasets[run.dataset]
        if why is None:
            try:
                identity = run_id(run, weights_folder)
            except PeprError as error:
                why = str(error)
        planned.append(Planned(run, block, identity, why or ""))
    return Plan(study.name, tuple(planned))


def _why(action: Callable[[], object]) -> str | None:
    """What an action fails with; None where it does not."""
    try:
        action()
    except PeprError as error:
        return str(error)
    return None


def write_plan(
    plan: Plan, folder: Path, seconds: Callable[[Run], float | None] = lambda _: None
) -> Path:
    """Write the whole plan to ``study.json`` in the folder of the records, atomically.

    Several coordinators of one study write the same, up to the forecasts; the last one's stays.

    Parameters
    ----------
    plan : Plan
        All parts of it.
    folder : pathlib.Path
        The result set's folder.
    seconds : callable, optional
        Forecast of a run.
    """
    runs = [
        asdict(p.run) | {"run_id": p.run_id, "block": p.block, "seconds": seconds(p.run)}
        for p in plan.runs
    ]
    content = json.dumps({"study": plan.study, "runs": runs}, indent=1)
    return write_whole(Path(folder) / FILE, content.encode() + b"\n")


def read_plan(folder: Path) -> tuple[Plan, Mapping[Run, float | None]] | None:
    """Read the plan of a folder, with the forecast seconds of its runs; None where there is none.

    Raises
    ------
    InvalidTableError
        If it is damaged.
    """
    path = Path(folder) / FILE
    try:
        content = json.loads(path.read_bytes())
        planned, seconds = [], {}
        for entry in content["runs"]:
            run = Run(**{name: entry[name] for name in Run.__dataclass_fields__})
            planned.append(Planned(run, str(entry["block"]), entry["run_id"]))
            seconds[run] = entry["seconds"]
        return Plan(str(content["study"]), tuple(planned)), seconds
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidTableError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidTableError(
            f"{path} is damaged; the next `pepr sweep` with this folder writes it anew"
        ) from None


def write_asked(folder: Path, names: Mapping[str, Run]) -> Path:
    """Write down the runs that a `pepr run` was asked for; the same ones give the same file.

    Parameters
    ----------
    folder : pathlib.Path
        The result set's folder.
    names : mapping
        The runs, by name.
    """
    content = json.dumps({name: asdict(run) for name, run in sorted(names.items())}, indent=1)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return write_whole(Path(folder) / ASKED / f"{digest}.json", content.encode() + b"\n")


def read_asked(folder: Path) -> dict[str, Run]:
    """The runs that any `pepr run` on a folder was asked for, by name.

    Raises
    ------
    InvalidTableError
        If a file of them is damaged.
    """
    found: dict[str, Run] = {}
    for path in sorted((Path(folder) / ASKED).glob("*.json")):
        try:
            content = json.loads(path.read_bytes())
            found |= {name: Run(**run) for name, run in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            raise InvalidTableError(
                f"{path} is damaged; remove it, and the same `pepr run` writes it anew"
            ) from None
    return found
