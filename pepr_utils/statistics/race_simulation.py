"""Races replayed on recorded learning curves: what each rule spends, and what it misses.

The rules are those of a real race, `pepr_utils.scoring.race_step`. A published or measured result
set plays the training: an epoch that a rule asks for is looked up, and its cost is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError, ScoreInputError, unknown_name
from pepr_utils.results import ResultSet, cost_column, experiment_labels
from pepr_utils.results.curves import NOT_CUMULATIVE, cumulative_cost
from pepr_utils.scoring import RaceRules, race_resources, race_step
from pepr_utils.scoring.racing import reached_at_least

#: Halving by accuracy is halving by the score with so large an alpha that only ties go by cost.
ACCURACY_ALPHA = 1e9


@dataclass(frozen=True)
class RaceField:
    """Learning curves of one experiment, one for each architecture.

    Attributes
    ----------
    experiment, label : str
        Its comparison key, and a short name.
    architectures : numpy.ndarray of str, shape (n,)
        Names of the candidates.
    performance : numpy.ndarray, shape (n, epochs)
        What is selected by: validation accuracy where every epoch has one, else test accuracy.
    final : numpy.ndarray, shape (n,)
        Test accuracy at the end, by which a winner is judged.
    cost : numpy.ndarray, shape (n, epochs)
        Cost until the end of each epoch.
    n_images : float
        Images behind each performance; NaN where it is not known.
    selected_on : str
        ``"validation"`` or ``"test"``.
    assumed : bool
        Whether the epochs of a run were taken to cost the same.
    """

    experiment: str
    label: str
    architectures: np.ndarray
    performance: np.ndarray
    final: np.ndarray
    cost: np.ndarray
    n_images: float
    selected_on: str
    assumed: bool


def race_fields(result_set: ResultSet, *, cost: str = "E") -> list[RaceField]:
    """Collect the experiments of a result set that a race can be replayed on.

    Parameters
    ----------
    result_set : ResultSet
        A set with epochs. Of repeated runs of an architecture the first is taken.
    cost : str, default "E"
        A letter or column that adds up over epochs: energy, carbon or time.

    Returns
    -------
    list of RaceField
        One for each experiment with two or more architectures that have all epochs.

    Raises
    ------
    InvalidTableError
        If there is no such experiment, or the cost does not add up over epochs.
    UnknownNameError
        If there is no such cost.

    Examples
    --------
    >>> from pepr_utils.results import load_result_set
    >>> fields = race_fields(load_result_set("published"))
    >>> fields[0].label, fields[0].performance.shape, fields[0].selected_on
    ('derma, from scratch, 100 %', (131, 10), 'test')
    """
    runs = result_set.finished
    column = cost_column(runs, cost)
    if column in NOT_CUMULATIVE:
        raise InvalidTableError(
            f"{column} does not add up over epochs; allowed: a cost that does, such as E or T"
        )
    runs = runs[runs[column].notna() & runs["test_accuracy"].notna()]
    runs = runs.drop_duplicates(["experiment", "architecture"])
    epochs = runs[["run_id", "experiment", "architecture", column]].merge(
        result_set.epochs, on="run_id", suffixes=("_total", "")
    )
    epochs = cumulative_cost(epochs.sort_values(["run_id", "epoch"], kind="stable"), column)
    labels = experiment_labels(runs["experiment"])
    known = runs.set_index("run_id")
    parts = dict(list(epochs.groupby("experiment")))
    fields = []
    for key in [key for key in labels if key in parts]:
        part = parts[key]
        name = "val_accuracy" if part["val_accuracy"].notna().all() else "test_accuracy"
        wide = part.pivot(index="run_id", columns="epoch", values=[name, "cost"]).dropna()
        if len(wide) > 1:
            of = known.loc[known.index.isin(wide.index)]
            wide = wide.loc[of.index]
            counts = of["n_test"].dropna().unique() if name == "test_accuracy" else ()
            fields.append(
                RaceField(
                    str(key),
                    labels[str(key)],
                    of["architecture"].to_numpy(str),
                    wide[name].to_numpy(float),
                    of["test_accuracy"].to_numpy(float),
                    wide["cost"].to_numpy(float),
                    float(counts[0]) if len(counts) == 1 else float("nan"),
                    "validation" if name == "val_accuracy" else "test",
                    bool(part["assumed"].any()),
                )
            )
    if not fields:
        raise InvalidTableError(
            f"{result_set.name}: no experiment has two architectures with an accuracy and "
            f"{column} after each epoch; a race is replayed on a folder of records or on published"
        )
    return fields


@dataclass(frozen=True)
class Race:
    """One race to be replayed: a field, what it is scored by, and how it is run."""

    field: RaceField
    resource: np.ndarray
    rules: RaceRules
    seed: tuple[int, ...]

    def shuffled(self) -> np.ndarray:
        """The candidates in random order, the same for each rule that asks."""
        return np.random.default_rng((*self.seed, 1)).permutation(self.resource.size)

    def score(self, performance: np.ndarray) -> np.ndarray:
        """Score by the resources of the whole training."""
        return performance / (1 + self.resource / self.rules.alpha)

    def spent(self, trained: np.ndarray) -> float:
        """Cost of training each candidate for so many epochs."""
        rows = np.flatnonzero(trained)
        return float(self.field.cost[rows, trained[rows] - 1].sum())


def _by_rules(race: Race, rules: RaceRules, among: np.ndarray | None = None) -> np.ndarray:
    """Epochs that each candidate is trained for, by the rules of a real race."""
    rows = np.arange(race.resource.size) if among is None else among
    curves, resource = race.field.performance[rows], race.resource[rows]
    seen = np.full(curves.shape, np.nan)
    while to_train := race_step(seen, resource, rules).to_train:
        epoch = to_train[0][1]
        order = np.array([candidate for candidate, _ in to_train])
        order = order[: _until_beaten(curves[order], resource[order], epoch, rules)]
        seen[order, :epoch] = curves[order, :epoch]
    trained = np.zeros(race.resource.size, dtype=int)
    trained[rows] = (~np.isnan(seen)).sum(axis=1)
    return trained


def _until_beaten(curves: np.ndarray, resource: np.ndarray, epoch: int, rules: RaceRules) -> int:
    """How many of these, cheapest first, are trained before the next one cannot win.

    What asking `race_step` anew after each would give, in one step: their highest possible scores
    fall from one to the next, and the best score that is reached does not.
    """
    if rules.rule == "halving":
        return len(curves)
    reached = curves[:, -1] if rules.rule == "exact" else curves[:, :epoch].max(axis=1)
    divisor = 1 + resource / rules.alpha
    scores, highest = reached_at_least(reached, rules) / divisor, 1 / divisor
    beaten = highest[1:] <= np.maximum.accumulate(scores)[:-1]
    return 1 + int(beaten.argmax()) if beaten.any() else len(curves)


def _random(race: Race) -> np.ndarray:
    """Whole trainings in random order, for no more than halving spends; one at least."""
    budget = race.spent(_by_rules(race, replace(race.rules, rule="halving")))
    order = race.shuffled()
    affordable = np.cumsum(race.field.cost[order, -1]) <= budget
    trained = np.zeros(race.resource.size, dtype=int)
    trained[order[: max(1, int(affordable.sum()))]] = race.rules.epochs
    return trained


def _hyperband(race: Race) -> np.ndarray:
    """Hyperband's brackets: the field in random parts, each halved from another epoch on."""
    halving = replace(race.rules, rule="halving", n_images=None)
    starts = [*halving.rungs, race.rules.epochs]
    n = len(starts)
    sizes = [np.ceil(n / (n - k) * halving.eta ** (n - 1 - k)) for k in range(n)]
    order = race.shuffled()
    cuts = np.round(np.cumsum(sizes)[:-1] / np.sum(sizes) * order.size).astype(int)
    trained = np.zeros(order.size, dtype=int)
    for start, among in zip(starts, np.split(order, cuts), strict=True):
        if start == race.rules.epochs or among.size < 2:
            trained[among] = race.rules.epochs
        else:
            trained += _by_rules(race, replace(halving, first_epochs=start), among)
    return trained


def _freeze_thaw(race: Race) -> np.ndarray:
    """Train the most promising for one epoch more, until it is one that is trained to the end.

    Each curve is extrapolated to the last epoch by a straight line in 1 / epoch; one with a single
    epoch by the mean slope of those that have more.
    """
    p, epochs = race.field.performance, race.rules.epochs
    trained = np.ones(race.resource.size, dtype=int)
    slope = np.full(race.resource.size, np.nan)
    at = 1 / np.arange(1, epochs + 1)
    while True:
        mean = 0.0 if np.isnan(slope).all() else float(np.nanmean(slope))
        ahead = np.where(np.isnan(slope), mean, slope) * (at[-1] - at[trained - 1])
        last = p[np.arange(trained.size), trained - 1]
        promise = race.score(np.clip(last + ahead, 0, 1))
        best = int(np.lexsort((race.resource, -promise))[0])
        if trained[best] == epochs:
            return trained
        trained[best] += 1
        x = at[: trained[best]] - at[: trained[best]].mean()
        slope[best] = (x @ p[best, : trained[best]]) / (x @ x)


def _with(**options: Any) -> Callable[[Race], np.ndarray]:
    return lambda race: _by_rules(race, replace(race.rules, **options))


def _images(field: RaceField) -> int:
    if not field.n_images >= 1:
        raise ScoreInputError(
            f"{field.label}: how many images are behind the {field.selected_on} accuracies is not "
            "known, and what their noise is depends on it; give the number of images (--images N)"
        )
    return int(field.n_images)


def _draw(field: RaceField, candidates: int, rng: np.random.Generator) -> RaceField:
    """A random part of a field, as another set of as many images would have shown it."""
    n, n_images = field.architectures.size, _images(field)
    rows = np.sort(rng.choice(n, size=min(candidates, n), replace=False))
    drawn = rng.binomial(n_images, field.performance[rows]) / n_images
    parts = {name: getattr(field, name)[rows] for name in ("architectures", "final", "cost")}
    return replace(field, performance=drawn, **parts)


#: Name of each rule and baseline, and the function that gives the epochs of each candidate.
STRATEGIES: dict[str, Callable[[Race], np.ndarray]] = {
    "all": lambda race: np.full(race.resource.size, race.rules.epochs),
    "halving": _with(rule="halving"),
    "exact": _with(rule="exact"),
    "both": _with(rule="both"),
    "accuracy": _with(rule="halving", alpha=ACCURACY_ALPHA),
    "hyperband": _hyperband,
    "freeze-thaw": _freeze_thaw,
    "random": _random,
    "cheapest": lambda race: race.rules.epochs * (race.resource.argsort().argsort() == 0),
}


def simulate_races(
    fields: Sequence[RaceField],
    names: Sequence[str] | None = None,
    *,
    draws: int = 0,
    candidates: int = 40,
    images: int | None = None,
    cautious: bool = False,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Replay races under several rules, on whole fields and on random parts of them.

    Parameters
    ----------
    fields : sequence of RaceField
        From `race_fields`.
    names : sequence of str, optional
        Rules and baselines, of `STRATEGIES`; default all.
    draws : int, default 0
        How many random parts of each field are raced instead of the whole field as recorded. In
        each the performances that are selected by are drawn anew, as binomial counts of images:
        independent ones, while real models see the same images at every epoch.
    candidates : int, default 40
        Candidates of each part; the whole field where it has no more.
    images : int, optional
        Images behind each performance; default as many as are known to be.
    cautious : bool, default False
        Whether the rules keep candidates that the noise of so many images may have put behind.
    seed : int, default 0
        Of the random numbers.
    **options
        Of `RaceRules`: ``alpha``, ``eta``, ``first_epochs``.

    Returns
    -------
    pandas.DataFrame
        One row per experiment, draw and rule: ``experiment``, ``label``, ``draw``, ``rule``,
        ``energy_share`` (of training all), ``regret`` (by how much the score of the winner lies
        below the best, both by the test accuracy at the end), ``winner``, ``true_winner``,
        ``n_candidates`` of them ``n_begun`` and ``n_finished``.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    ScoreInputError
        If an option is out of range, or the number of images is not known.

    Examples
    --------
    >>> from pepr_utils.results import load_result_set
    >>> fields = race_fields(load_result_set("published"))
    >>> found = simulate_races(fields, ["halving"])
    >>> round(float(found["energy_share"].mean()), 2), int((found["regret"] == 0).sum())
    (0.17, 7)
    """
    names = list(names or STRATEGIES)
    for name in names:
        if name not in STRATEGIES:
            raise unknown_name("rule", name, STRATEGIES)
    rows = []
    for place, field in enumerate(fields):
        if images is not None:
            field = replace(field, n_images=float(images))  # noqa: PLW2901
        rules = RaceRules(field.cost.shape[1], **options)
        if cautious:
            rules = replace(rules, n_images=_images(field))
        for draw in range(max(1, draws)):
            rng = np.random.default_rng((seed, place, draw))
            raced = _draw(field, candidates, rng) if draws else field
            resource = race_resources(raced.cost[:, -1]).resource
            race = Race(raced, resource, rules, seed=(seed, place, draw))
            true = race.score(raced.final)
            best = int(np.lexsort((resource, -true))[0])
            for name in names:
                trained = STRATEGIES[name](race)
                done = np.flatnonzero(trained == rules.epochs)
                score = race.score(raced.performance[:, -1])
                winner = int(done[np.lexsort((resource[done], -score[done]))[0]])
                rows.append(
                    {
                        "experiment": field.experiment,
                        "label": field.label,
                        "draw": draw,
                        "rule": name,
                        "energy_share": race.spent(trained) / float(raced.cost[:, -1].sum()),
                        "regret": float(true[best] - true[winner]),
                        "winner": str(raced.architectures[winner]),
                        "true_winner": str(raced.architectures[best]),
                        "n_candidates": trained.size,
                        "n_begun": int((trained > 0).sum()),
                        "n_finished": done.size,
                    }
                )
    return pd.DataFrame(rows)
