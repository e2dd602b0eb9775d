"""A race: candidates are eliminated by the score while they train, or where they cannot win.

Everything here follows from what has been measured so far, so that a race that was killed goes on
where it was, and a simulated one takes the decisions of a real one. Candidates are positions in
arrays; "cheapest first" and "ties to the cheaper" are by the resource R, then by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError, unknown_name
from pepr_utils.scoring.arrays import check_alpha, check_unit_interval, to_floats, to_number
from pepr_utils.scoring.normalization import between, check_sign

#: How candidates are eliminated: by rank after some epochs, where they cannot win, or both.
RULES = ("halving", "exact", "both")
#: Coverage of the intervals of a cautious race, and the quantile of the normal law for it.
LEVEL = 0.95
_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)


def resource_limit(best: float, *, alpha: float = 1.0, ceiling: float = 1.0) -> float:
    r"""Resource from which on no model scores more than `best`.

    :math:`R \ge \alpha (P_{max} / best - 1)` is the same as
    :math:`\alpha P_{max} / (\alpha + R) \le best`; `prove_resource_limit` has the proof.

    Parameters
    ----------
    best : float
        A score that is reached, in [0, 1]; the lower end of its interval, where it is uncertain.
    alpha : float, default 1.0
        Emphasis on performance, at least 1.
    ceiling : float, default 1.0
        Highest performance that a model can have, where it is known.

    Returns
    -------
    float
        The limit; above 1 every model can still win, at 0 or below none can.

    Raises
    ------
    ScoreInputError
        If a value is out of range.

    Examples
    --------
    >>> resource_limit(0.8)
    0.25
    >>> round(resource_limit(0.8, ceiling=0.9), 6)
    0.125
    """
    reached, a = to_number(best, "best"), to_number(alpha, "alpha")
    check_unit_interval(np.asarray(reached), best, "best", "pass a score")
    check_alpha(np.asarray(a), alpha)
    highest = to_number(ceiling, "ceiling")
    check_unit_interval(np.asarray(highest), ceiling, "ceiling", "divide percentages by 100")
    return a * (highest / reached - 1) if reached else float("inf")


@dataclass(frozen=True)
class RaceRules:
    """How a race is run.

    Attributes
    ----------
    epochs : int
        Epochs of a whole training.
    rule : {"halving", "exact", "both"}
        ``halving``: after `first_epochs` epochs, and whenever the epochs are `eta` times as many,
        the best ``1 / eta`` of the candidates go on, rounded up; the last to the end.
        ``exact``: candidates are trained to the end, cheapest first, until no other can win.
        ``both``: halving without the candidates that cannot beat a score reached so far.
    alpha : float
        Emphasis on performance, at least 1.
    eta, first_epochs : int
        See ``halving``.
    n_images : int, optional
        Validation images behind each performance, for a cautious race: a candidate is eliminated
        only where the best is ahead by more than the noise of so many images. None: by the
        performances as they are.
    """

    epochs: int
    rule: str = "halving"
    alpha: float = 1.0
    eta: int = 2
    first_epochs: int = 1
    n_images: int | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown_name("rule", self.rule, RULES)
        least = {"epochs": 1, "eta": 2, "first_epochs": 1, "n_images": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and (value % 1 or value < low):
                raise ScoreInputError(f"{name} is {value}; allowed: a whole number, {low} or more")
        check_alpha(np.asarray(self.alpha), self.alpha)
        if self.rule != "exact" and not self.rungs:
            raise ScoreInputError(
                f"first_epochs is {self.first_epochs} and eta {self.eta} of {self.epochs} epochs: "
                "no candidate could be eliminated before the end; allowed: first_epochs x eta of "
                "at most epochs"
            )

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs after which candidates are eliminated by rank.

        Examples
        --------
        >>> RaceRules(10).rungs, RaceRules(10, eta=3).rungs
        ((1, 2, 4), (1, 3))
        """
        found, epoch = [], self.first_epochs
        while self.rule != "exact" and epoch * self.eta <= self.epochs:
            found.append(epoch)
            epoch *= self.eta
        return tuple(found)


@dataclass(frozen=True)
class RaceResources:
    """Resources of a field, and the bounds that they are placed between.

    Attributes
    ----------
    resource : numpy.ndarray, shape (n,)
        R of each candidate.
    lower, upper : float
        R_min and R_max.
    restated : bool
        Whether a corrected cost lies outside the bounds of the forecasts, which then are widened.
    """

    resource: np.ndarray
    lower: float
    upper: float
    restated: bool


def race_resources(forecast: Any, corrected: Any = None) -> RaceResources:
    """Place the costs of the whole field between bounds that are fixed before the race.

    Parameters
    ----------
    forecast : array_like, shape (n,)
        What the whole training of each candidate is expected to cost, before the race.
    corrected : array_like, optional
        The same as far as it is known by now; default `forecast`.

    Returns
    -------
    RaceResources
        R by the corrected costs, within the bounds of the forecasts or, where a cost lies outside
        of them, within the bounds of both.

    Raises
    ------
    ScoreInputError
        If a cost is missing, negative or not finite, or shapes do not fit.

    Examples
    --------
    >>> race_resources([10.0, 20.0, 50.0]).resource.tolist()
    [0.0, 0.25, 1.0]
    >>> found = race_resources([10.0, 20.0, 50.0], [10.0, 20.0, 90.0])
    >>> found.resource.tolist(), found.restated
    ([0.0, 0.125, 1.0], True)
    """
    expected = to_floats(forecast, "forecast")
    known = expected if corrected is None else to_floats(corrected, "corrected cost")
    if known.shape != expected.shape or expected.ndim != 1:
        raise ScoreInputError(
            f"forecast has shape {expected.shape} and the corrected costs {known.shape}; allowed: "
            "one cost for each candidate in both"
        )
    check_sign(expected, forecast, strictly=False, what="forecast")
    check_sign(known, corrected, strictly=False, what="corrected cost")
    low, high = min(expected.min(), known.min()), max(expected.max(), known.max())
    restated = bool(low < expected.min() or high > expected.max())
    return RaceResources(between(known, low, high), float(low), float(high), restated)


@dataclass(frozen=True)
class Elimination:
    """Why a candidate is out.

    Attributes
    ----------
    candidate : int
        Its position.
    epoch : int
        Epochs after which it was compared; 0 where it did not have to be trained at all.
    cannot_win : bool
        Whether its `score` is the highest that it could reach, rather than one that it has.
    score, best : float
        Its score and the best one that it was compared with.
    noise : float
        What of the difference can be luck with the images, in a cautious race; else 0.
    """

    candidate: int
    epoch: int
    cannot_win: bool
    score: float
    best: float
    noise: float = 0.0

    @property
    def reason(self) -> str:
        """The reason in one clause.

        Examples
        --------
        >>> Elimination(3, 2, False, 0.5, 0.625).reason
        'score 0.5000 after epoch 2, the best has 0.6250'
        """
        if self.cannot_win:
            return f"cannot score above {self.score:.4f}, {self.best:.4f} is reached"
        noise = f", more than the noise of {self.noise:.4f}" if self.noise else ""
        return (
            f"score {self.score:.4f} after epoch {self.epoch}, the best has {self.best:.4f}{noise}"
        )


@dataclass(frozen=True)
class RaceStep:
    """Where a race is, and what is to be trained next.

    Attributes
    ----------
    to_train : list of tuple of (int, int)
        Candidate and the epoch that it is to be trained to, cheapest first. Train the first, or
        with several workers the first few, and ask again: what is measured may make the rest
        unnecessary. After those of the rung come the ones that go on from it whatever the others
        reach, for workers that would wait. Empty where the race is over.
    rung : int
        Epoch of the rung that is being trained; `RaceRules.epochs` in the end.
    competing : list of int
        Candidates that can still win, cheapest first.
    eliminated : list of Elimination
        All others but the failed ones, in the order in which they went.
    leader : int or None
        Best by the score among those that are furthest: measured after the last epoch where there
        are any, else after the last rung that any has reached. The winner where `to_train` is
        empty; None where nothing is measured.
    scores : numpy.ndarray, shape (n, epochs)
        Score after each epoch, NaN where it is not measured.
    """

    to_train: list[tuple[int, int]]
    rung: int
    competing: list[int]
    eliminated: list[Elimination]
    leader: int | None
    scores: np.ndarray


def race_step(performance: Any, resource: Any, rules: RaceRules, *, failed: Any = None) -> RaceStep:
    """Decide who is out and what is trained next, from what has been measured so far.

    Parameters
    ----------
    performance : array_like, shape (n, epochs)
        Validation performance of each candidate after each epoch in [0, 1]; NaN where it is not
        measured.
    resource : array_like, shape (n,)
        Resource R of each whole training in [0, 1], from `race_resources`.
    rules : RaceRules
        How the race is run.
    failed : array_like of bool, shape (n,), optional
        Candidates that cannot be trained; they take no part.

    Returns
    -------
    RaceStep
        What is to be trained next; nothing where the race is over.

    Raises
    ------
    ScoreInputError
        If there are fewer than two candidates, shapes do not fit, or a value is out of range.

    Notes
    -----
    Under ``exact`` the winner is the best of all candidates: those that are not trained cannot
    reach its score, whatever their performance. Under ``both`` a candidate is also out where it
    cannot reach a score that another has by now; should that other end below it, a better
    candidate may have been lost.

    Examples
    --------
    >>> nan = float("nan")
    >>> rules = RaceRules(epochs=2)
    >>> race_step([[nan, nan], [nan, nan], [0.7, nan]], [0.0, 0.5, 0.6], rules).to_train
    [(0, 1), (1, 1)]
    >>> step = race_step([[0.6, nan], [0.7, nan], [0.7, nan]], [0.0, 0.5, 1.0], rules)
    >>> step.to_train, [e.candidate for e in step.eliminated]
    ([(0, 2), (1, 2)], [2])
    """
    p, r, able = _checked(performance, resource, failed, rules)
    scores = p / (1 + r / rules.alpha)[:, None]
    # Who enters a rung follows from ranks alone, so that no later measurement calls anyone back;
    # a candidate that cannot win keeps its place in the ranking, and is not trained.
    entrants = competing = _ranked(np.flatnonzero(able), -r, r)
    eliminated: list[Elimination] = []
    beaten: set[int] = set()
    epochs = [*rules.rungs, rules.epochs]
    for epoch in epochs:
        if rules.rule != "halving":
            hopeless = _cannot_win(p, r, able, entrants, rules)
            eliminated += [e for e in hopeless if e.candidate not in beaten]
            beaten |= {e.candidate for e in hopeless}
        competing = [i for i in entrants if i not in beaten]
        unknown = np.isnan(p[competing, epoch - 1])
        missing = [(i, epoch) for i, new in zip(competing, unknown, strict=True) if new]
        if missing or epoch == rules.epochs or not competing:
            break
        losers = _losers(p, r, entrants, epoch, rules)
        eliminated += [e for e in losers if e.candidate not in beaten]
        gone = {e.candidate for e in losers}
        entrants = [i for i in entrants if i not in gone]
    measured = [e for e in epochs if not np.isnan(p[able, e - 1]).all()]
    at = measured[-1] - 1 if measured else 0
    known = np.flatnonzero(able & ~np.isnan(scores[:, at]))
    leader = _ranked(known, scores[:, at], r)[0] if known.size else None
    if missing and epoch < rules.epochs:
        measured = [i for i in entrants if not np.isnan(p[i, epoch - 1])]
        n_certain = max(0, -(-len(entrants) // rules.eta) - len(missing))
        certain = set(_ranked(measured, scores[:, epoch - 1], r)[:n_certain]) - beaten
        ahead = epochs[epochs.index(epoch) + 1]
        missing += [(i, ahead) for i in entrants if i in certain and np.isnan(p[i, ahead - 1])]
    return RaceStep(missing, epoch, competing, eliminated, leader, scores)


def _checked(
    performance: Any, resource: Any, failed: Any, rules: RaceRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, r = to_floats(performance, "performance", allow_nan=True), to_floats(resource, "resource")
    if r.ndim != 1 or p.shape != (r.size, rules.epochs):
        raise ScoreInputError(
            f"performance has shape {p.shape} and resource {r.shape}; allowed: one row for each "
            f"candidate with {rules.epochs} epochs, and one resource each"
        )
    if r.size < 2:
        raise ScoreInputError("the field has one candidate; a race needs two or more")
    known = np.where(np.isnan(p), 0.0, p)
    check_unit_interval(known, performance, "performance", "divide percentages by 100")
    check_unit_interval(r, resource, "resource", "use race_resources() on the costs")
    able = np.ones(r.size, dtype=bool) if failed is None else ~np.asarray(failed, dtype=bool)
    return p, r, able


def _ranked(candidates: Any, score: np.ndarray, resource: np.ndarray) -> list[int]:
    """Sort candidates by score, the highest first, ties to the cheaper, then by position."""
    c = np.asarray(candidates, dtype=int)
    return c[np.lexsort((c, resource[c], -score[c]))].tolist()


def _losers(
    p: np.ndarray, r: np.ndarray, entrants: list[int], epoch: int, rules: RaceRules
) -> list[Elimination]:
    """Those that do not go on from a rung, the worst first; who was not trained ranks last."""
    at = p[:, epoch - 1]
    score = at / (1 + r / rules.alpha)
    best, *others = _ranked(entrants, score, r)
    n_kept = -(-len(entrants) // rules.eta)
    noise = np.zeros(r.size)
    if rules.n_images is not None:
        noise = lead_noise(at, r, best, rules, rules.n_images)
    top = float(score[best])
    return [
        Elimination(i, epoch, False, float(score[i]), top, float(noise[i]))
        for i in reversed(others[n_kept - 1 :])
        if rules.n_images is None or top - score[i] > noise[i]
    ]


def lead_noise(
    performance: np.ndarray, resource: np.ndarray, best: int, rules: RaceRules, n_images: int
) -> np.ndarray:
    """What of the lead in score of one candidate over each can be luck with so many images."""
    # Agresti and Caffo (2000): one image more of each kind, for shares close to 0 and 1.
    share = (performance * n_images + 1) / (n_images + 2)
    factor = 1 / (1 + resource / rules.alpha)
    variance = factor**2 * share * (1 - share) / (n_images + 2)
    return _QUANTILE * np.sqrt(variance + variance[best])


def _cannot_win(
    p: np.ndarray, r: np.ndarray, able: np.ndarray, entrants: list[int], rules: RaceRules
) -> list[Elimination]:
    """Those whose highest possible score another reaches, the most expensive first."""
    reached = p[:, -1] if rules.rule == "exact" else np.fmax.reduce(p, axis=1)
    # A score counts whose model is still trained, or trained to the end.
    counts = able & ~np.isnan(p[:, -1])
    counts[entrants] = True
    known = np.flatnonzero(counts & ~np.isnan(reached))
    if not known.size:
        return []
    reached = reached_at_least(reached, rules)
    highest = 1 / (1 + r / rules.alpha)
    score = reached / (1 + r / rules.alpha)
    best = _ranked(known, score, r)[0]
    top = float(score[best])
    trained = (~np.isnan(p)).sum(axis=1)
    return [
        Elimination(i, int(trained[i]), True, float(highest[i]), top)
        for i in reversed(entrants)
        if i != best and highest[i] <= top
    ]


def reached_at_least(performance: np.ndarray, rules: RaceRules) -> np.ndarray:
    """The performance that counts as reached: cautiously, the lower end of Wilson's interval."""
    n, z = rules.n_images, _QUANTILE
    if n is None:
        return performance
    spread = np.sqrt(performance * (1 - performance) / n + (z / (2 * n)) ** 2)
    return (performance + z**2 / (2 * n) - z * spread) / (1 + z**2 / n)
