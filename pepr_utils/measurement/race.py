"""A race of architectures: trained in rungs, and decided by the records of a folder.

Which candidate is trained next, and to which epoch, follows from the records and from `race.json`
beside them: what each candidate was expected to cost before the first was eliminated. There is no
other state, so a race that was killed goes on where it was. Who is out is decided by
`pepr_utils.scoring.racing`, and a sweep does the training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from pepr_utils.errors import FolderError, InvalidTableError, RunError, RunningElsewhereError
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import run_lock
from pepr_utils.measurement.sweep.state import State, cached_record
from pepr_utils.measurement.sweep.view import duration, energy
from pepr_utils.results import Epoch, Record, write_record
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.record_files import record_path
from pepr_utils.scoring import RaceResources, RaceRules, RaceStep, race_resources, race_step
from pepr_utils.scoring.racing import lead_noise

#: What is known of a race beside its records.
FILE = "race.json"
#: Costs of a training that a race can be about, with their units.
COSTS = {"energy": "kWh", "time": "s", "co2": "g", "memory": "GB"}
#: How the reason begins in the record of an eliminated run.
ELIMINATED = "eliminated in a race: "
#: Of so many candidates that nobody knows the first epochs are trained to forecast the others.
_SAMPLE = 2
_STOPPED = "stopped; the same command goes on"


@dataclass(frozen=True)
class Spent:
    """Energy and time of trainings with their evaluations; None where it is not known."""

    kwh: float | None = 0.0
    seconds: float | None = 0.0

    @classmethod
    def of_epochs(cls, epochs: Iterable[Epoch], share: float = 1.0) -> Spent:
        """What epochs took, times a share."""
        pairs = [
            ((e.energy_kwh, e.eval_energy_kwh or 0.0), (e.train_time_s, e.eval_time_s or 0.0))
            for e in epochs
        ]
        parts = [[v for pair in kind for v in pair] for kind in zip(*pairs, strict=True)]
        return cls(*(None if None in values else share * sum(values) for values in parts))

    def __add__(self, other: Spent) -> Spent:
        pairs = (self.kwh, other.kwh), (self.seconds, other.seconds)
        return Spent(*(None if None in pair else sum(pair) for pair in pairs))

    def __str__(self) -> str:
        shown = [energy(self.kwh)] if self.kwh is not None else []
        shown += [duration(self.seconds)] if self.seconds is not None else []
        return " and ".join(shown) or "an unknown amount"


@dataclass(frozen=True)
class Candidate:
    """An architecture in a race: its runs, and what a whole training of it is expected to cost."""

    name: str
    runs: Mapping[str, Run]  #: one for each seed, by run_id
    cost: float | None = None  #: the cost that the score uses; None where nobody knows it
    basis: str = ""  #: where that is from
    whole: Spent = Spent(None, None)  #: with all evaluations


@dataclass(frozen=True)
class Race:
    """A race; `rules.n_images` is set where it is cautious."""

    folder: Path
    candidates: tuple[Candidate, ...]
    rules: RaceRules
    cost: str  #: one of `COSTS`
    n_images: int  #: validation images, of all seeds together
    settings: Mapping[str, Any]  #: what may not change while it goes on
    winner: str | None = None  #: once it is decided


@dataclass
class Progress:
    """Who trains the runs of a race up to an epoch, what it says, and the runs that have failed."""

    train: Callable[[Sequence[Run], int | None], State]
    say: Callable[[str], object]
    workers: int = 1
    budget: Budget | None = None
    failed: set[str] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)


# -- race.json -------------------------------------------------------------------------------------


def save(race: Race) -> None:
    """Write `race.json`."""
    candidates = [
        {"name": c.name, "runs": list(c.runs), "cost": c.cost, "basis": c.basis} | asdict(c.whole)
        for c in race.candidates
    ]
    content = {"settings": race.settings, "winner": race.winner, "candidates": candidates}
    write_whole(race.folder / FILE, json.dumps(content, indent=1).encode() + b"\n")


def resumed(race: Race) -> Race | None:
    """The race of the same folder as it was saved; None where there is none.

    Raises
    ------
    RunError
        If it is another race.
    InvalidTableError
        If `race.json` is damaged.
    """
    path = race.folder / FILE
    try:
        content = json.loads(path.read_bytes())
        before, names = content["settings"], [e["name"] for e in content["candidates"]]
        runs = [e["runs"] for e in content["candidates"]]
        known = [
            {"cost": e["cost"], "basis": e["basis"], "whole": Spent(e["kwh"], e["seconds"])}
            for e in content["candidates"]
        ]
        winner = content["winner"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidTableError(
            f"{path} is damaged; remove it, and the same command begins the race again with the "
            "records that are there"
        ) from None
    now = json.loads(json.dumps(race.settings))
    changed = [f"{k} {before.get(k)!r}, not {now[k]!r}" for k in now if before.get(k) != now[k]]
    if names != [c.name for c in race.candidates]:
        changed.append("other architectures")
    elif runs != [list(c.runs) for c in race.candidates]:
        changed.append("other images or weights")
    if changed:
        raise RunError(
            f"{race.folder} holds another race ({'; '.join(changed)}); give the same options to "
            "go on with it, or name another folder"
        )
    found = (replace(c, **values) for c, values in zip(race.candidates, known, strict=True))
    return replace(race, candidates=tuple(found), winner=winner)


# -- how far it is ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How far a race is, from the records alone.

    Attributes
    ----------
    records : list of list of (Record or None)
        Of each candidate, one for each seed.
    performance : numpy.ndarray, shape (n, epochs)
        Mean validation accuracy of the seeds; NaN where it is not measured.
    resources, step
        As `pepr_utils.scoring.race_resources` and `race_step` give them.
    resource, final : numpy.ndarray, shape (n,)
        R by the costs as measured so far, and the score after the last epoch by it; else NaN.
    failed : numpy.ndarray of bool
        Candidates that cannot be trained.
    """

    race: Race
    records: list[list[Record | None]]
    performance: np.ndarray
    resources: RaceResources
    step: RaceStep
    resource: np.ndarray
    final: np.ndarray
    failed: np.ndarray

    @property
    def leader(self) -> int | None:
        """The best of those that are trained to the end, else of those that are furthest."""
        known = np.flatnonzero(~np.isnan(self.final) & ~self.failed)
        best = min(known, key=lambda i: (-self.final[i], self.resource[i], i), default=None)
        return self.step.leader if best is None else int(best)

    def epochs_done(self, i: int) -> int:
        """Epochs that every seed of a candidate has behind it."""
        return min(record.epochs_done if record else 0 for record in self.records[i])


def standing(race: Race, failed_runs: Iterable[str] = ()) -> Standing:
    """Read how far a race is; a candidate with a failed run is out."""
    epochs, exact = race.rules.epochs, race.rules.rule == "exact"
    records = [[_read(race, name) for name in c.runs] for c in race.candidates]
    failed = np.array([not c.runs.keys().isdisjoint(failed_runs) for c in race.candidates])
    # A failed candidate whose cost nobody knows has some cost within the bounds.
    least = min((c.cost for c in race.candidates if c.cost is not None), default=0.0)
    forecast = np.array([least if c.cost is None else c.cost for c in race.candidates])

    def corrected(of_first: int | None, *, whole: bool) -> np.ndarray:
        costs = forecast.copy()
        for i, own in enumerate(records):
            if all(r is not None and (r.status == "done" or not whole) for r in own):
                known = [training_cost(r, race.cost, epochs, of_first=of_first) for r in own]
                costs[i] = costs[i] if None in known else fmean(known)
        return costs

    # What later epochs cost does not change who went on from a rung; a proof needs whole trainings.
    first = None if exact else race.rules.first_epochs
    resources = race_resources(forecast, corrected(first, whole=exact))
    performance = np.array(
        [np.mean([_accuracies(r, epochs) for r in own], axis=0) for own in records]
    )
    step = race_step(performance, resources.resource, race.rules, failed=failed)
    resource = race_resources(forecast, corrected(None, whole=False)).resource
    final = performance[:, -1] / (1 + resource / race.rules.alpha)
    return Standing(race, records, performance, resources, step, resource, final, failed)


def _read(race: Race, run_id: str) -> Record | None:
    return cached_record(record_path(race.folder, run_id))


def _accuracies(record: Record | None, epochs: int) -> list[float]:
    known = {e.epoch: e.val_accuracy for e in (record.epochs if record else ())}
    found = [known.get(epoch) for epoch in range(1, epochs + 1)]
    return [np.nan if value is None else value for value in found]


def training_cost(
    record: Record, cost: str, epochs: int, *, of_first: int | None = None
) -> float | None:
    """Cost of a whole training of so many epochs by its record, or by its first epochs alone.

    Examples
    --------
    >>> run = {"run_id": "r", "architecture": "a", "dataset": "d", "status": "paused"}
    >>> parts = tuple(Epoch(epoch=i, train_time_s=10.0 * i) for i in (1, 2))
    >>> record = Record(**run, epochs=parts)
    >>> training_cost(record, "time", 4), training_cost(record, "time", 4, of_first=1)
    (60.0, 40.0)
    """
    if cost == "memory":
        return record.reserved_memory_gb
    values = [e.train_time_s if cost == "time" else e.energy_kwh for e in record.epochs[:of_first]]
    factor = record.carbon_intensity_g_per_kwh if cost == "co2" else 1.0
    return None if not values or None in (factor, *values) else factor * fmean(values) * epochs


# -- what it takes ---------------------------------------------------------------------------------


def spent(now: Standing, *, in_race: bool = False) -> Spent:
    """What all epochs have taken; `in_race`: without those after a candidate's elimination."""
    out = {e.candidate: e.epoch for e in now.step.eliminated} if in_race else {}
    parts = [
        Spent.of_epochs(r.epochs[: out.get(i)])
        for i, own in enumerate(now.records)
        for r in own
        if r is not None and r.epochs[: out.get(i)]
    ]
    return sum(parts, Spent())


def to_the_end(now: Standing) -> Spent:
    """What training all candidates takes: from the epochs that they have, else as expected."""
    total, n = Spent(), now.race.rules.epochs
    for i, candidate in enumerate(now.race.candidates):
        for record in () if now.failed[i] else now.records[i]:
            done = record.epochs if record else ()
            total += Spent.of_epochs(done, n / len(done)) if done else candidate.whole
    return total


@dataclass(frozen=True)
class Budget:
    """What a race may take with all evaluations."""

    kind: str  #: ``kwh`` or ``seconds``
    amount: float

    def __str__(self) -> str:
        return self.shown(self.amount)

    def shown(self, amount: float) -> str:
        """An amount of it."""
        return energy(amount) if self.kind == "kwh" else duration(amount)

    def _needed(self, now: Standing, i: int, until: int) -> float | None:
        """What is left to take of a candidate that is trained up to an epoch."""
        found, n = [], now.race.rules.epochs
        for record in now.records[i]:
            done = record.epochs if record else ()
            whole = Spent.of_epochs(done, n / len(done)) if done else now.race.candidates[i].whole
            rate = getattr(whole, self.kind)
            found.append(None if rate is None else rate * max(0, until - len(done)) / n)
        return None if None in found else sum(found)

    def check_first_rung(self, now: Standing) -> None:
        """Raise where the first rung takes more, as far as that is known before it."""
        race, exact = now.race, now.race.rules.rule == "exact"
        if any(map(now.epochs_done, range(len(now.records)))):
            return
        todo = now.step.to_train[:1] if exact else now.step.to_train
        costs = [(self._needed(now, *each), race.candidates[each[0]].name) for each in todo]
        known = sorted((c, name) for c, name in costs if c is not None)
        sums = np.cumsum([c for c, _ in known])
        if not known or sums[-1] <= self.amount:
            return
        n = max(2, int((sums <= self.amount).sum()))
        names = ",".join(name for _, name in known[:n])
        takes = f"the {n} cheapest take {self.shown(sums[min(n, len(sums)) - 1])}"
        what = f"the first rung of {len(known)} candidates"
        if exact:
            what, takes = known[0][1], "it is the cheapest candidate"
        elif sums[1] <= self.amount:
            takes += f": --architectures {names}"
        raise RunError(
            f"{what} takes {self.shown(sums[-1])}, above the budget of {self}; {takes}; race "
            "fewer candidates or give a larger --budget; nothing was trained"
        )

    def exceeded(self, now: Standing, todo: Sequence[tuple[int, int]]) -> str:
        """Why what is trained next does not fit; empty where it does, or where nobody knows."""
        needed, used = [self._needed(now, *each) for each in todo], getattr(spent(now), self.kind)
        if used is None:
            raise RunError(
                f"the energy of the runs is not measured: give the budget of {self} in time"
            )
        if None in needed or used + sum(needed) <= self.amount:
            return ""
        return (
            f"{self.shown(used)} of the budget of {self} are spent, and training {len(todo)} to "
            f"epoch {todo[0][1]} would take {self.shown(sum(needed))} more; a larger --budget "
            "goes on"
        )


# -- racing ----------------------------------------------------------------------------------------


def first_epochs(race: Race, progress: Progress) -> Race:
    """Train the first rung, or where all costs are known for a proof, nothing; fix the costs.

    The costs, and with them the bounds of R, are those of the first epochs of the whole field; of
    what is not trained yet, those expected.

    Raises
    ------
    RunError
        If fewer than two candidates can be trained, or a cost cannot be measured.
    """
    unknown, n = [c for c in race.candidates if c.cost is None], race.rules.first_epochs
    if unknown:
        first = "its first epoch" if n == 1 else f"its first {n} epochs"
        progress.say(f"the {race.cost} of {_names(unknown)} is not known: it follows from {first}")
    todo = unknown if race.rules.rule == "exact" else race.candidates
    new = [c for c in unknown if not any(_read(race, name) for name in c.runs)]
    if progress.budget is not None and len(new) > _SAMPLE:
        _check_by_sample(race, new, progress, progress.budget)
    if todo:
        progress.say(f"training to epoch {n} of {race.rules.epochs}: {_names(todo)}")
        if not _train(race, todo, n, progress):
            raise RunError(_STOPPED)
    race = replace(race, candidates=tuple(_with_measured_cost(race, c) for c in race.candidates))
    failures = [
        f"{c.name} failed: {_failure([_read(race, name) for name in c.runs])}"
        for c in race.candidates
        if not progress.failed.isdisjoint(c.runs)
    ]
    able = len(race.candidates) - len(failures)
    if able < 2:
        raise RunError(
            f"{able} of {len(race.candidates)} candidates can be trained, and a race needs two: "
            f"{'; '.join(failures)}"
        )
    save(race)
    return race


def _with_measured_cost(race: Race, candidate: Candidate) -> Candidate:
    """A candidate with the cost of its epochs so far in place of what was expected."""
    records = [_read(race, name) for name in candidate.runs]
    done = [r for r in records if r is not None and r.epochs]
    n = None if race.rules.rule == "exact" else race.rules.first_epochs
    known = [training_cost(r, race.cost, race.rules.epochs, of_first=n) for r in done]
    if known and None not in known:
        before = f"{candidate.basis}, corrected by " if candidate.basis else ""
        return replace(candidate, cost=fmean(known), basis=f"{before}its own first epochs")
    if known and candidate.cost is None:
        why = done[known.index(None)].meter_notes or "nothing could meter it"
        raise RunError(
            f"the {race.cost} of {candidate.name} was not measured ({why}); choose another "
            f"--cost, such as {'energy' if race.cost == 'time' else 'time'}"
        )
    return candidate


def _check_by_sample(
    race: Race, unknown: Sequence[Candidate], progress: Progress, budget: Budget
) -> None:
    """Train the first of the candidates that nobody knows, and raise where all take too much."""
    sample = unknown[: max(_SAMPLE, progress.workers)]
    _train(race, sample, race.rules.first_epochs, progress)
    now = replace(race, candidates=tuple(sample))
    used = getattr(spent(standing(now, progress.failed)), budget.kind)
    if used is not None and used / len(sample) * len(unknown) > budget.amount:
        raise RunError(
            f"the first rung of {len(unknown)} candidates would take about "
            f"{budget.shown(used / len(sample) * len(unknown))}, as {_names(sample)} took "
            f"{budget.shown(used)}, above the budget of {budget}; race fewer candidates or give "
            "a larger --budget"
        )


def run_race(race: Race, progress: Progress) -> tuple[Standing, str]:
    """Train and eliminate candidates until the race is decided; all costs have to be known.

    Returns where it stands, and why it is not decided yet: empty if it is.
    """
    restated = False
    while True:
        now = standing(race, progress.failed)
        _report(now, progress)
        todo, rules = now.step.to_train, race.rules
        if not todo:
            if race.winner is None and now.leader is not None:
                now = replace(now, race=replace(race, winner=race.candidates[now.leader].name))
                save(now.race)
            return now, ""
        if now.resources.restated and not restated:
            restated = True
            progress.say(_restated(now))
        until = todo[0][1]
        if rules.rule != "halving" and until == rules.epochs:
            todo = todo[: progress.workers]  # what these reach may make the others unnecessary
        if progress.budget is not None and (why := progress.budget.exceeded(now, todo)):
            return now, why
        chosen = [race.candidates[i] for i, _ in todo]
        progress.say(f"training to epoch {until} of {rules.epochs}: {_names(chosen)}")
        if not _train(race, chosen, until, progress):
            return now, _STOPPED
        if standing(race, progress.failed).step.to_train[: len(todo)] == todo:
            raise RunError(f"{_names(chosen)}: no validation accuracy after epoch {until}")


def finish(race: Race, progress: Progress) -> tuple[Standing, str]:
    """Train every candidate of a race to the end, the eliminated ones too."""
    whole = _train(race, race.candidates, race.rules.epochs, progress)
    return standing(race, progress.failed), "" if whole else _STOPPED


def _train(race: Race, chosen: Sequence[Candidate], until: int, progress: Progress) -> bool:
    """Train the runs of candidates up to an epoch; return whether all have ended."""
    runs = [run for candidate in chosen for run in candidate.runs.values()]
    found = progress.train(runs, None if until >= race.rules.epochs else until)
    progress.failed |= {record.run_id for record in found.failed}
    return len(found.done) + len(found.failed) == len(runs)


def _report(now: Standing, progress: Progress) -> None:
    """Say who is out since the last time, and write it into the records."""
    for out in now.step.eliminated:
        if out.candidate in progress.reported:
            continue
        progress.reported.add(out.candidate)
        begun = "" if out.epoch else ", not begun"
        progress.say(f"out: {now.race.candidates[out.candidate].name}{begun}: {out.reason}")
        why = ELIMINATED + out.reason
        for record in now.records[out.candidate]:
            if record is None or record.status != "paused" or record.stop_reason == why:
                continue
            _note_stop(now.race, record, why)


def _note_stop(race: Race, record: Record, why: str) -> None:
    """Write why a paused run was stopped into its record, unless a process goes on with it."""
    with suppress(RunningElsewhereError, FolderError), run_lock(race.folder, record.run_id, {}):
        if _read(race, record.run_id) == record:
            write_record(record.model_copy(update={"stop_reason": why}), race.folder)


def _restated(now: Standing) -> str:
    costs = [c.cost for c in now.race.candidates if c.cost is not None]
    low, high = now.resources.lower[0], now.resources.upper[0]
    return (
        f"the bounds of R are restated: {low:.4g} to {high:.4g} {COSTS[now.race.cost]}, since a "
        f"training took less or more than the {min(costs):.4g} to {max(costs):.4g} expected"
    )


def _failure(records: Iterable[Record | None]) -> str:
    reasons = [r.failure_reason for r in records if r is not None and r.failure_reason]
    return reasons[0] if reasons else "it could not be begun"


def _names(candidates: Sequence[Candidate], most: int = 8) -> str:
    more = f" and {len(candidates) - most} more" if len(candidates) > most else ""
    return ", ".join(c.name for c in candidates[:most]) + more


# -- the outcome -----------------------------------------------------------------------------------


def confidence(now: Standing) -> dict[str, Any] | None:
    """How sure the best is: its lead over the closest other, and what of it may be luck.

    Each other candidate is compared after the last epoch that it has. The noise is that of the
    validation images, at the level of the rules; the luck of the training comes on top.
    """
    best, n, rules, rows = now.leader, now.race.n_images, now.race.rules, []
    for i in range(len(now.records)):
        epoch = now.epochs_done(i)
        if best in (None, i) or now.failed[i] or not epoch:
            continue
        at = now.performance[:, epoch - 1]
        score = at / (1 + now.resource / rules.alpha)
        noise = lead_noise(at, now.resource, best, rules, n)[i]
        rows.append((float(score[best] - score[i]), float(noise), i, epoch))
    if not rows:
        return None
    lead, noise, i, epoch = min(rows, key=lambda row: row[0] / row[1])
    return {
        "closest": now.race.candidates[i].name,
        "after_epoch": epoch,
        "lead": lead,
        "noise": noise,
        "level": rules.level,
        "validation_images": n,
        "images_needed": int(np.ceil(n * (noise / lead) ** 2)) if 0 < lead <= noise else None,
    }


def as_dict(now: Standing, why: str = "") -> dict[str, Any]:
    """A race as an object for JSON; `why` it is not decided."""
    race, leader, in_race, whole = now.race, now.leader, spent(now, in_race=True), to_the_end(now)
    rows = [_row(now, i) for i in range(len(race.candidates))]
    kinds = ("seconds", "kwh") if race.cost == "time" else ("kwh", "seconds")
    shares = ((getattr(in_race, kind), getattr(whole, kind)) for kind in kinds)
    return {
        "folder": str(race.folder),
        "winner": race.winner,
        "leader": None if leader is None else race.candidates[leader].name,
        "undecided_because": why or None,
        "by_proof": race.winner is not None and race.rules.rule == "exact",
        "rule": race.rules.rule,
        "alpha": race.rules.alpha,
        "cost": race.cost,
        "cost_unit": COSTS[race.cost],
        "cost_bounds": [float(now.resources.lower[0]), float(now.resources.upper[0])],
        "bounds_restated": now.resources.restated,
        "confidence": confidence(now),
        "spent": asdict(spent(now)),
        "spent_in_race": asdict(in_race),
        "training_all": asdict(whole)
        | {"candidates_forecast": sum(row["epochs_done"] < race.rules.epochs for row in rows)},
        "share_of_training_all": next((a / b for a, b in shares if a is not None and b), None),
        "candidates": rows,
    }


def _row(now: Standing, i: int) -> dict[str, Any]:
    candidate, done = now.race.candidates[i], now.epochs_done(i)
    out = next((e for e in now.step.eliminated if e.candidate == i), None)
    outcomes = {
        "failed": now.failed[i],
        "winner": candidate.name == now.race.winner,
        "eliminated": out is not None,
        "finished": done == now.race.rules.epochs,
        "competing": True,
    }
    accuracy = now.performance[i, done - 1] if done else np.nan
    accuracy = None if np.isnan(accuracy) else float(accuracy)
    factor = 1 / (1 + float(now.resource[i]) / now.race.rules.alpha)
    tested = [r.test_accuracy for r in now.records[i] if r is not None and r.status == "done"]
    return {
        "architecture": candidate.name,
        "outcome": next(name for name, holds in outcomes.items() if holds),
        "epochs_done": done,
        "val_accuracy": accuracy,
        "score": None if accuracy is None else accuracy * factor,
        "resource": float(now.resource[i]),
        "expected_cost": candidate.cost,
        "expected_from": candidate.basis,
        "eliminated_after_epoch": out.epoch if out else None,
        "reason": _failure(now.records[i]) if now.failed[i] else out.reason if out else None,
        "test_accuracy": fmean(tested) if len(tested) == len(candidate.runs) else None,
    }
