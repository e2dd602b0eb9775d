"""A race of architectures: trained in rungs, and decided by the records of a folder.

Which candidate is trained next, and to which epoch, follows from the records and from `race.json`
beside them: what each candidate was expected to cost before the first was eliminated. There is no
other state, so a race that was killed goes on where it was. Who is out is decided by
`pepr_utils.scoring.racing`; one sweep trains all, and asks `Racer.until` whenever a run has ended.
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
from pepr_utils.measurement.store import folder_errors, run_lock
from pepr_utils.measurement.sweep.state import cached_record
from pepr_utils.measurement.sweep.view import duration, energy
from pepr_utils.results import Epoch, Record, write_record
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.file_content import regular_bytes
from pepr_utils.results.record_files import record_path
from pepr_utils.scoring import RaceResources, RaceRules, RaceStep, race_resources, race_step
from pepr_utils.scoring.racing import LEVEL, lead_noise

#: What is known of a race beside its records.
FILE = "race.json"
#: Costs of a training that a race can be about, with their units.
COSTS = {"energy": "kWh", "time": "s", "co2": "g", "memory": "GB"}
#: How the reason begins in the record of an eliminated run.
ELIMINATED = "eliminated in a race: "
#: Why a race is not decided that was interrupted.
STOPPED = "stopped; the same command goes on"


@dataclass(frozen=True)
class Spent:
    """Energy and time of trainings with their evaluations; None where it is not known."""

    kwh: float | None = 0.0
    seconds: float | None = 0.0

    @classmethod
    def of_epochs(cls, epochs: Iterable[Epoch], share: float = 1.0) -> Spent:
        """What epochs took, times a share."""
        kwh = [v for e in epochs for v in (e.energy_kwh, e.eval_energy_kwh or 0.0)]
        seconds = [v for e in epochs for v in (e.train_time_s, e.eval_time_s or 0.0)]
        return cls(*(None if None in v else share * sum(v) for v in (kwh, seconds)))

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
    fixed: bool = False  #: whether all costs are known, and with them the bounds of R
    winner: str | None = None  #: once it is decided


# -- race.json -------------------------------------------------------------------------------------


def save(race: Race) -> None:
    """Write `race.json`."""
    candidates = [
        {"name": c.name, "runs": list(c.runs), "cost": c.cost, "basis": c.basis} | asdict(c.whole)
        for c in race.candidates
    ]
    content = {"settings": race.settings, "winner": race.winner, "candidates": candidates}
    write_whole(race.folder / FILE, json.dumps(content, indent=1).encode() + b"\n")


def resumed(race: Race) -> Race:
    """The race as its folder has it saved, or as it is where the folder holds none.

    Raises
    ------
    RunError
        If the folder holds another race.
    InvalidTableError
        If `race.json` is damaged.
    """
    path = race.folder / FILE
    try:
        content = json.loads(regular_bytes(path))
        before, winner = content["settings"], content["winner"]
        saved = [(e["name"], e["runs"]) for e in content["candidates"]]
        costs = [
            {"cost": e["cost"], "basis": e["basis"], "whole": Spent(e["kwh"], e["seconds"])}
            for e in content["candidates"]
        ]
        changed = [
            f"{key} {before.get(key)!r}, not {value!r}"
            for key, value in json.loads(json.dumps(race.settings)).items()
            if before.get(key) != value
        ]
    except FileNotFoundError:
        return race
    except NotADirectoryError:
        raise FolderError(f"--output {race.folder} is a file; name a folder") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InvalidTableError(
            f"{path} is damaged; remove it, and the same command begins the race again with the "
            "records that are there"
        ) from None
    if [name for name, _ in saved] != [c.name for c in race.candidates]:
        changed.append("other architectures")
    elif [runs for _, runs in saved] != [list(c.runs) for c in race.candidates]:
        changed.append("other images or weights")
    if changed:
        raise RunError(
            f"{race.folder} holds another race ({'; '.join(changed)}); give the same options to "
            "go on with it, or name another folder"
        )
    found = (replace(c, **known) for c, known in zip(race.candidates, costs, strict=True))
    return replace(race, candidates=tuple(found), fixed=True, winner=winner)


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

    def whole(self, i: int) -> list[Spent]:
        """What the whole training of each seed takes: by its epochs so far, else as expected."""
        epochs = [record.epochs if record else () for record in self.records[i]]
        n, expected = self.race.rules.epochs, self.race.candidates[i].whole
        return [Spent.of_epochs(e, n / len(e)) if e else expected for e in epochs]

    def spent(self, *, in_race: bool = False) -> Spent:
        """What all epochs have taken; `in_race`: without those after an elimination."""
        out = {e.candidate: e.epoch for e in self.step.eliminated} if in_race else {}
        parts = (
            Spent.of_epochs(record.epochs[: out.get(i)])
            for i, own in enumerate(self.records)
            for record in own
            if record is not None
        )
        return sum(parts, Spent())


def standing(race: Race, failed_runs: Iterable[str] = ()) -> Standing:
    """Read how far a race is; a candidate with a failed run is out."""
    epochs, exact = race.rules.epochs, race.rules.rule == "exact"
    records = [[_read(race, name) for name in c.runs] for c in race.candidates]
    failed = np.array([not c.runs.keys().isdisjoint(failed_runs) for c in race.candidates])
    # A candidate whose cost nobody knows yet, or that failed, has some cost within the bounds.
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
        return record.reserved_memory_gb or record.resident_memory_gb
    values = [e.train_time_s if cost == "time" else e.energy_kwh for e in record.epochs[:of_first]]
    factor = record.carbon_intensity_g_per_kwh if cost == "co2" else 1.0
    return None if not values or None in (factor, *values) else factor * fmean(values) * epochs


@dataclass(frozen=True)
class Budget:
    """What a race may take with all evaluations."""

    kind: str  #: ``kwh`` or ``seconds``
    amount: float

    def shown(self, amount: float) -> str:
        """An amount of it."""
        return energy(amount) if self.kind == "kwh" else duration(amount)

    def needed(self, now: Standing, todo: Sequence[tuple[int, int]]) -> list[float]:
        """What is left to take of each candidate; of unknown ones the mean of the known ones."""
        rates = [[getattr(s, self.kind) for s in now.whole(i)] for i in range(len(now.records))]
        known = [rate for own in rates for rate in own if rate is not None]
        mean, n = fmean(known) if known else 0.0, now.race.rules.epochs
        return [
            sum(
                (mean if rate is None else rate) / n * max(0, until - (r.epochs_done if r else 0))
                for rate, r in zip(rates[i], now.records[i], strict=True)
            )
            for i, until in todo
        ]

    def exceeded(self, now: Standing, todo: Sequence[tuple[int, int]]) -> str:
        """Why what is trained next does not fit; empty where it does.

        Raises
        ------
        RunError
            If nothing is trained yet, or what was trained has no energy.
        """
        used, needed = getattr(now.spent(), self.kind), self.needed(now, todo)
        limit = f"the budget of {self.shown(self.amount)}"
        if used is None:
            raise RunError(f"the energy of the runs is not measured: give {limit} in time")
        if used + sum(needed) <= self.amount:
            return ""
        takes, (_, epoch) = self.shown(sum(needed)), todo[0]
        if used:
            return (
                f"{self.shown(used)} of {limit} are spent, and training {len(todo)} to epoch "
                f"{epoch} would take {takes} more; a larger --budget goes on"
            )
        cheapest = sorted(zip(needed, (now.race.candidates[i].name for i, _ in todo), strict=True))
        sums = np.cumsum([cost for cost, _ in cheapest])
        n = int((sums <= self.amount).sum())
        fits = f"The cheapest two take {self.shown(sums[:2][-1])}"
        if n > 1:
            names = ",".join(name for _, name in cheapest[:n])
            fits = f"The {n} cheapest fit: --architectures {names}"
        raise RunError(
            f"training {_names([name for _, name in cheapest])} to epoch {epoch}, with which the "
            f"race begins, takes {takes}, above {limit}; nothing was trained. {fits}"
        )


# -- racing ----------------------------------------------------------------------------------------


@dataclass
class Racer:
    """Says which runs of a race are trained next; `until` is that of `sweep`.

    Attributes
    ----------
    say : callable
        Is told who is trained and who is out.
    workers : int
        Runs that are trained at once.
    budget : Budget, optional
        What the race may take.
    finish : bool
        Whether the eliminated candidates are trained to the end too, once it is decided.
    over : bool
        Whether nothing is left to train.
    why : str
        Why it stops before it is decided.
    """

    race: Race
    say: Callable[[str], object]
    workers: int = 1
    budget: Budget | None = None
    finish: bool = False
    over: bool = False
    why: str = ""
    _failed: set[str] = field(default_factory=set)
    _said: set[Any] = field(default_factory=set)

    def outcome(self) -> Standing:
        """How far it is; where it was interrupted, `why` says so."""
        self.why = self.why or ("" if self.over else STOPPED)
        return standing(self.race, self._failed)

    def until(self, failed: set[str]) -> dict[str, int | None]:
        """The runs that are wanted now, and the epoch of each.

        Raises
        ------
        RunError
            If the budget does not allow it to begin, fewer than two candidates can be trained, or
            their cost is not measured.
        """
        self._failed, self.why, self.over = set(failed), "", False
        now, rules = standing(self.race, failed), self.race.rules
        if not self.race.fixed:
            # Halving compares costs of one kind, those of first epochs; others trust what is known.
            first = [
                (i, rules.first_epochs)
                for i, c in enumerate(self.race.candidates)
                if not now.failed[i] and (c.cost is None or rules.rule == "halving")
            ]
            todo = [(i, epoch) for i, epoch in first if now.epochs_done(i) < epoch]
            reached = [each for each in first if each not in todo]
            if self.budget is not None and not any(self.budget.needed(now, todo)):
                todo = todo[: self.workers]  # the others are held against the budget by these
            if todo:
                self._say_unknown()
                return self._wanted(now, todo, reached)
            self._fix(now)
            now = standing(self.race, failed)
        self._report(now)
        todo, rung = now.step.to_train, now.step.rung
        if rules.rule != "halving":  # what these reach may make the others unnecessary
            todo = todo[: self.workers if rung == rules.epochs else 4 * self.workers]
        if not todo:
            return self._decided(now)
        reached = [i for i in now.step.competing if not np.isnan(now.performance[i, rung - 1])]
        return self._wanted(now, todo, [(i, rung) for i in reached])

    def _wanted(
        self, now: Standing, todo: Sequence[tuple[int, int]], reached: Sequence[tuple[int, int]]
    ) -> dict[str, int | None]:
        """Those that are to be trained, after those of the rung that are trained already."""
        if self.budget is not None and (why := self.budget.exceeded(now, todo)):
            self.why = why
            return {}
        if self.race.fixed and "costs" not in self._said:
            self._said.add("costs")
            save(self.race)
        epochs, candidates = self.race.rules.epochs, self.race.candidates
        new = [each for each in todo if each not in self._said]
        self._said.update(new)
        for epoch in dict.fromkeys(epoch for _, epoch in new):
            names = [candidates[i].name for i, e in new if e == epoch]
            self.say(f"training to epoch {epoch} of {epochs}: {_names(names)}")
        wanted: dict[str, int | None] = {}
        for i, epoch in [*(each for each in reached if each[0] not in dict(todo)), *todo]:
            wanted |= dict.fromkeys(candidates[i].runs, epoch if epoch < epochs else None)
        return wanted

    def _decided(self, now: Standing) -> dict[str, int | None]:
        """Note the winner; what is wanted then is nothing, or with `finish` all the others."""
        if self.race.winner is None and now.leader is not None:
            self.race = replace(self.race, winner=self.race.candidates[now.leader].name)
            save(self.race)
        able = [i for i in range(len(now.records)) if not now.failed[i]]
        records = [record for i in able for record in now.records[i]]
        self.over = not self.finish or all(r is not None and r.status == "done" for r in records)
        if self.over:
            return {}
        return dict.fromkeys(name for i in able for name in self.race.candidates[i].runs)

    def _say_unknown(self) -> None:
        unknown = [c.name for c in self.race.candidates if c.cost is None]
        if unknown and "unknown" not in self._said:
            self._said.add("unknown")
            n, cost = self.race.rules.first_epochs, self.race.cost
            first = "first epoch" if n == 1 else f"first {n} epochs"
            self.say(f"the {cost} of {_names(unknown)} is not known: the {first} of each tells it")

    def _fix(self, now: Standing) -> None:
        """Fix the costs, and with them the bounds of R."""
        candidates = enumerate(self.race.candidates)
        failures = [f"{c.name} failed: {_failure(now, i)}" for i, c in candidates if now.failed[i]]
        able = len(now.failed) - len(failures)
        if able < 2:
            raise RunError(
                f"{able} of {len(now.failed)} candidates can be trained, and a race needs two: "
                f"{'; '.join(failures)}"
            )
        costs = (_with_measured_cost(now, i) for i in range(len(now.records)))
        self.race = replace(self.race, candidates=tuple(costs), fixed=True)

    def _report(self, now: Standing) -> None:
        """Say who is out since the last time, and write it into the records."""
        for out in now.step.eliminated:
            if out.candidate in self._said:
                continue
            self._said.add(out.candidate)
            begun = "" if out.epoch else ", not begun"
            self.say(f"out: {self.race.candidates[out.candidate].name}{begun}: {out.reason}")
            for record in now.records[out.candidate]:
                if record is not None and record.status == "paused":
                    _note_stop(self.race, record, ELIMINATED + out.reason)
        if now.resources.restated and "restated" not in self._said:
            self._said.add("restated")
            costs = [c.cost for c in self.race.candidates if c.cost is not None]
            low, high = now.resources.lower, now.resources.upper
            self.say(
                f"the bounds of R are restated: {low:.4g} to {high:.4g} {COSTS[self.race.cost]}, "
                f"since a training took less or more than the {min(costs):.4g} to "
                f"{max(costs):.4g} expected"
            )


def _with_measured_cost(now: Standing, i: int) -> Candidate:
    """A candidate with the cost of its epochs so far in place of what was expected."""
    race, candidate = now.race, now.race.candidates[i]
    done = [record for record in now.records[i] if record is not None and record.epochs]
    n = None if race.rules.rule == "exact" else race.rules.first_epochs
    known = [training_cost(record, race.cost, race.rules.epochs, of_first=n) for record in done]
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


def _note_stop(race: Race, record: Record, why: str) -> None:
    """Write why a paused run was stopped into its record, unless a process goes on with it."""
    if record.stop_reason == why:
        return
    with (
        suppress(RunningElsewhereError, FolderError),
        run_lock(race.folder, record.run_id, {}),
        folder_errors(race.folder),
    ):
        if _read(race, record.run_id) == record:
            write_record(record.model_copy(update={"stop_reason": why}), race.folder)


def _failure(now: Standing, i: int) -> str:
    reasons = [r.failure_reason for r in now.records[i] if r is not None and r.failure_reason]
    return reasons[0] if reasons else "it could not be begun"


def _names(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


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
        "level": LEVEL,
        "validation_images": n,
        "images_needed": int(np.ceil(n * (noise / lead) ** 2)) if 0 < lead <= noise else None,
    }


def as_dict(now: Standing, why: str = "") -> dict[str, Any]:
    """A race as an object for JSON; `why` it is not decided."""
    race, in_race = now.race, now.spent(in_race=True)
    leader = now.leader if race.fixed else None  # before, R of some is not known
    rows = [_row(now, i) for i in range(len(race.candidates))]
    able = np.flatnonzero(~now.failed)
    whole = sum((part for i in able for part in now.whole(i)), Spent())
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
        "cost_bounds": [now.resources.lower, now.resources.upper],
        "bounds_restated": now.resources.restated,
        "confidence": confidence(now) if race.fixed else None,
        "spent": asdict(now.spent()),
        "spent_in_race": asdict(in_race),
        "training_all": asdict(whole)
        | {"candidates_forecast": sum(rows[i]["epochs_done"] < race.rules.epochs for i in able)},
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
        "score": None if accuracy is None or not now.race.fixed else accuracy * factor,
        "resource": float(now.resource[i]) if now.race.fixed else None,
        "expected_cost": candidate.cost,
        "expected_from": candidate.basis,
        "eliminated_after_epoch": out.epoch if out else None,
        "reason": _failure(now, i) if now.failed[i] else out.reason if out else None,
        "test_accuracy": fmean(tested) if len(tested) == len(candidate.runs) else None,
    }
