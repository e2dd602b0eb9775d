"""What is said of runs and their records, in one line each."""

from __future__ import annotations

from collections.abc import Sequence

from pepr_utils.measurement.sweep.quantities import duration, energy
from pepr_utils.measurement.sweep.state import State
from pepr_utils.results import Record


def counts(state: State) -> str:
    """Counts of the runs by how far they are.

    Examples
    --------
    >>> counts(State())
    '0 of 0 runs done, 0 running, 0 failed, 0 waiting'
    """
    done, running = len(state.done), len(state.running)
    failed, waiting = len(state.failed), len(state.waiting)
    total = done + running + failed + waiting
    return (
        f"{done:,} of {total:,} runs done, {running} running, {failed} failed, {waiting:,} waiting"
    )


def energy_of(records: Sequence[Record]) -> tuple[float | None, int]:
    """Facility energy of some runs (kWh), evaluations included, and how many have none."""
    found, without = 0.0, 0
    for record in records:
        if record.energy_kwh is None:
            without += 1
            continue
        apart = record.energy_window == "train" and record.eval_energy_kwh
        found += record.energy_kwh + (apart or 0.0)
    return (found if without < len(records) else None), without


def spent(state: State) -> str:
    """Energy of the finished runs, in words."""
    used, without = energy_of(state.done)
    words = f"energy so far {energy(used)}" if state.done else "no energy yet"
    return words + (
        f" ({without} run{'s' * (without > 1)} without)" if without and used is not None else ""
    )


def ended(state: State, before: State | None) -> list[str]:
    """A line for each run that has ended since."""
    if before is None:
        return []
    done = {r.run_id for r in before.done}
    failed = {(r.run_id, r.attempt) for r in before.failed}
    lines = [f"done    {_label(r)}: {_result(r)}" for r in state.done if r.run_id not in done]
    new = [r for r in state.failed if (r.run_id, r.attempt) not in failed]
    return [printable(line) for line in [*lines, *(f"failed  {failure(r)}" for r in new)]]


def failure(record: Record) -> str:
    """A failed run and its reason, in one line."""
    tries = f", attempt {record.attempt}" if record.attempt > 1 else ""
    reason = " ".join((record.failure_reason or "no reason recorded").split())
    return f"{_label(record)}{tries}: {reason}"


def left_words(left: float | None) -> str:
    """A forecast of time in words; no number where nothing says."""
    return "no forecast yet" if left is None else f"about {duration(left)}"


def _label(record: Record) -> str:
    arm = "" if record.pretrained is None else " pretrained" if record.pretrained else " scratch"
    share = record.train_fraction
    part = "" if share in (None, 1) else f" {share:.3g}"
    seed = "" if record.seed is None else f" seed {record.seed}"
    return f"{record.architecture} on {record.dataset}{arm}{part}{seed}"


def _result(record: Record) -> str:
    took = (record.train_time_s or 0.0) + (record.eval_time_s or 0.0)
    used, _ = energy_of([record])
    return f"accuracy {record.test_accuracy:.4f}, {duration(took)}, {energy(used)}"


def printable(text: str) -> str:
    """Without what would move the cursor: reasons come from logs."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
