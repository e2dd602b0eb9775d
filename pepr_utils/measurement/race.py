"""A race of architectures: trained in rungs, and decided by the records of a folder.

Which candidate is trained next, and to which epoch, follows from the records and from `race.json`
beside them: what each candidate was expected to cost before the first was eliminated. There is no
other state, so a race that was killed goes on where it was. Who is out is decided by
`pepr_utils.scoring.racing`, and a sweep does the training.
"""

from __future__ import annotations

import json
import shutil
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
from pepr_utils.measurement.sweep.forecast import Forecaster
from pepr_utils.measurement.sweep.state import State, cached_record
from pepr_utils.measurement.sweep.view import duration, energy
from pepr_utils.results import Epoch, Record, write_record
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.record_files import record_path
from pepr_utils.scoring import RaceResources, RaceRules, RaceStep, race_resources, race_step
from pepr_utils.scoring.racing import lead_noise

#: What is known of a race beside its records.
FILE = "race.json"
#: Costs of a whole training, by the names and letters of `--cost`.
COSTS = {"energy": "E", "time": "T", "co2": "C", "memory": "M"}
UNITS = {"energy": "kWh", "time": "s", "co2": "g", "memory": "GB"}
#: Bytes of a checkpoint for each parameter: its value and Adam's two moments.
_CHECKPOINT_BYTES = 12
#: How the reason of an eliminated run begins in its record.
ELIMINATED = "eliminated in a race: "
Train = Callable[[Sequence[Run], int | None], State]


@dataclass(frozen=True)
class Candidate:
    """An architecture in a race: its runs, and what a whole training of it is expected to cost."""

    name: str
    runs: Mapping[str, Run]  #: one for each seed, by run_id
    cost: float | None = None  #: the cost that the score uses; None where nobody knows it
    basis: str = ""  #: where that is from
    kwh: float | None = None  #: energy with all evaluations
    seconds: float | None = None  #: time with all evaluations


@dataclass(frozen=True)
class Race:
    """A race; `rules.n_images` is set where it is cautious."""

    folder: Path
    candidates: tuple[Candidate, ...]
    rules: RaceRules
    cost: str  #: a key of `COSTS`
    n_images: int  #: validation images, of all seeds together
    settings: Mapping[str, Any]  #: what may not change while it goes on
    winner: str | None = None  #: once it is decided


@dataclass(frozen=True)
class Standing:
    """How far a race is, from the records alone.

    Attributes
    ----------
    records : list of list of (Record or None)
        Of each candidate, one for each seed.
    performance : numpy.ndarray, shape (n, epochs)
        Mean validation accuracy of the seeds.
    resources, step
        As `pepr_utils.scoring.race_resources` and `race_step` give them.
    final : numpy.ndarray, shape (n,)
        Score after the last epoch of a whole training, by the costs as measured; else NaN.
    resource : numpy.ndarray, shape (n,)
        R by the costs as measured so far.
    failed : numpy.ndarray of bool
        Candidates that cannot be trained.
    """

    race: Race
    records: list[list[Record | None]]
    performance: np.ndarray
    resources: RaceResources
    step: RaceStep
    final: np.ndarray
    resource: np.ndarray
    failed: np.ndarray

    @property
    def leader(self) -> int | None:
        """The best of those that are trained to the end, else of those that are furthest."""
        known = np.flatnonzero(~np.isnan(self.final) & ~self.failed)
        if not known.size:
            return self.step.leader
        return int(min(known, key=lambda i: (-self.final[i], self.resource[i], i)))

    def epochs_done(self, i: int) -> int:
        """Epochs that every seed of a candidate has behind it."""
        return min(record.epochs_done if record else 0 for record in self.records[i])


# -- the field -------------------------------------------------------------------------------------


def make_candidates(
    runs: Mapping[str, Mapping[str, Run]],
    cost: str,
    whole: Forecaster,
    training: Forecaster,
) -> list[Candidate]:
    """Return the candidates, with what measured and published runs say of their costs.

    Parameters
    ----------
    runs : mapping
        By architecture, its runs by run_id.
    cost : str
        A key of `COSTS`.
    whole, training : Forecaster
        Forecasts with the evaluations, and without them, as the score counts.
    """
    found = []
    for name, own in runs.items():
        run = next(iter(own.values()))
        alone, total = training(run), whole(run)
        value = {"time": alone.seconds, "memory": None}.get(cost, alone.energy_kwh)
        basis = alone.basis if value is not None else ""
        found.append(Candidate(name, own, value, basis, total.energy_kwh, total.seconds))
    return found


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
    if not values or None in values:
        return None
    factor = record.carbon_intensity_g_per_kwh if cost == "co2" else 1.0
    return None if factor is None else factor * fmean(values) * epochs


def with_measured_costs(race: Race) -> Race:
    """Take the cost of a candidate that nobody knew from its first epochs; the rest as it is."""
    found = []
    for candidate in race.candidates:
        if candidate.cost is None:
            records = [r for r in _records(race.folder, candidate) if r is not None and r.epochs]
            known = [training_cost(r, race.cost, race.rules.epochs) for r in records]
            if known and None in known:
                why = records[known.index(None)].meter_notes or "nothing could meter it"
                raise RunError(
                    f"the {race.cost} of {candidate.name} was not measured ({why}); choose "
                    f"another cost, such as --cost {'energy' if race.cost == 'time' else 'time'}"
                )
            if known:
                basis = f"its first {'epoch' if race.rules.first_epochs == 1 else 'epochs'} here"
                found.append(replace(candidate, cost=fmean(known), basis=basis))
                continue
        found.append(candidate)
    return replace(race, candidates=tuple(found))


def check_room_for_checkpoints(folder: Path, sizes: Iterable[float], seeds: int) -> float:
    """Return the largest size of all checkpoints (bytes), from numbers of parameters.

    Raises
    ------
    FolderError
        If the disk does not hold them.
    """
    needed = _CHECKPOINT_BYTES * seeds * sum(sizes)
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FolderError(
            f"the checkpoints of all candidates take up to {needed / 1e9:.1f} GB, and {folder} has "
            f"{free / 1e9:.1f} GB left; make room, or race fewer of them"
        )
    return needed


# -- race.json -------------------------------------------------------------------------------------


def save(race: Race) -> None:
    """Write `race.json`."""
    content = {
        "settings": dict(race.settings),
        "cost": race.cost,
        "winner": race.winner,
        "candidates": [
            {k: v for k, v in vars(c).items() if k != "runs"} | {"runs": list(c.runs)}
            for c in race.candidates
        ],
    }
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
        settings, saved = content["settings"], content["candidates"]
        names = [entry["name"] for entry in saved]
        costs = [(e["cost"], e["basis"], e["kwh"], e["seconds"]) for e in saved]
        kind, winner = content["cost"], content["winner"]
        runs = [list(entry["runs"]) for entry in saved]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidTableError(
            f"{path} is damaged; remove it, and the same command begins the race again with the "
            "records that are there"
        ) from None
    now = json.loads(json.dumps(race.settings))
    changed = [f"{k} {settings.get(k)!r}, not {now[k]!r}" for k in now if settings.get(k) != now[k]]
    if kind != race.cost:
        changed.append(f"cost {kind!r}, not {race.cost!r}")
    if names != [c.name for c in race.candidates]:
        changed.append("other architectures")
    elif runs != [list(c.runs) for c in race.candidates]:
        changed.append("other images or weights")
    if changed:
        raise RunError(
            f"{race.folder} holds another race ({'; '.join(changed)}); give the same options to "
            "go on with it, or name another folder"
        )
    found = [
        replace(c, cost=cost, basis=basis, kwh=kwh, seconds=seconds)
        for c, (cost, basis, kwh, seconds) in zip(race.candidates, costs, strict=True)
    ]
    return replace(race, candidates=tuple(found), winner=winner)


# -- how far it is ---------------------------------------------------------------------------------


def _records(folder: Path, candidate: Candidate) -> list[Record | None]:
    return [cached_record(record_path(folder, name)) for name in candidate.runs]


def standing(race: Race, given_up: Iterable[str] = ()) -> Standing:
    """Read how far a race is; `given_up` are the runs that failed and are not tried again."""
    gone, epochs = set(given_up), race.rules.epochs
    records = [_records(race.folder, c) for c in race.candidates]
    failed = np.array([bool(gone & c.runs.keys()) for c in race.candidates])
    least = min((c.cost for c in race.candidates if c.cost is not None), default=0.0)
    forecast = np.array([least if c.cost is None else c.cost for c in race.candidates])

    def corrected(of_first: int | None, *, whole: bool) -> np.ndarray:
        costs = forecast.copy()
        for i, own in enumerate(records):
            if all(r is not None and (r.status == "done" or not whole) for r in own):
                known = [training_cost(r, race.cost, epochs, of_first=of_first) for r in own]
                costs[i] = costs[i] if None in known else fmean(known)
        return costs

    # Later epochs do not change who went on from an earlier rung; a proof needs whole trainings.
    exact = race.rules.rule == "exact"
    resources = race_resources(
        forecast, corrected(None if exact else race.rules.first_epochs, whole=exact)
    )
    performance = np.full((len(records), epochs), np.nan)
    for i, own in enumerate(records):
        for epoch in range(epochs):
            values = [_accuracy(record, epoch + 1) for record in own]
            performance[i, epoch] = np.mean(values)
    step = race_step(performance, resources.resource, race.rules, failed=failed)
    measured = race_resources(forecast, corrected(None, whole=False))
    final = performance[:, -1] / (1 + measured.resource / race.rules.alpha)
    return Standing(race, records, performance, resources, step, final, measured.resource, failed)


def _accuracy(record: Record | None, epoch: int) -> float:
    found = [e.val_accuracy for e in (record.epochs if record else ()) if e.epoch == epoch]
    return np.nan if not found or found[0] is None else found[0]


# -- what it takes ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """Energy and time of trainings with their evaluations; None where it is not known."""

    kwh: float | None = 0.0
    seconds: float | None = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(_sum(self.kwh, other.kwh), _sum(self.seconds, other.seconds))

    def of(self, kind: str) -> float | None:
        """The quantity of a budget, ``energy`` or ``time``."""
        return self.kwh if kind == "energy" else self.seconds

    def __str__(self) -> str:
        known = [energy(self.kwh)] if self.kwh is not None else []
        known += [duration(self.seconds)] if self.seconds is not None else []
        return " and ".join(known) or "an unknown amount"


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _of_epochs(epochs: Iterable[Epoch]) -> Spent:
    total = Spent()
    for e in epochs:
        total += Spent(
            _sum(e.energy_kwh, e.eval_energy_kwh or 0.0), _sum(e.train_time_s, e.eval_time_s or 0.0)
        )
    return total


def spent(now: Standing, *, in_race: bool = False) -> Spent:
    """What all epochs have taken; `in_race`: without those after a candidate's elimination."""
    out = {e.candidate: e.epoch for e in now.step.eliminated} if in_race else {}
    total = Spent()
    for i, own in enumerate(now.records):
        for record in filter(None, own):
            total += _of_epochs(record.epochs[: out.get(i)])
    return total


def of_all(now: Standing) -> tuple[Spent, int]:
    """What training all candidates to the end takes, and how many of them are only forecast.

    A candidate with epochs is counted by these, and one without by its forecast.
    """
    total, n_forecast, n = Spent(), 0, now.race.rules.epochs
    for i, candidate in enumerate(now.race.candidates):
        if now.failed[i]:
            continue
        for record in now.records[i]:
            if record is not None and record.epochs:
                found = _of_epochs(record.epochs)
                share = n / len(record.epochs)
                total += Spent(*(None if v is None else v * share for v in vars(found).values()))
            else:
                total += Spent(candidate.kwh, candidate.seconds)
        n_forecast += now.epochs_done(i) < n
    return total, n_forecast


def to_train(now: Standing, todo: Iterable[tuple[int, int]], kind: str) -> list[float | None]:
    """What is left to take of candidates that are trained up to an epoch, in a budget's unit."""
    found, n = [], now.race.rules.epochs
    for i, until in todo:
        total: float | None = 0.0
        for record in now.records[i]:
            done = record.epochs if record else ()
            per_epoch = _of_epochs(done).of(kind) if done else None
            whole = Spent(now.race.candidates[i].kwh, now.race.candidates[i].seconds).of(kind)
            rate = per_epoch / len(done) if per_epoch else (None if whole is None else whole / n)
            left = max(0, until - len(done))
            total = _sum(total, None if left and rate is None else left * (rate or 0.0))
        found.append(total)
    return found


@dataclass(frozen=True)
class Budget:
    """What a race may take with all evaluations: energy (kWh) or time (s)."""

    kind: str  #: ``energy`` or ``time``
    amount: float

    def __str__(self) -> str:
        return self.shown(self.amount)

    def shown(self, amount: float) -> str:
        """An amount in the budget's unit."""
        return energy(amount) if self.kind == "energy" else duration(amount)

    def check_first_rung(self, now: Standing) -> None:
        """Raise where the first rung takes more, as far as that is known before it."""
        race, exact = now.race, now.race.rules.rule == "exact"
        if any(map(now.epochs_done, range(len(now.records)))):
            return
        todo = now.step.to_train[:1] if exact else now.step.to_train
        pairs = zip(to_train(now, todo, self.kind), todo, strict=True)
        known = sorted(
            (cost, race.candidates[i].name) for cost, (i, _) in pairs if cost is not None
        )
        sums = np.cumsum([cost for cost, _ in known])
        if not known or sums[-1] <= self.amount:
            return
        n = int((sums <= self.amount).sum())
        if exact:
            fits = "it is the cheapest"
        elif n > 1:
            names = ",".join(name for _, name in known[:n])
            fits = f"the {n} cheapest take {self.shown(sums[n - 1])}: --architectures {names}"
        else:
            fits = f"the cheapest two take {self.shown(sums[1])}"
        what = f"{known[0][1]}" if exact else f"the first rung of {len(known)} candidates"
        raise RunError(
            f"{what} takes {self.shown(sums[-1])}, above the budget of {self}; {fits}; race fewer "
            "candidates or give a larger --budget; nothing was trained"
        )

    def exceeded(self, now: Standing, todo: Sequence[tuple[int, int]]) -> str:
        """Why what is trained next does not fit; empty where it does, or where nobody knows."""
        costs, used = to_train(now, todo, self.kind), spent(now).of(self.kind)
        if used is None or None in costs or used + sum(costs) <= self.amount:
            return ""
        return (
            f"{self.shown(used)} of the budget of {self} are spent, and training {len(todo)} to "
            f"epoch {todo[0][1]} would take {self.shown(sum(costs))} more; a larger --budget goes "
            "on"
        )


# -- racing ----------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What a race does with the runs of its candidates, and what it says."""

    train: Train
    say: Callable[[str], object]
    workers: int = 1
    budget: Budget | None = None
    given_up: set[str] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)


def first_epochs(race: Race, progress: Progress) -> Race:
    """Train the first epochs of the candidates whose costs nobody knows; return it with all costs.

    Raises
    ------
    RunError
        If fewer than two candidates can be trained, or a cost cannot be measured.
    """
    unknown = [c for c in race.candidates if c.cost is None]
    if unknown:
        progress.say(
            f"nobody knows the {race.cost} of {_names(c.name for c in unknown)}: trained for "
            f"{race.rules.first_epochs} epoch{'s' * (race.rules.first_epochs > 1)} first"
        )
        _do(race, unknown, race.rules.first_epochs, progress)
    race = with_measured_costs(race)
    able = [c for c in race.candidates if not progress.given_up & c.runs.keys()]
    if len(able) < 2:
        raise RunError(
            f"{len(able)} of {len(race.candidates)} candidates can be trained, and a race needs "
            f"two: {'; '.join(_failures(race, progress))}"
        )
    save(race)
    return race


def run_race(race: Race, progress: Progress) -> tuple[Standing, str]:
    """Train and eliminate candidates until the race is decided; all costs have to be known.

    Returns where it stands, and why it is not decided yet: empty if it is.
    """
    announced = False
    while True:
        now = standing(race, progress.given_up)
        _report(now, progress)
        todo, rules = now.step.to_train, race.rules
        if not todo:
            return now, ""
        if now.resources.restated and not announced:
            announced = bool(progress.say(_restated(now)) or True)
        until = todo[0][1]
        if rules.rule != "halving" and until == rules.epochs:
            todo = todo[: progress.workers]  # what these reach may make the others unnecessary
        if progress.budget is not None and (why := progress.budget.exceeded(now, todo)):
            return now, why
        chosen = [race.candidates[i] for i, _ in todo]
        names = _names(c.name for c in chosen)
        progress.say(f"training to epoch {until} of {rules.epochs}: {names}")
        if not _do(race, chosen, until, progress):
            return now, "stopped; the same command goes on"
        if standing(race, progress.given_up).step.to_train[: len(todo)] == todo:
            raise RunError(f"no validation accuracy was measured after epoch {until} of {names}")


def finish(race: Race, progress: Progress) -> tuple[Standing, str]:
    """Train every candidate of a race to the end, the eliminated ones too."""
    whole = _do(race, race.candidates, race.rules.epochs, progress)
    return standing(race, progress.given_up), "" if whole else "stopped; the same command goes on"


def _do(race: Race, chosen: Sequence[Candidate], until: int, progress: Progress) -> bool:
    """Train the runs of candidates up to an epoch; return whether all have ended."""
    runs = [run for candidate in chosen for run in candidate.runs.values()]
    found = progress.train(runs, None if until >= race.rules.epochs else until)
    progress.given_up |= {record.run_id for record in found.failed}
    return len(found.done) + len(found.failed) == len(runs)


def _report(now: Standing, progress: Progress) -> None:
    """Say who is out since the last time, and write it into the records."""
    for out in now.step.eliminated:
        if out.candidate in progress.reported:
            continue
        progress.reported.add(out.candidate)
        candidate = now.race.candidates[out.candidate]
        begun = "" if out.epoch else ", not begun"
        progress.say(f"out: {candidate.name}{begun}: {out.reason}")
        for record in filter(None, now.records[out.candidate]):
            if record.status == "paused":
                _note_stop(now.race.folder, record, ELIMINATED + out.reason)


def _note_stop(folder: Path, record: Record, why: str) -> None:
    """Write why a paused run was stopped into its record, unless a process goes on with it."""
    with suppress(RunningElsewhereError, FolderError), run_lock(folder, record.run_id, {}):
        found = cached_record(record_path(folder, record.run_id))
        if found == record and record.stop_reason != why:
            write_record(record.model_copy(update={"stop_reason": why}), folder)


def _restated(now: Standing) -> str:
    unit, low, high = UNITS[now.race.cost], now.resources.lower[0], now.resources.upper[0]
    costs = [c.cost for c in now.race.candidates if c.cost is not None]
    return (
        f"the bounds of R are restated: {low:.4g} to {high:.4g} {unit}, since a training took less "
        f"or more than the {min(costs):.4g} to {max(costs):.4g} {unit} that were expected"
    )


def _failures(race: Race, progress: Progress) -> list[str]:
    found = []
    for candidate in race.candidates:
        for record in filter(None, _records(race.folder, candidate)):
            if record.run_id in progress.given_up:
                found.append(f"{candidate.name} failed: {record.failure_reason}")
    return found


def _names(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


# -- the outcome -----------------------------------------------------------------------------------


def confidence(now: Standing) -> dict[str, Any] | None:
    """How sure the best is: its lead over the closest other, and what of it may be luck.

    Each other candidate is compared after the last epoch that it has. The noise is that of the
    validation images, at the level of the rules; the luck of the training comes on top.
    """
    best, n, rules, rows = now.leader, now.race.n_images, now.race.rules, []
    for i in range(len(now.records)):
        epoch = now.epochs_done(i)
        if i == best or best is None or now.failed[i] or not epoch:
            continue
        at = now.performance[:, epoch - 1]
        lead = float(at[best] / (1 + now.resource[best] / rules.alpha))
        lead -= float(at[i] / (1 + now.resource[i] / rules.alpha))
        rows.append((lead, float(lead_noise(at, now.resource, best, rules, n)[i]), i, epoch))
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
    race, out = now.race, {e.candidate: e for e in now.step.eliminated}
    leader = now.leader
    total, n_forecast = of_all(now)
    in_race = spent(now, in_race=True)
    rows = []
    for i, candidate in enumerate(race.candidates):
        done, gone = now.epochs_done(i), out.get(i)
        outcome = "competing"
        if now.failed[i]:
            outcome = "failed"
        elif candidate.name == race.winner:
            outcome = "winner"
        elif gone:
            outcome = "eliminated"
        elif done == race.rules.epochs:
            outcome = "finished"
        whole = [r.test_accuracy for r in now.records[i] if r is not None and r.status == "done"]
        at = now.performance[i, done - 1] if done else np.nan
        score = at / (1 + now.resource[i] / race.rules.alpha)
        rows.append(
            {
                "architecture": candidate.name,
                "outcome": outcome,
                "epochs_done": done,
                "val_accuracy": None if np.isnan(at) else float(at),
                "score": None if np.isnan(score) else float(score),
                "resource": float(now.resource[i]),
                "expected_cost": candidate.cost,
                "expected_from": candidate.basis,
                "eliminated_after_epoch": gone.epoch if gone else None,
                "reason": gone.reason if gone else _why_failed(now, i),
                "test_accuracy": fmean(whole) if len(whole) == len(candidate.runs) else None,
            }
        )
    known = [(in_race.of(k), total.of(k)) for k in ("energy", "time")]
    share = next((a / b for a, b in known if a is not None and b), None)
    return {
        "folder": str(race.folder),
        "winner": race.winner,
        "leader": None if leader is None else race.candidates[leader].name,
        "undecided_because": why or None,
        "by_proof": race.winner is not None and race.rules.rule == "exact",
        "rule": race.rules.rule,
        "alpha": race.rules.alpha,
        "cost": race.cost,
        "cost_unit": UNITS[race.cost],
        "cost_bounds": [float(now.resources.lower[0]), float(now.resources.upper[0])],
        "bounds_restated": now.resources.restated,
        "confidence": confidence(now),
        "spent": asdict(spent(now)),
        "spent_in_race": asdict(in_race),
        "training_all": asdict(total) | {"candidates_forecast": n_forecast},
        "share_of_training_all": share,
        "candidates": rows,
    }


def _why_failed(now: Standing, i: int) -> str | None:
    if not now.failed[i]:
        return None
    reasons = [r.failure_reason for r in now.records[i] if r is not None and r.failure_reason]
    return reasons[0] if reasons else "it could not be begun"
