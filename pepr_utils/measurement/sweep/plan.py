"""The runs that a folder is to hold: a study's plan, and the runs that `pepr run` was given.

Both are written beside the records, so that `pepr status` can name what is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.measurement.run import Run
from pepr_utils.results import load_architectures
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.file_content import regular_bytes

#: The plan of a sweep.
FILE = "study.json"
#: A folder with a file for each `pepr run`, of the runs that were requested.
REQUESTED = "asked"


class StudyError(PeprError, ValueError):
    """A study cannot be used; the message has a line for each error."""


@dataclass(frozen=True)
class Planned:
    """A run of a study."""

    run: Run
    block: str  # the first block that it is in
    run_id: str | None = None  # None where it is not known, such as for missing data
    why: str = ""  # why it is not known


@dataclass(frozen=True)
class Plan:
    """The runs of a study, each once, in the study's order."""

    study: str
    runs: tuple[Planned, ...]

    @property
    def missing(self) -> Counter[str]:
        """Why the run_ids of runs are not known, and how many."""
        return Counter(p.why for p in self.runs if p.run_id is None)

    def names(self) -> dict[str, Run]:
        """The runs by run_id, where that is known."""
        return {p.run_id: p.run for p in self.runs if p.run_id is not None}

    def part(self, number: int, of: int) -> Plan:
        """Return part `number` (from 1) of `of`: every run is in exactly one of them.

        It depends on the study alone, not on what is done already, so the jobs of an array need
        not communicate. Architectures of each arm are dealt to the parts by size, there and back,
        so that the parts take about the same time.

        Raises
        ------
        StudyError
            If there is no such part.
        """
        if not 1 <= number <= of:
            raise StudyError(
                f"part {number}/{of} does not exist; allowed: I/N with I from 1 to N, such as 3/16"
            )
        sizes = load_architectures().set_index("architecture")["n_parameters"].to_dict()

        def arm_and_size(planned: Planned) -> tuple:
            run = planned.run
            arm = (run.seed, run.dataset, run.protocol, run.pretrained, run.train_fraction)
            return (*map(str, arm), sizes.get(run.architecture, 0), run.architecture)

        there_and_back = [*range(of), *reversed(range(of))]
        ordered = enumerate(sorted(self.runs, key=arm_and_size))
        chosen = {p for i, p in ordered if there_and_back[i % (2 * of)] == number - 1}
        return Plan(self.study, tuple(p for p in self.runs if p in chosen))


def write_plan(
    plan: Plan, folder: Path, seconds: Callable[[Run], float | None] = lambda _: None
) -> Path:
    """Write a whole plan, with the forecast of each run, to ``study.json`` beside the records.

    Several coordinators of one study write the same file, apart from the forecasts.
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
        content = json.loads(regular_bytes(path))
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
            f"{path} is damaged; the next `pepr sweep` with this folder writes it again"
        ) from None


def write_requested(folder: Path, runs: Mapping[str, Run]) -> Path:
    """Write the runs, by run_id, that a `pepr run` was given; the same runs give the same file."""
    content = json.dumps({name: asdict(run) for name, run in sorted(runs.items())}, indent=1)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return write_whole(Path(folder) / REQUESTED / f"{digest}.json", content.encode() + b"\n")


def read_requested(folder: Path) -> dict[str, Run]:
    """The runs, by run_id, that any `pepr run` on a folder was given.

    Raises
    ------
    InvalidTableError
        If a file of them is damaged.
    """
    found: dict[str, Run] = {}
    for path in sorted((Path(folder) / REQUESTED).glob("*.json")):
        try:
            content = json.loads(regular_bytes(path))
            found |= {name: Run(**run) for name, run in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            raise InvalidTableError(
                f"{path} is damaged; remove it, and the same `pepr run` writes it again"
            ) from None
    return found
