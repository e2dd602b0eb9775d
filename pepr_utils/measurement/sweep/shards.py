"""How many runs one execution of the notebook does: its start-up is to cost little of the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from pepr_utils.measurement.run import Run

#: Share of the time that start-up may cost: interpreter, torch, looking at the data.
START_UP_SHARE = 0.03
#: Seconds of a start-up before one has been seen: `fine_tune` on two cores, warm disk.
START_UP_S = 15.0
#: Runs of a shard whose length is not known at all.
UNKNOWN = 8
#: Most runs of a shard: an executed notebook that can still be read.
MOST = 64
#: Shards per slot that are left at any moment, so that all slots end at about the same time; they
#: are not cut shorter than so many start-ups for it.
LEFT_PER_SLOT, LEAST_START_UPS = 3, 3


def cut(
    pending: Sequence[Run],
    *,
    seconds: Callable[[Run], float | None],
    start_up_s: float,
    slots: int,
) -> int:
    """Return how many of the first pending runs go into the next shard.

    They differ in their architecture only, since one execution of the notebook does them.

    Parameters
    ----------
    pending : sequence of Run
        What is to be done, in its order; at least one.
    seconds : callable
        Forecast length of a run (s), or None.
    start_up_s : float
        What an execution takes before its first run begins (s).
    slots : int
        How many shards are done at once.

    Examples
    --------
    >>> runs = [Run(name, "phantom", "demo", False) for name in ("a", "b", "c", "d", "e", "f")]
    >>> cut(runs, seconds=lambda run: 10.0, start_up_s=1.0, slots=1)
    3
    >>> cut(runs, seconds=lambda run: 3600.0, start_up_s=15.0, slots=1)
    1
    """
    alike = 0
    while alike < len(pending) and _kind(pending[alike]) == _kind(pending[0]):
        alike += 1
    forecast = [seconds(run) for run in pending]
    known = [s for s in forecast if s is not None]
    if not known:
        return max(1, min(alike, UNKNOWN, -(-len(pending) // slots)))
    mean = sum(known) / len(known)
    lengths = [mean if s is None else s for s in forecast]
    wanted = start_up_s * (1 / START_UP_SHARE - 1)
    if slots > 1:
        even = sum(lengths) / (LEFT_PER_SLOT * slots)
        wanted = min(wanted, max(even, LEAST_START_UPS * start_up_s))
    n, length = 1, lengths[0]
    most = min(alike, MOST, -(-len(pending) // slots))
    while n < most and length + lengths[n] / 2 <= wanted:
        length += lengths[n]
        n += 1
    return n


def parameters(runs: Sequence[Run], folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """The notebook's parameters for a shard.

    Examples
    --------
    >>> run = Run("dla46_c", "phantom", "demo", False)
    >>> given = parameters([run, replace(run, architecture="resnet18d")], Path("/out"), {})
    >>> given["architectures"], given["result_set"], given["seed"]
    ('dla46_c,resnet18d', '/out', 1)
    """
    first = runs[0]
    return {
        "result_set": str(Path(folder).absolute()),
        "dataset": first.dataset,
        "architectures": ",".join(run.architecture for run in runs),
        "where": "",
        "protocol": first.protocol,
        "pretrained": first.pretrained,
        "train_fraction": first.train_fraction,
        "seed": first.seed,
    } | {name: value for name, value in options.items() if value is not None}


def _kind(run: Run) -> tuple[Any, ...]:
    return astuple(replace(run, architecture=""))
