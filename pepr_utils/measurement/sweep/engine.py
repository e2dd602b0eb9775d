"""The coordinator of a sweep: gives shards of runs to workers until every run has its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.errors import SweepError
from pepr_utils.measurement.sweep.state import Progress, State


def sweep(
    runs: Sequence[Run],
    notebook: Path,
    folder: Path,
    *,
    slots: int | None = None,
    gpus: int | Literal["auto"] | Sequence[str] = "auto",
    scheduler: str | None = None,
    attempts: int = 2,
    seconds: Callable[[Run], float | None] | None = None,
    options: Mapping[str, object] = {},  # noqa: B006 - a mapping that nobody changes
    watch: Callable[[Progress], object] | None = None,
) -> State:
    """Measure runs, each once, whatever happens on the way; see the package."""
    raise SweepError("the engine is not there yet")
